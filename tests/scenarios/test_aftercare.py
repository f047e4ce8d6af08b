"""After the delivery: one invitation to rate us, and nothing is kept longer than promised."""

from datetime import timedelta

import pytest

from schemas.events import OrderCancelled
from schemas.words import Channel, CloseReason, Kind, OptionKind, Purpose, Signal
from tests.builders import NOON, a_customer, a_second, a_way, an_exception, local
from tests.scenarios.world import World

PUSH, SMS, EMAIL = Channel.PUSH, Channel.SMS, Channel.EMAIL


def decided(**facts) -> World:
    world = World(customer=a_customer(**facts))
    world.exception(an_exception())
    world.fast_forward(seconds=30)
    world.taps("corner")
    world.fast_forward_to(NOON + timedelta(minutes=20))
    return world


def test_whoever_decided_is_invited_once_two_hours_after_the_delivery():
    world = decided()
    world.delivered()
    world.fast_forward(hours=2, seconds=-1)
    world.expect_sent(Purpose.SATISFACTION)
    world.fast_forward(seconds=1)
    world.expect_sent(Purpose.SATISFACTION, PUSH)
    world.delivered()
    world.delivered("L2")
    world.fast_forward(days=3)
    world.expect_sent(Purpose.SATISFACTION, PUSH)


def test_one_order_is_invited_once_whatever_happens_after_the_delivery():
    world = decided()
    world.delivered()
    world.fast_forward(hours=2)
    world.expect_sent(Purpose.SATISFACTION, PUSH)
    back = a_way("back", OptionKind.RETURN)
    until_at = world.now + timedelta(hours=2)
    world.exception(
        an_exception("x9", kind=Kind.REFUSED_AT_DOOR, options=(back,), fulfilment_deadline_at=until_at)
    )
    world.fast_forward(minutes=2)
    world.taps("back", case_id="x9")
    world.delivered()
    world.fast_forward(days=1)
    world.expect_sent(Purpose.SATISFACTION, PUSH)


def test_nobody_is_invited_after_the_order_was_cancelled():
    world = decided()
    world.delivered()
    world.happens(OrderCancelled(event_id="gone", order_id="order-1", occurred_at=world.now))
    world.fast_forward(days=1)
    world.expect_sent(Purpose.SATISFACTION)


def test_whoever_never_answered_is_not_invited():
    world = World()
    world.exception(an_exception())
    world.fast_forward(minutes=20)
    world.delivered()
    world.fast_forward(days=2)
    world.expect_sent(Purpose.SATISFACTION)


def test_whoever_said_stop_is_not_invited():
    world = decided()
    world.answers(channel=SMS, signal=Signal.OPT_OUT_KEYWORD)
    world.delivered()
    world.fast_forward(days=2)
    world.expect_sent(Purpose.SATISFACTION)


def test_nobody_is_invited_for_an_order_that_was_never_delivered():
    world = decided()
    world.fast_forward(days=3)
    world.expect_sent(Purpose.SATISFACTION)


def test_an_invitation_waits_for_the_morning():
    world = decided()
    world.fast_forward_to(local("2026-06-17 20:00"))
    world.delivered()
    world.fast_forward_to(local("2026-06-18 07:59"))
    world.expect_sent(Purpose.SATISFACTION)
    world.fast_forward(minutes=1)
    world.expect_sent(Purpose.SATISFACTION, PUSH)


def test_an_invitation_is_not_sent_a_day_after_the_delivery():
    world = decided()
    world.delivered()
    world.sleeps(hours=25)
    world.wakes()
    world.expect_sent(Purpose.SATISFACTION)


def test_a_rating_is_kept_with_the_case_and_only_after_an_invitation():
    world = decided()
    world.answers(channel=Channel.PAGE, signal=Signal.RATING, rating=9)
    assert world.last_change().rating is None
    world.delivered()
    world.fast_forward(hours=2)
    world.answers(channel=Channel.PAGE, signal=Signal.RATING, rating=9)
    assert world.last_change().rating == 9


@pytest.mark.parametrize("rating", [-1, 11, None])
def test_a_rating_off_the_scale_is_not_kept(rating):
    world = decided()
    world.delivered()
    world.fast_forward(hours=2)
    world.answers(channel=Channel.PAGE, signal=Signal.RATING, rating=rating)
    assert world.case().rating is None


def test_a_closed_order_is_forgotten_after_seven_days():
    world = decided()
    assert world.case().close_reason is CloseReason.DONE
    closed_at = world.case().closed_at
    world.fast_forward_to(closed_at + timedelta(days=7) - timedelta(milliseconds=1))
    assert "order-1" in world.records
    world.fast_forward(milliseconds=1)
    assert world.records == {}


def test_a_new_exception_within_the_week_keeps_the_record():
    world = decided()
    world.fast_forward(days=6)
    world.exception(a_second(occurred_at=world.now, fulfilment_deadline_at=world.now + timedelta(minutes=10)))
    world.fast_forward(days=6)
    assert world.exception(an_exception()) == []
    world.fast_forward(days=2)
    assert world.records == {}


def test_what_is_not_closed_is_never_forgotten_silently():
    world = World()
    world.oms = None
    world.exception(an_exception())
    world.fast_forward(minutes=30)
    assert world.last_change().stuck.startswith("nothing was heard of")
    world.fast_forward(days=30)
    assert world.last_change().close_reason is CloseReason.STUCK
    assert world.records == {}
