"""What a choice costs against what was ordered; by weight, a unit price is the most that a piece may cost."""

from msgspec.structs import replace

from schemas.facts import Chosen, Component, Content, Line, Option, Replacement


def pieces(component: Component, units: int, short: int) -> int:
    """How many pieces replace so many of the `short` ordered units; part of a piece counts as a whole."""
    if short <= 0:
        return 0
    return -(-component.quantity_default * units // short)


def rescaled(options: tuple[Option, ...], old_short: int, new_short: int) -> tuple[Option, ...]:
    """The same options for another number of missing pieces; what is in stock stays as it was."""
    if old_short <= 0 or old_short == new_short:
        return options
    return tuple(
        [
            replace(option, components=tuple([_scaled(c, old_short, new_short) for c in option.components]))
            for option in options
        ]
    )


def _scaled(component: Component, old_short: int, new_short: int) -> Component:
    return replace(
        component, quantity_default=max(-(-component.quantity_default * new_short // old_short), 1)
    )


def replacements(option: Option, units: int, short: int) -> tuple[Replacement, ...]:
    return tuple(
        [
            Replacement(sku=c.sku, name=c.name, pieces=pieces(c, units, short), unit_price=c.unit_price)
            for c in option.components
        ]
    )


def delta_minor(
    chosen: tuple[Chosen, ...], line: Line | None, refund_quantity: int, absorbed_minor: int
) -> int:
    """What a decision does to the order's total."""
    if line is None:
        return -absorbed_minor
    replaced = sum([choice.quantity for choice in chosen])
    paid = sum([part.pieces * part.unit_price.minor for choice in chosen for part in choice.components])
    return paid - absorbed_minor - (replaced + refund_quantity) * line.unit_price.minor


def content_of(option: Option, units: int, short: int) -> Content | None:
    """All that so many units of an option hold; None where it is unknown or cannot be added up."""
    if len(option.components) == 1:
        component = option.components[0]
        count = pieces(component, units, short)
        if component.content is None or count == 1:
            return component.content
        return Content(component.content.amount * count, component.content.unit)
    total: Content | None = None
    for component in option.components:
        content = component.content
        if content is None or (total is not None and total.unit != content.unit):
            return None
        amount = content.amount * pieces(component, units, short)
        total = Content(amount if total is None else total.amount + amount, content.unit)
    return total
