"""Planning backwards, by itself: numbers in, steps out."""

from datetime import timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from schemas.words import Channel
from state.plan import Digital, Situation, last_dial_at, plan
from tests.builders import NOON
from tests.scenarios.world import SHELF

PUSH, SMS = Channel.PUSH, Channel.SMS
MID_PICK = SHELF["mid_pick_substitution@1"]
DRIVER = SHELF["driver_waiting@1"]
DIGITAL = MID_PICK.steps[0]


def at_once(at):
    return at


def never(at):
    return at + timedelta(days=1)


def a_situation(left_s: float, **changes) -> Situation:
    """So many seconds to the deadline, nothing opened yet, two calls allowed."""
    given = {
        "starts_at": NOON,
        "deadline_at": NOON + timedelta(seconds=left_s),
        "occurred_at": NOON,
        "digital": (Digital(DIGITAL, (PUSH, SMS)),),
        "attempts": 2,
        "queue_ms": 0,
        "rings_from": at_once,
    }
    return Situation(**(given | changes))


def seconds(steps) -> list[tuple[str, int, float, float]]:
    """Name, attempts, opening and end of each step, in seconds from noon."""
    return [
        (s.name, s.attempts, (s.opens_at - NOON).total_seconds(), (s.due_at - NOON).total_seconds())
        for s in steps
    ]


def test_whole_windows_when_there_is_time():
    assert seconds(plan(MID_PICK, a_situation(600))) == [("digital", 0, 0, 180), ("call", 2, 180, 300)]


def test_the_digital_window_is_shortened_first():
    assert seconds(plan(MID_PICK, a_situation(230))) == [("digital", 0, 0, 100), ("call", 2, 100, 220)]


def test_it_is_shortened_down_to_its_least():
    assert seconds(plan(MID_PICK, a_situation(160))) == [("digital", 0, 0, 30), ("call", 2, 30, 150)]


def test_below_that_it_is_dropped():
    assert seconds(plan(MID_PICK, a_situation(159))) == [("call", 2, 0, 120)]


def test_then_one_attempt_is_dropped():
    # A single call needs 85 seconds; the window that is left is too short to ask digitally as well.
    assert seconds(plan(MID_PICK, a_situation(124))) == [("call", 1, 0, 85)]


def test_with_one_attempt_left_a_digital_window_may_fit_again():
    assert seconds(plan(MID_PICK, a_situation(129))) == [("digital", 0, 0, 34), ("call", 1, 34, 119)]


def test_then_nothing_is_left():
    assert plan(MID_PICK, a_situation(94)) == ()
    assert seconds(plan(MID_PICK, a_situation(95))) == [("call", 1, 0, 85)]


def test_without_voice_the_digital_window_has_the_room_to_itself():
    assert seconds(plan(MID_PICK, a_situation(600, attempts=0))) == [("digital", 0, 0, 180)]
    assert seconds(plan(MID_PICK, a_situation(60, attempts=0))) == [("digital", 0, 0, 50)]
    assert plan(MID_PICK, a_situation(39, attempts=0)) == ()


def test_a_window_that_runs_already_is_cut_but_never_dropped():
    running = (Digital(DIGITAL, (PUSH,), NOON - timedelta(seconds=100)),)
    assert seconds(plan(MID_PICK, a_situation(600, digital=running)))[0] == ("digital", 0, -100, 80)
    assert seconds(plan(MID_PICK, a_situation(140, digital=running)))[0] == ("digital", 0, -100, 10)
    # No call fits any more: the running window just ends.
    assert seconds(plan(MID_PICK, a_situation(90, digital=running))) == [("digital", 0, -100, 80)]
    assert seconds(plan(MID_PICK, a_situation(5, digital=running))) == [("digital", 0, -100, 0)]


def test_the_queue_of_calls_is_part_of_the_voice_window():
    assert seconds(plan(MID_PICK, a_situation(600, queue_ms=40_000)))[1] == ("call", 2, 180, 340)
    assert seconds(plan(MID_PICK, a_situation(124, queue_ms=30_000))) == []


def test_a_call_that_may_not_ring_yet_keeps_the_question_open():
    def from_noon_plus_ten_minutes(at):
        return max(at, NOON + timedelta(minutes=10))

    steps = plan(MID_PICK, a_situation(3_600, rings_from=from_noon_plus_ten_minutes))
    assert seconds(steps) == [("digital", 0, 0, 600), ("call", 2, 600, 720)]


def test_a_call_that_may_not_ring_before_the_deadline_leaves_the_digital_window_alone():
    assert seconds(plan(MID_PICK, a_situation(600, rings_from=never))) == [("digital", 0, 0, 180)]


def test_a_text_alone_waits_until_it_may_ring():
    alone = (Digital(DIGITAL, (SMS,)),)

    def from_noon_plus_a_minute(at):
        return max(at, NOON + timedelta(minutes=1))

    steps = plan(MID_PICK, a_situation(600, digital=alone, rings_from=from_noon_plus_a_minute))
    assert seconds(steps) == [("digital", 0, 60, 240), ("call", 2, 240, 360)]
    assert plan(MID_PICK, a_situation(600, digital=alone, rings_from=never)) == ()


def test_a_window_from_the_occurrence_loses_what_has_passed_of_it():
    step = (Digital(DRIVER.steps[0], (PUSH,)),)
    waiting_since = NOON - timedelta(seconds=20)
    steps = plan(DRIVER, a_situation(480, digital=step, occurred_at=waiting_since))
    assert seconds(steps)[0] == ("digital", 0, 0, 40)
    steps = plan(DRIVER, a_situation(480, digital=step, occurred_at=NOON - timedelta(minutes=2)))
    assert seconds(steps)[0] == ("call", 2, 0, 120)


def test_the_last_dial_leaves_time_to_queue_ring_talk_and_write():
    deadline_at = NOON + timedelta(minutes=10)
    assert last_dial_at(MID_PICK, deadline_at, 7_000) == deadline_at - timedelta(seconds=10 + 60 + 25 + 7)


@given(
    left_ms=st.integers(-10_000, 1_200_000),
    attempts=st.integers(0, 2),
    queue_ms=st.integers(0, 300_000),
    opened_ms=st.none() | st.integers(0, 300_000),
    quiet_ms=st.integers(0, 1_000_000),
)
def test_no_plan_ever_ends_after_the_last_moment_for_writing(
    left_ms, attempts, queue_ms, opened_ms, quiet_ms
):
    opened_at = None if opened_ms is None else NOON - timedelta(milliseconds=opened_ms)
    situation = a_situation(
        left_ms / 1_000,
        attempts=attempts,
        queue_ms=queue_ms,
        digital=(Digital(DIGITAL, (PUSH, SMS), opened_at),),
        rings_from=lambda at: max(at, NOON + timedelta(milliseconds=quiet_ms)),
    )
    steps = plan(MID_PICK, situation)
    limit_at = max(situation.deadline_at - MID_PICK.write_margin, NOON)
    for earlier, later in pairwise(steps):
        assert earlier.due_at <= later.opens_at
    for step in steps:
        assert step.opens_at <= step.due_at <= limit_at
        if step.is_voice:
            assert step.opens_at <= last_dial_at(MID_PICK, situation.deadline_at, queue_ms)
            assert 1 <= step.attempts <= attempts
            assert step.opens_at >= NOON + timedelta(milliseconds=quiet_ms)
