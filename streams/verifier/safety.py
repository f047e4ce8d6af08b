"""What may be offered to whom, said a second time from the rules of the domain; it shares nothing with the gate."""

from collections.abc import Iterable
from datetime import datetime
from math import ceil
from unicodedata import normalize
from zoneinfo import ZoneInfo

import msgspec

from schemas.events import ExceptionRaised
from schemas.facts import Component, CustomerFacts, Delivery, Line, Option
from schemas.words import Contents, Group, Kind, OptionKind

_LEFT_ALONE = {OptionKind.SAFE_PLACE, OptionKind.NEIGHBOUR, OptionKind.LOCKER}
_IN_PERSON = {OptionKind.REDELIVER, OptionKind.PICKUP, OptionKind.INSTRUCTIONS, OptionKind.ADDRESS_CHANGE}


class Circumstances(msgspec.Struct, frozen=True):
    """What was known of a case at one instant."""

    exception: ExceptionRaised
    facts: CustomerFacts
    blocked: frozenset[str]
    at: datetime

    @property
    def short(self) -> int:
        line = self.exception.line
        if line is None:
            return 0
        there = 0 if self.exception.kind is Kind.RECALLED else line.quantity_available
        return line.quantity_ordered - there


def against(option: Option, units: int, around: Circumstances) -> list[str]:
    """Every reason why so many pieces may not be offered or chosen at that instant; prices are no reason here."""
    reasons = []
    until_at = option.reserved_until_at
    if until_at is not None and around.at >= until_at:
        reasons.append("its stock reservation had ended")
    if option.kind is OptionKind.SUBSTITUTE:
        return reasons + unsafe(option, units, around)
    if around.exception.line is not None:
        reasons.append(f"{option.kind} is no way out of a missing line")
    return reasons + _undeliverable(option, around)


def unsafe(option: Option, units: int, around: Circumstances) -> list[str]:
    """What forbids a substitute at any time: the customer's wishes, allergens, ages, diets, blocks, quantities."""
    exception, facts = around.exception, around.facts
    line = exception.line
    if line is None:
        return ["there is no line to substitute"]
    reasons = ["the customer wants no substitutes"] if facts.never_substitute else []
    for component in option.components:
        reasons += [f"{component.sku} {reason}" for reason in _component(component, line, around)]
        if pieces(component, units, around.short) > component.quantity_max:
            reasons.append(f"only {component.quantity_max} of {component.sku} can be had")
    return reasons


def _component(component: Component, line: Line, around: Circumstances) -> list[str]:
    wanted, offered, facts = line.attributes, component.attributes, around.facts
    reasons = []
    if component.sku in around.blocked or component.sku in facts.blocked_skus:
        reasons.append("was blocked")
    if around.exception.kind is Kind.RECALLED and component.sku == line.sku:
        reasons.append("is what was recalled")
    if facts.allergens and not offered.allergens_known:
        reasons.append("has unknown allergens, and the customer avoids some")
    if _same(facts.allergens) & _same(offered.allergens):
        reasons.append("contains what the customer avoids")
    if offered.age_class > wanted.age_class:
        reasons.append("is for an older age than the original")
    if not set(wanted.dietary) <= set(offered.dietary):
        reasons.append("lost a dietary mark")
    if component.unit_price.currency != around.exception.order_total.currency:
        reasons.append("is priced in another currency")
    return reasons


def not_by_default(option: Option, units: int, around: Circumstances) -> list[str]:
    """What nobody may get unasked."""
    line = around.exception.line
    if line is None:
        return []
    reasons = []
    if dearer_minor(option, units, around) > 0:
        reasons.append("it is dearer")
    if Group.GIFT in line.groups:
        reasons.append("it is a gift")
    for component in option.components:
        offered = component.attributes
        if offered.medicine or offered.infant or offered.age_class > 0:
            reasons.append(f"{component.sku} is medicine, for infants or for adults")
        if not offered.allergens_known or _same(offered.allergens) - _same(line.attributes.allergens):
            reasons.append(f"{component.sku} has an allergen that the original had not, or may have")
    return reasons


def _same(allergens: Iterable[str]) -> set[str]:
    """However they are written: a customer's "Milk" is the product's "milk"."""
    return {"".join(normalize("NFKC", allergen).casefold().split()) for allergen in allergens}


def dearer_minor(option: Option, units: int, around: Circumstances) -> int:
    """By how much the option costs more than what it replaces, in minor units."""
    line = around.exception.line
    if line is None:
        return option.fee.minor if option.fee else 0
    cost = sum(pieces(c, units, around.short) * c.unit_price.minor for c in option.components)
    return cost - units * line.unit_price.minor


def pieces(component: Component, units: int, short: int) -> int:
    return ceil(component.quantity_default * units / short) if short > 0 else 0


def _undeliverable(option: Option, around: Circumstances) -> list[str]:
    delivery, at = around.exception.delivery, around.at
    starts_at = option.slot_from_at or at
    ends_at = option.slot_until_at or starts_at
    # A check of the age that failed says that there is something to check it for.
    restricted = (
        Contents.AGE_RESTRICTED in delivery.contains or around.exception.kind is Kind.AGE_CHECK_FAILED
    )
    reasons = []
    if option.kind in _LEFT_ALONE and restricted:
        reasons.append("age-restricted goods may not be left unattended")
    if option.kind is OptionKind.REDELIVER and option.slot_from_at is not None and option.slot_from_at <= at:
        reasons.append("its slot had begun")
    keeps_until_at = delivery.cold_chain_until_at
    if option.kind in _LEFT_ALONE | _IN_PERSON and keeps_until_at is not None and (ends_at > keeps_until_at):
        reasons.append("the cold chain would not hold")
    if restricted and option.kind in _IN_PERSON:
        hours = _on_sale(delivery, starts_at) and _on_sale(delivery, ends_at)
        reasons += [] if hours else ["age-restricted goods outside the hours of sale"]
    return reasons


def _on_sale(delivery: Delivery, at: datetime) -> bool:
    if not (delivery.sale_from and delivery.sale_until):
        return True
    if not delivery.zone:
        return False
    clock = f"{at.astimezone(ZoneInfo(delivery.zone)):%H:%M}"
    first, last = delivery.sale_from, delivery.sale_until
    return first <= clock <= last if first <= last else clock >= first or clock <= last
