"""Upstream of the demo: a grocer's busiest hour as records, orders in the OMS, and people with habits."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from schemas.events import (
    CustomerContact,
    Delivered,
    ExceptionRaised,
    ExceptionWithdrawn,
    OrderCancelled,
    OrderCompleted,
)
from schemas.facts import Attributes, Component, Content, Delivery, Line, Money, Option
from schemas.words import Kind, OptionKind, UpstreamDefault, WithdrawalReason

# product, brand, content, unit, price in pence, allergens; the first of a shelf is what was ordered.
SHELVES: tuple[tuple[tuple[str, str, int, str, int, tuple[str, ...]], ...], ...] = (
    (
        ("Wholemeal Loaf", "Millstone", 800, "g", 165, ("gluten",)),
        ("Seeded Loaf", "Millstone", 800, "g", 165, ("gluten", "sesame")),
        ("Farmhouse Loaf", "Old Oak", 800, "g", 150, ("gluten",)),
    ),
    (
        ("Semi-skimmed Milk", "Dairyvale", 2000, "ml", 155, ("milk",)),
        ("Whole Milk", "Dairyvale", 2000, "ml", 155, ("milk",)),
        ("Semi-skimmed Milk", "Greenfields", 2000, "ml", 149, ("milk",)),
    ),
    (
        ("Oat Drink", "Oatery", 1000, "ml", 190, ("gluten",)),
        ("Barista Oat Drink", "Oatery", 1000, "ml", 190, ("gluten",)),
        ("Oat Drink", "Northfold", 1000, "ml", 175, ("gluten",)),
    ),
    (
        ("Free Range Eggs", "Henley", 12, "piece", 320, ("egg",)),
        ("Organic Eggs", "Henley", 12, "piece", 320, ("egg",)),
    ),
    (
        ("Penne", "Bellavia", 500, "g", 110, ("gluten",)),
        ("Fusilli", "Bellavia", 500, "g", 110, ("gluten",)),
        ("Penne", "Primo", 500, "g", 95, ("gluten",)),
    ),
    (
        ("Chopped Tomatoes", "Solana", 400, "g", 85, ()),
        ("Plum Tomatoes", "Solana", 400, "g", 85, ()),
        ("Chopped Tomatoes", "Primo", 400, "g", 60, ()),
    ),
    (
        ("Ground Coffee", "Ridgeway", 227, "g", 425, ()),
        ("Ground Coffee Dark Roast", "Ridgeway", 227, "g", 425, ()),
        ("Ground Coffee", "Harbour", 227, "g", 399, ()),
    ),
    (
        ("Bananas", "Loose Leaf", 5, "piece", 95, ()),
        ("Fairtrade Bananas", "Loose Leaf", 5, "piece", 95, ()),
    ),
    (
        ("Washing Up Liquid", "Brisk", 500, "ml", 140, ()),
        ("Washing Up Liquid Lemon", "Brisk", 500, "ml", 140, ()),
        ("Washing Up Liquid", "Plain", 500, "ml", 95, ()),
    ),
)
# What people do with what reaches them, and how many of a hundred do it.
HABITS: dict[str, int] = {
    "taps": 33,
    "texts": 13,
    "mails": 8,
    "changes_mind": 6,
    "presses_keys": 14,
    "ignores": 8,
    "voicemail": 4,
    "hangs_up": 4,
    "busy": 3,
    "says_stop": 4,
    "unreachable": 3,
}
# How the trouble of a hundred orders is spread; the rest is short lines.
AT_THE_DOOR: dict[Kind, int] = {
    Kind.DELIVERY_MISSED: 5,
    Kind.ACCESS_ISSUE: 4,
    Kind.ADDRESS_ISSUE: 3,
    Kind.DRIVER_WAITING: 4,
    Kind.AGE_CHECK_FAILED: 3,
    Kind.REFUSED_AT_DOOR: 3,
}
_HINTS = {Kind.ITEM_UNAVAILABLE: ("mid_pick_substitution", "next_day_substitution")}
_CURRENCY = "GBP"
_STORES = ("store-riverside", "store-highgate", "store-mill-lane")


Outcome = Delivered | OrderCompleted | OrderCancelled


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """One customer: where they are reached, and what they do then."""

    ref: str
    habit: str
    phone: str
    email: str
    token: str


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """One order and its trouble; `at_s` is when it happens, from the start of the hour."""

    order_id: str
    person: Person
    at_s: float
    kind: Kind
    lines: tuple[tuple[tuple[str, str, int, str, int, tuple[str, ...]], ...], ...]
    short: int
    quantities: tuple[int, ...]
    store: str
    found_again: bool = False
    hint: str = ""

    @property
    def total_minor(self) -> int:
        return sum(shelf[0][4] * n for shelf, n in zip(self.lines, self.quantities, strict=True))

    @property
    def case_ids(self) -> tuple[str, ...]:
        return tuple([f"{self.order_id}-X{n + 1}" for n in range(self.short)])


def hour(orders: int, within_s: float, seed: int) -> list[Order]:
    """So many orders in trouble, spread over so many seconds; the same seed makes the same hour."""
    rng = random.Random(seed)
    habits = list(HABITS)
    made = []
    for n in range(orders):
        habit = habits[n] if n < len(habits) else rng.choices(habits, list(HABITS.values()))[0]
        number = f"+447{400_000_000 + n:09d}"
        person = Person(
            ref=f"customer-{n:04d}",
            habit=habit,
            phone="" if habit == "unreachable" else number,
            email="" if habit == "unreachable" else f"customer-{n:04d}@mail.test",
            token="" if habit in ("unreachable", "texts", "mails", "says_stop") else f"device-{n:04d}",
        )
        made.append(_order(n, person, rng.uniform(0, within_s), rng))
    return sorted(made, key=lambda order: order.at_s)


def _order(n: int, person: Person, at_s: float, rng: random.Random) -> Order:
    doors, wheel = list(AT_THE_DOOR), rng.random() * 100
    kind = next(
        (door for i, door in enumerate(doors) if wheel < sum(AT_THE_DOOR[d] for d in doors[: i + 1])), None
    )
    if kind is None:
        kind = rng.choices(
            [Kind.ITEM_UNAVAILABLE, Kind.PARTLY_AVAILABLE, Kind.DAMAGED_ITEM, Kind.RECALLED], [70, 15, 10, 5]
        )[0]
        short = rng.choices([1, 2, 3], [60, 28, 12])[0]
    else:
        short = 1
    # Every kind is there, however small the hour.
    if n < len(Kind) - 1:
        kind = [one for one in Kind if one is not Kind.UNKNOWN][n]
        short = 1 if kind in AT_THE_DOOR else max(short, 1)
    shelves = tuple(rng.sample(SHELVES, rng.randint(max(3, short), 6)))
    return Order(
        order_id=f"G{10_000 + n}",
        person=person,
        at_s=at_s,
        kind=kind,
        lines=shelves,
        short=short,
        quantities=tuple(rng.randint(2 if kind is Kind.PARTLY_AVAILABLE else 1, 3) for _ in shelves),
        store=rng.choice(_STORES),
        found_again=kind is Kind.ITEM_UNAVAILABLE and rng.random() < 0.05,
        hint=rng.choice(_HINTS.get(kind, ("",))),
    )


def contact(person: Person, zone: str, now: datetime) -> CustomerContact:
    return CustomerContact(
        customer_ref=person.ref,
        revision=1,
        push_tokens=(person.token,) if person.token else (),
        phone=person.phone,
        email=person.email,
        name="A. Shopper",
        zone=zone,
        country="GB",
        occurred_at=now,
    )


def in_the_oms(order: Order) -> dict[str, Any]:
    """The order as the OMS's control door takes it."""
    catalogue = {_sku(shelf, i): item[4] for shelf in order.lines for i, item in enumerate(shelf)}
    lines = [
        {
            "line_id": f"L{n + 1}",
            "sku": _sku(shelf, 0),
            "name": _name(shelf[0]),
            "ordered": quantity,
            "quantity": quantity,
            "unit_price_minor": shelf[0][4],
        }
        for n, (shelf, quantity) in enumerate(zip(order.lines, order.quantities, strict=True))
    ]
    captured = order.total_minor if order.kind in AT_THE_DOOR else 0
    return {
        "lines": lines,
        "payments": [{"payment_id": f"{order.order_id}-P1", "captured_minor": captured}],
        "catalogue": catalogue,
        "currency": _CURRENCY,
        "total_minor": order.total_minor,
    }


def troubles(order: Order, zone: str, now: datetime, notice_s: float) -> Iterator[ExceptionRaised]:
    """The order's exceptions, as its picker or driver finds them."""
    deadline_at = now + timedelta(seconds=notice_s)
    at_door = order.kind in AT_THE_DOOR
    delivery = Delivery(
        country="GB",
        postcode="N1 9GU",
        zone=zone,
        slot_from_at=now - timedelta(minutes=20) if at_door else now + timedelta(hours=3),
        slot_until_at=now + timedelta(minutes=40) if at_door else now + timedelta(hours=4),
    )
    for n, case_id in enumerate(order.case_ids):
        yield ExceptionRaised(
            event_id=f"{case_id}-raised",
            order_id=order.order_id,
            exception_id=case_id,
            customer_ref=order.person.ref,
            store_id=order.store,
            kind=order.kind,
            line=None if at_door else _line(order, n),
            options=_ways(order, now) if at_door else _substitutes(order, n),
            fulfilment_deadline_at=deadline_at,
            occurred_at=now,
            order_total=Money(order.total_minor, _CURRENCY),
            upstream_default=UpstreamDefault.RETURN_TO_DEPOT if at_door else UpstreamDefault.CANCEL_LINE,
            delivery=delivery,
            policy_hint=order.hint,
        )


def found(order: Order, now: datetime) -> ExceptionWithdrawn:
    """The picker found the first item after all."""
    return ExceptionWithdrawn(
        event_id=f"{order.case_ids[0]}-found",
        order_id=order.order_id,
        exception_id=order.case_ids[0],
        revision=1,
        reason=WithdrawalReason.FOUND,
        occurred_at=now,
    )


def driven(order: Order, lines: dict[str, int], *, returned: bool, now: datetime) -> Iterator[Outcome]:
    """What became of the order: taken back, or delivered; `lines` says how much of those that were in trouble."""
    if returned:
        yield OrderCancelled(event_id=f"{order.order_id}-back", order_id=order.order_id, occurred_at=now)
        return
    for n, (shelf, ordered) in enumerate(zip(order.lines, order.quantities, strict=True)):
        line_id = f"L{n + 1}"
        quantity = lines.get(line_id, ordered)
        if quantity:
            yield Delivered(
                event_id=f"{order.order_id}-{line_id}-delivered",
                order_id=order.order_id,
                line_id=line_id,
                quantity=quantity,
                charged=Money(shelf[0][4] * quantity, _CURRENCY),
                occurred_at=now,
            )
    yield OrderCompleted(event_id=f"{order.order_id}-completed", order_id=order.order_id, occurred_at=now)


def _line(order: Order, n: int) -> Line:
    shelf, quantity = order.lines[n], order.quantities[n]
    product, brand, amount, unit, price, allergens = shelf[0]
    return Line(
        line_id=f"L{n + 1}",
        sku=_sku(shelf, 0),
        name=_name((product, brand, amount, unit, price, allergens)),
        brand=brand,
        content=Content(Decimal(amount), unit),
        quantity_ordered=quantity,
        quantity_available=1 if order.kind is Kind.PARTLY_AVAILABLE else 0,
        unit_price=Money(price, _CURRENCY),
        attributes=Attributes(allergens=allergens, allergens_known=True),
    )


def _substitutes(order: Order, n: int) -> tuple[Option, ...]:
    shelf = order.lines[n]
    return tuple(
        [
            Option(
                option_id=f"option-{i}",
                components=(
                    Component(
                        sku=_sku(shelf, i),
                        name=_name(item),
                        brand=item[1],
                        content=Content(Decimal(item[2]), item[3]),
                        quantity_default=order.quantities[n] - (order.kind is Kind.PARTLY_AVAILABLE),
                        quantity_max=9,
                        unit_price=Money(item[4], _CURRENCY),
                        attributes=Attributes(allergens=item[5], allergens_known=True),
                    ),
                ),
            )
            for i, item in enumerate(shelf)
            if i
        ]
    )


def _ways(order: Order, now: datetime) -> tuple[Option, ...]:
    again = Option(
        option_id="again",
        kind=OptionKind.REDELIVER,
        slot_from_at=now + timedelta(hours=20),
        slot_until_at=now + timedelta(hours=21),
    )
    if order.kind in (Kind.ACCESS_ISSUE, Kind.DRIVER_WAITING):
        instructions = Option(option_id="come-in", kind=OptionKind.INSTRUCTIONS, reference="instructions-1")
        return (instructions, again)
    return (again,)


def _sku(shelf: tuple[tuple[str, str, int, str, int, tuple[str, ...]], ...], i: int) -> str:
    product, brand = shelf[i][:2]
    return f"{brand}-{product}".lower().replace(" ", "-")


def _name(item: tuple[str, str, int, str, int, tuple[str, ...]]) -> str:
    product, brand, amount, unit = item[:4]
    return (
        f"{brand} {product} {'x' if unit == 'piece' else ''}{amount}{'' if unit == 'piece' else f' {unit}'}"
    )
