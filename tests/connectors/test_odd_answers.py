"""Providers and an OMS whose JSON is nothing like their documentation: no yes, no crash, no loss."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from connectors.channels import twilio_door
from connectors.channels.catalogue import OPEN, Providers
from connectors.channels.parcel import Absent, ChannelDoor, Found, NotAccepted, Unsure
from connectors.clock import SystemClock
from connectors.evidence.gather import Sent
from connectors.evidence.recordings import Recordings
from connectors.oms.door import Rejected, Unknown
from connectors.oms.reference import ReferenceOms
from connectors.oms.writeback import WriteBack
from schemas.facts import Money
from schemas.words import Channel, WriteBackOutcome
from tests.connectors.around import an_update
from tests.connectors.builders import ANN, NOON, a_command, parcel_of
from tests.world.simulators.process import Simulator
from tests.world.simulators.twilio.account import ACCOUNT_SID, AUTH_TOKEN

pytestmark = pytest.mark.real
ODD = [
    b"",
    b"null",
    b"17",
    b'"yes"',
    b"[]",
    b"[[1]]",
    b"{}",
    b'{"sid": null, "name": null}',
    b'{"sid": {"deep": []}, "name": ["x"], "date_created": 7}',
    b'{"sid": "SM1", "date_created": [1], "status": {"a": 1}, "name": 5}',
    b'{"error": "of another shape", "code": "not a number", "message": {}}',
    b'{"error": {"details": "none", "status": 3}}',
    b'{"messages": 5, "calls": 5, "outcome": 5, "total_minor": "12", "lines": 3}',
    b'{"messages": [5], "calls": ["x"], "outcome": "CONFLICT", "conflict": "NEW_WORD", "line_quantity": 1}',
    b"\xff\xfe\x00",
    b'{"sid": "SM1"',
    b"<html>Bad gateway</html>",
    b"[" * 5_000,
    b'{"order_id": "A1", "more": ' + b"[" * 5_000,
    b'{"outcome": "APPLIED", "sid": ' + b"1" * 5_000 + b"}",
]


class Odd:
    """Answers every request with the same status and body."""

    def __init__(self) -> None:
        self.status, self.body, self.retry_after = 200, b"", "1"
        odd = self

        class Handler(BaseHTTPRequestHandler):
            def _say(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self.send_response(odd.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Retry-After", odd.retry_after)
                self.send_header("Content-Length", str(len(odd.body)))
                self.end_headers()
                self.wfile.write(odd.body)

            do_GET = do_POST = _say  # noqa: N815 - the server's names

            def log_message(self, *_: Any) -> None:
                """Nobody reads it."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture(scope="module")
def odd() -> Iterator[Odd]:
    odd = Odd()
    yield odd
    odd.close()


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    fcm = Simulator("fcm", tmp_path_factory.mktemp("fcm"))
    fcm.start()
    yield fcm.folder / "service-account.json"
    fcm.stop()


def door(channel: Channel, odd: Odd, account: Path) -> ChannelDoor:
    providers = Providers(
        public_url="http://127.0.0.1:9",
        twilio_account_sid=ACCOUNT_SID,
        twilio_auth_token=AUTH_TOKEN,
        twilio_base_url=odd.url,
        sms_sender="+441632960000",
        voice_sender="+441632960000",
        fcm_account_file=account,
        fcm_base_url=odd.url,
        smtp_host="",
        email_sender="",
        timeout_s=30.0,
    )
    return OPEN[channel](providers, SystemClock())


@pytest.mark.parametrize("channel", [Channel.PUSH, Channel.SMS, Channel.VOICE], ids=str)
def test_a_yes_of_an_unheard_of_shape_leaves_the_fate_open(odd: Odd, account: Path, channel: Channel) -> None:
    way, parcel = door(channel, odd, account), parcel_of(a_command(channel=channel), ANN)
    for status in (200, 201):
        for body in ODD:
            odd.status, odd.body = status, body
            outcome = way.send(parcel)
            named = body.startswith((b'{"sid": "SM1", "date', b'{"sid": "SM1"}'))
            assert isinstance(outcome, Unsure) or named, (status, body, outcome)


@pytest.mark.parametrize("channel", [Channel.PUSH, Channel.SMS, Channel.VOICE], ids=str)
@pytest.mark.parametrize("status", [302, 400, 401, 429, 500, 503])
def test_a_no_of_an_unheard_of_shape_is_no_yes_and_no_crash(
    odd: Odd, account: Path, channel: Channel, status: int
) -> None:
    way, parcel = door(channel, odd, account), parcel_of(a_command(channel=channel), ANN)
    for body in ODD:
        odd.status, odd.body = status, body
        outcome = way.send(parcel)
        assert type(outcome).__name__ in ("Unsure", "Refused", "NotAccepted"), (body, outcome)
        assert status < 500 or type(outcome).__name__ != "Refused"


@pytest.mark.parametrize("retry_after", ["²", "-1", "", "9" * 30, "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_a_pause_of_an_unheard_of_length_is_one_that_can_be_waited_for(
    odd: Odd, account: Path, monkeypatch: pytest.MonkeyPatch, retry_after: str
) -> None:
    way, parcel = door(Channel.PUSH, odd, account), parcel_of(a_command(channel=Channel.PUSH), ANN)
    odd.status, odd.body = 429, b'{"error": {"status": "RESOURCE_EXHAUSTED"}}'
    monkeypatch.setattr(odd, "retry_after", retry_after)
    outcome = way.send(parcel)
    assert isinstance(outcome, NotAccepted)
    assert 1 <= outcome.retry_after_s <= 3600


@pytest.mark.parametrize("channel", [Channel.SMS, Channel.VOICE], ids=str)
def test_a_list_or_a_state_of_an_unheard_of_shape_tells_nothing(
    odd: Odd, account: Path, channel: Channel
) -> None:
    way, parcel = door(channel, odd, account), parcel_of(a_command(channel=channel), ANN)
    for body in ODD:
        odd.status, odd.body = 200, body
        assert not isinstance(way.find(parcel, NOON, frozenset()), Found | Absent), body
        progress = way.ask("SM1")
        assert progress is None or not progress.final, body


def test_a_recording_of_an_unheard_of_shape_is_none_and_stays_where_it_is(odd: Odd) -> None:
    client = twilio_door.client(ACCOUNT_SID, AUTH_TOKEN, odd.url, 30.0)
    recordings = Recordings(client, (ACCOUNT_SID, AUTH_TOKEN), 30.0)
    call = Sent(
        command_id="A1~E1.1",
        channel="voice",
        purpose="call",
        attempt=1,
        state="sent",
        reason="",
        provider_id="CA1",
        claimed_at=NOON,
        settled_at=NOON,
        script="",
    )
    listed = [f'{{"recordings": [{{"status": "completed", "media_url": "{odd.url}/m"}}]}}'.encode()]
    for body in ODD + listed:
        odd.status, odd.body = 200, body
        assert recordings.fetch([call]) is None, body
        recordings.delete([call.provider_id])


@pytest.mark.parametrize("code", ["", "no\x00", "x" * 65, "Ann Smith has no money", ["CARD"], None])
def test_a_rejection_without_a_readable_code_is_one_and_its_words_go_nowhere(odd: Odd, code: Any) -> None:
    odd.status, odd.body = 200, json.dumps({"outcome": "REJECTED", "code": code}).encode()
    rejected = ReferenceOms(odd.url, "token", 30.0).authorise("A1", 1, "k")
    assert rejected in (Rejected("unnamed"), Rejected("None"))


@pytest.mark.parametrize("quantity", [-1, 2**31, 10**40])
def test_a_conflict_about_a_quantity_that_cannot_be_is_no_answer(odd: Odd, quantity: int) -> None:
    conflict = {"outcome": "CONFLICT", "conflict": "LINE_CHANGED", "line_quantity": quantity}
    odd.status, odd.body = 200, json.dumps(conflict).encode()
    assert isinstance(ReferenceOms(odd.url, "token", 30.0).authorise("A1", 1, "k"), Unknown)


def test_an_oms_that_says_something_else_has_not_written_and_is_asked_again(odd: Odd) -> None:
    oms = ReferenceOms(odd.url, "token", 30.0)
    update = an_update(NOON)
    raised = replace(
        update,
        decision=replace(update.decision, price_before=Money(100, "GBP"), price_after=Money(200, "GBP")),
    )
    for status in (200, 404, 500):
        for body in ODD:
            odd.status, odd.body = status, body
            assert oms.read("A1") is None, body
            assert isinstance(oms.authorise("A1", 1, "k"), Unknown), body
            assert isinstance(oms.refund("A1", 1, "k"), Unknown), body
            written = WriteBack(oms, read_back_s=(0.0,)).write(raised)
            assert (written.outcome, written.code) == (WriteBackOutcome.UNDETERMINED, "unreadable")
