"""What the order systems say after the exception: amended, withdrawn, picked, cancelled, delivered, other contacts."""

from datetime import timedelta

import pytest

from schemas.commands import CaseChanged, LineHold
from schemas.events import (
    ContactChanged,
    Credited,
    Delivered,
    LinePicked,
    OrderCancelled,
    OrderCompleted,
    RefusedAtDoor,
)
from schemas.words import (
    Actor,
    CaseState,
    Channel,
    CloseReason,
    HoldState,
    Kind,
    Purpose,
    Resolution,
    SwitchScope,
    WithdrawalReason,
)
from state.conversation import Notice, Seen
from state.decide import decide
from tests.builders import NOON, a_customer, a_line, an_exception, an_option, but, pounds
from tests.scenarios.world import World
from tests.state.test_opening import RULES, after, amended, opened, withdrawn

FIVE = a_line(quantity_ordered=5, quantity_available=3)
LATER = NOON + timedelta(minutes=40)
RYE = an_option("rye", sku="rye", name="Rye Loaf 400 g")


def picked(quantity: int = 1, line_id: str = "L1") -> LinePicked:
    return LinePicked(
        event_id="picked", order_id="order-1", line_id=line_id, quantity=quantity, occurred_at=NOON
    )


def cancelled() -> OrderCancelled:
    return OrderCancelled(event_id="cancelled", order_id="order-1", occurred_at=NOON)


def completed() -> OrderCompleted:
    return OrderCompleted(event_id="completed", order_id="order-1", occurred_at=NOON)


def nothing_moves(record, event) -> bool:
    moved, effects = decide(record, event, NOON + timedelta(seconds=1), RULES)
    return moved is record and effects == []


def asked(raised=None) -> World:
    world = World()
    world.exception(raised or an_exception())
    world.fast_forward(seconds=20)
    return world


# Amended.


def test_an_amendment_changes_what_it_names_and_nothing_else():
    record = opened(an_exception(line=FIVE, kind=Kind.PARTLY_AVAILABLE, picked_until_at=LATER))
    old = record.cases[0].exception
    (case,) = after(amended(1, fulfilment_deadline_at=LATER), record=record).cases
    assert case.exception == but(old, revision=1, fulfilment_deadline_at=LATER)
    (case,) = after(amended(2, picked_until_at=NOON), record=record).cases
    assert case.exception == but(old, revision=2, picked_until_at=NOON)
    (case,) = after(amended(3, options=(RYE,)), record=record).cases
    assert case.exception == but(old, revision=3, options=(RYE,))
    (case,) = after(amended(4), record=record).cases
    assert case.exception == but(old, revision=4)


def test_fewer_pieces_short_make_smaller_options_and_given_ones_stay_as_they_are():
    raised = an_exception(line=FIVE, kind=Kind.PARTLY_AVAILABLE, options=(an_option(quantity_default=4),))
    (case,) = after(amended(1, quantity_available=4), record=opened(raised)).cases
    assert case.exception.line == but(FIVE, quantity_available=4)
    assert case.exception.options[0].components[0].quantity_default == 2
    (case,) = after(amended(1, quantity_available=4, options=(RYE,)), record=opened(raised)).cases
    assert case.exception.options == (RYE,)


def test_more_pieces_than_were_ordered_are_no_shortage():
    (case,) = after(amended(1, quantity_available=9), record=opened(an_exception(line=FIVE))).cases
    assert case.exception.line.quantity_available == 5
    assert case.close_reason is CloseReason.WITHDRAWN


def test_a_delivery_has_no_pieces_to_amend():
    raised = an_exception(kind=Kind.DELIVERY_MISSED)
    (case,) = after(amended(1, quantity_available=2), record=opened(raised)).cases
    assert (case.exception.line, case.exception.revision, case.is_open) == (None, 1, True)


@pytest.mark.parametrize("revision", [1, 2])
def test_an_amendment_that_is_no_newer_changes_nothing(revision):
    assert nothing_moves(opened(an_exception(revision=2)), amended(revision, fulfilment_deadline_at=LATER))


def test_a_closed_case_is_not_amended():
    assert nothing_moves(after(withdrawn(), record=opened()), amended(5, fulfilment_deadline_at=LATER))


def test_the_register_shows_an_amendment_of_a_decided_case_and_nobody_is_asked():
    world = asked()
    world.taps("corner")
    sent = len(world.sent())
    effects = world.amended(revision=1, options=(RYE,))
    assert [type(effect) for effect in effects] == [CaseChanged]
    assert len(world.sent()) == sent
    assert world.case().exception.options == (RYE,)


@pytest.mark.parametrize("mark", [{"taken": True}, {"stuck": "why"}])
def test_a_case_that_a_person_has_is_asked_about_by_nobody_else(mark):
    record = opened()
    case = record.cases[0]
    case.asked = True
    for name, value in mark.items():
        setattr(case, name, value)
    record.plan, record.running, record.gather_until_at = (), False, None
    moved, effects = decide(record, amended(1, options=()), NOON, RULES)
    (case,) = moved.cases
    assert (case.is_open, case.asked, case.exception.options) == (True, True, ())
    assert [type(effect) for effect in effects] == [CaseChanged]


def test_other_facts_are_gathered_again_before_the_customer_hears_of_them():
    world = asked()
    assert world.case().asked
    world.amended(revision=1, options=(RYE,))
    assert not world.case().asked
    assert world.record().gather_until_at is not None
    world.fast_forward(seconds=60)
    world.expect_sent(Purpose.UPDATE, Channel.PUSH, Channel.SMS, Channel.EMAIL)


def test_another_deadline_alone_is_no_reason_to_write_again():
    world = asked()
    world.amended(revision=1, fulfilment_deadline_at=LATER)
    assert world.case().asked
    world.fast_forward(seconds=100)
    assert world.sent(purpose=Purpose.UPDATE) == []


def test_the_picker_hears_until_when_to_wait_after_every_amendment():
    world = asked()
    before = len(world.of(LineHold))
    world.amended(revision=1, fulfilment_deadline_at=LATER)
    (hold,) = world.of(LineHold)[before:]
    assert (hold.state, hold.until_at) == (HoldState.ASKING, NOON + timedelta(seconds=320))


def test_when_no_option_is_left_the_default_is_taken_and_told_at_once():
    world = asked()
    world.amended(revision=1, options=())
    world.expect_decision(Resolution.REFUNDED, actor=Actor.DEFAULT)
    assert world.record().plan == ()


# Withdrawn.


def test_a_withdrawal_is_told_to_whoever_was_asked_and_to_nobody_else():
    record = opened()
    assert after(withdrawn(), record=record).notices == ()
    record.cases[0].asked_at = NOON
    moved = after(withdrawn(), record=record)
    assert moved.notices == (Notice("x1", Purpose.WITHDRAWAL, Channel.UNKNOWN),)


def test_a_withdrawal_of_an_older_revision_changes_nothing():
    record = opened(an_exception(revision=2))
    assert nothing_moves(record, withdrawn(1))
    assert after(withdrawn(2), record=record).cases[0].is_closed


def test_a_withdrawal_of_a_closed_case_changes_nothing():
    assert nothing_moves(after(withdrawn(), record=opened()), withdrawn(9))


def test_found_after_the_decision_is_too_late_and_changes_nothing():
    record = opened(an_exception(options=()))
    assert record.cases[0].state is CaseState.DECIDED
    assert nothing_moves(record, withdrawn())


def test_a_line_withdrawn_as_picked_or_cancelled_says_so():
    record = opened()
    (case,) = after(but(withdrawn(), reason=WithdrawalReason.PICKED), record=record).cases
    assert (case.picked, case.close_reason) == (True, CloseReason.WITHDRAWN)
    (case,) = after(but(withdrawn(), reason=WithdrawalReason.CANCELLED), record=record).cases
    assert (case.picked, case.close_reason) == (False, CloseReason.CANCELLED)


def test_an_early_withdrawal_of_another_exception_waits_for_its_own():
    moved = after(withdrawn(exception_id="x2"), record=opened())
    assert moved.withdrawn == (Seen("x2", 0),)
    assert moved.cases[0].is_open


def test_a_withdrawal_of_what_was_seen_and_has_no_case_is_nothing_to_remember():
    record = after(withdrawn(exception_id="x9"))
    record.seen = (Seen("x1", 0),)
    assert nothing_moves(record, withdrawn())


def test_of_a_line_that_is_cancelled_nothing_more_is_told():
    record = opened(an_exception("x2", line=a_line(line_id="L2")), record=opened())
    mine, other = (Notice(case_id, Purpose.REPLY, Channel.SMS) for case_id in ("x1", "x2"))
    record.notices, record.notice_at = (mine, other), LATER
    moved = after(but(withdrawn(), reason=WithdrawalReason.CANCELLED), record=record)
    assert (moved.notices, moved.notice_at) == ((other,), LATER)
    moved = after(cancelled(), record=record)
    assert (moved.notices, moved.notice_at) == ((), None)


def test_the_last_sixty_four_early_withdrawals_are_remembered():
    record = after(*[withdrawn(exception_id=f"x{n}") for n in range(70)])
    assert [gone.exception_id for gone in record.withdrawn] == [f"x{n}" for n in range(6, 70)]


# Picked.


def test_a_picked_line_ends_the_question_about_it_and_about_no_other():
    record = opened(an_exception("x2", line=a_line(line_id="L2")), record=opened())
    moved = after(picked(), record=record)
    assert [(case.picked, case.is_closed) for case in moved.cases] == [(True, True), (False, False)]


def test_picked_twice_is_picked_once():
    record = opened(an_exception(options=()))
    moved = after(picked(), record=record)
    assert moved.cases[0].picked
    assert nothing_moves(moved, picked())


@pytest.mark.parametrize(("quantity", "ends"), [(4, False), (5, True), (6, True)])
def test_a_question_ends_when_all_that_was_ordered_was_picked(quantity, ends):
    record = opened(an_exception(line=FIVE))
    moved = after(picked(quantity), record=record)
    assert moved.cases[0].picked is ends
    assert ends or moved is record


def test_a_decided_line_is_picked_by_any_quantity():
    record = opened(an_exception(line=FIVE, options=()))
    assert after(picked(1), record=record).cases[0].picked


def test_a_delivery_cannot_be_picked_and_what_is_closed_neither():
    assert nothing_moves(opened(an_exception(kind=Kind.DELIVERY_MISSED)), picked(line_id=""))
    assert nothing_moves(after(withdrawn(), record=opened()), picked())


def test_picked_closes_a_case_that_is_done():
    world = asked(an_exception(picked_until_at=LATER))
    world.taps("corner")
    assert world.case().state is CaseState.DONE
    world.picked()
    assert world.case().close_reason is CloseReason.PICKED


# Cancelled.


def test_a_cancelled_order_is_asked_nothing_more_and_its_customer_not_invited():
    record = opened(an_exception("x2", line=a_line(line_id="L2")), record=after(withdrawn(), record=opened()))
    record.satisfaction_at = LATER
    moved = after(cancelled(), record=record)
    assert [case.close_reason for case in moved.cases] == [CloseReason.WITHDRAWN, CloseReason.CANCELLED]
    assert moved.satisfaction_at is None
    assert nothing_moves(moved, cancelled())


def test_a_cancelled_order_is_asked_nothing_more_whether_or_not_it_was_to_be_invited():
    assert after(cancelled(), record=opened()).cases[0].close_reason is CloseReason.CANCELLED


def test_a_cancelled_order_without_open_cases_only_loses_its_invitation():
    record = after(withdrawn(), record=opened())
    assert nothing_moves(record, cancelled())
    record.satisfaction_at = LATER
    moved = after(cancelled(), record=record)
    assert (moved.satisfaction_at, moved.cases[0].close_reason) == (None, CloseReason.WITHDRAWN)


# What became of it.


FATE = {"event_id": "fate", "order_id": "order-1", "line_id": "L1", "occurred_at": NOON}


@pytest.mark.parametrize(
    ("event", "word"),
    [
        (Delivered(**FATE, quantity=1, charged=pounds(200)), "delivered"),
        (RefusedAtDoor(**FATE, quantity=1), "refused"),
        (Credited(**FATE, amount=pounds(200)), "credited"),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_what_became_of_a_line_is_shown_once_and_only_there(event, word):
    record = opened(an_exception("x2", line=a_line(line_id="L2")), record=opened())
    moved, effects = decide(record, event, NOON, RULES)
    assert [case.outcome for case in moved.cases] == [word, ""]
    assert [effect.case_id for effect in effects] == ["x1"]
    assert nothing_moves(moved, event)
    assert nothing_moves(opened(an_exception(kind=Kind.DELIVERY_MISSED)), but(event, line_id=""))


def test_a_delivery_plans_one_invitation_from_its_own_instant():
    world = asked()
    world.taps("corner")
    effects = world.delivered()
    assert world.record().satisfaction_at == world.now + timedelta(
        milliseconds=world.rules.shelf["mid_pick_substitution@1"].satisfaction.after_ms
    )
    assert effects[-1].outcome == "delivered"
    planned_at = world.record().satisfaction_at
    world.sleeps(minutes=1)
    world.delivered()
    assert world.record().satisfaction_at == planned_at


def test_a_completed_order_takes_the_default_for_what_is_open_but_not_for_what_a_person_has():
    for mark in ({"taken": True}, {"stuck": "why"}):
        record = opened(an_exception("x2", line=a_line(line_id="L2")), record=opened())
        for name, value in mark.items():
            setattr(record.cases[0], name, value)
        moved = after(completed(), record=record)
        assert [case.state for case in moved.cases] == [CaseState.OPEN, CaseState.DECIDED]
        assert moved.cases[1].decision.actor is Actor.DEFAULT


def test_a_completed_order_with_nothing_open_changes_nothing_but_the_invitation():
    assert nothing_moves(after(withdrawn(), record=opened()), completed())
    world = asked()
    world.taps("corner")
    world.happens(completed())
    assert world.record().satisfaction_at is not None


# Contacts.


def contact(facts) -> ContactChanged:
    return ContactChanged(event_id="contact", order_id="order-1", facts=facts, occurred_at=NOON)


def test_the_same_contact_again_changes_nothing_and_neither_does_one_of_a_closed_order():
    record = opened()
    assert nothing_moves(record, contact(record.facts))
    newer = contact(a_customer(locale="de-DE"))
    assert nothing_moves(after(withdrawn(), record=record), newer)
    assert nothing_moves(after(withdrawn()), newer)
    assert after(newer, record=record).facts == newer.facts


def test_a_channel_that_comes_back_has_another_address_and_is_tried_again():
    record = opened(facts=a_customer(channels=(Channel.PUSH, Channel.SMS)))
    record.failed = (Channel.EMAIL, Channel.SMS)
    moved = after(contact(a_customer()), record=record)
    assert moved.failed == (Channel.SMS,)


def test_a_customer_who_becomes_reachable_is_planned_for_at_once():
    record = opened(facts=a_customer(known=False))
    assert record.plan == ()
    assert after(contact(a_customer()), record=record).plan != ()


def test_nobody_is_asked_about_a_switched_off_kind_that_is_amended():
    world = asked()
    world.switch(SwitchScope.KIND, Kind.ITEM_UNAVAILABLE)
    sent = len(world.sent())
    world.amended(revision=1, options=(RYE,))
    world.fast_forward(seconds=60)
    assert len(world.sent()) == sent
