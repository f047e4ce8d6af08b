"""One suite for every channel: what each must answer to what its provider does."""

import socket
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from connectors.channels.catalogue import OPEN, Providers
from connectors.channels.parcel import (
    Absent,
    Accepted,
    ChannelDoor,
    Found,
    NotAccepted,
    Parcel,
    Refused,
    Text,
    Unseen,
    Unsure,
)
from connectors.clock import SystemClock
from schemas.words import Channel, Purpose, ReceiptState
from tests.connectors.providers import providers_of, simulators_in
from tests.world.simulators.process import Simulator

pytestmark = pytest.mark.real

# What each provider refuses for good, and what we call it.
REFUSE = {
    Channel.PUSH: ("reject:UNREGISTERED", "no_app"),
    Channel.SMS: ("reject:21614", "twilio_21614"),
    Channel.VOICE: ("reject:21217", "twilio_21217"),
    Channel.EMAIL: ("reject:550", "smtp_550_5.1.1"),
}
HTML = {Channel.PUSH: "html", Channel.SMS: "html", Channel.VOICE: "html"}


class Party:
    """One channel with the provider behind it."""

    def __init__(self, channel: Channel, simulator: Simulator, providers: Providers) -> None:
        self.channel, self.simulator, self.providers = channel, simulator, providers
        self.door: ChannelDoor = OPEN[channel](providers, SystemClock())

    def accepted(self, parcel: Parcel) -> list[dict[str, Any]]:
        """The book's entries for what the provider took under this command."""
        return [
            entry
            for entry in self.simulator.book("request", command_id=parcel.command_id)
            if entry["provider_id"] and entry.get("accepted", True)
        ]


@pytest.fixture(scope="module")
def simulators(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Simulator]]:
    folder = tmp_path_factory.mktemp("providers")
    started = simulators_in(folder, pace=0.01)
    for simulator in started.values():
        simulator.start()
    yield started
    for simulator in started.values():
        simulator.stop()


@pytest.fixture(scope="module")
def providers(simulators: dict[str, Simulator]) -> Providers:
    return providers_of(simulators, timeout_s=30.0)


BEHIND = {Channel.PUSH: "fcm", Channel.EMAIL: "smtp", Channel.SMS: "twilio", Channel.VOICE: "twilio"}


@pytest.fixture(params=sorted(OPEN), ids=str)
def party(request: pytest.FixtureRequest, simulators: dict[str, Simulator], providers: Providers) -> Party:
    simulator = simulators[BEHIND[request.param]]
    simulator.faults()
    return Party(request.param, simulator, providers)


_orders = iter(range(1, 1_000_000))


def a_parcel(channel: Channel, **changes: Any) -> Parcel:
    n = next(_orders)
    to = {
        Channel.PUSH: f"device-{n}",
        Channel.EMAIL: f"ann{n}@example.com",
        Channel.SMS: f"+4477009{n:05d}",
        Channel.VOICE: f"+4477009{n:05d}",
    }[channel]
    fields: dict[str, Any] = {
        "command_id": f"O{n}~E%201.1",
        "order_id": f"O{n}",
        "channel": channel,
        "to": to,
        "purpose": Purpose.CALL if channel is Channel.VOICE else Purpose.ASK,
        "text": Text(
            title="Greengrocer", body=f"Oat milk is out, order O{n}\n.1 = Soya", link="https://x.test/c/t"
        ),
        "valid_s": 120,
    }
    return Parcel(**(fields | changes))


def test_a_parcel_is_accepted_once_under_its_command(party: Party) -> None:
    parcel = a_parcel(party.channel)
    outcome = party.door.send(parcel)
    [entry] = party.accepted(parcel)
    assert outcome == Accepted(entry["provider_id"])
    assert entry["to"] == parcel.to


def test_a_throttled_parcel_was_not_accepted_and_is_worth_a_repeat(party: Party) -> None:
    parcel = a_parcel(party.channel)
    party.simulator.faults({"match": {"address": parcel.to}, "then": "http_429", "count": 1})
    outcome = party.door.send(parcel)
    assert isinstance(outcome, NotAccepted)
    assert party.accepted(parcel) == []
    assert isinstance(party.door.send(parcel), Accepted)


def test_a_refused_parcel_says_why_and_is_not_repeated(party: Party) -> None:
    parcel = a_parcel(party.channel)
    fault, reason = REFUSE[party.channel]
    party.simulator.faults({"match": {"address": parcel.to}, "then": fault})
    assert party.door.send(parcel) == Refused(reason)


@pytest.mark.parametrize(("fault", "timeout_s"), [("accept_then_timeout", 1.0), ("accept_then_500", 30.0)])
def test_a_parcel_without_an_answer_may_have_been_accepted(
    party: Party, fault: str, timeout_s: float
) -> None:
    parcel = a_parcel(party.channel)
    party.simulator.faults({"match": {"order": parcel.order_id}, "then": fault})
    impatient = msgspec.structs.replace(party.providers, timeout_s=timeout_s)
    assert isinstance(OPEN[party.channel](impatient, SystemClock()).send(parcel), Unsure)
    assert len(party.simulator.expect("request", command_id=parcel.command_id)) == 1


def test_a_provider_that_answers_html_leaves_the_fate_open(party: Party) -> None:
    if party.channel not in HTML:
        return
    parcel = a_parcel(party.channel)
    party.simulator.faults({"match": {"address": parcel.to}, "then": HTML[party.channel]})
    assert isinstance(party.door.send(parcel), Unsure)


def test_a_provider_that_is_not_there_has_accepted_nothing(party: Party) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        # Bound and not listening: connections are refused, and nobody else can take the port.
        port = reserved.getsockname()[1]
        nowhere = f"http://127.0.0.1:{port}"
        gone = msgspec.structs.replace(
            party.providers, twilio_base_url=nowhere, fcm_base_url=nowhere, smtp_port=port
        )
        outcome = OPEN[party.channel](gone, SystemClock()).send(a_parcel(party.channel))
    assert isinstance(outcome, NotAccepted)


def test_wrong_credentials_are_our_fault_and_not_the_addresss(providers: Providers) -> None:
    wrong = msgspec.structs.replace(providers, twilio_auth_token="wrong")
    outcome = OPEN[Channel.SMS](wrong, SystemClock()).send(a_parcel(Channel.SMS))
    assert isinstance(outcome, NotAccepted)


def test_an_unsubscribed_number_is_an_opt_out(providers: Providers, simulators: dict[str, Simulator]) -> None:
    parcel = a_parcel(Channel.SMS)
    simulators["twilio"].faults({"match": {"address": parcel.to}, "then": "reject:21610"})
    assert OPEN[Channel.SMS](providers, SystemClock()).send(parcel) == Refused("opted_out")


def test_a_push_token_that_was_revoked_is_renewed(
    providers: Providers, simulators: dict[str, Simulator], tmp_path: Path
) -> None:
    door = OPEN[Channel.PUSH](providers, SystemClock())
    simulators["fcm"].faults()
    assert isinstance(door.send(a_parcel(Channel.PUSH)), Accepted)
    # Its restart forgets every token that it gave.
    simulators["fcm"].stop()
    simulators["fcm"].start()
    assert isinstance(door.send(a_parcel(Channel.PUSH)), NotAccepted)
    assert isinstance(door.send(a_parcel(Channel.PUSH)), Accepted)


@pytest.fixture(params=[Channel.SMS, Channel.VOICE], ids=str)
def listed(request: pytest.FixtureRequest, simulators: dict[str, Simulator], providers: Providers) -> Party:
    simulators["twilio"].faults()
    return Party(request.param, simulators["twilio"], providers)


def now() -> datetime:
    return SystemClock().now()


def test_a_parcel_of_unknown_fate_is_found_in_the_providers_list(listed: Party) -> None:
    parcel, since = a_parcel(listed.channel), now()
    listed.simulator.faults({"match": {"address": parcel.to}, "then": "accept_then_500"})
    listed.door.send(parcel)
    [entry] = listed.accepted(parcel)
    assert listed.door.find(parcel, since, frozenset()) == Found(entry["provider_id"])


def test_a_list_without_it_or_with_anothers_only_does_not_show_it(listed: Party) -> None:
    parcel, since = a_parcel(listed.channel), now()
    assert listed.door.find(parcel, since, frozenset()) == Absent()
    other = listed.door.send(parcel)
    assert isinstance(other, Accepted)
    assert listed.door.find(parcel, since, frozenset({other.provider_id})) == Absent()
    assert listed.door.find(parcel, since + timedelta(hours=1), frozenset()) == Absent()


def test_a_list_that_cannot_be_read_says_nothing(listed: Party) -> None:
    listed.simulator.faults({"listing": "http_500"})
    assert isinstance(listed.door.find(a_parcel(listed.channel), now(), frozenset()), Unseen)


def test_a_ringing_call_is_taken_back_and_its_end_can_be_asked(
    providers: Providers, simulators: dict[str, Simulator]
) -> None:
    parcel = a_parcel(Channel.VOICE)
    twilio = simulators["twilio"]
    twilio.faults()
    twilio.put(f"phones/{parcel.to}", {"picks_up": "person", "ring_ms": 599_000})
    door = OPEN[Channel.VOICE](msgspec.structs.replace(providers, ring_s=600), SystemClock())
    outcome = door.send(parcel)
    assert isinstance(outcome, Accepted)
    door.cancel(outcome.provider_id)
    progress = door.ask(outcome.provider_id)
    assert progress is not None
    assert (progress.state, progress.final) == (ReceiptState.CANCELLED, True)


def test_a_mail_is_complete_in_plain_text_and_its_dots_survive(
    providers: Providers, simulators: dict[str, Simulator]
) -> None:
    simulators["smtp"].faults()
    parcel = a_parcel(Channel.EMAIL)
    OPEN[Channel.EMAIL](providers, SystemClock()).send(parcel)
    [kept] = simulators["smtp"].get(f"messages?to={parcel.to}")
    assert kept["text"].replace("\r\n", "\n").strip() == parcel.text.body
    assert kept["headers"]["Message-ID"] == f"<{parcel.command_id}@greengrocer.test>"
    assert 'href="https://x.test/c/t"' in kept["html"]
