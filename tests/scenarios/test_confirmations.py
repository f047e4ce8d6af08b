"""The customer hears once, on a channel that suits the answer, what was decided."""

import pytest

from schemas.events import Answer
from schemas.words import Channel, Purpose, ReceiptState
from tests.builders import a_customer, a_second, an_exception, pounds
from tests.scenarios.world import World

PUSH, SMS, EMAIL, VOICE = Channel.PUSH, Channel.SMS, Channel.EMAIL, Channel.VOICE
YES = Answer(case_id="x1", option_id="corner", decision_version=0, confirmed=True)


@pytest.mark.parametrize(
    ("answered_by", "has", "confirmed_by"),
    [
        (Channel.PAGE, (PUSH, SMS, EMAIL), PUSH),
        (Channel.APP, (PUSH, SMS, EMAIL), PUSH),
        (Channel.PAGE, (SMS, EMAIL), EMAIL),
        (VOICE, (PUSH, SMS, EMAIL, VOICE), SMS),
        (VOICE, (PUSH, EMAIL, VOICE), EMAIL),
        (SMS, (PUSH, SMS, EMAIL), SMS),
    ],
)
def test_a_decision_is_confirmed_where_it_came_from(answered_by, has, confirmed_by):
    world = World(customer=a_customer(channels=has))
    world.exception(an_exception())
    world.fast_forward(seconds=30)
    world.answers(YES, channel=answered_by)
    world.fast_forward(seconds=5)
    world.expect_sent(Purpose.CONFIRM, confirmed_by)


def two_lines() -> World:
    world = World()
    world.exception(an_exception())
    world.exception(a_second())
    world.fast_forward(seconds=30)
    return world


def test_decisions_within_five_seconds_are_confirmed_once():
    world = two_lines()
    world.taps("corner")
    world.fast_forward(seconds=4)
    world.taps("barley", case_id="x2")
    world.fast_forward(seconds=10)
    (confirmation,) = world.expect_sent(Purpose.CONFIRM, PUSH)
    assert confirmation.about == ("x1", "x2")
    assert [case.standing.chosen[0].option_id for case in confirmation.cases] == ["corner", "barley"]


def test_decisions_further_apart_are_confirmed_each():
    world = two_lines()
    world.taps("corner")
    world.fast_forward(seconds=6)
    world.taps("barley", case_id="x2")
    world.fast_forward(seconds=10)
    world.expect_sent(Purpose.CONFIRM, PUSH, PUSH)


def test_a_confirmation_never_waits_for_the_next_decision():
    world = two_lines()
    world.taps("corner")
    world.fast_forward(seconds=4)
    world.taps("barley", case_id="x2")
    world.fast_forward(seconds=1)
    world.expect_sent(Purpose.CONFIRM, PUSH)


def test_a_mind_that_is_changed_at_once_hears_only_of_the_last_decision():
    world = two_lines()
    world.taps("corner")
    world.fast_forward(seconds=2)
    world.taps("hillside", version=1)
    world.fast_forward(seconds=10)
    (confirmation,) = world.expect_sent(Purpose.CONFIRM, PUSH)
    assert confirmation.cases[0].standing.version == 2


def test_a_change_is_confirmed_as_well():
    world = two_lines()
    world.taps("corner")
    world.fast_forward(seconds=30)
    world.taps("hillside", version=1)
    world.fast_forward(seconds=10)
    world.expect_sent(Purpose.CONFIRM, PUSH, PUSH)


def test_an_answer_that_was_refused_is_not_confirmed():
    world = two_lines()
    world.taps("unheard-of")
    world.fast_forward(seconds=10)
    world.expect_sent(Purpose.CONFIRM)


def test_the_defaults_of_two_lines_are_announced_in_one_message_a_channel():
    world = two_lines()
    world.fast_forward(minutes=10)
    for announcement in world.expect_sent(Purpose.DEFAULT, PUSH, SMS, EMAIL):
        assert announcement.about == ("x1", "x2")


def test_a_confirmation_finds_another_way_when_its_channel_has_failed():
    world = two_lines()
    push = next(c for c in world.sent(purpose=Purpose.ASK) if c.channel is PUSH)
    world.receipt(push, ReceiptState.FAILED)
    world.taps("corner")
    world.fast_forward(seconds=10)
    world.expect_sent(Purpose.CONFIRM, EMAIL)


def test_a_confirmation_names_the_total_of_the_order_and_not_of_the_line():
    world = World()
    world.exception(an_exception())
    world.fast_forward(seconds=20)
    world.answers(Answer(case_id="x1", key=0, decision_version=0))
    world.fast_forward(seconds=5)
    (confirmation,) = world.sent(purpose=Purpose.CONFIRM)
    assert confirmation.cases[0].total == pounds(5_800)
