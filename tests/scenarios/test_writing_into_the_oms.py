"""A decision is done only when the OMS holds it; and what the OMS says otherwise is answered one by one."""

import pytest

from schemas.commands import EvidenceRequest, FulfilmentTrigger, OrderUpdate
from schemas.events import Answer
from schemas.words import (
    CaseState,
    Channel,
    CloseReason,
    Group,
    Purpose,
    ReceiptState,
    Resolution,
    Responder,
    TriggerKind,
    TriggerState,
    WriteBackOutcome,
)
from tests.builders import a_customer, a_line, a_second, an_exception, an_option, pounds
from tests.scenarios.world import World

FIVE = a_line(quantity_ordered=5)


def decided(*, raised=None, resolution: Resolution = Resolution.ALTERNATIVE, **facts) -> World:
    """The customer chose, and the OMS has not answered yet."""
    world = World()
    world.oms = None
    world.exception(raised or an_exception(), a_customer(**facts))
    world.fast_forward(seconds=20)
    world.taps("hillside", confirmed=True, total_shown=pounds(7_000))
    world.expect_decision(resolution)
    return world


def the_oms_says(world: World, outcome: WriteBackOutcome, **more) -> None:
    world.oms_says(world.of(OrderUpdate)[-1], outcome, **more)


def rewritten() -> World:
    """The first choice is written and done; a second one was made and waits for the OMS."""
    world = World()
    world.exception(an_exception())
    world.fast_forward(seconds=20)
    world.taps("hillside")
    world.expect_done()
    world.oms = None
    world.taps("corner", version=1)
    world.expect_decision(Resolution.SUBSTITUTED, version=2)
    return world


def test_the_update_says_all_that_the_oms_needs():
    world = decided()
    (update,) = world.of(OrderUpdate)
    decision = update.decision
    assert (update.command_id, update.line_id, update.expected_quantity) == ("x1.d1", "L1", 1)
    assert (decision.keep_quantity, decision.refund_quantity) == (0, 0)
    assert [(c.option_id, c.quantity, c.components[0].pieces) for c in decision.chosen] == [
        ("hillside", 1, 1)
    ]
    assert (decision.price_before, decision.price_after) == (pounds(200), pounds(200))
    assert decision.policy == "mid_pick_substitution@1"


@pytest.mark.parametrize("outcome", [WriteBackOutcome.APPLIED, WriteBackOutcome.ALREADY_APPLIED])
def test_a_written_decision_releases_the_order(outcome):
    world = decided()
    assert world.of(FulfilmentTrigger) == []
    the_oms_says(world, outcome)
    assert [t.kind for t in world.of(FulfilmentTrigger)] == [TriggerKind.RELEASE]
    world.expect_done()


def test_the_oms_may_say_so_twice_and_it_counts_once():
    world = decided()
    the_oms_says(world, WriteBackOutcome.APPLIED)
    before = len(world.effects)
    the_oms_says(world, WriteBackOutcome.ALREADY_APPLIED)
    assert len(world.effects) == before


# The order is being modified by somebody else.


def test_an_order_that_is_being_modified_is_tried_again_with_growing_patience():
    world = decided()
    world.oms = WriteBackOutcome.ORDER_BEING_MODIFIED
    the_oms_says(world, WriteBackOutcome.ORDER_BEING_MODIFIED)
    began_at = world.of(OrderUpdate)[0].issued_at
    world.fast_forward(seconds=20)
    updates = world.of(OrderUpdate)
    assert [(u.issued_at - began_at).total_seconds() for u in updates] == [0, 2, 6, 14]
    assert [u.attempt for u in updates] == [1, 2, 3, 4]
    assert {u.command_id for u in updates} == {"x1.d1"}, "the same id, so that a repeat is recognised"
    world.oms = WriteBackOutcome.APPLIED
    world.fast_forward(seconds=20)
    world.expect_done()


def test_an_order_that_stays_being_modified_is_handed_to_people():
    world = decided()
    world.oms = WriteBackOutcome.ORDER_BEING_MODIFIED
    the_oms_says(world, WriteBackOutcome.ORDER_BEING_MODIFIED)
    world.fast_forward(minutes=5)
    assert len(world.of(OrderUpdate)) == 6
    assert world.last_change().stuck == "the order is being modified by somebody else and stays so"
    assert len(world.sent(Channel.PERSON)) == 1


# The line has changed.


def test_with_fewer_pieces_ordered_the_same_choice_holds_for_fewer_without_asking():
    world = decided(
        raised=an_exception(
            line=FIVE,
            options=(
                an_option(quantity_default=5),
                an_option("b", sku="b", brand="Oakmill", quantity_default=5),
            ),
        )
    )
    the_oms_says(world, WriteBackOutcome.LINE_CHANGED, line_quantity=3)
    decision = world.expect_decision(Resolution.ALTERNATIVE, version=2, replaces_version=1)
    assert [(c.option_id, c.quantity, c.components[0].pieces) for c in decision.chosen] == [
        ("hillside", 3, 3)
    ]
    assert world.of(OrderUpdate)[-1].expected_quantity == 3
    the_oms_says(world, WriteBackOutcome.APPLIED)
    world.expect_done()
    world.fast_forward(seconds=30)
    world.expect_sent(Purpose.UPDATE)
    world.expect_no_call()


def test_with_fewer_pieces_the_choice_is_still_the_customers_own_and_costs_us_nothing():
    world = decided(
        raised=an_exception(line=FIVE, options=(an_option(quantity_default=5),)),
        resolution=Resolution.SUBSTITUTED,
    )
    chosen = world.case().decision
    the_oms_says(world, WriteBackOutcome.LINE_CHANGED, line_quantity=3)
    world.expect_decision(
        Resolution.SUBSTITUTED,
        version=2,
        actor=chosen.actor,
        channel=chosen.channel,
        response_id=chosen.response_id,
        absorbed=None,
    )


def test_with_fewer_pieces_what_was_given_at_the_old_price_stays_so():
    three = a_line(quantity_ordered=3)
    dearer = an_option(quantity_default=3, unit_price=pounds(220))
    world = decided(raised=an_exception(line=three, options=(dearer,)), resolution=Resolution.SUBSTITUTED)
    world.expect_decision(Resolution.SUBSTITUTED, absorbed=pounds(60), price_after=pounds(600))
    the_oms_says(world, WriteBackOutcome.LINE_CHANGED, line_quantity=2)
    world.expect_decision(Resolution.SUBSTITUTED, version=2, absorbed=pounds(40), price_after=pounds(400))


def test_a_refund_for_fewer_pieces_stays_a_refund():
    world = World()
    world.oms = None
    world.exception(an_exception(line=FIVE))
    world.fast_forward(seconds=20)
    world.texts("0")
    the_oms_says(world, WriteBackOutcome.LINE_CHANGED, line_quantity=2)
    world.expect_decision(Resolution.REFUNDED, version=2, refund_quantity=2)


def test_with_more_pieces_ordered_the_customer_is_asked_again():
    world = decided()
    the_oms_says(world, WriteBackOutcome.LINE_CHANGED, line_quantity=2)
    world.expect_open()
    world.fast_forward(seconds=30)
    assert world.shown().quantity_short == 2
    world.oms = WriteBackOutcome.APPLIED
    world.taps("hillside")
    assert world.case().decision.chosen[0].quantity == 2
    world.expect_done()


def test_with_more_pieces_ordered_and_no_time_left_the_default_is_written():
    world = decided()
    world.fast_forward(seconds=100)
    world.oms = WriteBackOutcome.APPLIED
    world.amended(revision=1, fulfilment_deadline_at=world.now)
    the_oms_says(world, WriteBackOutcome.LINE_CHANGED, line_quantity=2)
    world.wakes()
    world.expect_decision(Resolution.REFUNDED, refund_quantity=2)
    world.expect_done()


def test_a_line_that_is_gone_ends_the_case_and_the_customer_hears_it():
    world = decided()
    the_oms_says(world, WriteBackOutcome.LINE_CHANGED, line_quantity=0)
    assert world.case().close_reason is CloseReason.CANCELLED
    world.fast_forward(seconds=5)
    (reply,) = world.sent(purpose=Purpose.REPLY)
    assert reply.reason == "line_removed"
    assert world.sent(purpose=Purpose.WITHDRAWAL) == [], "nothing was found again"


def test_a_line_that_is_complete_again_ends_the_case():
    part = a_line(quantity_ordered=5, quantity_available=3)
    world = decided(
        raised=an_exception(
            line=part,
            options=(
                an_option(quantity_default=2),
                an_option("b", sku="b", brand="Oakmill", quantity_default=2),
            ),
        )
    )
    the_oms_says(world, WriteBackOutcome.LINE_CHANGED, line_quantity=3)
    assert world.case().close_reason is CloseReason.WITHDRAWN


def test_a_line_that_changed_to_nobody_knows_what_is_handed_to_people():
    world = decided()
    the_oms_says(world, WriteBackOutcome.LINE_CHANGED)
    assert "does not say to how many" in world.last_change().stuck


# Other refusals.


def test_a_line_that_was_fulfilled_meanwhile_closes_as_picked_and_the_truth_is_told():
    world = decided()
    the_oms_says(world, WriteBackOutcome.LINE_FULFILLED)
    assert world.case().close_reason is CloseReason.PICKED
    world.fast_forward(seconds=5)
    (reply,) = world.sent(purpose=Purpose.REPLY)
    assert reply.reason == "already_picked"
    assert world.of(FulfilmentTrigger) == []
    assert world.sent(purpose=Purpose.CONFIRM) == []
    assert world.last_change().decision is None, "the choice was never written"


def test_a_choice_that_was_never_written_is_in_no_later_total():
    world = World()
    world.oms = None
    world.exception(an_exception(options=(an_option(unit_price=pounds(150)),)))
    world.exception(a_second())
    world.fast_forward(seconds=20)
    world.taps("hillside")
    the_oms_says(world, WriteBackOutcome.LINE_FULFILLED)
    world.fast_forward(minutes=4)
    world.expect_call()
    assert world.shown("x2").options[0].total == pounds(6_000)


@pytest.mark.parametrize(
    ("outcome", "more", "why"),
    [
        (WriteBackOutcome.ORDER_NOT_MODIFIABLE, {}, "can no longer be modified"),
        (WriteBackOutcome.MISMATCH, {"differences": ("quantity 2, not 1",)}, "quantity 2, not 1"),
        (WriteBackOutcome.REJECTED, {"code": "NO_STOCK"}, "NO_STOCK"),
    ],
)
def test_what_the_oms_refuses_is_handed_to_people_with_the_reason(outcome, more, why):
    world = decided()
    the_oms_says(world, outcome, **more)
    assert why in world.last_change().stuck
    (task,) = world.sent(Channel.PERSON)
    assert why in task.reason
    assert world.of(FulfilmentTrigger) == []


def test_a_person_who_repaired_the_order_has_it_written_and_read_again():
    world = decided()
    the_oms_says(world, WriteBackOutcome.MISMATCH)
    (task,) = world.sent(Channel.PERSON)
    world.oms = WriteBackOutcome.ALREADY_APPLIED
    world.receipt(task, ReceiptState.TAKEN)
    world.receipt(task, ReceiptState.DONE)
    assert [u.attempt for u in world.of(OrderUpdate)] == [1, 2]
    world.expect_done()
    assert world.last_change().stuck == ""


# The difference could not be authorised.


def test_a_refused_authorisation_means_no_increase_and_the_cheaper_ones_are_asked_about():
    dearer = an_option(unit_price=pounds(500))
    plain = an_option("plain", sku="plain", brand="Oakmill")
    world = decided(raised=an_exception(options=(dearer, plain)), price_cap=pounds(300))
    the_oms_says(world, WriteBackOutcome.AUTHORISATION_REFUSED)
    world.expect_open()
    world.fast_forward(seconds=30)
    assert world.options() == ["plain"]
    assert world.refused("hillside") == "a higher price could not be authorised"


def test_nobody_is_thanked_for_a_choice_that_could_not_be_authorised():
    dearer = an_option(unit_price=pounds(500))
    plain = an_option("plain", sku="plain", brand="Oakmill")
    world = decided(raised=an_exception(options=(dearer, plain)), price_cap=pounds(300))
    the_oms_says(world, WriteBackOutcome.AUTHORISATION_REFUSED)
    world.fast_forward(seconds=30)
    assert world.sent(purpose=Purpose.CONFIRM) == []


def test_a_refused_authorisation_with_nothing_cheaper_left_is_a_refund():
    dearer = an_option(unit_price=pounds(500))
    raised = an_exception(options=(dearer,))
    world = decided(raised=raised, resolution=Resolution.SUBSTITUTED, price_cap=pounds(300))
    the_oms_says(world, WriteBackOutcome.AUTHORISATION_REFUSED)
    world.expect_decision(Resolution.REFUNDED, price_after=pounds(0))


def test_an_oms_that_refuses_to_authorise_no_increase_is_not_asked_for_ever():
    world = decided()
    world.oms = WriteBackOutcome.AUTHORISATION_REFUSED
    the_oms_says(world, WriteBackOutcome.AUTHORISATION_REFUSED)
    world.taps("hillside")
    assert "authorisation of no increase" in world.last_change().stuck


def test_an_oms_that_says_changed_to_what_it_was_is_not_asked_for_ever():
    world = decided()
    the_oms_says(world, WriteBackOutcome.LINE_CHANGED, line_quantity=1)
    assert "to what it was" in world.last_change().stuck


def test_whether_an_increase_was_authorised_is_polled_and_never_repeated():
    world = decided()
    the_oms_says(world, WriteBackOutcome.UNDETERMINED)
    the_oms_says(world, WriteBackOutcome.UNDETERMINED)
    world.fast_forward(seconds=119)
    assert len(world.of(OrderUpdate)) == 1
    assert world.last_change().stuck == ""
    the_oms_says(world, WriteBackOutcome.APPLIED)
    world.expect_done()


def test_an_oms_that_never_says_what_became_of_it_makes_the_case_stuck_with_what_is_missing():
    world = decided()
    world.fast_forward(seconds=120)
    assert world.last_change().stuck == "nothing was heard of: write_back, evidence, trigger"
    assert len(world.sent(Channel.PERSON)) == 1
    the_oms_says(world, WriteBackOutcome.APPLIED)
    world.expect_done()
    assert world.last_change().stuck == ""


# A later version that conflicts.


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        (WriteBackOutcome.ORDER_NOT_MODIFIABLE, "changes_not_possible"),
        (WriteBackOutcome.MISMATCH, "changes_not_possible"),
        (WriteBackOutcome.REJECTED, "changes_not_possible"),
        (WriteBackOutcome.LINE_CHANGED, "changes_not_possible"),
        (WriteBackOutcome.AUTHORISATION_REFUSED, "not_authorised"),
        (WriteBackOutcome.LINE_FULFILLED, "already_picked"),
    ],
)
def test_a_later_choice_that_conflicts_leaves_the_earlier_one_standing_and_the_customer_is_told(
    outcome, told
):
    world = rewritten()
    the_oms_says(world, outcome, line_quantity=9)
    decision = world.expect_decision(Resolution.ALTERNATIVE, version=1)
    assert decision.chosen[0].option_id == "hillside"
    world.expect_done()
    world.fast_forward(seconds=5)
    (reply,) = world.sent(purpose=Purpose.REPLY)
    assert reply.reason == told
    assert reply.cases[0].standing.version == 1
    assert len(world.of(FulfilmentTrigger)) == 1
    assert world.sent(Channel.PERSON) == []


def test_a_choice_that_conflicts_at_once_is_not_confirmed_as_well():
    world = rewritten()
    the_oms_says(world, WriteBackOutcome.MISMATCH)
    world.fast_forward(seconds=5)
    assert world.sent(purpose=Purpose.CONFIRM) == []
    (reply,) = world.sent(purpose=Purpose.REPLY)
    assert reply.cases[0].standing.version == 1


def test_after_a_conflict_another_change_is_still_possible():
    world = rewritten()
    the_oms_says(world, WriteBackOutcome.MISMATCH)
    world.oms = WriteBackOutcome.APPLIED
    world.taps("corner", version=1)
    world.expect_decision(Resolution.SUBSTITUTED, version=3)
    ids = [update.command_id for update in world.of(OrderUpdate)]
    assert ids == ["x1.d1", "x1.d2", "x1.d3"]


def changed_once() -> World:
    """The OMS holds the first choice, the shop and the store have not answered for it; a second one is on its way."""
    world = World()
    world.fulfilment, world.store_works = None, False
    world.exception(an_exception())
    world.fast_forward(seconds=20)
    world.taps("hillside")
    world.oms = None
    world.taps("corner", version=1)
    return world


def test_the_earlier_choice_stands_with_receipts_that_came_while_the_later_one_was_tried():
    world = changed_once()
    (first,) = world.of(FulfilmentTrigger)
    world.fulfilment_says(first, TriggerState.DONE)
    world.evidence_stored(world.of(EvidenceRequest)[0])
    the_oms_says(world, WriteBackOutcome.ORDER_NOT_MODIFIABLE)
    world.expect_decision(Resolution.ALTERNATIVE, version=1)
    world.expect_done()


def test_the_earlier_choice_stands_although_its_writing_was_heard_of_only_after_the_later_one():
    world = decided()
    (first,) = world.of(OrderUpdate)
    world.taps("corner", version=1)
    world.oms_says(first, WriteBackOutcome.APPLIED)
    the_oms_says(world, WriteBackOutcome.ORDER_NOT_MODIFIABLE)
    world.expect_decision(Resolution.ALTERNATIVE, version=1)
    assert world.sent(Channel.PERSON) == []


def changed_twice() -> World:
    """A second choice waits for an order that somebody else is modifying, and a third one overtakes it."""
    world = changed_once()
    the_oms_says(world, WriteBackOutcome.ORDER_BEING_MODIFIED)
    world.answers(Answer(case_id="x1", key=0, decision_version=2))
    world.expect_decision(Resolution.REFUNDED, version=3)
    return world


@pytest.mark.parametrize("outcome", [WriteBackOutcome.LINE_FULFILLED, WriteBackOutcome.ORDER_NOT_MODIFIABLE])
def test_what_the_oms_holds_stands_again_after_two_changes_that_it_never_took(outcome):
    world = changed_twice()
    (first,) = world.of(FulfilmentTrigger)
    world.fulfilment_says(first, TriggerState.DONE)
    world.evidence_stored(world.of(EvidenceRequest)[0])
    the_oms_says(world, outcome)
    world.expect_decision(Resolution.ALTERNATIVE, version=1)
    assert world.last_change().missing == ()
    assert world.sent(Channel.PERSON) == []


def test_the_second_choice_stands_where_the_oms_had_taken_it_before_it_refused_the_third():
    world = changed_twice()
    world.oms_says(world.of(OrderUpdate)[1], WriteBackOutcome.APPLIED)
    the_oms_says(world, WriteBackOutcome.ORDER_NOT_MODIFIABLE)
    world.expect_decision(Resolution.SUBSTITUTED, version=2)


def test_a_later_choice_that_is_blocked_before_it_was_written_leaves_the_earlier_one_standing():
    world = rewritten()
    the_oms_says(world, WriteBackOutcome.ORDER_BEING_MODIFIED)
    world.blocked("bread-corner")
    world.fast_forward(minutes=1)
    world.expect_decision(Resolution.ALTERNATIVE, version=1)
    (reply,) = world.sent(purpose=Purpose.REPLY)
    assert reply.reason == "not_available"


def test_the_earlier_choice_that_stands_again_is_watched_like_any_other():
    world = World()
    world.fulfilment = None
    world.exception(an_exception())
    world.fast_forward(seconds=20)
    world.taps("hillside")
    world.oms = None
    world.taps("corner", version=1)
    the_oms_says(world, WriteBackOutcome.ORDER_NOT_MODIFIABLE)
    world.fast_forward(minutes=11)
    assert world.last_change().stuck == "nothing was heard of: trigger"


def test_the_word_on_an_earlier_version_does_not_count_for_the_later_one():
    world = decided()
    first = world.of(OrderUpdate)[0]
    world.taps("corner", version=1)
    world.oms_says(first, WriteBackOutcome.APPLIED)
    assert world.case().state is CaseState.DECIDED
    assert "write_back" in world.last_change().missing
    the_oms_says(world, WriteBackOutcome.APPLIED)
    world.expect_done()


@pytest.mark.parametrize("outcome", [WriteBackOutcome.REJECTED, WriteBackOutcome.MISMATCH])
def test_nobody_is_thanked_for_a_choice_that_the_oms_did_not_take(outcome):
    world = decided()
    the_oms_says(world, outcome)
    world.fast_forward(minutes=2)
    assert world.sent(purpose=Purpose.CONFIRM) == []


def test_once_a_person_has_it_written_after_all_the_choice_is_confirmed():
    world = decided()
    the_oms_says(world, WriteBackOutcome.REJECTED)
    world.fast_forward(minutes=2)
    world.oms = WriteBackOutcome.APPLIED
    world.receipt(world.sent(Channel.PERSON)[0], ReceiptState.DONE)
    world.fast_forward(seconds=5)
    world.expect_sent(Purpose.CONFIRM, Channel.PUSH)
    world.expect_done()


def test_another_choice_that_a_person_makes_instead_is_confirmed_once():
    world = decided()
    the_oms_says(world, WriteBackOutcome.REJECTED)
    world.fast_forward(minutes=2)
    world.oms = WriteBackOutcome.APPLIED
    answer = Answer(case_id="x1", option_id="corner", decision_version=1, confirmed=True)
    world.answers(answer, channel=Channel.PERSON, responder=Responder.STAFF)
    world.fast_forward(minutes=2)
    world.expect_sent(Purpose.CONFIRM, Channel.SMS)
    world.expect_done()


def test_nobody_is_invited_to_rate_a_choice_that_was_never_written():
    world = decided()
    the_oms_says(world, WriteBackOutcome.REJECTED)
    world.delivered()
    world.fast_forward(hours=12)
    assert world.sent(purpose=Purpose.SATISFACTION) == []


def test_a_missing_piece_of_a_deal_changes_the_total_by_its_own_price_only():
    world = World()
    world.exception(an_exception(line=a_line(groups=(Group.MULTI_BUY,))))
    world.fast_forward(seconds=20)
    world.texts("0")
    decision = world.expect_decision(Resolution.REFUNDED)
    assert decision.price_before.minor - decision.price_after.minor == a_line().unit_price.minor
    assert world.of(OrderUpdate)[-1].decision == decision
