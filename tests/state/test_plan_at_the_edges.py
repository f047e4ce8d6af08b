"""Planning backwards where two limits meet: quiet hours and attempts, a window that counts from the occurrence."""

from datetime import timedelta

from schemas.words import Channel
from state.plan import Digital, _ms, plan
from tests.builders import NOON
from tests.state.test_plan import DIGITAL, DRIVER, MID_PICK, a_situation, seconds


def ringing_from(seconds_after_noon: int):
    return lambda at: max(at, NOON + timedelta(seconds=seconds_after_noon))


def test_a_telephone_that_may_ring_late_costs_an_attempt_before_it_costs_the_call():
    assert seconds(plan(MID_PICK, a_situation(600, rings_from=ringing_from(480)))) == [
        ("digital", 0, 0, 480),
        ("call", 1, 480, 565),
    ]


def test_a_call_alone_waits_until_the_telephone_may_ring():
    steps = plan(MID_PICK, a_situation(600, digital=(), rings_from=ringing_from(300)))
    assert seconds(steps) == [("call", 2, 300, 420)]


def test_a_window_that_counts_from_the_occurrence_is_cut_like_any_other():
    step = (Digital(DRIVER.steps[0], (Channel.PUSH,)),)
    assert seconds(plan(DRIVER, a_situation(160, digital=step))) == [
        ("digital", 0, 0, 30),
        ("call", 2, 30, 150),
    ]


def test_a_window_that_is_over_by_now_ends_now():
    running = Digital(DIGITAL, (Channel.PUSH,), NOON - timedelta(seconds=200))
    assert seconds(plan(MID_PICK, a_situation(600, digital=(running,), attempts=0))) == [
        ("digital", 0, -200, 0)
    ]


def test_a_running_window_gives_its_whole_rest_to_the_least_of_the_next():
    running = Digital(DIGITAL, (Channel.PUSH,), NOON - timedelta(seconds=100))
    following = Digital(DIGITAL.model_copy(update={"name": "again"}), (Channel.EMAIL,))
    steps = plan(MID_PICK, a_situation(40, digital=(running, following), attempts=0))
    assert seconds(steps) == [("digital", 0, -100, 0), ("again", 0, 0, 30)]


def test_a_window_that_counts_from_the_occurrence_is_gone_with_its_last_millisecond():
    step = (Digital(DRIVER.steps[0], (Channel.PUSH,)),)

    def opened(passed: timedelta) -> list:
        return seconds(plan(DRIVER, a_situation(480, digital=step, occurred_at=NOON - passed)))

    whole = timedelta(milliseconds=DRIVER.steps[0].window_ms)
    assert opened(whole) == [("call", 2, 0, 120)]
    assert opened(whole - timedelta(milliseconds=1))[0] == ("digital", 0, 0, 0.001)


def test_a_window_gives_way_by_the_very_millisecond_that_is_missing():
    assert seconds(plan(MID_PICK, a_situation(310)))[0] == ("digital", 0, 0, 180)
    assert seconds(plan(MID_PICK, a_situation(309.999)))[0] == ("digital", 0, 0, 179.999)


def test_the_first_window_is_cut_to_its_least_before_the_second_gives_any():
    twice = (
        Digital(DIGITAL, (Channel.PUSH,)),
        Digital(DIGITAL.model_copy(update={"name": "again"}), (Channel.EMAIL,)),
    )
    steps = plan(MID_PICK, a_situation(210, digital=twice, attempts=0))
    assert seconds(steps) == [("digital", 0, 0, 30), ("again", 0, 30, 200)]


def test_spans_are_counted_in_whole_milliseconds():
    assert _ms(timedelta(days=2, seconds=3, microseconds=999_500)) == 172_803_999
    assert _ms(-timedelta(milliseconds=1)) == -1
