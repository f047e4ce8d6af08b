"""What is unsafe leaves the order without asking, and a block outranks whatever was offered before it."""

from datetime import timedelta

import pytest

from schemas.commands import OrderUpdate
from schemas.events import Answer
from schemas.facts import Chosen
from schemas.words import (
    Actor,
    Channel,
    CloseReason,
    Kind,
    Purpose,
    ReceiptState,
    Resolution,
    WriteBackOutcome,
)
from tests.builders import NOON, a_customer, a_line, an_exception, an_option
from tests.scenarios.world import World

DIGITAL = (Channel.PUSH, Channel.SMS, Channel.EMAIL)


def a_recall(**changes):
    return an_exception(kind=Kind.RECALLED, **changes)


def test_a_recalled_product_is_removed_without_asking_and_the_customer_is_told_at_once():
    world = World()
    world.exception(a_recall())
    world.expect_decision(Resolution.REFUNDED, actor=Actor.DEFAULT)
    world.fast_forward(seconds=5)
    world.expect_sent(Purpose.ASK)
    world.expect_sent(Purpose.DEFAULT, *DIGITAL)
    assert world.case().announced == "push,sms,email"
    world.fast_forward(hours=1)
    world.expect_no_call()
    world.expect_done()


def test_the_announcement_of_a_recall_offers_alternatives_and_one_of_them_may_be_taken():
    world = World()
    world.exception(a_recall())
    world.fast_forward(minutes=1)
    assert world.options() == ["corner", "hillside"]
    world.taps("hillside", version=1)
    world.expect_decision(Resolution.ALTERNATIVE, version=2, replaces_version=1, actor=Actor.CUSTOMER)
    assert len(world.of(OrderUpdate)) == 2


def test_after_a_recall_an_alternative_may_be_chosen_by_sms_as_well():
    world = World()
    world.exception(a_recall())
    world.fast_forward(minutes=1)
    world.texts("1")
    world.expect_decision(Resolution.SUBSTITUTED, version=2, channel=Channel.SMS)


def test_the_recalled_product_itself_is_never_an_alternative():
    world = World()
    again = an_option("same", sku="bread-oak", name="Oakmill Sourdough 400 g")
    world.exception(a_recall(options=(again, an_option())))
    world.fast_forward(minutes=1)
    assert world.options() == ["hillside"]
    assert "recalled" in world.refused("same")


def test_not_even_a_stored_permission_replaces_a_recalled_product_unasked():
    world = World()
    world.exception(a_recall(), a_customer(substitute_by_default=True))
    world.fast_forward(hours=1)
    world.expect_decision(Resolution.REFUNDED, version=1)


def test_a_blocked_product_is_not_offered():
    world = World()
    world.blocked("bread-hill")
    world.exception(an_exception())
    world.fast_forward(seconds=20)
    assert world.options() == ["corner"]
    assert "blocked" in world.refused("hillside")


def test_a_product_blocked_after_the_offer_is_refused_truthfully():
    world = World()
    world.exception(an_exception())
    world.fast_forward(seconds=20)
    world.blocked("bread-hill")
    world.taps("hillside")
    assert world.last_verdict().reason == "not_available: Hillside Sourdough 400 g is blocked"
    world.expect_open()
    world.taps("corner")
    world.expect_decision(Resolution.SUBSTITUTED)


def test_whoever_texts_the_key_of_a_blocked_product_is_told_so():
    world = World()
    world.exception(an_exception())
    world.fast_forward(seconds=20)
    world.blocked("bread-corner")
    world.texts("1")
    (reply,) = world.expect_sent(Purpose.REPLY, Channel.SMS)
    assert reply.reason == "not_available: Corner Loaf 400 g is blocked"


def test_a_product_blocked_before_the_retry_of_its_write_back_is_never_written():
    world = World()
    world.oms = WriteBackOutcome.ORDER_BEING_MODIFIED
    world.exception(an_exception())
    world.fast_forward(seconds=20)
    world.taps("hillside")
    world.blocked("bread-hill")
    world.oms = WriteBackOutcome.APPLIED
    world.fast_forward(seconds=20)
    written = [update.decision.chosen for update in world.of(OrderUpdate)[1:]]
    assert [part.option_id for chosen in written for part in chosen] == []
    world.expect_open()
    world.fast_forward(seconds=20)
    assert world.options() == ["corner"]
    world.taps("corner")
    world.expect_decision(Resolution.SUBSTITUTED)
    world.expect_done()


def test_a_blocked_product_is_not_written_although_upstream_no_longer_names_it():
    world = World()
    world.oms = WriteBackOutcome.ORDER_BEING_MODIFIED
    world.exception(an_exception())
    world.fast_forward(seconds=20)
    world.taps("hillside")
    world.amended(revision=1, options=(an_option("rye", sku="rye", name="Rye Loaf 400 g"),))
    world.blocked("bread-hill")
    world.oms = WriteBackOutcome.APPLIED
    world.fast_forward(seconds=20)
    assert [update.attempt for update in world.of(OrderUpdate)] == [1]
    world.expect_open()
    world.fast_forward(seconds=20)
    assert world.options() == ["rye"]


@pytest.mark.parametrize("named", [True, False])
def test_a_choice_of_two_products_is_not_written_once_its_first_is_blocked(named: bool):
    corner = an_option("corner", sku="bread-corner", name="Corner Loaf 400 g", quantity_default=2)
    two = a_line(quantity_ordered=2, quantity_available=0)
    world = World()
    world.oms = WriteBackOutcome.ORDER_BEING_MODIFIED
    world.exception(an_exception(line=two, options=(an_option(quantity_default=2), corner)))
    world.fast_forward(seconds=20)
    both = (Chosen(option_id="hillside", quantity=1), Chosen(option_id="corner", quantity=1))
    world.answers(Answer(case_id="x1", decision_version=0, chosen=both))
    world.expect_decision(Resolution.ALTERNATIVE)
    if not named:
        rye = an_option("rye", sku="rye", name="Rye Loaf 400 g", quantity_default=2)
        world.amended(revision=1, options=(rye,))
    world.blocked("bread-hill")
    world.oms = WriteBackOutcome.APPLIED
    world.fast_forward(seconds=20)
    assert [update.attempt for update in world.of(OrderUpdate)] == [1]
    world.expect_open()


def test_a_product_that_the_stores_own_record_blocks_is_no_own_choice_either():
    world = World()
    world.exception(an_exception(options=(an_option(),)), a_customer(blocked_skus=("bread-hill",)))
    world.expect_decision(Resolution.REFUNDED, actor=Actor.DEFAULT)


def test_a_recall_in_the_evening_does_not_ring():
    night = NOON + timedelta(hours=10)
    world = World(now=night)
    world.exception(a_recall(occurred_at=night, fulfilment_deadline_at=night + timedelta(minutes=30)))
    world.fast_forward(minutes=1)
    world.expect_sent(Purpose.DEFAULT, Channel.PUSH, Channel.EMAIL)
    assert all(command.silent for command in world.sent(purpose=Purpose.DEFAULT))


def test_a_recall_withdrawn_too_late_does_not_bring_the_product_back():
    world = World()
    world.exception(a_recall())
    world.fast_forward(minutes=1)
    world.withdrawn()
    world.expect_decision(Resolution.REFUNDED)
    world.fast_forward(hours=1)
    assert world.case().close_reason is CloseReason.DONE


def test_of_a_recalled_product_no_piece_is_kept_although_all_of_them_lie_there():
    world = World()
    world.exception(a_recall(line=a_line(quantity_ordered=3, quantity_available=3)))
    world.expect_decision(Resolution.REFUNDED, keep_quantity=0, refund_quantity=3)
    world.amended(revision=1, quantity_available=3)
    world.expect_decision(Resolution.REFUNDED, keep_quantity=0, refund_quantity=3)


def test_a_question_that_was_held_back_for_a_block_is_asked_anew_without_the_blocked_option():
    world = World()
    world.exception(an_exception())
    world.fast_forward(seconds=25)
    first = world.expect_sent(Purpose.ASK, *DIGITAL)
    world.blocked("bread-corner")
    for command in first:
        world.receipt(command, ReceiptState.SUPPRESSED, reason="blocked")
    asked = world.expect_sent(Purpose.ASK, *DIGITAL, *DIGITAL)[3:]
    assert {command.channel for command in asked} == set(DIGITAL)
    assert all(option.option_id != "corner" for c in asked for option in c.cases[0].options)
    # Nothing is wrong with the channels themselves.
    assert world.record().failed == ()


def test_a_call_that_was_held_back_for_a_block_is_made_without_the_blocked_option():
    world = World()
    world.exception(an_exception())
    world.fast_forward(minutes=4)
    first = world.expect_call()
    world.blocked("bread-corner")
    world.receipt(first, ReceiptState.SUPPRESSED, reason="blocked")
    again = world.sent(Channel.VOICE)[-1]
    assert again.command_id != first.command_id
    assert [option.option_id for option in again.cases[0].options] == ["hillside"]


def test_a_block_that_our_state_has_not_heard_of_yet_does_not_make_it_ask_for_ever():
    world = World()
    world.exception(an_exception())
    world.fast_forward(seconds=25)
    for command in world.expect_sent(Purpose.ASK, *DIGITAL):
        world.receipt(command, ReceiptState.SUPPRESSED, reason="blocked")
    world.expect_sent(Purpose.ASK, *DIGITAL)
    world.fast_forward(minutes=4)
    world.expect_call()


def test_a_decision_that_a_block_kept_out_of_the_oms_is_asked_again():
    world = World()
    world.oms = None
    world.exception(an_exception())
    world.fast_forward(seconds=25)
    world.taps("corner")
    world.blocked("bread-corner")
    [update] = world.of(OrderUpdate)
    world.oms_says(update, WriteBackOutcome.REJECTED, code="blocked")
    world.expect_open()
    world.fast_forward(seconds=30)
    assert world.options() == ["hillside"]
