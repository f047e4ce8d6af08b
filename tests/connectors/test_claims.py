"""Claims: what the database promises, whoever dies and whoever comes twice."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from psycopg import OperationalError

from connectors.channels.parcel import Absent, Found, NotAccepted, Progress, Unseen
from connectors.claim_states import ClaimState, Move
from connectors.claims import Claims, DoubleSendError
from connectors.dispatch import Dispatcher, Lane
from connectors.outbox import Leaving, publish_outbox
from connectors.rates import Rate
from connectors.register.migrate import upgrade
from connectors.rounds import Rounds
from connectors.tracing import continuing, started
from connectors.unsettled import Patience, Unsettled
from schemas.commands import OfferedCase
from schemas.words import Channel, Kind, Purpose, ReceiptState
from state.policy import Caps
from tests.connectors.builders import (
    ANN,
    NOON,
    FakeDoor,
    Rig,
    SteppedClock,
    a_cancel,
    a_command,
    addresses,
    checks,
    hash_of,
    parcel_of,
)

pytestmark = pytest.mark.real


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
def rig(dsn: str, clock: SteppedClock) -> Iterator[Rig]:
    rig = Rig(dsn, clock)
    yield rig
    rig.close()


def claim(rig: Rig, channel: Channel = Channel.SMS, wanted: int = 10, **limits: Any) -> list[str]:
    return [one.command_id for one in rig.claims.claim(channel, wanted, checks(**limits))]


def test_a_command_filed_twice_is_claimed_once(rig: Rig) -> None:
    rig.claims.file([a_command(), a_command()])
    rig.claims.file([a_command()])
    assert claim(rig) == ["A1~E1.1"]
    assert claim(rig) == []


def test_the_most_urgent_command_is_claimed_first(rig: Rig) -> None:
    rig.claims.file([a_command("A1~E1.1", for_s=300), a_command("A2~E1.1", for_s=30)])
    assert claim(rig, wanted=1) == ["A2~E1.1"]


def test_a_waiting_driver_is_called_before_whatever_expires_sooner(rig: Rig) -> None:
    driver = OfferedCase(case_id="E1", kind=Kind.DRIVER_WAITING, decision_version=0)
    rig.claims.file([a_command("A1~E1.1", for_s=30), a_command("A2~E1.1", for_s=300, cases=(driver,))])
    assert claim(rig, wanted=1) == ["A2~E1.1"]


def test_two_dispatchers_never_claim_the_same_command(rig: Rig, clock: SteppedClock) -> None:
    rig.claims.file([a_command(f"A{n}~E1.1") for n in range(200)])
    claimed: list[list[str]] = [[], []]

    both = threading.Barrier(2)

    def take(claims: Claims, into: list[str]) -> None:
        while found := claims.claim(Channel.SMS, 7, checks(caps=Caps(messages_per_day=1000))):
            # Neither is done before the other has begun.
            if not into:
                both.wait(60)
            into += [one.command_id for one in found]

    others = (rig.claims, rig.another(clock, "two/1"))
    threads = [threading.Thread(target=take, args=pair) for pair in zip(others, claimed, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed[0] + claimed[1]) == sorted(f"A{n}~E1.1" for n in range(200))
    assert all(claimed)


def test_a_cancelled_command_is_never_sent(rig: Rig) -> None:
    rig.claims.file([a_command(), a_cancel()])
    assert claim(rig) == []
    assert rig.told() == ["cancelled:decided"]


def test_a_cancellation_that_comes_first_keeps_its_command_from_being_sent(rig: Rig) -> None:
    rig.claims.file([a_cancel()])
    rig.claims.file([a_command()])
    assert claim(rig) == []
    assert rig.state() == "cancelled"


def test_a_cancellation_between_claim_and_socket_is_obeyed(rig: Rig) -> None:
    rig.claims.file([a_command()])
    [claimed] = rig.claims.claim(Channel.SMS, 1, checks())
    rig.claims.file([a_cancel()])
    assert not rig.claims.may_leave(claimed)
    assert rig.told() == ["cancelled:decided"]


def test_what_is_too_late_when_claiming_or_before_its_socket_is_not_sent(
    rig: Rig, clock: SteppedClock
) -> None:
    rig.claims.file([a_command("A1~E1.1", for_s=10), a_command("A2~E1.1", for_s=20)])
    clock.move(15)
    [claimed] = rig.claims.claim(Channel.SMS, 5, checks())
    clock.move(10)
    assert not rig.claims.may_leave(claimed)
    assert rig.told("A1~E1.1") == rig.told("A2~E1.1") == ["suppressed:too_late"]


def test_what_was_tried_in_time_and_never_accepted_says_that_the_provider_was_away(
    rig: Rig, clock: SteppedClock
) -> None:
    rig.claims.file([a_command(for_s=10)])
    claim(rig)
    rig.claims.settle("A1~E1.1", Move(to=ClaimState.PLANNED, reason="throttled"), after_s=9)
    clock.move(11)
    assert claim(rig) == []
    assert rig.told() == ["provider_down:too_late"]


def test_one_number_has_one_live_call_even_across_orders(rig: Rig, clock: SteppedClock) -> None:
    rig.claims.file([a_command("A1~E1.1", Channel.VOICE), a_command("A2~E1.1", Channel.VOICE)])
    assert claim(rig, Channel.VOICE) == ["A1~E1.1"]
    rig.claims.sent("A1~E1.1", "CA1")
    clock.move(3)
    assert claim(rig, Channel.VOICE) == []
    rig.claims.heard("A1~E1.1", "CA1", ReceiptState.COMPLETED, final=True, sequence=4)
    clock.move(3)
    assert claim(rig, Channel.VOICE) == ["A2~E1.1"]


def test_an_ambiguous_call_keeps_the_line_and_a_rejected_one_frees_it(rig: Rig, clock: SteppedClock) -> None:
    rig.claims.file([a_command("A1~E1.1", Channel.VOICE), a_command("A2~E1.1", Channel.VOICE)])
    claim(rig, Channel.VOICE)
    rig.claims.ambiguous("A1~E1.1", "no answer")
    clock.move(3)
    assert claim(rig, Channel.VOICE) == []
    rig.claims.settle("A1~E1.1", Move(to=ClaimState.REJECTED, receipt=ReceiptState.FAILED))
    clock.move(3)
    assert claim(rig, Channel.VOICE) == ["A2~E1.1"]


def test_calls_leave_at_the_accounts_rate_over_all_dispatchers(rig: Rig, clock: SteppedClock) -> None:
    rig.claims.file([a_command(f"A{n}~E1.1") for n in range(10)])
    other = rig.another(clock, "two/1")
    rate = Rate(per_second=1, burst=2)
    first = rig.claims.claim(Channel.SMS, 10, checks(), rate)
    assert len(first) == 2
    assert other.claim(Channel.SMS, 10, checks(), rate) == []
    clock.move(1)
    assert len(other.claim(Channel.SMS, 10, checks(), rate)) == 1
    assert rig.claims.claim(Channel.SMS, 10, checks(), rate) == []


def test_a_receipt_leaves_once_its_state_is_durable_and_again_if_publishing_failed(rig: Rig) -> None:
    rig.claims.file([a_command()])
    claim(rig)
    rig.claims.sent("A1~E1.1", "SM1")
    published: list[Leaving] = []

    def broken(_records: list[tuple[str, str, bytes]]) -> None:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        publish_outbox(rig.pool, broken)
    assert publish_outbox(rig.pool, published.extend) == 1
    assert publish_outbox(rig.pool, published.extend) == 0
    [(topic, key, value, _)] = published
    receipt = rig.codec.decode(value)
    assert (topic, key) == ("case.events.v1", "A1")
    assert (receipt.state, receipt.provider_id) == (ReceiptState.SENT, "SM1")


# Fate


def test_a_claim_of_an_earlier_start_is_ambiguous_at_once(rig: Rig, clock: SteppedClock) -> None:
    rig.claims.file([a_command()])
    claim(rig)
    assert rig.another(clock, "two/1").recover(timedelta(seconds=45)) == []
    assert rig.another(clock, "one/2").recover(timedelta(seconds=45)) == ["A1~E1.1"]
    assert rig.told() == ["ambiguous:its sender is gone"]


def test_a_claim_that_took_too_long_is_ambiguous_for_everybody_and_lost_to_its_sender(
    rig: Rig, clock: SteppedClock
) -> None:
    rig.claims.file([a_command()])
    [claimed] = rig.claims.claim(Channel.SMS, 1, checks())
    clock.move(46)
    assert rig.another(clock, "two/1").recover(timedelta(seconds=45)) == ["A1~E1.1"]
    assert not rig.claims.may_leave(claimed)


def test_an_outcome_that_is_recorded_once_more_does_not_take_the_next_try_from_its_sender(
    rig: Rig, clock: SteppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle, ended, other = rig.claims.settle, threading.Event(), rig.another(clock, "two/1")
    recorded: list[bool] = []

    def answer_lost(command_id: str, how: Move, *, after_s: float = 0.0) -> bool:
        recorded.append(settle(command_id, how, after_s=after_s))
        if len(recorded) == 1:
            clock.move(1)
            assert len(other.claim(Channel.SMS, 1, checks())) == 1
            raise OperationalError("the connection broke while the commit was acknowledged")
        ended.set()
        return recorded[-1]

    monkeypatch.setattr(rig.claims, "settle", answer_lost)
    door = FakeDoor(NotAccepted("throttled"))
    rig.claims.file([a_command()])
    Dispatcher(
        rig.claims,
        {Channel.SMS: Lane(door)},
        clock,
        judge=checks(),
        parcel_of=parcel_of,
        unsettled=unsettled(rig, door, clock),
        rounds=Rounds(clock),
    ).run(ended)
    assert recorded == [True, False]
    assert (rig.state(), len(door.sent)) == ("claimed", 1)


def test_the_first_webhook_settles_an_ambiguous_claim(rig: Rig) -> None:
    rig.claims.file([a_command()])
    claim(rig)
    rig.claims.ambiguous("A1~E1.1", "no answer")
    assert rig.claims.heard("A1~E1.1", "SM1", ReceiptState.DELIVERED, final=True, sequence=2)
    assert rig.state() == "sent"
    assert rig.told() == ["ambiguous:no answer", "sent", "delivered"]


def test_a_webhook_before_the_answer_to_the_send_settles_the_claim(rig: Rig) -> None:
    rig.claims.file([a_command()])
    claim(rig)
    rig.claims.heard("A1~E1.1", "SM1", ReceiptState.SENT, final=False)
    assert not rig.claims.sent("A1~E1.1", "SM1")
    assert rig.told() == ["sent"]


def test_a_second_acceptance_is_never_silent(rig: Rig) -> None:
    rig.claims.file([a_command()])
    claim(rig)
    rig.claims.sent("A1~E1.1", "SM1")
    with pytest.raises(DoubleSendError):
        rig.claims.heard("A1~E1.1", "SM2", ReceiptState.DELIVERED, final=True)


def test_a_report_about_an_unknown_command_changes_nothing(rig: Rig) -> None:
    assert not rig.claims.heard("Z9~E1.1", "SM1", ReceiptState.DELIVERED, final=True)


def unsettled(rig: Rig, door: FakeDoor, clock: SteppedClock, *, repeats: bool = False) -> Unsettled:
    patience = Patience(look_every_s=1, absent_after_s=5, unseen_after_s=10, ask_after_s=60)
    return Unsettled(
        rig.claims,
        {Channel.SMS: door, Channel.VOICE: door},
        clock,
        parcel_of=parcel_of,
        address_of=lambda command: (
            found.to if (found := addresses(command.customer_ref, command.channel)) else None
        ),
        may_repeat=lambda _command: repeats,
        patience=dict.fromkeys(Channel, patience),
    )


def an_ambiguous(rig: Rig, channel: Channel) -> None:
    rig.claims.file([a_command(channel=channel)])
    claim(rig, channel)
    rig.claims.ambiguous("A1~E1.1", "no answer")


def test_the_providers_list_settles_an_ambiguous_claim(rig: Rig, clock: SteppedClock) -> None:
    an_ambiguous(rig, Channel.VOICE)
    unsettled(rig, FakeDoor(sighting=Found("CA9")), clock).round()
    assert rig.told()[-1] == "sent"


@pytest.mark.parametrize("sighting", [Absent(), Unseen("down")], ids=["absent", "unseen"])
def test_an_ambiguous_call_that_is_never_seen_is_never_repeated(
    rig: Rig, clock: SteppedClock, sighting: Absent | Unseen
) -> None:
    an_ambiguous(rig, Channel.VOICE)
    look = unsettled(rig, FakeDoor(sighting=sighting), clock, repeats=True)
    for _ in range(12):
        look.round()
        clock.move(1)
    assert rig.state() == "suppressed"
    assert rig.told()[-1] == "suppressed:ambiguous"


def test_an_ambiguous_text_is_repeated_only_if_its_policy_says_so_and_the_list_was_read(
    rig: Rig, clock: SteppedClock
) -> None:
    an_ambiguous(rig, Channel.SMS)
    door = FakeDoor(sighting=Unseen("down"))
    look = unsettled(rig, door, clock, repeats=True)
    look.round()
    clock.move(6)
    look.round()
    assert rig.state() == "ambiguous"
    door.sighting = Absent()
    clock.move(2)
    look.round()
    assert rig.state() == "planned"
    assert claim(rig) == ["A1~E1.1"]


def test_a_text_about_to_be_repeated_is_not_once_its_first_webhook_comes(
    rig: Rig, clock: SteppedClock
) -> None:
    an_ambiguous(rig, Channel.SMS)
    clock.move(6)
    unsettled(rig, FakeDoor(), clock, repeats=True).round()
    assert rig.state() == "planned"
    rig.claims.heard("A1~E1.1", "SM1", ReceiptState.SENT, final=False)
    assert claim(rig) == []


def test_a_cancellation_during_the_dialling_is_executed_once_the_id_is_known(
    rig: Rig, clock: SteppedClock
) -> None:
    rig.claims.file([a_command(channel=Channel.VOICE)])
    [claimed] = rig.claims.claim(Channel.VOICE, 1, checks())
    assert rig.claims.may_leave(claimed)
    rig.claims.file([a_cancel(channel=Channel.VOICE)])
    door = FakeDoor()
    look = unsettled(rig, door, clock)
    look.round()
    assert door.cancelled == []
    rig.claims.sent("A1~E1.1", "CA1")
    look.round()
    look.round()
    assert door.cancelled == ["CA1"]


def test_a_cancellation_whose_teller_dies_is_told_by_the_next(rig: Rig, clock: SteppedClock) -> None:
    rig.claims.file([a_command(channel=Channel.VOICE)])
    claim(rig, Channel.VOICE)
    rig.claims.sent("A1~E1.1", "CA1")
    rig.claims.file([a_cancel(channel=Channel.VOICE)])

    class Dying(FakeDoor):
        def cancel(self, _provider_id: str, /) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        unsettled(rig, Dying(), clock).round()
    door = FakeDoor()
    unsettled(rig, door, clock).round()
    assert door.cancelled == ["CA1"]


def test_a_call_that_nobody_reports_is_asked_after_and_its_line_is_free_again(
    rig: Rig, clock: SteppedClock
) -> None:
    rig.claims.file([a_command(channel=Channel.VOICE)])
    claim(rig, Channel.VOICE)
    rig.claims.sent("A1~E1.1", "CA1")
    door = FakeDoor()
    door.progress = Progress(ReceiptState.NO_ANSWER, final=True)
    clock.move(30)
    unsettled(rig, door, clock).round()
    assert rig.told() == ["sent"]
    clock.move(31)
    unsettled(rig, door, clock).round()
    assert rig.told() == ["sent", "no_answer:polled"]


# What is checked once more


def insert(rig: Rig, statement: str, *values: Any) -> None:
    with rig.pool.connection() as connection:
        connection.execute(statement, values)


OPT_OUT = "INSERT INTO opt_outs (subject, channel, opted_out, occurred_at) VALUES (%s, %s, true, %s)"


def test_an_opt_out_after_the_decision_keeps_texts_and_calls_from_leaving(rig: Rig) -> None:
    rig.claims.file([a_command("A1~E1.1"), a_command("A1~E1.2", purpose=Purpose.OPTOUT_ACK)])
    insert(rig, OPT_OUT, "ann", "sms", NOON)
    assert claim(rig) == ["A1~E1.2"]
    assert rig.told("A1~E1.1") == ["suppressed:opted_out"]


def test_an_opt_out_binds_the_number_whatever_the_account(rig: Rig) -> None:
    insert(rig, OPT_OUT, hash_of(ANN), "voice", NOON)
    rig.claims.file([a_command(channel=Channel.VOICE)])
    assert claim(rig, Channel.VOICE) == []
    assert rig.told() == ["suppressed:opted_out"]


def test_a_kill_switch_works_at_once_for_a_channel_a_store_and_a_kind(rig: Rig) -> None:
    case = OfferedCase(case_id="E1", kind=Kind.DAMAGED_ITEM, decision_version=0)
    rig.claims.file(
        [
            a_command("A1~E1.1", Channel.PUSH),
            a_command("A2~E1.1", store_id="s9"),
            a_command("A3~E1.1", cases=(case,)),
            a_command("A4~E1.1"),
        ]
    )
    for scope, name in (("channel", "push"), ("store", "s9"), ("kind", "damaged_item")):
        insert(rig, "INSERT INTO kill_switches (scope, name) VALUES (%s, %s)", scope, name)
    assert claim(rig, Channel.PUSH) == []
    assert claim(rig) == ["A4~E1.1"]
    assert rig.told("A3~E1.1") == ["suppressed:kill_switch"]


def test_a_customer_without_an_address_on_this_channel_is_not_reached_there(rig: Rig) -> None:
    rig.claims.file([a_command(customer_ref="nobody")])
    assert claim(rig) == []
    assert rig.told() == ["suppressed:no_address"]


def test_a_cap_counts_over_orders_and_holds_back_questions_only(rig: Rig) -> None:
    rig.claims.file([a_command(f"A{n}~E1.1") for n in range(4)])
    rig.claims.file([a_command("A9~E1.2", purpose=Purpose.CONFIRM)])
    assert len(claim(rig, caps=Caps(messages_per_day=2))) == 3
    assert sorted(r.reason for r in rig.receipts()) == ["cap", "cap"]


def test_one_call_is_kept_for_the_last_mile(rig: Rig, clock: SteppedClock) -> None:
    waiting = OfferedCase(case_id="E9", kind=Kind.DRIVER_WAITING, decision_version=0)
    caps = Caps(calls_per_day=2, calls_kept_for_last_mile=1)
    for n, cases in enumerate((None, None, (waiting,))):
        command = a_command(f"A{n}~E1.1", Channel.VOICE, **({"cases": cases} if cases else {}))
        rig.claims.file([command])
        if claim(rig, Channel.VOICE, caps=caps):
            rig.claims.heard(command.command_id, f"CA{n}", ReceiptState.NO_ANSWER, final=True)
    assert [rig.state(f"A{n}~E1.1") for n in range(3)] == ["sent", "suppressed", "sent"]


def test_questions_wait_for_the_morning_or_are_suppressed_if_it_is_too_late_then(
    dsn: str,
) -> None:
    night = datetime(2026, 3, 2, 22, 30, tzinfo=UTC)
    clock = SteppedClock(night)
    rig = Rig(dsn, clock)
    rig.claims.file(
        [
            a_command("A1~E1.1", now=night, for_s=180),
            a_command("A2~E1.1", now=night, for_s=12 * 3600),
            a_command("A3~E1.1", now=night, purpose=Purpose.CONFIRM),
            a_command("A4~E1.1", Channel.PUSH, now=night),
        ]
    )
    assert claim(rig) == ["A3~E1.1"]
    assert claim(rig, Channel.PUSH) == ["A4~E1.1"]
    assert rig.told("A1~E1.1") == ["suppressed:quiet"]
    clock.move(9.5 * 3600)
    assert claim(rig) == ["A2~E1.1"]
    rig.close()


def test_quiet_hours_are_those_of_the_delivery_address_as_they_were_for_the_plan(dsn: str) -> None:
    night = datetime(2026, 3, 2, 22, 30, tzinfo=UTC)
    slot = {"quiet_exempt_from_at": night, "quiet_exempt_until_at": night + timedelta(hours=1)}
    rig = Rig(dsn, SteppedClock(night))
    # The number is British; where it is delivered to, it is afternoon, morning, or night within the slot.
    rig.claims.file(
        [
            a_command("A1~E1.1", Channel.VOICE, now=night, customer_ref="c1", zones=("America/New_York",)),
            a_command("A2~E1.1", Channel.VOICE, now=night, customer_ref="c2", zones=("Asia/Kolkata",)),
            a_command(
                "A3~E1.1", Channel.VOICE, now=night, customer_ref="c3", zones=("Asia/Kolkata",), **slot
            ),
        ]
    )
    assert claim(rig, Channel.VOICE) == ["A1~E1.1", "A3~E1.1"]
    assert rig.told("A2~E1.1") == ["suppressed:quiet"]
    rig.close()


def test_a_receipt_belongs_to_the_trace_of_its_command_whoever_reports_it(rig: Rig) -> None:
    trace = started()
    rig.claims.file([a_command("A1~E1.1"), a_command("A2~E1.1", customer_ref="bob")], [trace, ""])
    claim(rig)
    # A provider's webhook starts a trace of its own, which says nothing of the order.
    with continuing(started()):
        rig.claims.heard("A1~E1.1", "SM1", ReceiptState.DELIVERED, final=True)
    rig.claims.sent("A2~E1.1", "SM2")
    published: list[Leaving] = []
    publish_outbox(rig.pool, published.extend)
    assert [one.traceparent for one in published] == [trace, trace, ""]


def test_several_processes_may_migrate_at_once(dsn: str) -> None:
    threads = [threading.Thread(target=upgrade, args=(dsn,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    upgrade(dsn)
