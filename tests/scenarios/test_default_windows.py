"""What each shipped policy does when nobody answers: who is asked when, and called when."""

from datetime import timedelta

import pytest

from schemas.words import Actor, Channel, Kind, Purpose, ReceiptState, Resolution
from tests.builders import NOON, an_exception
from tests.scenarios.world import World

PUSH, SMS, EMAIL = Channel.PUSH, Channel.SMS, Channel.EMAIL
EVERYWHERE = (PUSH, SMS, EMAIL)


def unanswered(kind: Kind, **left: float) -> World:
    world = World()
    world.exception(an_exception(kind=kind, fulfilment_deadline_at=NOON + timedelta(**left)))
    return world


@pytest.mark.parametrize(
    ("kind", "left_minutes", "channels", "asked_after", "called_after"),
    [
        pytest.param(Kind.ITEM_UNAVAILABLE, 10, EVERYWHERE, 20, 20 + 180, id="mid-pick: 3 minutes"),
        pytest.param(Kind.DAMAGED_ITEM, 10, EVERYWHERE, 20, 20 + 180, id="damaged: as mid-pick"),
        pytest.param(Kind.ITEM_UNAVAILABLE, 600, EVERYWHERE, 20, 20 + 1800, id="next day: 30 minutes"),
        pytest.param(Kind.DRIVER_WAITING, 8, (PUSH, SMS), 0, 60, id="driver waiting: a minute"),
        pytest.param(Kind.ACCESS_ISSUE, 8, (PUSH, SMS), 0, 120, id="no access: 2 minutes"),
        pytest.param(Kind.ADDRESS_ISSUE, 60, EVERYWHERE, 5, 5 + 600, id="address unclear: 10 minutes"),
        pytest.param(Kind.DELIVERY_MISSED, 60, EVERYWHERE, 5, 5 + 600, id="missed delivery: 10 minutes"),
        pytest.param(Kind.AGE_CHECK_FAILED, 60, EVERYWHERE, 0, 600, id="age check: 10 minutes"),
    ],
)
def test_every_kind_is_asked_on_its_channels_and_called_after_its_window(
    kind, left_minutes, channels, asked_after, called_after
):
    world = unanswered(kind, minutes=left_minutes)
    world.fast_forward_to(NOON + timedelta(seconds=asked_after))
    world.expect_sent(Purpose.ASK, *channels)
    world.fast_forward_to(NOON + timedelta(seconds=called_after) - timedelta(milliseconds=1))
    world.expect_no_call()
    world.fast_forward(milliseconds=1)
    world.expect_call()


@pytest.mark.parametrize(
    ("kind", "left_minutes", "spacing"),
    [
        pytest.param(Kind.ITEM_UNAVAILABLE, 10, 10, id="mid-pick"),
        pytest.param(Kind.ITEM_UNAVAILABLE, 600, 300, id="next day"),
        pytest.param(Kind.DRIVER_WAITING, 8, 10, id="driver waiting"),
        pytest.param(Kind.ACCESS_ISSUE, 8, 15, id="no access"),
        pytest.param(Kind.DELIVERY_MISSED, 60, 120, id="missed delivery"),
    ],
)
def test_every_kind_is_called_twice_at_most_with_its_own_pause_between(kind, left_minutes, spacing):
    world = unanswered(kind, minutes=left_minutes)
    while not world.sent(Channel.VOICE):
        world.fast_forward(seconds=1)
    world.receipt(world.expect_call(), ReceiptState.BUSY)
    world.fast_forward(seconds=spacing - 1)
    world.expect_call(attempts=1)
    world.fast_forward(seconds=1)
    world.receipt(world.expect_call(attempts=2), ReceiptState.BUSY)
    world.fast_forward(minutes=left_minutes)
    world.expect_call(attempts=2)


def test_a_waiting_driver_is_counted_from_the_moment_he_stood_there():
    world = World(now=NOON + timedelta(seconds=45))
    world.exception(
        an_exception(kind=Kind.DRIVER_WAITING, fulfilment_deadline_at=NOON + timedelta(minutes=8))
    )
    world.fast_forward_to(NOON + timedelta(seconds=60))
    world.expect_call()


def test_a_driver_heard_of_late_makes_the_phone_ring_and_writes_at_the_same_moment():
    world = World(now=NOON + timedelta(seconds=75))
    world.exception(
        an_exception(kind=Kind.DRIVER_WAITING, fulfilment_deadline_at=NOON + timedelta(minutes=8))
    )
    world.fast_forward(seconds=0)
    world.expect_call()
    world.expect_sent(Purpose.ASK, PUSH, SMS)
    world.fast_forward(minutes=2)
    world.expect_sent(Purpose.ASK, PUSH, SMS)


def test_goods_sent_back_at_the_door_are_settled_without_ringing_anybody():
    world = unanswered(Kind.REFUSED_AT_DOOR, minutes=120)
    world.fast_forward(minutes=1)
    world.expect_sent(Purpose.ASK, PUSH, EMAIL)
    world.fast_forward(minutes=120)
    world.expect_no_call()
    world.expect_decision(Resolution.RETURNED, actor=Actor.DEFAULT)


def test_a_recalled_article_is_removed_first_and_announced():
    world = unanswered(Kind.RECALLED, minutes=30)
    world.expect_decision(Resolution.REFUNDED, actor=Actor.DEFAULT)
    world.fast_forward(minutes=30)
    world.expect_sent(Purpose.DEFAULT, *EVERYWHERE)
    world.expect_no_call()


def test_all_digital_channels_are_asked_at_the_same_moment_with_the_same_offer():
    world = unanswered(Kind.ITEM_UNAVAILABLE, minutes=10)
    world.fast_forward(seconds=20)
    commands = world.expect_sent(Purpose.ASK, *EVERYWHERE)
    assert len({command.issued_at for command in commands}) == 1
    assert len({command.cases for command in commands}) == 1
    assert {command.respond_by_at for command in commands} == {NOON + timedelta(seconds=320)}
    assert {command.not_after_at for command in commands} == {NOON + timedelta(seconds=200)}
