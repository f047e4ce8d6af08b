"""One decision stands; whoever answers later is believed where that is possible, and told the truth where not."""

from datetime import timedelta

import pytest

from schemas.commands import EvidenceRequest, FulfilmentTrigger, OrderUpdate
from schemas.events import Answer, OrderCancelled
from schemas.words import Actor, CaseState, Channel, CloseReason, Purpose, Resolution
from state.shelf import Shelf
from tests.builders import NOON, an_exception
from tests.scenarios.world import SHELF, World

SMS, PAGE, APP = Channel.SMS, Channel.PAGE, Channel.APP


def asked() -> World:
    """A loaf is missing, the customer knows, and the tote stays open for an hour."""
    world = World()
    world.exception(an_exception(picked_until_at=NOON + timedelta(hours=1)))
    world.fast_forward(seconds=30)
    return world


def test_the_first_of_two_answers_to_the_same_question_wins():
    world = asked()
    world.taps("corner")
    world.answers(Answer(case_id="x1", option_id="hillside", decision_version=0), channel=APP)
    world.expect_decision(Resolution.SUBSTITUTED, version=1, channel=PAGE)
    assert world.last_verdict().reason == "older_version"
    assert len(world.of(OrderUpdate)) == 1


def test_an_answer_that_overtakes_the_receipt_of_its_question_was_put_to_the_customer():
    world = asked()
    assert not world.case().presented
    world.taps("corner")
    told = world.last_change()
    assert (told.presented, told.decision.chosen[0].option_id) == (True, "corner")


def test_an_older_answer_is_refused_together_with_the_decision_that_stands():
    world = asked()
    world.taps("corner")
    world.taps("hillside", version=0)
    shown = world.last_change()
    assert (shown.response.accepted, shown.response.reason) == (False, "older_version")
    assert shown.decision.chosen[0].option_id == "corner"
    assert shown.decision.version == 1


def test_whoever_saw_the_decision_that_stands_may_change_it():
    world = asked()
    world.taps("corner")
    world.fast_forward(minutes=5)
    world.taps("hillside", version=1)
    world.expect_decision(Resolution.ALTERNATIVE, version=2, replaces_version=1)
    assert [update.command_id for update in world.of(OrderUpdate)] == ["x1.d1", "x1.d2"]
    world.expect_done()


def test_a_change_names_the_trigger_that_it_supersedes_and_gets_evidence_of_its_own():
    world = asked()
    world.taps("corner")
    world.taps("hillside", version=1)
    assert [(t.command_id, t.supersedes) for t in world.of(FulfilmentTrigger)] == [
        ("x1.d1.t", ""),
        ("x1.d2.t", "x1.d1.t"),
    ]
    assert [e.command_id for e in world.of(EvidenceRequest)] == ["x1.d1.e", "x1.d2.e"]


def test_the_same_answer_again_is_accepted_and_changes_nothing():
    world = asked()
    world.taps("corner")
    world.taps("corner", version=1)
    assert (world.last_verdict().accepted, world.last_verdict().reason) == (True, "unchanged")
    assert len(world.of(OrderUpdate)) == 1


def test_a_change_is_possible_until_the_line_is_picked():
    world = asked()
    world.taps("corner")
    world.picked()
    assert world.case().close_reason is CloseReason.PICKED
    world.taps("hillside", version=1)
    assert world.last_verdict().reason == "already_picked"
    world.expect_decision(Resolution.SUBSTITUTED, version=1)


def test_a_policy_may_forbid_changes_and_says_so():
    fixed = SHELF["mid_pick_substitution@1"].model_copy(update={"changes_until_picked": False})
    world = World(policies=Shelf([fixed]))
    world.exception(an_exception())
    world.fast_forward(seconds=30)
    world.taps("corner")
    world.taps("hillside", version=1)
    assert world.last_verdict().reason == "changes_not_possible"
    world.expect_decision(Resolution.SUBSTITUTED, version=1)


def test_after_the_tote_was_closed_a_change_comes_too_late():
    world = asked()
    world.taps("corner")
    world.fast_forward(hours=2)
    world.taps("hillside", version=1)
    assert not world.last_verdict().accepted
    world.expect_decision(Resolution.SUBSTITUTED, version=1)


def test_a_default_can_still_be_changed_by_the_customer():
    world = asked()
    world.fast_forward(minutes=10)
    world.expect_decision(Resolution.REFUNDED, actor=Actor.DEFAULT, version=1)
    world.taps("corner", version=1)
    world.expect_decision(Resolution.SUBSTITUTED, actor=Actor.CUSTOMER, version=2)
    world.expect_done()


def test_a_tap_on_a_page_that_does_not_show_the_default_yet_is_refused_truthfully():
    world = asked()
    world.fast_forward(minutes=10)
    world.taps("corner", version=0)
    assert world.last_verdict().reason == "older_version"
    world.expect_decision(Resolution.REFUNDED, actor=Actor.DEFAULT)


def test_a_text_that_crosses_another_decision_is_refused_and_names_what_stands():
    world = asked()
    world.taps("hillside")
    world.fast_forward(seconds=9, milliseconds=999)
    world.texts("1")
    world.expect_decision(Resolution.ALTERNATIVE, version=1)
    (reply,) = world.expect_sent(Purpose.REPLY, SMS)
    assert reply.reason == "older_version"
    assert reply.cases[0].standing.chosen[0].option_id == "hillside"


def test_a_text_after_ten_seconds_is_a_change():
    world = asked()
    world.taps("hillside")
    world.fast_forward(seconds=10, milliseconds=1)
    world.texts("1")
    world.expect_decision(Resolution.SUBSTITUTED, version=2, channel=SMS)


def test_two_texts_of_the_same_customer_never_cross_each_other():
    world = asked()
    world.texts("1")
    world.fast_forward(seconds=2)
    world.texts("2")
    world.expect_decision(Resolution.ALTERNATIVE, version=2)


def test_a_text_just_after_the_default_is_believed_since_nobody_else_decided():
    world = asked()
    world.fast_forward_to(NOON + timedelta(seconds=325))
    world.expect_decision(Resolution.REFUNDED, actor=Actor.DEFAULT)
    world.texts("1")
    world.expect_decision(Resolution.SUBSTITUTED, actor=Actor.CUSTOMER, version=2)


def test_an_answer_on_the_telephone_and_one_on_the_page_in_the_same_moment_make_one_decision():
    world = asked()
    world.fast_forward_to(NOON + timedelta(seconds=200))
    world.picks_up(world.expect_call())
    world.taps("corner")
    world.says("hillside")
    world.expect_decision(Resolution.SUBSTITUTED, version=1, channel=PAGE)
    assert world.last_verdict().reason == "older_version"


def test_messages_that_have_not_left_yet_are_taken_back_after_an_answer():
    world = World()
    world.exception(an_exception())
    world.fast_forward(seconds=20)
    asks = world.sent(purpose=Purpose.ASK)
    world.messages_leave()
    world.taps("corner")
    assert world.cancelled() == []
    world = World()
    world.exception(an_exception())
    world.fast_forward(seconds=20)
    world.taps("corner")
    assert world.cancelled() == [command.command_id for command in asks]


def test_an_answer_to_an_order_that_was_cancelled_is_refused():
    world = asked()
    world.happens(OrderCancelled(event_id="gone", order_id="order-1", occurred_at=world.now))
    world.taps("corner")
    assert world.last_verdict().reason == "already_closed"
    assert world.case().state is CaseState.CLOSED


@pytest.mark.parametrize("option_id", ["unheard-of", ""])
def test_an_answer_that_names_nothing_on_offer_decides_nothing(option_id):
    world = asked()
    world.taps(option_id)
    world.expect_open()
    assert not world.last_verdict().accepted
