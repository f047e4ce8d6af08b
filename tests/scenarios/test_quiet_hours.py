"""At night nobody's telephone rings, wherever they may be, except for the delivery that they booked."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from schemas.words import Actor, Channel, Kind, Purpose, ReceiptState, Resolution
from tests.builders import a_customer, a_delivery, a_second, an_exception, local
from tests.scenarios.world import World

PUSH, SMS, EMAIL, VOICE = Channel.PUSH, Channel.SMS, Channel.EMAIL, Channel.VOICE


def at(clock: str, zone: str = "Europe/London", *, minutes: float = 10, facts=None, **changes) -> World:
    """A loaf is missing at this time of day, so long before its deadline."""
    now = local(clock, zone)
    given = {
        "occurred_at": now,
        "fulfilment_deadline_at": now + timedelta(minutes=minutes),
        "delivery": a_delivery(zone=zone, slot_from_at=None, slot_until_at=None),
    }
    world = World(now=now, customer=facts or a_customer())
    world.exception(an_exception(**(given | changes)))
    return world


def test_at_night_the_customer_is_asked_by_silent_push_and_e_mail_only():
    world = at("2026-06-17 22:00")
    world.fast_forward(minutes=10)
    assert all(command.silent for command in world.expect_sent(Purpose.ASK, PUSH, EMAIL))
    world.expect_no_call()
    world.expect_decision(Resolution.REFUNDED, actor=Actor.DEFAULT)


def test_in_the_day_a_push_may_be_heard():
    world = at("2026-06-17 12:00")
    world.fast_forward(minutes=1)
    assert not any(command.silent for command in world.sent(purpose=Purpose.ASK))


@pytest.mark.parametrize(
    ("clock", "quiet"), [("20:58", False), ("21:00", True), ("07:58", True), ("08:00", False)]
)
def test_quiet_hours_are_from_nine_in_the_evening_to_eight_in_the_morning(clock, quiet):
    world = at(f"2026-06-17 {clock}", facts=a_customer(channels=(PUSH, SMS, VOICE)))
    world.fast_forward(seconds=20)
    assert (SMS in {command.channel for command in world.sent()}) is not quiet


def test_a_call_that_fits_in_before_the_quiet_hours_is_made():
    world = at("2026-06-17 20:55")
    world.fast_forward(seconds=200)
    world.expect_call()


def test_an_attempt_that_would_fall_into_the_quiet_hours_is_left_out():
    world = at("2026-06-17 20:56")
    world.fast_forward(seconds=200)
    world.fast_forward(seconds=39)
    world.receipt(world.expect_call(), ReceiptState.BUSY)
    world.fast_forward(minutes=10)
    world.expect_call(attempts=1)


def test_a_waiting_call_is_made_when_the_quiet_hours_end_and_the_question_stays_open_until_then():
    world = at("2026-06-17 02:00", minutes=600)
    world.fast_forward_to(local("2026-06-17 07:59"))
    world.expect_no_call()
    world.expect_open()
    world.fast_forward(minutes=1)
    assert world.expect_call().issued_at == local("2026-06-17 08:00")


def test_a_text_that_is_all_there_is_waits_for_the_morning():
    world = at("2026-06-17 06:00", minutes=600, facts=a_customer(channels=(SMS,)))
    world.fast_forward_to(local("2026-06-17 07:59"))
    assert world.sent() == []
    world.fast_forward(minutes=1)
    world.expect_sent(Purpose.ASK, SMS)


def test_a_text_that_would_come_too_late_in_the_morning_is_not_sent_and_the_default_applies():
    world = at("2026-06-17 06:00", minutes=60, facts=a_customer(channels=(SMS,)))
    world.fast_forward(minutes=60)
    world.expect_sent(Purpose.ASK)
    world.expect_decision(Resolution.REFUNDED, actor=Actor.DEFAULT)


def test_a_reply_to_somebody_who_writes_at_night_is_always_allowed():
    world = at("2026-06-17 20:59", facts=a_customer(channels=(SMS,)))
    world.fast_forward(minutes=2)
    world.texts("1")
    world.fast_forward(seconds=5)
    world.expect_sent(Purpose.CONFIRM, SMS)


@pytest.mark.parametrize(
    ("zone", "called"),
    [
        pytest.param("Europe/London", True, id="8 in the evening in London"),
        pytest.param("Europe/Berlin", False, id="9 in the evening in Berlin"),
    ],
)
def test_the_zone_of_the_delivery_address_counts(zone, called):
    now = local("2026-06-17 20:30", "Europe/London")
    world = World(now=now)
    world.exception(
        an_exception(
            occurred_at=now,
            fulfilment_deadline_at=now + timedelta(minutes=10),
            delivery=a_delivery(zone=zone),
        )
    )
    world.fast_forward(minutes=10)
    assert bool(world.sent(VOICE)) is called


@pytest.mark.parametrize(
    ("clock", "called"),
    [
        pytest.param("06:30", False, id="too early in the west"),
        pytest.param("08:10", False, id="only the east is awake"),
        pytest.param("12:00", True, id="awake everywhere"),
        pytest.param("21:10", False, id="too late in the east"),
    ],
)
def test_without_a_zone_every_zone_that_the_number_may_mean_has_to_be_awake(clock, called):
    facts = a_customer(zones=("America/New_York", "America/Los_Angeles"))
    now = local(f"2026-06-17 {clock}", "America/New_York")
    world = World(now=now, customer=facts)
    world.exception(
        an_exception(
            occurred_at=now,
            fulfilment_deadline_at=now + timedelta(minutes=10),
            delivery=a_delivery(country="US", zone=""),
        )
    )
    world.fast_forward(minutes=10)
    assert bool(world.sent(VOICE)) is called


@pytest.mark.parametrize("zone", ["", "Mars/Olympus"])
def test_a_customer_whose_zone_nobody_knows_is_not_rung_up(zone):
    now = local("2026-06-17 12:00")
    world = World(now=now, customer=a_customer(zones=()))
    world.exception(
        an_exception(
            occurred_at=now,
            fulfilment_deadline_at=now + timedelta(minutes=10),
            delivery=a_delivery(zone=zone),
        )
    )
    world.fast_forward(minutes=10)
    world.expect_no_call()
    assert SMS not in {command.channel for command in world.sent(purpose=Purpose.ASK)}


def test_an_address_zone_that_nobody_knows_falls_back_to_the_zones_of_the_number():
    now = local("2026-06-17 22:00")
    world = World(now=now)
    world.exception(
        an_exception(
            occurred_at=now,
            fulfilment_deadline_at=now + timedelta(minutes=10),
            delivery=a_delivery(zone="Mars/Olympus"),
        )
    )
    world.fast_forward(minutes=10)
    world.expect_no_call()


@pytest.mark.parametrize(("evening", "hours"), [("2026-03-28", 10), ("2026-10-24", 12)])
def test_on_the_night_of_a_clock_change_the_call_still_comes_at_eight_by_the_clock(evening, hours):
    world = at(f"{evening} 22:00", minutes=900)
    opening = local(f"{evening} 21:00") + timedelta(hours=hours)
    assert opening.astimezone(ZoneInfo("Europe/London")).hour == 8
    world.fast_forward_to(opening - timedelta(milliseconds=1))
    world.expect_no_call()
    world.fast_forward(milliseconds=1)
    world.expect_call()


def at_the_door(clock: str, *, country: str = "GB", slot: tuple[str, str] | None, **more) -> World:
    """A driver stands before a locked gate at this hour; the slot is by the clock of that day."""
    day = clock.split(maxsplit=1)[0]
    slot_at = [local(f"{day} {hour}") for hour in slot] if slot else [None, None]
    delivery = a_delivery(country=country, slot_from_at=slot_at[0], slot_until_at=slot_at[1])
    return at(clock, kind=Kind.ACCESS_ISSUE, delivery=delivery, **more)


@pytest.mark.parametrize(
    ("clock", "called"),
    [
        pytest.param("2026-06-17 21:30", True, id="in the slot"),
        pytest.param("2026-06-17 22:40", True, id="within the hour after it"),
        pytest.param("2026-06-17 23:05", False, id="more than an hour after it"),
    ],
)
def test_a_delivery_call_in_the_booked_slot_may_ring_at_night(clock, called):
    world = at_the_door(clock, slot=("20:00", "22:00"))
    world.fast_forward(minutes=10)
    assert bool(world.sent(VOICE)) is called


def test_a_delivery_call_at_night_needs_a_law_that_allows_it():
    world = at_the_door("2026-06-17 21:30", country="DE", slot=("20:00", "22:00"))
    world.fast_forward(minutes=10)
    world.expect_no_call()


def test_a_delivery_call_at_night_needs_a_booked_slot():
    world = at_the_door("2026-06-17 21:30", slot=None)
    world.fast_forward(minutes=10)
    world.expect_no_call()


def test_a_missing_item_in_the_same_slot_does_not_ring_at_night():
    slot = a_delivery(slot_from_at=local("2026-06-17 20:00"), slot_until_at=local("2026-06-17 22:00"))
    world = at("2026-06-17 21:30", delivery=slot)
    world.fast_forward(minutes=10)
    world.expect_no_call()


def test_a_delivery_call_waits_for_the_hour_before_the_slot_and_not_for_the_end_of_the_night():
    world = at_the_door("2026-06-17 05:30", slot=("07:00", "08:00"), minutes=90)
    world.fast_forward_to(local("2026-06-17 05:59"))
    world.expect_no_call()
    world.fast_forward(minutes=1)
    world.expect_call()


def test_a_line_added_at_night_is_told_without_a_text_message():
    world = at("2026-06-17 20:59", minutes=30)
    world.fast_forward(seconds=30)
    world.fast_forward_to(local("2026-06-17 21:00"))
    now = world.now
    world.exception(a_second(occurred_at=now, fulfilment_deadline_at=now + timedelta(minutes=30)))
    world.fast_forward(seconds=20)
    world.expect_sent(Purpose.UPDATE, PUSH, EMAIL)


def test_good_news_at_night_does_not_ring_either():
    world = at("2026-06-17 20:50", minutes=180)
    world.fast_forward(minutes=15)
    world.withdrawn()
    world.fast_forward(seconds=5)
    assert all(command.silent for command in world.expect_sent(Purpose.WITHDRAWAL, PUSH, EMAIL))


def test_the_default_is_announced_at_night_without_a_sound():
    world = at("2026-06-17 22:00")
    world.fast_forward(minutes=10)
    assert all(command.silent for command in world.expect_sent(Purpose.DEFAULT, PUSH, EMAIL))
