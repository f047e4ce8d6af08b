"""The gate once more, written from the rules of the domain and sharing no code with the gate: what may be offered."""

from datetime import datetime, timedelta
from math import ceil
from zoneinfo import ZoneInfo

from schemas.events import ExceptionRaised
from schemas.facts import CustomerFacts, Delivery, Option
from schemas.words import Contents, Kind, OptionKind
from state.policy import Policy
from state.rules import Conditions

LEFT_ALONE = {OptionKind.SAFE_PLACE, OptionKind.NEIGHBOUR, OptionKind.LOCKER}
IN_PERSON = {OptionKind.REDELIVER, OptionKind.PICKUP, OptionKind.INSTRUCTIONS, OptionKind.ADDRESS_CHANGE}


class Circumstances:
    """Everything that the rules look at, for one case at one instant."""

    def __init__(
        self,
        exception: ExceptionRaised,
        facts: CustomerFacts,
        policy: Policy,
        conditions: Conditions,
        now: datetime,
        *,
        elsewhere_minor: int = 0,
        absorbed_minor: int = 0,
        no_increase: bool = False,
    ) -> None:
        self.exception = exception
        self.facts = facts
        self.policy = policy
        self.conditions = conditions
        self.now = now
        # What other decisions of the order, and other parts of this one, have added or let us absorb.
        self.elsewhere_minor = elsewhere_minor
        self.absorbed_minor = absorbed_minor
        self.no_increase = no_increase


def may_be_had(option: Option, units: int, around: Circumstances) -> bool:
    """Safe for this customer, in stock, at a price that may be asked."""
    if option.reserved_until_at is not None:
        margin = timedelta(milliseconds=around.policy.timing.reservation_margin_ms)
        if around.now >= option.reserved_until_at - margin:
            return False
    if option.kind is OptionKind.SUBSTITUTE:
        return _is_safe(option, units, around) and may_cost(dearer_minor(option, units, around), around)
    if option.kind in (OptionKind.UNKNOWN, OptionKind.REFUND) or around.exception.line is not None:
        return False
    fee = option.fee.minor if option.fee else 0
    return _can_be_delivered(option, around) and may_cost(fee, around)


def dearer_minor(option: Option, units: int, around: Circumstances) -> int:
    line = around.exception.line
    assert line is not None
    short = line.quantity_ordered - line.quantity_available
    cost = 0
    for component in option.components:
        cost += _pieces(component.quantity_default, units, short) * component.unit_price.minor
    return cost - units * line.unit_price.minor


def may_cost(dearer: int, around: Circumstances) -> bool:
    """The customer pays what was ordered or less; else we absorb it; else the customer's own cap allows it."""
    if dearer <= 0 or dearer + around.absorbed_minor <= around.policy.price.absorb_max_minor:
        return True
    cap = around.policy.price.cap_minor
    own = around.facts.price_cap
    if own is not None and own.currency == around.exception.order_total.currency and own.minor > cap:
        cap = own.minor
    # What other lines save is not spent here, so that each decision can be undone by itself.
    added = max(0, around.elsewhere_minor)
    return not around.no_increase and dearer + added <= cap


def _pieces(quantity_default: int, units: int, short: int) -> int:
    return ceil(quantity_default * units / short) if short > 0 else 0


def _is_safe(option: Option, units: int, around: Circumstances) -> bool:
    exception, facts = around.exception, around.facts
    line = exception.line
    if line is None or facts.never_substitute or not option.components:
        return False
    short = line.quantity_ordered - line.quantity_available
    blocked = set(around.conditions.blocked_skus) | set(facts.blocked_skus)
    if exception.kind is Kind.RECALLED:
        blocked.add(line.sku)
    avoided = set(facts.allergens)
    for component in option.components:
        offered = component.attributes
        if component.sku in blocked:
            return False
        if avoided and (not offered.allergens_known or avoided.intersection(offered.allergens)):
            return False
        if offered.age_class > line.attributes.age_class:
            return False
        if not set(line.attributes.dietary).issubset(offered.dietary):
            return False
        if component.unit_price.currency != exception.order_total.currency:
            return False
        if _pieces(component.quantity_default, units, short) > component.quantity_max:
            return False
    return True


def _can_be_delivered(option: Option, around: Circumstances) -> bool:
    delivery, now = around.exception.delivery, around.now
    starts_at = option.slot_from_at or now
    ends_at = option.slot_until_at or starts_at
    contains = set(delivery.contains)
    if around.exception.kind is Kind.AGE_CHECK_FAILED:
        contains.add(Contents.AGE_RESTRICTED)
    if option.kind in LEFT_ALONE and contains & set(around.policy.options.unattended_never):
        return False
    if option.kind is OptionKind.REDELIVER and option.slot_from_at is not None and option.slot_from_at <= now:
        return False
    received = option.kind in LEFT_ALONE | IN_PERSON
    if received and delivery.cold_chain_until_at is not None and ends_at > delivery.cold_chain_until_at:
        return False
    if Contents.AGE_RESTRICTED in contains and option.kind in IN_PERSON:
        return _in_sale_hours(delivery, starts_at) and _in_sale_hours(delivery, ends_at)
    return True


def _in_sale_hours(delivery: Delivery, at: datetime) -> bool:
    if not delivery.sale_from or not delivery.sale_until:
        return True
    if not delivery.zone:
        return False
    local = at.astimezone(ZoneInfo(delivery.zone))
    minute = local.hour * 60 + local.minute
    first, last = _minute(delivery.sale_from), _minute(delivery.sale_until)
    return first <= minute <= last if first <= last else (minute >= first or minute <= last)


def _minute(clock: str) -> int:
    hour, minute = clock.split(":")
    return int(hour) * 60 + int(minute)


def is_night(policy: Policy, exception: ExceptionRaised, facts: CustomerFacts, at: datetime) -> bool:
    """Whether it is quiet in any zone where the customer may be, and no delivery slot excuses a call."""
    country = policy.countries.get(exception.delivery.country)
    slot_from, slot_until = exception.delivery.slot_from_at, exception.delivery.slot_until_at
    slack = timedelta(milliseconds=policy.quiet.slot_slack_ms)
    allowed = policy.quiet.exempt_in_slot and country is not None and country.quiet_exempt
    if allowed and slot_from and slot_until and slot_from - slack <= at <= slot_until + slack:
        return False
    zones = [exception.delivery.zone] if exception.delivery.zone else list(facts.zones)
    for zone in zones:
        clock = at.astimezone(ZoneInfo(zone)).time()
        starts, ends = policy.quiet.starts, policy.quiet.ends
        night = starts <= clock < ends if starts <= ends else clock >= starts or clock < ends
        if night:
            return True
    return False
