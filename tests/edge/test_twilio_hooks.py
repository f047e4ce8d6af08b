"""Twilio's webhooks over real HTTP: only what is signed counts, and it counts once."""

import itertools
import threading
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import uvicorn
from msgspec.structs import replace
from starlette.applications import Starlette
from twilio.request_validator import RequestValidator

from connectors.channels.catalogue import OPEN
from connectors.channels.parcel import Accepted
from connectors.clock import SystemClock
from connectors.edge.signed import Signed
from connectors.edge.texts import SEALED_AS, Texts
from connectors.edge.twilio import TwilioHooks
from connectors.outbox import Outbox
from connectors.vault import Vault
from schemas.commands import OfferedCase, OfferedOption
from schemas.events import CustomerConsent, CustomerContact, ResponseReceived
from schemas.facts import Money
from schemas.words import Channel, Kind, Signal
from tests.connectors.builders import Rig, a_command, checks, number_of, parcel_of
from tests.connectors.providers import US, providers_of
from tests.streams.rig import until
from tests.world.part import free_port
from tests.world.simulators.process import Simulator
from tests.world.simulators.twilio.account import AUTH_TOKEN

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("postgres")]
ANN = number_of("c7")
# The order's id has all that a path could stumble over.
COMMAND = "A%2F1~E%201.1"


class Hooks:
    """The webhooks behind uvicorn, on a database of their own."""

    def __init__(self, dsn: str) -> None:
        clock = SystemClock()
        self.rig = Rig(dsn, clock)
        self.vault = Vault(self.rig.pool, [b"m" * 32], b"s" * 16, clock)
        texts = Texts(
            self.rig.pool, Outbox(self.rig.codec.encode), clock, self.vault, lambda _ref: "Europe/London"
        )
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        hooks = TwilioHooks(self.rig.claims, texts, Signed(["older", AUTH_TOKEN], self.url))
        application = Starlette(routes=hooks.routes())
        self.server = uvicorn.Server(
            uvicorn.Config(application, host="127.0.0.1", port=port, log_level="warning")
        )
        self.thread = threading.Thread(target=self.server.run)
        self.thread.start()
        until(lambda: self.server.started, "the edge")
        self.vault.keep(CustomerContact(customer_ref="c7", revision=1, phone=ANN, occurred_at=clock.now()))

    def contacted(self, channel: Channel = Channel.SMS, **changes: Any) -> None:
        """A command that was sent to Ann under SM1."""
        command = a_command(
            COMMAND, channel, now=SystemClock().now(), order_id="A/1", customer_ref="c7", **changes
        )
        self.rig.claims.file([command])
        [claim] = self.rig.claims.claim(channel, 1, checks(quiet_exempt=True))
        self.rig.claims.sent(claim.command_id, "SM1")

    def post(
        self, path: str, form: dict[str, str], token: str = AUTH_TOKEN, **headers: str
    ) -> requests.Response:
        signature = RequestValidator(token).compute_signature(self.url + path, form)
        headers = {"X-Twilio-Signature": signature, **headers}
        return requests.post(self.url + path, data=form, headers=headers, timeout=60)

    def text(self, body: str, sid: str = "SM9", **more: str) -> list[ResponseReceived]:
        form = {"MessageSid": sid, "From": ANN, "To": US, "Body": body, **more}
        assert self.post("/twilio/sms", form).status_code == 200
        return [fact for fact in self.rig.facts() if isinstance(fact, ResponseReceived)]

    def close(self) -> None:
        self.server.should_exit = True
        self.thread.join()
        self.rig.close()


@pytest.fixture
def hooks(dsn: str) -> Iterator[Hooks]:
    hooks = Hooks(dsn)
    yield hooks
    hooks.close()


STATUS = f"/twilio/status/{urllib.parse.quote(COMMAND, safe='')}"
DELIVERED = {"MessageSid": "SM1", "MessageStatus": "delivered"}


def test_a_signed_report_is_a_receipt(hooks: Hooks) -> None:
    hooks.contacted()
    assert hooks.post(STATUS, DELIVERED).status_code == 204
    assert hooks.rig.told(COMMAND) == ["sent", "delivered"]


def test_what_an_erased_customer_texts_counts_and_its_words_are_not_kept(hooks: Hooks) -> None:
    hooks.contacted()
    hooks.vault.erase("c7")
    [fact] = hooks.text("STOP", OptOutType="STOP")
    assert (fact.signal, fact.sealed) == (Signal.OPT_OUT_KEYWORD, b"")


@pytest.mark.parametrize("how", ["unsigned", "wrong_token", "tampered", "other_host"])
def test_what_is_not_signed_for_us_changes_nothing(hooks: Hooks, how: str) -> None:
    hooks.contacted()
    signature = RequestValidator("wrong" if how == "wrong_token" else AUTH_TOKEN).compute_signature(
        ("https://elsewhere.test" if how == "other_host" else hooks.url) + STATUS, DELIVERED
    )
    form = {**DELIVERED, "MessageStatus": "failed"} if how == "tampered" else DELIVERED
    headers = {} if how == "unsigned" else {"X-Twilio-Signature": signature, "Host": "elsewhere.test"}
    answer = requests.post(hooks.url + STATUS, data=form, headers=headers, timeout=60)
    assert answer.status_code == 403
    assert hooks.rig.told(COMMAND) == ["sent"]


def test_the_older_of_two_secrets_is_good_during_a_rotation(hooks: Hooks) -> None:
    hooks.contacted()
    assert hooks.post(STATUS, DELIVERED, token="older").status_code == 204


def test_a_repeated_report_has_the_same_id_and_a_late_one_takes_nothing_back(hooks: Hooks) -> None:
    hooks.contacted()
    hooks.post(STATUS, DELIVERED)
    hooks.post(STATUS, DELIVERED)
    hooks.post(STATUS, {"MessageSid": "SM1", "MessageStatus": "sent"})
    receipts = hooks.rig.receipts(COMMAND)
    assert len({receipt.event_id for receipt in receipts}) == 2
    assert hooks.rig.state(COMMAND) == "sent"


def test_an_oversized_or_unheard_of_report_changes_nothing(hooks: Hooks) -> None:
    hooks.contacted()
    assert hooks.post(STATUS, {**DELIVERED, "More": "x" * 70_000}).status_code == 413
    assert hooks.post(STATUS, {**DELIVERED, "MessageStatus": "teleported"}).status_code == 204
    assert hooks.post("/twilio/status/Z9~E1.1", DELIVERED).status_code == 404
    assert hooks.rig.told(COMMAND) == ["sent"]


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))), ids=str)
def test_reports_in_any_order_free_the_line_and_keep_their_numbers(
    hooks: Hooks, order: tuple[int, ...]
) -> None:
    hooks.contacted(Channel.VOICE)
    statuses = ("initiated", "ringing", "in-progress", "completed")
    for number in order:
        form = {"CallSid": "SM1", "CallStatus": statuses[number], "SequenceNumber": str(number)}
        assert hooks.post(STATUS, form).status_code == 204
    told = {receipt.state: receipt.sequence for receipt in hooks.rig.receipts(COMMAND)}
    assert (told["ringing"], told["answered"], told["completed"]) == (2, 3, 4)
    with hooks.rig.pool.connection() as connection:
        assert connection.execute("SELECT state, live FROM claims").fetchall() == [("sent", False)]


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"CallSid": "SM1"},
        {"CallStatus": "completed"},
        {"MessageStatus": "delivered"},
        {"MessageSid": "", "MessageStatus": "delivered"},
        {"MessageSid": "SM1", "MessageStatus": "<script>"},
        {"CallSid": "SM1", "CallStatus": "COMPLETED", "SequenceNumber": "-1"},
        {"CallSid": "SM1", "CallStatus": "", "SequenceNumber": "9" * 400},
    ],
    ids=str,
)
def test_a_signed_report_that_is_not_as_documented_changes_nothing(
    hooks: Hooks, form: dict[str, str]
) -> None:
    hooks.contacted()
    assert hooks.post(STATUS, form).status_code < 500
    assert hooks.rig.told(COMMAND) == ["sent"]


@pytest.mark.parametrize("form", [{}, {"MessageSid": "SM1"}, {"From": ANN}, {"Body": "STOP"}], ids=str)
def test_a_text_from_nobody_is_none(hooks: Hooks, form: dict[str, str]) -> None:
    hooks.contacted()
    assert hooks.post("/twilio/sms", form).status_code == 400
    assert hooks.rig.told(COMMAND) == ["sent"]


def test_a_second_acceptance_is_not_counted(hooks: Hooks) -> None:
    hooks.contacted()
    assert hooks.post(STATUS, {**DELIVERED, "MessageSid": "SM2"}).status_code == 204
    assert hooks.rig.told(COMMAND) == ["sent"]


def test_a_calls_reports_keep_their_numbers(hooks: Hooks) -> None:
    hooks.contacted(Channel.VOICE)
    for number, status in enumerate(("initiated", "ringing", "in-progress")):
        hooks.post(STATUS, {"CallSid": "SM1", "CallStatus": status, "SequenceNumber": str(number)})
    hooks.post(STATUS, {"CallSid": "SM1", "CallStatus": "completed", "SequenceNumber": "3"})
    told = [(str(receipt.state), receipt.sequence) for receipt in hooks.rig.receipts(COMMAND)]
    assert told == [("sent", 0), ("ringing", 2), ("answered", 3), ("completed", 4)]


# Texts


SOYA = OfferedOption(
    key=1, option_id="o1", name="Soya milk", quantity=1, price=Money(180, "GBP"), total=Money(2410, "GBP")
)
OFFERED = OfferedCase(
    case_id="E1", kind=Kind.ITEM_UNAVAILABLE, decision_version=0, line_name="Oat milk", options=(SOYA,)
)


def test_a_key_is_an_answer_with_the_total_that_was_shown_and_its_words_are_sealed(hooks: Hooks) -> None:
    hooks.contacted(cases=(OFFERED,))
    [fact] = hooks.text("1")
    [answer] = fact.answers
    assert (fact.order_id, fact.command_id, fact.signal) == ("A/1", COMMAND, Signal.NONE)
    assert (answer.case_id, answer.key, answer.confirmed) == ("E1", 1, True)
    assert answer.total_shown == Money(2410, "GBP")
    assert hooks.vault.unseal("c7", fact.sealed, SEALED_AS) == b"1"


def test_a_sentence_is_no_yes_so_that_it_is_answered_with_the_keys(hooks: Hooks) -> None:
    hooks.contacted(cases=(OFFERED,))
    [fact] = hooks.text("the soya milk please")
    [answer] = fact.answers
    assert (answer.key, answer.confirmed, fact.spoken) == (1, False, True)
    assert not hooks.text("1", sid="SM10")[-1].spoken


def test_the_same_text_twice_is_one_fact(hooks: Hooks) -> None:
    hooks.contacted(cases=(OFFERED,))
    hooks.text("0")
    assert len({fact.event_id for fact in hooks.text("0")}) == 1


def test_lettered_keys_answer_several_lines(hooks: Hooks) -> None:
    from msgspec.structs import replace

    hooks.contacted(cases=(replace(OFFERED, letter="A"), replace(OFFERED, letter="B", case_id="E2")))
    [fact] = hooks.text("A1 B0")
    assert [(answer.case_id, answer.key) for answer in fact.answers] == [("E1", 1), ("E2", 0)]


def test_stop_is_written_before_it_is_answered_and_binds_the_number(hooks: Hooks) -> None:
    hooks.contacted(cases=(OFFERED,))
    [fact] = hooks.text("STOP", OptOutType="STOP")
    assert fact.signal is Signal.OPT_OUT_KEYWORD
    assert [one.opted_out for one in hooks.rig.facts() if isinstance(one, CustomerConsent)] == [True]
    later = a_command("B2~E1.1", now=SystemClock().now(), customer_ref="c7")
    hooks.rig.claims.file([later])
    assert hooks.rig.claims.claim(Channel.SMS, 1, checks(quiet_exempt=True)) == []


def test_a_key_that_a_text_never_showed_chooses_nothing(hooks: Hooks) -> None:
    hooks.contacted(cases=(replace(OFFERED, gift=True),))
    [fact] = hooks.text("1")
    assert fact.answers == ()
    refunded = hooks.text("0", sid="SM10")[-1]
    assert [answer.key for answer in refunded.answers] == [0]


def test_a_sentence_opts_out_as_well_and_is_told_apart(hooks: Hooks) -> None:
    hooks.contacted(cases=(OFFERED,))
    [fact] = hooks.text("please stop texting me")
    assert (fact.signal, fact.answers) == (Signal.OPT_OUT_SENTENCE, ())


def test_an_opt_out_of_somebody_we_never_wrote_to_is_kept(hooks: Hooks) -> None:
    assert hooks.text("STOP", OptOutType="STOP") == []
    command = a_command("B2~E1.1", now=SystemClock().now(), customer_ref="c7")
    hooks.rig.claims.file([command])
    assert hooks.rig.claims.claim(Channel.SMS, 1, checks(quiet_exempt=True)) == []


def test_what_nobody_can_read_is_asked_again(hooks: Hooks) -> None:
    hooks.contacted(cases=(OFFERED,))
    [fact] = hooks.text("7")
    assert (fact.signal, fact.answers) == (Signal.UNCLEAR, ())


def test_the_real_signature_over_the_real_path_fits(hooks: Hooks, tmp_path: Path) -> None:
    provider = Simulator("twilio", tmp_path, "--calls-per-second", "0", pace=0.01)
    provider.start()
    command = a_command(COMMAND, now=SystemClock().now(), order_id="A/1", customer_ref="c7")
    hooks.rig.claims.file([command])
    [claim] = hooks.rig.claims.claim(Channel.SMS, 1, checks(quiet_exempt=True))
    providers = providers_of({"twilio": provider}, public_url=hooks.url)
    outcome = OPEN[Channel.SMS](providers, SystemClock()).send(parcel_of(command, claim.to))
    assert isinstance(outcome, Accepted)
    # Nobody recorded the answer to the send: its webhooks alone settle the claim.
    until(lambda: hooks.rig.told(COMMAND)[-1:] == ["delivered"], "the receipt")
    assert [entry["status"] for entry in provider.book("callback")] == [204, 204]
    provider.stop()
