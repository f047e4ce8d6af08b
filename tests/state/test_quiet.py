"""Quiet hours, by themselves: an instant in, the next moment at which a telephone may ring out."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.words import Kind
from state.policy import Policy, Quiet
from state.quiet import NEVER, exempt_span, opens_at, zone_named, zones_of
from tests.builders import a_customer, a_delivery, an_exception, local
from tests.scenarios.world import SHELF

MID_PICK = SHELF["mid_pick_substitution@1"]
ACCESS = SHELF["access_issue@1"]


def next_ring(at: datetime, *zones: str, policy: Policy = MID_PICK) -> datetime:
    exception = an_exception(delivery=a_delivery(zone=""))
    return opens_at(policy, exception, a_customer(zones=zones), at)


def with_hours(starts: time, ends: time) -> Policy:
    return MID_PICK.model_copy(update={"quiet": Quiet(starts=starts, ends=ends)})


@pytest.mark.parametrize(
    ("clock", "opens"),
    [
        ("2026-06-17 07:59:59", "2026-06-17 08:00"),
        ("2026-06-17 08:00", "2026-06-17 08:00"),
        ("2026-06-17 20:59:59", "2026-06-17 20:59:59"),
        ("2026-06-17 21:00", "2026-06-18 08:00"),
        ("2026-06-17 23:59", "2026-06-18 08:00"),
        ("2026-06-18 00:00", "2026-06-18 08:00"),
        ("2026-12-31 22:00", "2027-01-01 08:00"),
    ],
)
def test_the_night_ends_at_eight_by_the_clock_on_the_wall(clock, opens):
    assert next_ring(local(clock), "Europe/London") == local(opens)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"])
def test_every_zone_has_its_own_night(zone):
    assert next_ring(local("2026-06-17 03:00", zone), zone) == local("2026-06-17 08:00", zone)


def test_two_zones_have_to_be_awake_together():
    zones = ("America/New_York", "America/Los_Angeles")
    assert next_ring(local("2026-06-17 09:00", zones[0]), *zones) == local("2026-06-17 08:00", zones[1])
    late_in_the_west = local("2026-06-17 20:00", zones[1])
    assert next_ring(late_in_the_west, *zones) == local("2026-06-18 08:00", zones[1])


def test_zones_that_are_never_awake_together_are_never_rung():
    an_hour_a_day = with_hours(time(12), time(11))
    zones = ("Europe/London", "Europe/Berlin")
    assert next_ring(local("2026-06-17 09:00"), *zones, policy=an_hour_a_day) == NEVER


def test_without_any_zone_that_exists_nobody_is_rung():
    assert next_ring(local("2026-06-17 12:00")) == NEVER
    assert next_ring(local("2026-06-17 12:00"), "Mars/Olympus") == NEVER


def test_the_address_outranks_the_number_and_an_unknown_address_does_not():
    facts = a_customer(zones=("America/New_York",))
    at_home = an_exception(delivery=a_delivery(zone="Europe/London"))
    nowhere = an_exception(delivery=a_delivery(zone="Mars/Olympus"))
    assert zones_of(at_home, facts) == (ZoneInfo("Europe/London"),)
    assert zones_of(nowhere, facts) == (ZoneInfo("America/New_York"),)


@pytest.mark.parametrize(("evening", "hours"), [("2026-03-28", 10), ("2026-06-17", 11), ("2026-10-24", 12)])
def test_a_night_with_a_clock_change_is_an_hour_shorter_or_longer(evening, hours):
    begins = local(f"{evening} 21:00")
    assert next_ring(begins, "Europe/London") == begins + timedelta(hours=hours)


def test_an_hour_that_the_clock_shows_twice_is_quiet_both_times():
    policy = with_hours(time(22), time(1, 30))
    # On 25 October, 01:30 in London comes at 00:30 and again at 01:30 UTC.
    second = datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    for minutes in (0, 20, 60, 89):
        at = datetime(2026, 10, 25, tzinfo=UTC) + timedelta(minutes=minutes)
        if at.astimezone(ZoneInfo("Europe/London")).time() < time(1, 30):
            assert next_ring(at, "Europe/London", policy=policy) == second


def test_an_hour_that_the_clock_leaves_out_ends_the_night_when_the_clock_has_passed_it():
    policy = with_hours(time(22), time(2, 30))
    at = local("2026-03-29 01:00", "Europe/Berlin")
    # There is no 02:30 in Berlin on that day; the clock goes from 02:00 to 03:00.
    assert next_ring(at, "Europe/Berlin", policy=policy) == local("2026-03-29 03:30", "Europe/Berlin")


def test_hours_that_begin_and_end_at_once_are_no_quiet_hours():
    at = local("2026-06-17 03:00")
    assert next_ring(at, "Europe/London", policy=with_hours(time(0), time(0))) == at


def test_quiet_hours_may_lie_within_a_day():
    policy = with_hours(time(12), time(14))
    assert next_ring(local("2026-06-17 13:00"), "Europe/London", policy=policy) == local("2026-06-17 14:00")
    assert next_ring(local("2026-06-17 11:59"), "Europe/London", policy=policy) == local("2026-06-17 11:59")
    assert next_ring(local("2026-06-17 23:00"), "Europe/London", policy=policy) == local("2026-06-17 23:00")


def at_the_door(country: str = "GB"):
    slot = a_delivery(
        country=country,
        slot_from_at=local("2026-06-17 06:00"),
        slot_until_at=local("2026-06-17 07:00"),
    )
    return an_exception(kind=Kind.ACCESS_ISSUE, delivery=slot)


@pytest.mark.parametrize(
    ("clock", "opens"),
    [
        ("2026-06-17 03:00", "2026-06-17 05:00"),
        ("2026-06-17 05:00", "2026-06-17 05:00"),
        ("2026-06-17 07:59", "2026-06-17 07:59"),
        ("2026-06-17 21:30", "2026-06-18 08:00"),
    ],
)
def test_the_booked_slot_with_an_hour_on_either_side_is_no_quiet_hour(clock, opens):
    assert opens_at(ACCESS, at_the_door(), a_customer(), local(clock)) == local(opens)


def test_the_slot_is_exempt_only_where_law_and_policy_both_say_so():
    assert exempt_span(ACCESS, at_the_door()) is not None
    assert exempt_span(ACCESS, at_the_door(country="DE")) is None
    assert exempt_span(ACCESS, at_the_door(country="SE")) is None
    assert exempt_span(MID_PICK, at_the_door()) is None


def test_no_word_is_taken_for_a_zone_that_is_none():
    for word in ("", "..", "/etc/passwd", "Europe/Nowhere", "\x00"):
        assert zone_named(word) is None


@given(
    minutes=st.integers(0, 366 * 24 * 60),
    zone=st.sampled_from(["Europe/London", "America/St_Johns", "Australia/Lord_Howe", "Africa/Casablanca"]),
)
def test_the_next_moment_is_never_in_the_past_never_quiet_and_never_beyond_a_night(minutes, zone):
    at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    opens = next_ring(at, zone)
    assert at <= opens <= at + timedelta(hours=12)
    assert time(8) <= opens.astimezone(ZoneInfo(zone)).time() < time(21)
    assert next_ring(opens, zone) == opens
