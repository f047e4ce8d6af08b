"""Quiet hours: when a telephone may not ring, in every zone where the customer may be."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from schemas.events import ExceptionRaised
from schemas.facts import CustomerFacts
from state.policy import Policy, Quiet
from state.spans import span

NEVER = datetime.max.replace(tzinfo=UTC)


@lru_cache(maxsize=1_024)
def zone_named(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None


def zones_of(exception: ExceptionRaised, facts: CustomerFacts) -> tuple[ZoneInfo, ...]:
    """The delivery address's zone, else every zone that the telephone number may mean; only zones that exist."""
    of_address = zone_named(exception.delivery.zone) if exception.delivery.zone else None
    if of_address is not None:
        return (of_address,)
    return tuple([zone for name in facts.zones if (zone := zone_named(name)) is not None])


def opens_at(policy: Policy, exception: ExceptionRaised, facts: CustomerFacts, at: datetime) -> datetime:
    """The first instant from `at` on at which this customer's telephone may ring; `NEVER` where none is known."""
    return rings_from(policy.quiet, zones_of(exception, facts), exempt_span(policy, exception), at)


def rings_from(
    quiet: Quiet, zones: tuple[ZoneInfo, ...], exempt: tuple[datetime, datetime] | None, at: datetime
) -> datetime:
    """The same from what was found out already: the zones, and the span in which no quiet hours hold."""
    # Each zone's end may fall into another zone's quiet hours; a day has few such steps.
    for _ in range(8):
        if exempt is not None and exempt[0] <= at <= exempt[1]:
            return at
        if not zones:
            break
        ends_at = max([quiet_until(quiet, zone, at) for zone in zones])
        if ends_at <= at:
            return at
        at = exempt[0] if exempt is not None and at < exempt[0] < ends_at else ends_at
    return NEVER


def exempt_span(policy: Policy, exception: ExceptionRaised) -> tuple[datetime, datetime] | None:
    """A delivery call may ring in the booked slot, give or take, where the country's law allows it."""
    country = policy.countries.get(exception.delivery.country)
    slot_from, slot_until = exception.delivery.slot_from_at, exception.delivery.slot_until_at
    if not (policy.quiet.exempt_in_slot and country and country.quiet_exempt and slot_from and slot_until):
        return None
    slack = span(policy.quiet.slot_slack_ms)
    return slot_from - slack, slot_until + slack


def quiet_until(quiet: Quiet, zone: ZoneInfo, at: datetime) -> datetime:
    """The end of the quiet hours that hold in a zone at this instant; the instant itself where none do."""
    local = at.astimezone(zone)
    starts, ends = quiet.starts, quiet.ends
    clock = local.time()
    if starts == ends:
        return at
    if starts < ends:
        if not starts <= clock < ends:
            return at
        day = local.date()
    elif clock >= starts:
        day = local.date() + timedelta(days=1)
    elif clock < ends:
        day = local.date()
    else:
        return at
    # Built from the local date, so that a change to or from summer time is counted; an hour that the clock
    # shows twice, or never, ends late rather than early.
    ends_at = [datetime.combine(day, ends.replace(fold=fold), zone) for fold in (0, 1)]
    return max([end.astimezone(at.tzinfo) for end in ends_at])
