"""Best first: own choice, same brand, same size, distance of the unit price, option id. It says why."""

import msgspec

from schemas.facts import Content, CustomerFacts, Line, Option
from schemas.words import OptionKind

_FAR = float("inf")
_NOW = 0.0
_THIS_TRIP = frozenset(
    {OptionKind.INSTRUCTIONS, OptionKind.SAFE_PLACE, OptionKind.NEIGHBOUR, OptionKind.LOCKER}
)


# In words, by (not own choice, other brand, other size).
_LIKENESS = {
    (own, brand, size): ", ".join(
        word for other, word in ((own, "own choice"), (brand, "same brand"), (size, "same size")) if not other
    )
    for own in (False, True)
    for brand in (False, True)
    for size in (False, True)
}


class Rank(msgspec.Struct, frozen=True, order=True, gc=False):
    """What an option is sorted by; smaller is better.

    At the door only time counts: what the van can still do on this trip, then the earliest slot.
    """

    not_own_choice: bool
    other_brand: bool
    other_size: bool
    # Minor units per g, ml or piece; per ordered piece where a content is unknown.
    price_distance: float
    option_id: str
    at_door: bool = False

    @property
    def why(self) -> str:
        """The rank in words, for the evidence."""
        if self.at_door:
            return {_NOW: "still on this trip", _FAR: "as given"}.get(self.price_distance, "by its slot")
        words = _LIKENESS[self.not_own_choice, self.other_brand, self.other_size]
        if self.price_distance == _FAR:
            return words or "as given"
        return f"{words}{', ' if words else ''}unit price apart by {self.price_distance:.3f}"


def rank(
    option: Option,
    line: Line | None,
    facts: CustomerFacts,
    short: int,
    cost_minor: int,
    content: Content | None,
) -> Rank:
    """The rank of an option that costs and holds this much in place of `short` pieces of the line."""
    if line is None:
        starts = option.slot_from_at.timestamp() if option.slot_from_at is not None else _FAR
        when = _NOW if option.kind in _THIS_TRIP else starts
        return Rank(True, True, True, when, option.option_id, at_door=True)
    own = facts.own_choices != () and _is_own_choice(option, line, facts)
    brand = line.brand
    other_brand = brand == "" or [c for c in option.components if c.brand != brand] != []
    distance = _distance(line, short, cost_minor, content)
    return Rank(not own, other_brand, not _same_size(line, short, content), distance, option.option_id)


def _is_own_choice(option: Option, line: Line, facts: CustomerFacts) -> bool:
    wanted = [choice.instead for choice in facts.own_choices if choice.sku == line.sku]
    # What comes along with a wish was never wished for.
    return option.components != () and all(component.sku in wanted for component in option.components)


def _same_size(line: Line, short: int, content: Content | None) -> bool:
    own = line.content
    if content is None or own is None or content.unit != own.unit:
        return False
    return content.amount == (own.amount if short == 1 else own.amount * short)


def _distance(line: Line, short: int, cost_minor: int, content: Content | None) -> float:
    if short <= 0:
        return _FAR
    if content is None or line.content is None or content.unit != line.content.unit or not content.amount:
        return abs(cost_minor / short - line.unit_price.minor)
    # Floats rank well enough: whoever is nearer by less than a millionth of a cent is as near.
    per_line = line.unit_price.minor / float(line.content.amount) if line.content.amount else 0.0
    return abs(cost_minor / float(content.amount) - per_line)
