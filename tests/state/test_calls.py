"""Dialling by itself: every reason not to dial, not to dial again, and not to promise a call back."""

from datetime import timedelta

import pytest

from schemas.words import Channel, Purpose
from state.calls import attempt_failed, call_back_at, dial
from state.conversation import Call
from state.plan import last_dial_at
from state.turn import Turn
from tests.builders import an_exception, but
from tests.scenarios.world import SHELF, World

MID_PICK = SHELF["mid_pick_substitution@1"]
MOMENT = timedelta(milliseconds=1)


def in_the_voice_window(now=None, **fields) -> Turn:
    """One of two attempts was made and has ended, with these fields changed."""
    world = World()
    world.exception(an_exception())
    world.fast_forward(seconds=200)
    world.expect_call()
    record = world.record()
    record.call = None
    for name, value in fields.items():
        setattr(record, name, value)
    return Turn(record, now or world.now, world.rules)


def digital() -> tuple:
    """The plan, as if its step were one for messages."""
    (step,) = in_the_voice_window().conversation.plan
    return (but(step, attempts=0, channels=(Channel.SMS,)),)


HINDRANCES = {
    "a call is under way": {"call": Call(3)},
    "the window has closed": {"running": False},
    "nothing is planned": {"plan": ()},
    "it is a window for messages": {"plan": digital()},
    "calls are over": {"calls_ended": True},
    "no attempt is left": {"calls": 2},
    "everything is decided": {"cases": []},
}


def test_an_attempt_that_is_left_is_dialled():
    turn = in_the_voice_window()
    dial(turn)
    (call,) = turn.effects
    assert (call.channel, call.purpose, call.step, call.attempt) == (
        Channel.VOICE,
        Purpose.CALL,
        "call",
        2,
    )
    assert turn.conversation.call is not None


@pytest.mark.parametrize("fields", HINDRANCES.values(), ids=HINDRANCES)
def test_each_hindrance_alone_keeps_the_telephone_silent(fields):
    turn = in_the_voice_window(**fields, next_call_at=in_the_voice_window().now)
    dial(turn)
    assert turn.effects == []
    assert turn.conversation.next_call_at is None


@pytest.mark.parametrize(("late", "dials"), [(timedelta(), True), (MOMENT, False)])
def test_the_last_safe_instant_is_still_in_time(late, dials):
    deadline_at = an_exception().fulfilment_deadline_at
    turn = in_the_voice_window(now=last_dial_at(MID_PICK, deadline_at, 0) + late)
    dial(turn)
    assert bool(turn.effects) is dials


def test_a_failed_attempt_is_followed_by_the_next_one_with_its_distance():
    turn = in_the_voice_window(call=Call(3))
    attempt_failed(turn)
    assert turn.conversation.call is None
    assert turn.conversation.next_call_at == turn.now + timedelta(seconds=10)


@pytest.mark.parametrize("hindrance", ["calls are over", "no attempt is left", "everything is decided"])
def test_after_a_failed_attempt_there_may_be_none_to_follow(hindrance):
    turn = in_the_voice_window(**HINDRANCES[hindrance])
    attempt_failed(turn)
    assert turn.conversation.next_call_at is None


def test_a_call_back_is_promised_as_long_as_it_can_end_within_the_window():
    turn = in_the_voice_window()
    window_ends_at = turn.conversation.plan[0].due_at
    last_at = window_ends_at - timedelta(milliseconds=MID_PICK.timing.talk_ms + MID_PICK.timing.ring_ms)
    assert not call_back_at(turn, last_at + MOMENT)
    assert turn.conversation.next_call_at is None
    assert call_back_at(turn, last_at)
    assert turn.conversation.next_call_at == last_at


@pytest.mark.parametrize("hindrance", [name for name in HINDRANCES if name != "a call is under way"])
def test_each_hindrance_alone_keeps_us_from_promising_a_call_back(hindrance):
    turn = in_the_voice_window(**HINDRANCES[hindrance])
    assert not call_back_at(turn, turn.now)
