"""Hypothesis strategies: valid exceptions of every kind and all they consist of, and any record at all."""

import types
import typing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum

import msgspec
from hypothesis import strategies as st

from schemas.catalogue import record_types
from schemas.events import (
    CustomerConsent,
    CustomerContact,
    ExceptionAccepted,
    ExceptionAmended,
    ExceptionRaised,
    ExceptionWithdrawn,
)
from schemas.facts import (
    Attributes,
    Component,
    Content,
    CustomerFacts,
    Delivery,
    Line,
    Money,
    Option,
    OwnChoice,
)
from schemas.words import (
    LINE_KINDS,
    Channel,
    ContactMode,
    Contents,
    Group,
    Kind,
    OptionKind,
    PriceKind,
    Storage,
    UpstreamDefault,
    WithdrawalReason,
)
from tests.builders import NOON

KINDS = [kind for kind in Kind if kind is not Kind.UNKNOWN]
ZONES = [
    "Europe/London",
    "Europe/Paris",
    "America/New_York",
    "America/Phoenix",
    "Asia/Kolkata",
    "Pacific/Apia",
]
ALLERGENS = ["milk", "gluten", "peanut", "tree_nut", "soy", "egg", "fish", "sesame"]
LAST_MILE_OPTIONS = [k for k in OptionKind if k not in (OptionKind.UNKNOWN, OptionKind.SUBSTITUTE)]


def known(words):
    """A word of a closed enumeration, never `unknown`."""
    return st.sampled_from([word for word in words if word.value != "unknown"])


def tuples(items, most=3, unique=True):
    return st.lists(items, max_size=most, unique=unique).map(tuple)


def ids(prefix="id"):
    """Upstream ids: short, sometimes with the characters that our own ids are built with."""
    return st.text(alphabet="abcXYZ019-_.~/% é", min_size=1, max_size=12).map(lambda tail: f"{prefix}{tail}")


def names():
    return st.text(alphabet="abc XYZ'0é-ßñ漢", min_size=1, max_size=24).filter(str.strip)


def instants(least=NOON - timedelta(hours=6), most=NOON + timedelta(hours=12)):
    """Aware UTC instants in whole milliseconds, as Avro keeps them."""
    span = (most - least) // timedelta(milliseconds=1)
    return st.integers(0, span).map(lambda ms: least + timedelta(milliseconds=ms))


def money(currency="EUR", most=5_000):
    return st.integers(0, most).map(lambda minor: Money(minor, currency))


def contents():
    amounts = st.integers(1, 10_000_000).map(lambda n: Decimal(n).scaleb(-3))
    return st.builds(Content, amount=amounts, unit=st.sampled_from(["g", "ml", "piece"]))


def attributes():
    return st.builds(
        Attributes,
        allergens=tuples(st.sampled_from(ALLERGENS)),
        allergens_known=st.booleans(),
        age_class=st.sampled_from([0, 0, 0, 16, 18]),
        dietary=tuples(st.sampled_from(["vegan", "vegetarian", "halal", "kosher", "gluten_free"])),
        storage=known(Storage),
        medicine=st.booleans(),
        infant=st.booleans(),
    )


@st.composite
def components(draw, currency="EUR"):
    default = draw(st.integers(1, 5))
    return Component(
        sku=draw(ids("sku-")),
        name=draw(names()),
        brand=draw(st.sampled_from(["", "Oatly", "Two Rivers", "No Added Sugar"])),
        content=draw(st.none() | contents()),
        quantity_default=default,
        quantity_max=default + draw(st.integers(0, 5)),
        price_kind=draw(known(PriceKind)),
        unit_price=draw(money(currency)),
        attributes=draw(attributes()),
    )


@st.composite
def options(draw, currency="EUR", kinds=tuple(OptionKind)):
    """One valid option; its id is made unique by `lists_of_options`."""
    kind = draw(st.sampled_from([k for k in kinds if k is not OptionKind.UNKNOWN]))
    substitute = kind is OptionKind.SUBSTITUTE
    slot_from_at = draw(instants()) if kind is OptionKind.REDELIVER and draw(st.booleans()) else None
    return Option(
        option_id=draw(ids("o")),
        kind=kind,
        components=tuple(draw(st.lists(components(currency), min_size=1, max_size=2))) if substitute else (),
        image_url=draw(st.sampled_from(["", "https://shop.example/p/1.jpg"])),
        reserved_until_at=draw(st.none() | instants()) if substitute else None,
        slot_from_at=slot_from_at,
        slot_until_at=slot_from_at + timedelta(hours=2) if slot_from_at else None,
        fee=None if substitute else draw(st.none() | money(currency, 500)),
        reference="" if substitute else draw(st.sampled_from(["", "ref-1"])),
    )


def lists_of_options(currency="EUR", kinds=tuple(OptionKind), least=0, most=4):
    listed = st.lists(
        options(currency, kinds), min_size=least, max_size=most, unique_by=lambda o: o.option_id
    )
    return listed.map(tuple)


@st.composite
def lines(draw, currency="EUR", short=True):
    ordered = draw(st.integers(1, 8))
    return Line(
        line_id=draw(ids("line-")),
        sku=draw(ids("sku-")),
        name=draw(names()),
        brand=draw(st.sampled_from(["", "Oatly", "Two Rivers"])),
        content=draw(st.none() | contents()),
        quantity_ordered=ordered,
        quantity_available=draw(st.integers(0, ordered - 1 if short else ordered)),
        price_kind=draw(known(PriceKind)),
        unit_price=draw(money(currency)),
        tax_included=draw(st.booleans()),
        groups=draw(tuples(known(Group))),
        attributes=draw(attributes()),
    )


@st.composite
def deliveries(draw):
    slot_from_at = draw(st.none() | instants())
    sale = draw(st.sampled_from([("", ""), ("08:00", "22:00"), ("10:00", "01:00")]))
    return Delivery(
        country=draw(st.sampled_from(["GB", "FR", "DE", "US", "IN"])),
        postcode=draw(st.sampled_from(["", "N1 9GU", "75011", "85001"])),
        zone=draw(st.sampled_from(["", *ZONES])),
        slot_from_at=slot_from_at,
        slot_until_at=slot_from_at + timedelta(hours=2) if slot_from_at else None,
        driver_eta_at=draw(st.none() | instants()),
        contains=draw(tuples(known(Contents))),
        cold_chain_until_at=draw(st.none() | instants()),
        sale_from=sale[0],
        sale_until=sale[1],
    )


@st.composite
def exceptions(draw, kinds=tuple(KINDS), order_id=None, occurred=None):
    """A valid `ExceptionRaised` of one of the kinds: with or without options, late ones too."""
    kind = draw(st.sampled_from(kinds))
    currency = draw(st.sampled_from(["EUR", "GBP", "USD", "JPY"]))
    occurred_at = draw(occurred or instants())
    of_line = kind in LINE_KINDS
    chosen = (OptionKind.SUBSTITUTE,) if of_line else tuple(LAST_MILE_OPTIONS)
    offered = draw(lists_of_options(currency, chosen))
    choice = any(option.kind is not OptionKind.REFUND for option in offered)
    refund_needed = not choice or any(option.kind is OptionKind.REFUND for option in offered)
    exception_id = draw(ids("x"))
    return ExceptionRaised(
        event_id=draw(ids("e")),
        order_id=order_id or draw(ids("order-")),
        exception_id=exception_id,
        revision=draw(st.integers(0, 3)),
        supersedes=draw(st.sampled_from(["", "earlier"])),
        shipment_id=draw(st.sampled_from(["", "shipment-1"])),
        stop_id="" if of_line else draw(st.sampled_from(["", "stop-9"])),
        customer_ref=draw(ids("customer-")),
        store_id=draw(st.sampled_from(["store-1", "store-2"])),
        kind=kind,
        line=draw(lines(currency)) if of_line else draw(st.none() | lines(currency, short=False)),
        options=offered,
        refund_allowed=refund_needed or draw(st.booleans()),
        fulfilment_deadline_at=occurred_at + timedelta(milliseconds=draw(st.integers(0, 36 * 3_600_000))),
        picked_until_at=draw(st.none() | instants()),
        occurred_at=occurred_at,
        order_total=draw(money(currency, 30_000)),
        upstream_default=draw(known(UpstreamDefault)),
        delivery=draw(deliveries()),
    )


@st.composite
def amendments(draw, exception_id=None, order_id=None):
    currency = draw(st.sampled_from(["EUR", "GBP"]))
    occurred_at = draw(instants())
    later = st.integers(0, 36 * 3_600_000).map(lambda ms: occurred_at + timedelta(milliseconds=ms))
    return ExceptionAmended(
        event_id=draw(ids("e")),
        order_id=order_id or draw(ids("order-")),
        exception_id=exception_id or draw(ids("x")),
        revision=draw(st.integers(1, 5)),
        fulfilment_deadline_at=draw(st.none() | later),
        picked_until_at=draw(st.none() | instants()),
        quantity_available=draw(st.none() | st.integers(0, 8)),
        options=draw(st.none() | lists_of_options(currency)),
        occurred_at=occurred_at,
    )


def withdrawals(exception_id=None, order_id=None):
    return st.builds(
        ExceptionWithdrawn,
        event_id=ids("e"),
        order_id=st.just(order_id) if order_id else ids("order-"),
        exception_id=st.just(exception_id) if exception_id else ids("x"),
        revision=st.integers(0, 5),
        reason=known(WithdrawalReason),
        occurred_at=instants(),
    )


def own_choices():
    return st.builds(OwnChoice, sku=ids("sku-"), instead=ids("sku-"))


def customer_facts():
    sent_to = st.sampled_from([Channel.PUSH, Channel.SMS, Channel.EMAIL, Channel.VOICE])
    return st.builds(
        CustomerFacts,
        known=st.booleans(),
        channels=tuples(sent_to, 4),
        opted_out=tuples(sent_to, 4),
        locale=st.sampled_from(["en-GB", "en-US", "fr-FR", "de-DE"]),
        spoken_language=st.sampled_from(["en", "fr", "de"]),
        zones=tuples(st.sampled_from(ZONES)),
        contact_mode=known(ContactMode),
        never_substitute=st.booleans(),
        substitute_by_default=st.booleans(),
        allergens=tuples(st.sampled_from(ALLERGENS)),
        own_choices=tuples(own_choices()),
        price_cap=st.none() | money(),
        has_delegate=st.booleans(),
        recipient_differs=st.booleans(),
        business=st.booleans(),
        blocked_skus=tuples(ids("sku-")),
    )


@st.composite
def accepted(draw, **of):
    exception = draw(exceptions(**of))
    return ExceptionAccepted(
        event_id=exception.event_id,
        order_id=exception.order_id,
        exception=exception,
        facts=draw(customer_facts()),
    )


def contacts():
    return st.builds(
        CustomerContact,
        customer_ref=ids("customer-"),
        revision=st.integers(0, 9),
        push_tokens=tuples(ids("token-")),
        phone=st.sampled_from(["", "+447700900123"]),
        email=st.sampled_from(["", "someone@shop.example"]),
        name=st.sampled_from(["", "Zoë O'Hara"]),
        locale=st.sampled_from(["en-GB", "fr-FR"]),
        spoken_language=st.sampled_from(["en", "fr"]),
        zone=st.sampled_from(["", *ZONES]),
        country=st.sampled_from(["", "GB"]),
        postcode=st.sampled_from(["", "N1 9GU"]),
        contact_mode=known(ContactMode),
        never_substitute=st.booleans(),
        substitute_by_default=st.booleans(),
        allergens=tuples(st.sampled_from(ALLERGENS)),
        own_choices=tuples(own_choices()),
        price_cap=st.none() | money(),
        delegate_phone=st.sampled_from(["", "+447700900456"]),
        recipient_phone=st.just(""),
        business=st.booleans(),
        occurred_at=instants(),
    )


def consents():
    return st.builds(
        CustomerConsent,
        customer_ref=ids("customer-"),
        channels=st.lists(known(Channel), min_size=1, max_size=4, unique=True).map(tuple),
        opted_out=st.booleans(),
        source=st.sampled_from(["", "sms_keyword"]),
        occurred_at=instants(),
    )


def any_of(hint):
    """Any value of a record's field type that its schema can carry, sensible or not."""
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        inner = next(a for a in arguments if a is not type(None))
        return st.none() | st.deferred(lambda: any_of(inner))
    if typing.get_origin(hint) is tuple:
        return st.lists(any_of(arguments[0]), max_size=3).map(tuple)
    if hint in _PLAIN:
        return _PLAIN[hint]
    if issubclass(hint, StrEnum):
        return st.sampled_from(list(hint))
    return any_record(hint)


def any_record(kind: type[msgspec.Struct]):
    """Any record of that type that its schema can carry, sensible or not."""
    hints = {n: h for n, h in typing.get_type_hints(kind).items() if n in kind.__struct_fields__}
    return st.builds(kind, **{name: any_of(hint) for name, hint in hints.items()})


def records():
    """Any record of the catalogue."""
    return st.sampled_from(sorted(record_types().items())).flatmap(lambda row: any_record(row[1]))


def fullest(hint):
    """One value of a record's field type with every optional field there and every list of two."""
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return fullest(next(a for a in arguments if a is not type(None)))
    if typing.get_origin(hint) is tuple:
        return (fullest(arguments[0]),) * 2
    if hint in _PLAIN:
        return {str: "Zoë's", bool: True, int: -70_000, bytes: b"\0\xff", datetime: NOON}.get(
            hint, Decimal("1.5")
        )
    if issubclass(hint, StrEnum):
        return list(hint)[-1]
    hints = {n: h for n, h in typing.get_type_hints(hint).items() if n in hint.__struct_fields__}
    return hint(**{name: fullest(inner) for name, inner in hints.items()})


_PLAIN = {
    str: st.text(max_size=100),
    bool: st.booleans(),
    int: st.integers(-(2**63), 2**63 - 1),
    bytes: st.binary(max_size=100),
    datetime: st.integers(-(2**40), 2**45).map(
        lambda ms: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
    ),
    Decimal: st.integers(-(10**12) + 1, 10**12 - 1).map(lambda n: Decimal(n).scaleb(-3)),
}
