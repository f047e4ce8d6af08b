"""The frame around every event: what moves nothing, deadlines by version, and what we fail on goes to people."""

from datetime import timedelta

import pytest

from schemas.commands import (
    CaseChanged,
    ChannelCancel,
    ChannelCommand,
    FulfilmentTrigger,
    LineHold,
    OrderUpdate,
)
from schemas.events import LinePicked
from schemas.words import (
    CaseState,
    Channel,
    CloseReason,
    Kind,
    Purpose,
    Resolution,
    TriggerState,
    WriteBackOutcome,
)
from state.conversation import Notice, Proof, Send, Write
from state.decide import Deadline, decide, hand_to_people
from tests.builders import NOON, a_line, an_exception
from tests.scenarios.world import World
from tests.state.test_opening import RULES, accepted, after, opened, withdrawn

REASON = "our own fault: KeyError"


def due(record) -> Deadline:
    return Deadline(record.due_at, record.due_version)


def fired(record):
    """The record after its deadline, at its instant."""
    moved, _ = decide(record, due(record), record.due_at, RULES)
    return moved


# Events.


def test_an_order_without_a_record_begins_one_only_with_an_exception_or_word_of_one():
    gone = LinePicked(event_id="p", order_id="order-1", line_id="L1", quantity=1, occurred_at=NOON)
    assert decide(None, gone, NOON, RULES) == (None, [])
    assert decide(None, Deadline(NOON, 0), NOON, RULES) == (None, [])
    assert after(withdrawn()).order_id == "order-1"
    assert opened().order_id == "order-1"


def test_each_move_that_puts_the_deadline_off_gives_it_a_new_version():
    record = opened()
    assert (record.due_at, record.due_version) == (NOON + timedelta(seconds=20), 1)
    same = opened(
        an_exception("x2", line=a_line(line_id="L2")), record=record, now=NOON + timedelta(seconds=1)
    )
    assert (same.due_at, same.due_version) == (record.due_at, 1)
    asked = fired(record)
    assert (asked.due_at, asked.due_version) == (NOON + timedelta(seconds=200), 2)


@pytest.mark.parametrize("version", [0, 2])
def test_a_deadline_of_another_version_moves_nothing(version):
    record = opened()
    assert decide(record, Deadline(record.due_at, version), record.due_at, RULES) == (record, [])


def test_a_deadline_that_comes_early_fires_nothing_yet():
    record = opened()
    moved, effects = decide(record, due(record), record.due_at - timedelta(milliseconds=1), RULES)
    assert effects == []
    assert (moved.due_at, moved.due_version) == (record.due_at, record.due_version)


def test_what_fell_due_while_we_were_away_fires_in_its_order():
    record = opened()
    back_at = NOON + timedelta(days=1)
    moved, effects = decide(record, due(record), back_at, RULES)
    assert [type(effect) for effect in effects] == [LineHold, OrderUpdate, CaseChanged]
    assert moved.cases[0].decision.resolution is Resolution.REFUNDED
    assert (moved.due_at, moved.due_version) == (back_at + timedelta(seconds=5), 2)


# Wake-ups.


def test_a_person_who_lets_the_deadline_pass_is_told_and_no_default_is_taken():
    record = opened()
    record.cases[0].taken = True
    moved = after(withdrawn(exception_id="x9"), record=record)
    while not moved.cases[0].stuck:
        moved = fired(moved)
    (case,) = moved.cases
    assert case.stuck == "a person took the case and let its deadline pass"
    assert (case.is_open, case.decision) == (True, None)


@pytest.mark.parametrize("asked", [True, False])
def test_a_default_at_the_limit_is_late_where_the_customer_was_never_asked(asked):
    record = opened(an_exception())
    record.facts = record.facts.__class__(known=False)
    record.plan, record.gather_until_at = (), None
    record.cases[0].asked = asked
    record.due_at = NOON + timedelta(minutes=10) - RULES.shelf["mid_pick_substitution@1"].write_margin
    (case,) = fired(record).cases
    assert (case.decision.resolution, case.late) == (Resolution.REFUNDED, not asked)


def test_a_wake_up_that_nobody_knows_is_an_error_and_names_itself(monkeypatch):
    from state import decide as heart

    record = opened()
    monkeypatch.setattr(heart, "wakeups", lambda *_: [(NOON, "sing", "")])
    with pytest.raises(RuntimeError, match="order-1: nothing is known of a wake-up sing"):
        fired(record)


def test_a_clock_that_never_comes_to_rest_is_an_error_and_no_endless_loop(monkeypatch):
    from state import decide as heart

    record = opened()
    fires = []
    monkeypatch.setattr(heart, "wakeups", lambda *_: [(NOON, "clock", "")])
    monkeypatch.setattr(heart.escalation, "clock_fires", fires.append)
    with pytest.raises(RuntimeError, match="order-1: the clock does not come to rest"):
        fired(record)
    assert len(fires) == 200


def test_after_its_retention_a_record_goes_and_what_was_stuck_is_closed_as_that():
    world = World()
    world.oms = WriteBackOutcome.REJECTED
    world.exception(an_exception(options=()))
    world.exception(an_exception("x2", line=a_line(line_id="L2")))
    world.withdrawn("x2")
    assert world.case().stuck
    world.fast_forward(days=8)
    assert world.records == {}
    (last,) = [change for change in world.of(CaseChanged) if change.close_reason is CloseReason.STUCK]
    assert (last.case_id, last.state, last.closed_at) == (
        "x1",
        CaseState.CLOSED,
        world.now - timedelta(hours=24),
    )


# What we fail on.


def test_what_we_fail_on_stops_its_clocks_and_goes_to_people():
    record = opened()
    record.notices, record.notice_at = (Notice("x1", Purpose.REPLY, Channel.SMS),), NOON
    record.next_call_at = record.satisfaction_at = NOON
    record.running = True
    record.sends = (Send(7, Channel.SMS),)
    record.cases[0].proof_at = record.cases[0].retry_at = record.cases[0].watch_at = NOON
    moved, effects = hand_to_people(record, NOON + timedelta(seconds=1), REASON, RULES)
    assert moved is not record
    assert (moved.plan, moved.running, moved.gather_until_at, moved.next_call_at) == ((), False, None, None)
    assert (moved.notices, moved.notice_at, moved.satisfaction_at) == ((), None, None)
    (case,) = moved.cases
    assert (case.stuck, case.proof_at, case.retry_at, case.watch_at) == (REASON, None, None, None)
    assert [type(effect) for effect in effects] == [ChannelCancel, ChannelCommand, CaseChanged]
    taken_back, task, shown = effects
    assert (taken_back.reason, taken_back.cancels) == ("handed_over", "order-1~x1.7")
    assert (task.channel, task.reason, task.issued_at) == (
        Channel.PERSON,
        REASON,
        NOON + timedelta(seconds=1),
    )
    assert shown.stuck == REASON
    assert record.cases[0].stuck == "", "the record that goes in is left as it was"


def test_then_only_the_removal_is_waited_for():
    record = opened()
    moved, _ = hand_to_people(record, NOON, REASON, RULES)
    assert moved.due_at == moved.remove_at > NOON + timedelta(days=1)
    assert moved.due_version == record.due_version + 1
    assert decide(moved, due(record), NOON + timedelta(minutes=9), RULES) == (moved, [])


def test_what_was_done_or_closed_needs_no_person():
    world = World()
    world.exception(an_exception(picked_until_at=NOON + timedelta(hours=1)))
    world.exception(an_exception("x2", line=a_line(line_id="L2")))
    world.exception(an_exception("x3", line=a_line(line_id="L3")))
    world.taps("corner")
    world.withdrawn("x2")
    assert world.case().state is CaseState.DONE
    moved, effects = hand_to_people(world.record(), world.now, REASON, world.rules)
    assert [(case.close_reason, case.stuck) for case in moved.cases] == [
        (CloseReason.DONE, ""),
        (CloseReason.WITHDRAWN, ""),
        (CloseReason.NONE, REASON),
    ]
    assert [e.about for e in effects if isinstance(e, ChannelCommand)] == [("x3",)]
    assert moved.cases[0].closed_at == world.now


# The parts of done, each waited for.


def test_a_write_back_that_failed_is_tried_again_at_its_time():
    world = World()
    world.oms = None
    world.exception(an_exception(options=()))
    (update,) = world.of(OrderUpdate)
    world.oms_says(update, WriteBackOutcome.ORDER_BEING_MODIFIED)
    retry_at = world.case().retry_at
    world.fast_forward_to(retry_at)
    assert [u.attempt for u in world.of(OrderUpdate)] == [1, 2]
    assert world.case().retry_at is None


def test_silence_of_the_order_system_makes_a_case_stuck_at_its_time():
    world = World()
    world.oms = None
    world.exception(an_exception(options=()))
    watch_at = world.case().watch_at
    world.fast_forward_to(watch_at - timedelta(milliseconds=1))
    assert not world.case().stuck
    world.fast_forward_to(watch_at)
    assert world.case().stuck


def test_a_done_case_closes_at_the_end_of_its_changes():
    world = World()
    world.exception(an_exception(options=(), picked_until_at=NOON + timedelta(minutes=3)))
    assert world.case().state is CaseState.DONE
    world.fast_forward(seconds=179)
    assert world.case().state is CaseState.DONE
    world.fast_forward(seconds=1)
    assert world.case().close_reason is CloseReason.DONE


def test_evidence_that_waited_for_a_call_is_asked_for_at_its_time():
    record = opened(an_exception(options=()))
    case = record.cases[0]
    case.write, case.proof, case.proof_at = Write.VERIFIED, Proof.NONE, NOON + timedelta(seconds=1)
    record.notices, record.notice_at = (), None
    record.due_at = case.proof_at
    assert fired(record).cases[0].proof is Proof.REQUESTED


def test_a_kind_without_a_line_goes_the_same_way():
    record = opened(an_exception(kind=Kind.DELIVERY_MISSED))
    assert record.cases[0].is_open
    assert decide(record, accepted(an_exception(kind=Kind.DELIVERY_MISSED)), NOON, RULES) == (record, [])


def test_a_trigger_that_fulfilment_refuses_goes_to_people():
    world = World()
    world.fulfilment = TriggerState.REFUSED
    world.exception(an_exception(options=()))
    assert world.of(FulfilmentTrigger)
    assert world.case().stuck
