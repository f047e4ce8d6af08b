"""Plausible things in one word: a pint of milk, its substitutes, a customer, an exception at noon."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from schemas.events import ExceptionRaised
from schemas.facts import (
    Attributes,
    Component,
    Content,
    CustomerFacts,
    Delivery,
    Line,
    Money,
    Option,
)
from schemas.words import LINE_KINDS, Channel, Kind, OptionKind, UpstreamDefault

# A Wednesday in summer time: 13:00 in London, 14:00 in Berlin.
NOON = datetime(2026, 6, 17, 12, 0, tzinfo=UTC)


def local(clock: str, zone: str = "Europe/London") -> datetime:
    """An instant by the clock on the wall, such as `2026-06-17 21:30`."""
    return datetime.fromisoformat(clock).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def pounds(minor: int) -> Money:
    return Money(minor, "GBP")


def grams(amount: int | str) -> Content:
    return Content(Decimal(amount), "g")


SAFE = Attributes(allergens_known=True)


def a_line(**changes) -> Line:
    """One loaf of bread for 2.00, none there."""
    given = {
        "line_id": "L1",
        "sku": "bread-oak",
        "name": "Oakmill Sourdough 400 g",
        "brand": "Oakmill",
        "content": grams(400),
        "quantity_ordered": 1,
        "unit_price": pounds(200),
        "attributes": SAFE,
    }
    return Line(**(given | changes))


def a_component(**changes) -> Component:
    given = {
        "sku": "bread-hill",
        "name": "Hillside Sourdough 400 g",
        "brand": "Hillside",
        "content": grams(400),
        "quantity_max": 9,
        "unit_price": pounds(200),
        "attributes": SAFE,
    }
    return Component(**(given | changes))


def an_option(option_id: str = "hillside", **changes) -> Option:
    """A loaf of another brand at the same price; changes of its product are given by the component's names."""
    of_option = {name: changes.pop(name) for name in list(changes) if name in Option.__struct_fields__}
    given = {"option_id": option_id, "components": (a_component(**changes),)}
    return Option(**(given | of_option))


def a_way(option_id: str, kind: OptionKind, **changes) -> Option:
    """A last-mile option, such as another slot or a safe place."""
    return Option(option_id=option_id, kind=kind, **changes)


def a_delivery(**changes) -> Delivery:
    given = {
        "country": "GB",
        "postcode": "SW1A 1AA",
        "zone": "Europe/London",
        "slot_from_at": NOON + timedelta(hours=4),
        "slot_until_at": NOON + timedelta(hours=5),
    }
    return Delivery(**(given | changes))


def a_customer(**changes) -> CustomerFacts:
    """Known, reachable everywhere, no wishes."""
    given = {
        "known": True,
        "channels": (Channel.PUSH, Channel.SMS, Channel.EMAIL, Channel.VOICE),
        "zones": ("Europe/London",),
    }
    return CustomerFacts(**(given | changes))


def an_exception(
    exception_id: str = "x1", *, kind: Kind = Kind.ITEM_UNAVAILABLE, **changes
) -> ExceptionRaised:
    """One loaf is missing, three substitutes are suggested, ten minutes are left."""
    at_door = kind not in LINE_KINDS
    options = (
        (a_way("tomorrow", OptionKind.REDELIVER, slot_from_at=NOON + timedelta(hours=20)),)
        if at_door
        else (an_option(), an_option("corner", sku="bread-corner", name="Corner Loaf 400 g", brand="Corner"))
    )
    given = {
        "event_id": f"raised-{exception_id}-{changes.get('revision', 0)}",
        "order_id": "order-1",
        "exception_id": exception_id,
        "customer_ref": "customer-1",
        "store_id": "store-1",
        "kind": kind,
        "line": None if at_door else a_line(),
        "options": options,
        "fulfilment_deadline_at": NOON + timedelta(minutes=10),
        "occurred_at": NOON,
        "order_total": pounds(6_000),
        "upstream_default": UpstreamDefault.RETURN_TO_DEPOT if at_door else UpstreamDefault.CANCEL_LINE,
        "delivery": a_delivery(),
    }
    return ExceptionRaised(**(given | changes))


def a_second(exception_id: str = "x2", *, line_id: str = "L2", **changes) -> ExceptionRaised:
    """Another line of the same order: milk, with one substitute."""
    milk = a_line(line_id=line_id, sku="milk-oat", name="Oat Drink 1 l", brand="Oaty", content=None)
    dairy = an_option("barley", sku="milk-barley", name="Barley Drink 1 l", brand="Barley", content=None)
    return an_exception(exception_id, **({"line": milk, "options": (dairy,)} | changes))


def but(thing, **changes):
    """The same thing, with these fields changed."""
    return replace(thing, **changes)
