"""Exceptions of one order come in bursts: a short gather window makes one message out of them."""

from datetime import timedelta

from schemas.words import Channel, Kind, Purpose
from tests.builders import NOON, a_second, an_exception
from tests.scenarios.world import World

DIGITAL = (Channel.PUSH, Channel.SMS, Channel.EMAIL)


def test_a_burst_of_missing_items_becomes_one_message_a_channel():
    world = World()
    for n in range(4):
        world.exception(a_second(f"x{n}", line_id=f"L{n}"))
        world.fast_forward(seconds=4)
    world.fast_forward(seconds=60)
    for command in world.expect_sent(Purpose.ASK, *DIGITAL):
        assert command.about == ("x0", "x1", "x2", "x3")
        assert [case.letter for case in command.cases] == ["A", "B", "C", "D"]
    world.expect_sent(Purpose.UPDATE)


def test_nothing_is_sent_before_the_gather_window_ends():
    world = World()
    world.exception(an_exception())
    world.fast_forward(seconds=19, milliseconds=999)
    assert world.sent() == []
    world.fast_forward(milliseconds=1)
    world.expect_sent(Purpose.ASK, *DIGITAL)


def test_a_later_line_never_extends_the_gather_window():
    world = World()
    world.exception(an_exception())
    world.fast_forward(seconds=19)
    world.exception(a_second())
    world.fast_forward(seconds=1)
    assert world.expect_sent(Purpose.ASK, *DIGITAL)[0].about == ("x1", "x2")


def test_close_to_the_deadline_gathering_takes_a_tenth_of_the_time_that_is_left():
    world = World()
    # No call may be made here, so that a deadline as near as this leaves a message only.
    world.exception(an_exception(fulfilment_deadline_at=NOON + timedelta(seconds=150)))
    world.fast_forward(seconds=14, milliseconds=999)
    assert world.sent() == []
    world.fast_forward(milliseconds=1)
    assert world.sent() != []


def test_a_line_with_an_earlier_deadline_cuts_the_gather_window_that_runs():
    world = World()
    world.exception(an_exception())
    world.fast_forward(seconds=2)
    world.exception(a_second(fulfilment_deadline_at=world.now + timedelta(seconds=100)))
    world.fast_forward(seconds=10)
    assert {case for command in world.sent() for case in command.about} == {"x1", "x2"}


def test_nobody_gathers_while_the_driver_waits():
    world = World()
    world.exception(
        an_exception(kind=Kind.DRIVER_WAITING, fulfilment_deadline_at=NOON + timedelta(minutes=8))
    )
    world.fast_forward()
    world.expect_sent(Purpose.ASK, Channel.PUSH, Channel.SMS)


def test_a_waiting_driver_ends_the_gathering_of_other_news_at_once():
    world = World()
    world.exception(an_exception())
    world.fast_forward(seconds=5)
    world.exception(
        an_exception(
            "d1",
            kind=Kind.DRIVER_WAITING,
            occurred_at=world.now,
            fulfilment_deadline_at=world.now + timedelta(minutes=8),
        )
    )
    world.fast_forward()
    assert world.expect_sent(Purpose.ASK, Channel.PUSH, Channel.SMS)[0].about == ("d1", "x1")


def test_an_answer_to_the_only_line_ends_the_gathering_without_a_message():
    world = World()
    world.exception(an_exception())
    world.fast_forward(seconds=5)
    world.taps("corner")
    world.fast_forward(seconds=30)
    world.expect_sent(Purpose.ASK)
