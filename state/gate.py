"""The gate: may this option be offered to, and accepted from, this customer? Pure, and it says every reason.

It runs on intake, on every rendering, on the answer, and again before write-back.
"""

import unicodedata
from datetime import datetime
from enum import StrEnum
from functools import lru_cache

import msgspec

from schemas.events import ExceptionRaised
from schemas.facts import Component, CustomerFacts, Delivery, Line, Option
from schemas.words import Contents, Group, Kind, OptionKind, PriceKind
from state.policy import Policy
from state.pricing import pieces
from state.quiet import zone_named
from state.rules import Conditions
from state.spans import span

UNATTENDED = frozenset({OptionKind.SAFE_PLACE, OptionKind.NEIGHBOUR, OptionKind.LOCKER})
# Goods are handed over in person at these, so that age and opening hours count.
HANDED_OVER = frozenset(
    {OptionKind.REDELIVER, OptionKind.PICKUP, OptionKind.INSTRUCTIONS, OptionKind.ADDRESS_CHANGE}
)
# The customer gets the goods at these, so that they must have kept until then.
RECEIVED = UNATTENDED | HANDED_OVER


class Pricing(StrEnum):
    """How the price of an admissible option is treated."""

    NOT_DEARER = "not_dearer"
    OLD_PRICE = "old_price"
    NEW_PRICE = "new_price"


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """Admissible when `reasons` is empty; what it costs, and by how much more than what it replaces."""

    reasons: tuple[str, ...]
    pricing: Pricing = Pricing.NOT_DEARER
    cost_minor: int = 0
    dearer_minor: int = 0

    @property
    def is_admissible(self) -> bool:
        return not self.reasons


class Question(msgspec.Struct, frozen=True, gc=False):
    """For whom, when and for how many pieces the gate is asked."""

    exception: ExceptionRaised
    facts: CustomerFacts
    policy: Policy
    conditions: Conditions
    now: datetime
    units: int
    # What other decisions, and other parts of this choice, have already added to the order's total.
    added_minor: int = 0
    # What other parts of this choice have already taken of the difference that is ours to bear.
    absorbed_minor: int = 0
    no_increase: bool = False

    def blocks(self, sku: str) -> bool:
        """A recall or a sales stop, for everybody or as this customer's record says."""
        return sku in self.conditions.blocked_skus or sku in self.facts.blocked_skus


def judge(option: Option, question: Question) -> Verdict:
    """Every reason against the option, and how its price is treated."""
    if option.kind is OptionKind.SUBSTITUTE:
        return _substitute(option, question)
    if option.kind is OptionKind.REFUND:
        return Verdict(("the refund has a key of its own",))
    if option.kind is OptionKind.UNKNOWN or question.exception.line is not None:
        return Verdict((f"{option.kind} is no way out of {question.exception.kind}",))
    reasons = _delivery(option, question)
    if _is_reservation_over(option, question):
        reasons.append("its stock reservation has ended")
    fee_minor = option.fee.minor if option.fee is not None else 0
    pricing = _priced(fee_minor, question, reasons)
    return Verdict(tuple(reasons), pricing, fee_minor, fee_minor)


def _substitute(option: Option, question: Question) -> Verdict:
    exception, facts = question.exception, question.facts
    line = exception.line
    if line is None:
        return Verdict(("there is no line to substitute",))
    short, units = line.quantity_ordered - line.quantity_available, question.units
    reasons: list[str] = []
    if _is_reservation_over(option, question):
        reasons.append("its stock reservation has ended")
    if facts.never_substitute:
        reasons.append("the customer wants no substitutes")
    if not option.components:
        reasons.append("it names no product")
    # No fee is taken for a shortage of ours.
    cost = 0
    for component in option.components:
        count = pieces(component, units, short)
        cost += count * component.unit_price.minor
        _judge_component(component, count, line, question, reasons)
    dearer = cost - units * line.unit_price.minor
    pricing = _priced(dearer, question, reasons)
    return Verdict(tuple(reasons), pricing, cost, dearer)


def _judge_component(
    component: Component, count: int, line: Line, question: Question, reasons: list[str]
) -> None:
    """Adds what speaks against so many pieces of a product."""
    exception, facts = question.exception, question.facts
    wanted, offered = line.attributes, component.attributes
    name = component.name
    if question.blocks(component.sku):
        reasons.append(f"{name} is blocked")
    if component.sku == line.sku and exception.kind is Kind.RECALLED:
        reasons.append(f"{name} is what was recalled")
    if facts.allergens:
        if not offered.allergens_known:
            reasons.append(f"the allergens of {name} are unknown, and the customer named some to avoid")
        avoided = {_plain(name) for name in facts.allergens}
        harmful = sorted({name for name in offered.allergens if _plain(name) in avoided})
        if harmful:
            reasons.append(f"{name} contains {', '.join(harmful)}, which the customer avoids")
    if offered.age_class > wanted.age_class:
        reasons.append(f"{name} is for ages from {offered.age_class}, the original from {wanted.age_class}")
    if wanted.dietary:
        lost = [mark for mark in wanted.dietary if mark not in offered.dietary]
        if lost:
            reasons.append(f"{name} is not {', '.join(lost)}, and the original was")
    if component.unit_price.currency != exception.order_total.currency:
        reasons.append(f"{name} is priced in {component.unit_price.currency}")
    if component.price_kind is PriceKind.UNKNOWN:
        reasons.append(f"{name} is priced in a way that this version does not know")
    if count > component.quantity_max:
        reasons.append(f"only {component.quantity_max} of {name} can be had")


@lru_cache(maxsize=4_096)
def _plain(allergen: str) -> str:
    """An allergen as it is compared: whoever keeps customers may write "Milk" where the product's data says "milk"."""
    return " ".join(unicodedata.normalize("NFKC", allergen).casefold().split())


def _is_reservation_over(option: Option, question: Question) -> bool:
    until_at = option.reserved_until_at
    if until_at is None:
        return False
    return until_at - span(question.policy.timing.reservation_margin_ms) <= question.now


def _priced(dearer: int, question: Question, reasons: list[str]) -> Pricing:
    """Not dearer; else ours to absorb; else within the customer's cap on the order's total; else too dear."""
    if dearer <= 0:
        return Pricing.NOT_DEARER
    if dearer + question.absorbed_minor <= question.policy.price.absorb_max_minor:
        return Pricing.OLD_PRICE
    own_cap = question.facts.price_cap
    cap_minor = question.policy.price.cap_minor
    if own_cap is not None and own_cap.currency == question.exception.order_total.currency:
        cap_minor = own_cap.minor
    if question.no_increase:
        reasons.append("a higher price could not be authorised")
    elif dearer + question.added_minor > cap_minor:
        reasons.append(f"it is dearer by {dearer} than the {cap_minor} that may be added")
    return Pricing.NEW_PRICE


def _delivery(option: Option, question: Question) -> list[str]:
    delivery, now = question.exception.delivery, question.now
    contains = delivery.contains
    if question.exception.kind is Kind.AGE_CHECK_FAILED and Contents.AGE_RESTRICTED not in contains:
        # Nobody's age is checked for bread: the failed check itself says what is in the parcel.
        contains = (*contains, Contents.AGE_RESTRICTED)
    reasons = []
    if option.kind in UNATTENDED:
        # A newer word for what a parcel holds may well be one that forbids it.
        never = {*question.policy.options.unattended_never, Contents.UNKNOWN}
        forbidden = [c.value for c in contains if c in never]
        if forbidden:
            reasons.append(f"goods may not be left unattended: {', '.join(forbidden)}")
    if option.slot_from_at is not None and option.slot_from_at <= now and option.kind is OptionKind.REDELIVER:
        reasons.append("its slot has begun")
    handed_at = option.slot_until_at or option.slot_from_at or now
    keeps_until_at = delivery.cold_chain_until_at
    if keeps_until_at is not None and handed_at > keeps_until_at and option.kind in RECEIVED:
        reasons.append("the cold chain would not hold until then")
    if Contents.AGE_RESTRICTED in contains and option.kind in HANDED_OVER:
        start_at = option.slot_from_at or now
        if not (_on_sale(delivery, start_at) and _on_sale(delivery, handed_at)):
            reasons.append("age-restricted goods may not be handed over at that hour")
    return reasons


def _on_sale(delivery: Delivery, at: datetime) -> bool:
    """Within the local hours of sale; without hours, always."""
    if not (delivery.sale_from and delivery.sale_until):
        return True
    zone = zone_named(delivery.zone)
    clock = at.astimezone(zone).strftime("%H:%M") if zone is not None else ""
    if zone is None:
        # Hours without a zone cannot be checked, so they are taken for closed.
        return False
    if delivery.sale_from <= delivery.sale_until:
        return delivery.sale_from <= clock <= delivery.sale_until
    return clock >= delivery.sale_from or clock <= delivery.sale_until


def may_be_default(option: Option, question: Question) -> bool:
    """Whether a stored preference may take it unasked: nothing dearer, nothing delicate, nothing new."""
    line = question.exception.line
    verdict = judge(option, question)
    if line is None or not verdict.is_admissible or verdict.dearer_minor > 0 or Group.GIFT in line.groups:
        return False
    wanted = line.attributes
    for component in option.components:
        offered = component.attributes
        delicate = offered.medicine or offered.infant or offered.age_class > 0
        new_allergens = not offered.allergens_known or set(offered.allergens) - set(wanted.allergens)
        if delicate or new_allergens:
            return False
    return not (wanted.medicine or wanted.infant or wanted.age_class > 0)
