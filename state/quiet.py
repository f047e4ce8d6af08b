"""Quiet hours: when a telephone may not ring, in every zone where the customer may be."""

from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from schemas.events import ExceptionRaised
from schemas.facts import CustomerFacts
from state.policy import Policy


@lru_cache(maxsize=1_024)
def zone_named(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None


def zones_of(exception: ExceptionRaised, facts: CustomerFacts) -> tuple[str, ...]:
    """The delivery address's zone, else every zone that the telephone number may mean."""
    return (exception.delivery.zone,) if exception.delivery.zone else facts.zones


def quiet_until(policy: Policy, zones: tuple[str, ...], at: datetime) -> datetime | None:
    """The end of the quiet hours that hold at this instant in any of the zones, None where none do.

    Intake resolves the zones of a number; a customer without any zone has no number and is never called.
    """
    latest = None
    for name in zones:
        ends_at = _quiet_until(policy, name, at)
        if ends_at is not None and (latest is None or ends_at > latest):
            latest = ends_at
    return latest


def opens_at(policy: Policy, exception: ExceptionRaised, facts: CustomerFacts, at: datetime) -> datetime:
    """The first instant from `at` on at which this customer's telephone may ring."""
    if is_exempt(policy, exception, at):
        return at
    zones = zones_of(exception, facts)
    # Each zone's end may fall into another zone's quiet hours; a day has few such steps.
    for _ in range(8):
        ends_at = quiet_until(policy, zones, at)
        if ends_at is None:
            return at
        at = ends_at
    return at


def is_exempt(policy: Policy, exception: ExceptionRaised, at: datetime) -> bool:
    """A delivery call inside the booked slot, give or take, where the country's law allows it."""
    country = policy.countries.get(exception.delivery.country)
    slot_from, slot_until = exception.delivery.slot_from_at, exception.delivery.slot_until_at
    if not (policy.quiet.exempt_in_slot and country and country.quiet_exempt and slot_from and slot_until):
        return False
    slack = timedelta(milliseconds=policy.quiet.slot_slack_ms)
    return slot_from - slack <= at <= slot_until + slack


def _quiet_until(policy: Policy, zone_name: str, at: datetime) -> datetime | None:
    zone = zone_named(zone_name)
    if zone is None:
        return None
    local = at.astimezone(zone)
    starts, ends = policy.quiet.starts, policy.quiet.ends
    clock = local.time()
    if starts == ends:
        return None
    if starts < ends:
        if not starts <= clock < ends:
            return None
        day = local.date()
    elif clock >= starts:
        day = local.date() + timedelta(days=1)
    elif clock < ends:
        day = local.date()
    else:
        return None
    # Built from the local date, so that a change to or from summer time is counted.
    return datetime.combine(day, ends, zone).astimezone(at.tzinfo)
