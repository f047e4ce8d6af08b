"""Best first: own choice, same brand, same size, distance of the unit price, option id. It says why."""

from decimal import Decimal
from typing import Any

from schemas.facts import CustomerFacts, Line, Option
from state.pricing import content_of, cost_minor

_FAR = Decimal(10**9)


def ranked(options: list[Option], line: Line | None, facts: CustomerFacts) -> list[Option]:
    """The options in the order in which they are offered."""
    return sorted(options, key=lambda option: rank(option, line, facts))


def rank(option: Option, line: Line | None, facts: CustomerFacts) -> tuple[Any, ...]:
    """What an option is sorted by; smaller is better."""
    if line is None:
        starts = option.slot_from_at.timestamp() if option.slot_from_at is not None else 0.0
        return (option.slot_from_at is None, starts, option.option_id)
    return (
        not is_own_choice(option, line, facts),
        not _same_brand(option, line),
        not _same_size(option, line),
        _price_distance(option, line),
        option.option_id,
    )


def why(option: Option, line: Line | None, facts: CustomerFacts) -> str:
    """The rank in words, for the evidence."""
    if line is None:
        return "earliest first" if option.slot_from_at is not None else "as given"
    reasons = []
    if is_own_choice(option, line, facts):
        reasons.append("your own choice")
    if _same_brand(option, line):
        reasons.append("same brand")
    if _same_size(option, line):
        reasons.append("same size")
    distance = _price_distance(option, line)
    if distance != _FAR:
        reasons.append(f"unit price apart by {distance.quantize(Decimal('0.001'))}")
    return ", ".join(reasons) or "as given"


def is_own_choice(option: Option, line: Line, facts: CustomerFacts) -> bool:
    wanted = [choice.instead for choice in facts.own_choices if choice.sku == line.sku]
    return bool(wanted) and any(component.sku in wanted for component in option.components)


def _same_brand(option: Option, line: Line) -> bool:
    return (
        bool(line.brand) and bool(option.components) and all(c.brand == line.brand for c in option.components)
    )


def _same_size(option: Option, line: Line) -> bool:
    short = line.quantity_ordered - line.quantity_available
    content = content_of(option, short, short)
    return (
        content is not None
        and line.content is not None
        and ((content.amount, content.unit) == (line.content.amount * short, line.content.unit))
    )


def _price_distance(option: Option, line: Line) -> Decimal:
    """Apart in minor units per g, ml or piece; per ordered piece where a content is unknown."""
    short = line.quantity_ordered - line.quantity_available
    if short <= 0 or not option.components:
        return _FAR
    cost = cost_minor(option, short, short)
    content = content_of(option, short, short)
    if content is None or line.content is None or content.unit != line.content.unit or not content.amount:
        return abs(Decimal(cost - short * line.unit_price.minor)) / short
    return abs(Decimal(cost) / content.amount - Decimal(line.unit_price.minor) / line.content.amount)
