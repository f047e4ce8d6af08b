"""Exceptions are amended, withdrawn, repeated, and arrive in any order."""

from datetime import timedelta

import pytest

from schemas.commands import CaseChanged, OrderUpdate
from schemas.events import LinePicked, OrderCancelled, OrderCompleted
from schemas.facts import OwnChoice
from schemas.words import (
    Actor,
    CaseState,
    Channel,
    CloseReason,
    Kind,
    Purpose,
    Resolution,
    SwitchScope,
    WithdrawalReason,
)
from state.decide import QuarantineRecord
from tests.builders import NOON, a_customer, a_line, an_exception, an_option, but
from tests.scenarios.world import World

DIGITAL = (Channel.PUSH, Channel.SMS, Channel.EMAIL)
FIVE = a_line(quantity_ordered=5, quantity_available=3)
LATER = NOON + timedelta(minutes=40)


def asked(raised=None) -> World:
    """An exception is raised, and the first messages have left."""
    world = World()
    world.exception(raised or an_exception())
    world.fast_forward(seconds=20)
    return world


def picked(world: World, quantity: int = 1) -> None:
    world.happens(
        LinePicked(
            event_id=world.new_id(),
            order_id="order-1",
            line_id="L1",
            quantity=quantity,
            occurred_at=world.now,
        )
    )


# Amendments.


def test_a_later_deadline_gives_the_customer_more_time():
    world = asked(an_exception(fulfilment_deadline_at=NOON + timedelta(minutes=3)))
    world.amended(revision=1, fulfilment_deadline_at=LATER)
    world.fast_forward(seconds=150)
    world.expect_open()
    world.fast_forward(minutes=40)
    world.expect_decision(Resolution.REFUNDED)


def test_an_earlier_deadline_brings_the_call_forward():
    world = asked(an_exception(fulfilment_deadline_at=LATER))
    world.amended(revision=1, fulfilment_deadline_at=NOON + timedelta(minutes=4))
    world.fast_forward(seconds=89)
    world.expect_no_call()
    world.fast_forward(seconds=1)
    world.expect_call()


def test_a_deadline_that_has_passed_meanwhile_is_a_default_that_came_too_late():
    world = asked()
    world.fast_forward(minutes=2)
    world.amended(revision=1, fulfilment_deadline_at=NOON + timedelta(minutes=1))
    world.wakes()
    world.expect_decision(Resolution.REFUNDED, actor=Actor.DEFAULT)
    world.fast_forward(seconds=5)
    world.expect_sent(Purpose.DEFAULT, *DIGITAL)


def test_other_options_are_put_before_the_customer_in_one_update():
    world = asked()
    world.amended(revision=1, options=(an_option("rye", sku="rye", name="Rye Loaf 400 g"),))
    world.fast_forward(seconds=60)
    world.expect_sent(Purpose.UPDATE, *DIGITAL)
    assert world.options() == ["rye"]
    world.texts("3")
    world.expect_decision(Resolution.SUBSTITUTED)


def test_an_answer_for_an_option_that_is_gone_is_told_so():
    world = asked()
    world.amended(revision=1, options=(an_option("rye", sku="rye", name="Rye Loaf 400 g"),))
    world.taps("hillside")
    assert world.last_verdict().reason == "unknown_option"
    world.expect_open()


def test_no_options_any_more_is_a_refund():
    world = asked()
    world.amended(revision=1, options=())
    world.expect_decision(Resolution.REFUNDED, actor=Actor.DEFAULT)


def test_more_pieces_turn_up_and_fewer_are_asked_about():
    world = asked(
        an_exception(line=FIVE, kind=Kind.PARTLY_AVAILABLE, options=(an_option(quantity_default=2),))
    )
    world.amended(revision=1, quantity_available=4)
    world.fast_forward(seconds=60)
    assert world.shown().quantity_short == 1
    world.taps("hillside")
    decision = world.expect_decision(Resolution.SUBSTITUTED, keep_quantity=4)
    assert [(p.quantity, p.components[0].pieces) for p in decision.chosen] == [(1, 1)]


def test_all_pieces_turn_up_and_the_customer_hears_it_once():
    world = asked()
    world.amended(revision=1, quantity_available=1)
    world.fast_forward(seconds=10)
    assert world.case().close_reason is CloseReason.WITHDRAWN
    world.expect_sent(Purpose.WITHDRAWAL, *DIGITAL)


def test_an_older_or_equal_revision_is_ignored():
    world = asked(an_exception(revision=2))
    before = len(world.effects)
    world.amended(revision=2, fulfilment_deadline_at=LATER)
    world.amended(revision=1, options=())
    assert len(world.effects) == before
    assert world.case().exception.fulfilment_deadline_at == NOON + timedelta(minutes=10)


def test_an_amendment_that_arrives_before_its_exception_counts_as_soon_as_that_is_there():
    world = World()
    world.amended(revision=1, options=(an_option("rye", sku="rye", name="Rye"),))
    world.exception(an_exception())
    world.fast_forward(seconds=20)
    assert world.options() == ["rye"]


def test_an_amendment_leaves_a_decision_alone():
    world = asked()
    world.taps("corner")
    world.amended(revision=1, options=(), quantity_available=1)
    world.expect_decision(Resolution.SUBSTITUTED, version=1)
    assert len(world.of(OrderUpdate)) == 1


def test_the_whole_exception_again_with_a_higher_revision_is_an_amendment():
    world = asked()
    world.exception(an_exception(revision=1, fulfilment_deadline_at=LATER))
    (case,) = world.record().cases
    assert (case.exception.revision, case.exception.fulfilment_deadline_at) == (1, LATER)
    assert world.last_change().deadline_at == LATER


@pytest.mark.parametrize("revision", [1, 2])
def test_the_whole_exception_again_is_old_news_after_an_amendment_that_is_no_older(revision):
    world = asked()
    world.amended(
        revision=2, options=(an_option("rye", sku="rye", name="Rye"),), fulfilment_deadline_at=LATER
    )
    world.exception(an_exception(revision=revision))
    exception = world.case().exception
    assert (exception.revision, exception.fulfilment_deadline_at) == (2, LATER)
    assert [option.option_id for option in exception.options] == ["rye"]


# Withdrawals.


def test_a_withdrawal_is_told_once_to_whoever_was_messaged():
    world = asked()
    world.withdrawn()
    world.withdrawn()
    world.fast_forward(hours=1)
    told = world.expect_sent(Purpose.WITHDRAWAL, *DIGITAL)
    assert [case.line_name for case in told[0].cases] == ["Oakmill Sourdough 400 g"]
    world.expect_no_call()
    assert world.of(OrderUpdate) == []


def test_a_withdrawal_before_the_first_message_is_told_to_nobody():
    world = World()
    world.exception(an_exception())
    world.fast_forward(seconds=19)
    world.withdrawn()
    world.fast_forward(hours=1)
    assert world.sent() == []
    assert world.case().close_reason is CloseReason.WITHDRAWN


def test_a_withdrawal_is_told_to_nobody_who_could_not_be_asked():
    world = World()
    for channel in DIGITAL:
        world.switch(SwitchScope.CHANNEL, channel)
    world.exception(an_exception())
    world.fast_forward(seconds=30)
    for channel in DIGITAL:
        world.switch(SwitchScope.CHANNEL, channel, on=False)
    world.withdrawn()
    world.fast_forward(hours=1)
    assert world.sent() == []


def test_a_withdrawal_that_arrives_first_closes_its_exception_at_once():
    world = World()
    world.withdrawn()
    world.fast_forward(minutes=5)
    world.exception(an_exception())
    world.fast_forward(hours=1)
    assert world.sent() == []
    assert world.case().close_reason is CloseReason.WITHDRAWN


def test_a_withdrawal_of_an_older_revision_does_not_close_a_newer_exception():
    world = World()
    world.withdrawn()
    world.exception(an_exception(revision=1))
    world.fast_forward(seconds=20)
    world.expect_open()
    world.expect_sent(Purpose.ASK, *DIGITAL)


def test_a_call_that_rings_is_taken_back_when_the_article_is_found():
    world = asked()
    world.fast_forward(minutes=3)
    call = world.expect_call()
    world.withdrawn()
    assert call.command_id in world.cancelled()


def test_one_line_is_found_and_the_other_is_still_asked_about():
    world = World()
    world.exception(an_exception())
    world.exception(an_exception("x2", line=a_line(line_id="L2", sku="jam", name="Jam")))
    world.fast_forward(seconds=20)
    world.withdrawn("x1")
    world.fast_forward(minutes=4)
    assert [case.case_id for case in world.expect_call().cases] == ["x2"]


def test_what_was_found_after_the_decision_changes_nothing():
    world = asked()
    world.taps("corner")
    world.withdrawn()
    world.expect_decision(Resolution.SUBSTITUTED)
    world.fast_forward(hours=1)
    world.expect_sent(Purpose.WITHDRAWAL)
    assert world.case().close_reason is CloseReason.DONE


def test_a_line_that_was_picked_while_we_asked_counts_as_withdrawn():
    world = asked()
    picked(world)
    world.fast_forward(seconds=10)
    assert world.case().close_reason is CloseReason.WITHDRAWN
    world.expect_sent(Purpose.WITHDRAWAL, *DIGITAL)


def test_picking_the_three_that_are_there_does_not_end_the_question_about_the_other_two():
    world = asked(
        an_exception(line=FIVE, kind=Kind.PARTLY_AVAILABLE, options=(an_option(quantity_default=2),))
    )
    picked(world, quantity=3)
    world.expect_open()
    world.taps("hillside")
    world.expect_decision(Resolution.SUBSTITUTED, keep_quantity=3)


def test_picked_ends_the_changes_of_a_decision():
    world = asked()
    world.taps("corner")
    picked(world)
    world.taps("hillside", version=1)
    assert world.last_verdict().reason == "already_picked"
    world.expect_decision(Resolution.SUBSTITUTED, version=1)
    assert world.case().close_reason is CloseReason.PICKED


def test_upstream_may_say_picked_in_a_withdrawal_as_well():
    world = asked()
    world.withdrawn(reason=WithdrawalReason.PICKED)
    assert world.case().close_reason is CloseReason.WITHDRAWN


def test_a_line_that_is_cancelled_ends_its_question_silently():
    world = asked()
    world.withdrawn(reason=WithdrawalReason.CANCELLED)
    world.fast_forward(hours=1)
    assert world.case().close_reason is CloseReason.CANCELLED
    world.expect_sent(Purpose.WITHDRAWAL)
    world.expect_no_call()


def test_a_cancelled_order_ends_every_question_silently():
    world = World()
    world.exception(an_exception())
    world.exception(an_exception("x2", line=a_line(line_id="L2", sku="jam", name="Jam")))
    world.fast_forward(seconds=20)
    world.taps("corner")
    world.happens(OrderCancelled(event_id="gone", order_id="order-1", occurred_at=world.now))
    assert [case.close_reason for case in world.record().cases] == [CloseReason.CANCELLED] * 2
    sent = len(world.sent())
    world.fast_forward(minutes=30)
    assert world.sent()[sent:] == [], "nor is a choice confirmed of which nothing came"
    world.expect_no_call()


# Repeats.


def test_a_repeated_exception_is_dropped():
    world = asked()
    before = len(world.effects)
    world.exception(an_exception())
    world.exception(but(an_exception(), event_id="the same by another event"))
    assert len(world.effects) == before


def test_the_same_id_with_other_content_goes_to_quarantine_with_the_reason():
    world = asked()
    world.exception(an_exception(line=a_line(name="Something else")))
    (quarantined,) = world.of(QuarantineRecord)
    assert quarantined.reasons[0].startswith("id_reused: x1")
    assert world.case().exception.line.name == "Oakmill Sourdough 400 g"


def test_an_id_is_remembered_after_its_conversation_was_closed():
    world = asked()
    world.taps("corner")
    world.fast_forward(days=2)
    before = len(world.effects)
    world.exception(an_exception())
    assert len(world.effects) == before


def test_an_exception_for_which_there_is_no_policy_goes_to_quarantine():
    world = World()
    world.exception(an_exception(kind=Kind.UNKNOWN, line=None))
    (quarantined,) = world.of(QuarantineRecord)
    assert quarantined.reasons[0].startswith("no_policy")


# A substitute that fails in turn.


def test_a_substitute_that_fails_in_turn_is_asked_about_once_more_and_then_refunded():
    world = asked()
    world.taps("hillside")
    again = an_exception(
        "x2",
        supersedes="x1",
        line=a_line(sku="bread-hill", name="Hillside Sourdough 400 g", brand="Hillside"),
        options=(an_option("corner", sku="corner"), an_option("rye", sku="rye")),
        occurred_at=world.now,
    )
    world.exception(again)
    world.fast_forward(seconds=30)
    world.expect_open("x2")
    assert world.options("x2") == ["corner", "rye"]
    world.taps("corner", case_id="x2")
    third = an_exception("x3", supersedes="x2", options=(an_option("rye", sku="rye"),), occurred_at=world.now)
    world.exception(third)
    world.expect_decision(Resolution.REFUNDED, "x3", actor=Actor.DEFAULT)
    world.fast_forward(seconds=10)
    assert world.sent(purpose=Purpose.DEFAULT)


def test_after_two_rounds_not_even_a_stored_permission_tries_a_third_substitute():
    world = World()
    permitted = a_customer(substitute_by_default=True)
    world.exception(an_exception(), permitted)
    world.taps("hillside")
    world.exception(an_exception("x2", supersedes="x1", options=(an_option("corner", sku="c"),)), permitted)
    world.taps("corner", case_id="x2")
    world.exception(an_exception("x3", supersedes="x2", options=(an_option("rye", sku="r"),)), permitted)
    world.expect_decision(Resolution.REFUNDED, "x3", actor=Actor.DEFAULT)


def test_after_two_rounds_not_even_an_own_choice_is_tried():
    wish = a_customer(own_choices=(OwnChoice(sku="bread-oak", instead="r"),))
    world = World()
    world.exception(an_exception(), wish)
    world.taps("hillside")
    world.exception(an_exception("x2", supersedes="x1", options=(an_option("corner", sku="c"),)), wish)
    world.taps("corner", case_id="x2")
    world.exception(an_exception("x3", supersedes="x2", options=(an_option("rye", sku="r"),)), wish)
    world.expect_decision(Resolution.REFUNDED, "x3", actor=Actor.DEFAULT)


# The next conversation.


def test_after_the_last_case_was_closed_a_new_exception_opens_a_new_conversation():
    world = asked()
    world.taps("corner")
    first = world.record().conversation_id
    world.fast_forward(hours=1)
    assert world.case().state is CaseState.CLOSED
    world.exception(
        an_exception(
            "x2",
            line=a_line(line_id="L2"),
            occurred_at=world.now,
            fulfilment_deadline_at=world.now + timedelta(minutes=10),
        )
    )
    world.fast_forward(seconds=20)
    assert (first, world.record().conversation_id) == ("order-1~x1", "order-1~x2")
    assert len(world.sent(purpose=Purpose.ASK)) == 6
    numbers = [c.command_id for c in world.sent()]
    assert len(set(numbers)) == len(numbers), "no command id is given twice"
    world.texts("1")
    world.expect_decision(Resolution.SUBSTITUTED, "x2")
    world.expect_decision(Resolution.SUBSTITUTED, "x1", version=1)


def test_before_that_it_joins_the_conversation():
    world = asked()
    world.taps("corner")
    world.exception(an_exception("x2", line=a_line(line_id="L2"), occurred_at=world.now))
    assert world.record().conversation_id == "order-1~x1"


def test_the_record_goes_after_its_retention_and_the_register_is_left_as_it_was():
    world = asked()
    world.taps("corner")
    world.fast_forward(days=8)
    assert world.records == {}
    assert world.of(CaseChanged)[-1].state is CaseState.CLOSED


def test_an_order_that_is_completed_over_an_open_question_takes_its_default_and_is_called_by_nobody():
    world = World()
    world.exception(an_exception())
    world.fast_forward(seconds=60)
    world.happens(OrderCompleted(event_id="done", order_id="order-1", occurred_at=world.now))
    world.expect_decision(Resolution.REFUNDED, actor=Actor.DEFAULT)
    world.fast_forward(hours=1)
    world.expect_no_call()


def test_a_line_that_is_cancelled_right_after_the_tap_is_not_confirmed():
    world = World()
    world.exception(an_exception())
    world.fast_forward(seconds=20)
    world.taps("corner")
    world.fast_forward(seconds=3)
    world.withdrawn(reason=WithdrawalReason.CANCELLED)
    world.fast_forward(minutes=1)
    assert world.sent(purpose=Purpose.CONFIRM) == []


def test_of_withdrawals_without_an_exception_the_last_sixty_four_are_remembered():
    world = World()
    for n in range(80):
        world.withdrawn(f"y{n}")
    assert len(world.record().withdrawn) == 64
    world.exception(an_exception("y79"))
    assert world.case("y79").close_reason is CloseReason.WITHDRAWN
