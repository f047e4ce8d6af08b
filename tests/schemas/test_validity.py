"""Every reason of invalidity by itself, all of them in one report, and what must stay valid."""

import typing
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given

from schemas.events import (
    Credited,
    CustomerConsent,
    CustomerContact,
    Delivered,
    ExceptionAmended,
    ExceptionWithdrawn,
    LinePicked,
    OrderCancelled,
    OrderCompleted,
    ProductBlocked,
    RefusedAtDoor,
    TriggerReceived,
)
from schemas.facts import Attributes, Content, Delivery, Money, OwnChoice
from schemas.validity import INCOMING_BYTES_MAX, Incoming, faults, premature, stale
from schemas.words import Channel, Kind, OptionKind, PriceKind, TriggerState, WithdrawalReason
from tests import strategies
from tests.builders import NOON, a_component, a_delivery, a_line, an_exception, an_option
from tests.strategies import KINDS

NAIVE = datetime(2026, 3, 2, 12)  # noqa: DTZ001 - the fault itself
FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
LONG = "é" * 33  # 66 bytes
PAID = Money(100, "GBP")
INCOMING = typing.get_args(Incoming)


def with_line(**changes):
    return an_exception(line=a_line(**({"quantity_ordered": 2} | changes)))


def with_option(**changes):
    return an_exception(options=(an_option(**changes),))


def with_component(**changes):
    return with_option(components=(a_component(**({"quantity_max": 3} | changes)),))


def with_delivery(**changes):
    return an_exception(delivery=a_delivery(**changes))


def an_amendment(**changes):
    plain = ExceptionAmended(
        event_id="e2", order_id="order-1", exception_id="x1", revision=1, occurred_at=NOON
    )
    return msgspec.structs.replace(plain, **changes)


def a_contact(**changes):
    return msgspec.structs.replace(CustomerContact(customer_ref="customer-1", occurred_at=NOON), **changes)


def a_consent(**changes):
    plain = CustomerConsent(
        customer_ref="customer-1", channels=(Channel.SMS,), opted_out=True, occurred_at=NOON
    )
    return msgspec.structs.replace(plain, **changes)


def of_order(kind, **fields):
    return kind(event_id="e3", order_id="order-1", occurred_at=NOON, **fields)


def a_trigger_receipt(**changes):
    plain = of_order(TriggerReceived, trigger_id="x1.d1.t", state=TriggerState.DONE)
    return msgspec.structs.replace(plain, **changes)


def a_block(**changes):
    return msgspec.structs.replace(
        ProductBlocked(event_id="e4", sku="s", blocked=True, occurred_at=NOON), **changes
    )


INVALID = [
    # What contracts.md names.
    (
        an_exception(options=(), refund_allowed=False),
        "options: leave no choice and no refund; upstream must offer an option, or allow the refund",
    ),
    (
        an_exception(fulfilment_deadline_at=NOON - timedelta(milliseconds=1)),
        "fulfilment_deadline_at: is before occurred_at; upstream must send the real deadline",
    ),
    (with_line(unit_price=Money(-1, "GBP")), "line.unit_price: is negative (-1)"),
    (with_component(unit_price=Money(-5, "GBP")), "options[0].components[0].unit_price: is negative (-5)"),
    (with_option(fee=Money(-1, "GBP")), "options[0].fee: is negative (-1)"),
    (an_exception(order_total=Money(-1, "GBP")), "order_total: is negative (-1)"),
    (
        with_line(unit_price=Money(199, "EUR")),
        "line.unit_price.currency: is EUR, but the order is in GBP",
    ),
    (with_component(unit_price=Money(199, "USD")), "options[0].components[0].unit_price.currency: is USD"),
    (with_option(fee=Money(100, "USD")), "options[0].fee.currency: is USD, but the order is in GBP"),
    (
        an_exception(options=(an_option(), an_option(option_id="o2"), an_option())),
        "options[2].option_id: is the same as that of options[0]",
    ),
    (
        an_exception(exception_id=LONG, event_id="e1"),
        "exception_id: has 66 bytes; upstream must keep identifiers within 64",
    ),
    (an_exception(event_id=LONG), "event_id: has 66 bytes"),
    (an_exception(order_id="o" * 65), "order_id: has 65 bytes"),
    (an_exception(customer_ref=LONG), "customer_ref: has 66 bytes"),
    (an_exception(store_id=LONG), "store_id: has 66 bytes"),
    (an_exception(supersedes=LONG), "supersedes: has 66 bytes"),
    (an_exception(shipment_id=LONG), "shipment_id: has 66 bytes"),
    (an_exception(stop_id=LONG), "stop_id: has 66 bytes"),
    (an_exception(policy_hint=LONG), "policy_hint: has 66 bytes"),
    (with_line(line_id=LONG), "line.line_id: has 66 bytes"),
    (with_line(sku=LONG), "line.sku: has 66 bytes"),
    (with_option(option_id=LONG), "options[0].option_id: has 66 bytes"),
    (with_component(sku=LONG), "options[0].components[0].sku: has 66 bytes"),
    # Identifiers.
    (an_exception(exception_id=""), "exception_id: is empty; upstream must send an identifier"),
    (an_exception(order_id="  "), "order_id: is empty"),
    (an_exception(event_id=""), "event_id: is empty"),
    (an_exception(customer_ref=""), "customer_ref: is empty"),
    (an_exception(store_id=""), "store_id: is empty"),
    (an_exception(order_id="a\nb"), "order_id: has control characters"),
    (an_exception(supersedes="x1"), "supersedes: names the exception itself"),
    (an_exception(revision=-1), "revision: is -1"),
    # What it is about.
    (an_exception(kind=Kind.UNKNOWN), "kind: is a word that this version does not know"),
    (an_exception(line=None), "line: is missing, but item_unavailable concerns one"),
    (
        an_exception(
            kind=Kind.DELIVERY_MISSED,
            options=(an_option(kind=OptionKind.PICKUP), an_option(option_id="o2", kind=OptionKind.REFUND)),
            refund_allowed=False,
        ),
        "options[1]: is a refund, which is not allowed",
    ),
    (
        an_exception(
            kind=Kind.DELIVERY_MISSED, options=(an_option(kind=OptionKind.UNKNOWN),), refund_allowed=False
        ),
        "options: leave no choice and no refund",
    ),
    # Quantities.
    (with_line(quantity_ordered=0), "line.quantity_ordered: is 0; upstream must send a number from 1"),
    (with_line(quantity_ordered=10_001), "line.quantity_ordered: is 10001"),
    (with_line(quantity_available=-1), "line.quantity_available: is -1"),
    (with_line(quantity_available=3), "line.quantity_available: is 3, more than the 2 ordered"),
    (with_line(quantity_available=2), "line.quantity_available: leaves nothing short"),
    (with_component(quantity_default=0), "options[0].components[0].quantity_default: is 0"),
    (
        with_component(quantity_default=4),
        "options[0].components[0].quantity_max: is 3, less than the default of 4",
    ),
    (with_component(quantity_max=10_001), "options[0].components[0].quantity_max: is 10001"),
    # Prices.
    (with_line(unit_price=Money(10**9 + 1, "GBP")), "line.unit_price: is 1000000001 minor units"),
    (an_exception(order_total=Money(10**12 + 1, "GBP")), "order_total: is 1000000000001 minor units"),
    (an_exception(order_total=Money(1, "euro")), "order_total.currency: is no ISO 4217 code"),
    (with_line(price_kind=PriceKind.UNKNOWN), "line.price_kind: is a word that this version does not know"),
    # Products.
    (with_line(sku=""), "line.sku: is empty"),
    (with_line(line_id=""), "line.line_id: is empty"),
    (with_line(name=""), "line.name: is empty"),
    (with_line(name="x" * 201), "line.name: has 201 characters"),
    (with_line(name="Milk\x00"), "line.name: has control characters"),
    (with_line(brand="\u202eyltaO"), "line.brand: has control characters"),
    (with_component(name="Milk\ud800"), "options[0].components[0].name: has control characters"),
    (with_component(name=" "), "options[0].components[0].name: is empty"),
    (with_line(content=Content(Decimal(0), "g")), "line.content.amount: is not above 0"),
    (with_line(content=Content(Decimal("NaN"), "g")), "line.content.amount: is not above 0"),
    (with_line(content=Content(Decimal(1), "")), "line.content.unit: is empty"),
    (with_line(attributes=Attributes(age_class=-1)), "line.attributes.age_class: is -1"),
    (with_line(attributes=Attributes(allergens=("",))), "line.attributes.allergens[0]: is empty"),
    (with_line(attributes=Attributes(dietary=("x",) * 51)), "line.attributes.dietary: has 51 entries"),
    # Options.
    (with_option(option_id=""), "options[0].option_id: is empty"),
    (with_option(components=()), "options[0].components: are missing"),
    (with_option(components=(a_component(),) * 11), "options[0].components: has 11 entries"),
    (
        an_exception(options=tuple(an_option(option_id=f"o{n}") for n in range(21))),
        "options: has 21 entries; upstream must send at most 20",
    ),
    (with_option(image_url="javascript:alert(1)"), "options[0].image_url: is no web address"),
    (
        with_option(slot_from_at=NOON, slot_until_at=NOON),
        "options[0].slot_until_at: is not after the slot's start",
    ),
    (with_option(reference="x" * 201), "options[0].reference: has 201 characters"),
    # Instants.
    (an_exception(occurred_at=NAIVE), "occurred_at: has no time zone"),
    (an_exception(fulfilment_deadline_at=NAIVE), "fulfilment_deadline_at: has no time zone"),
    (an_exception(picked_until_at=NAIVE), "picked_until_at: has no time zone"),
    (with_option(reserved_until_at=NAIVE), "options[0].reserved_until_at: has no time zone"),
    (
        an_exception(fulfilment_deadline_at=NOON + timedelta(days=367)),
        "fulfilment_deadline_at: is 367 days, 0:00:00 away",
    ),
    (
        an_exception(picked_until_at=NOON + timedelta(days=367)),
        "picked_until_at: is 367 days, 0:00:00 away",
    ),
    # What some clocks say instead of nothing: a margin before the first instant, or after the last, is none.
    (
        with_option(reserved_until_at=FIRST),
        "options[0].reserved_until_at: is in the year 1; upstream must send",
    ),
    (with_option(slot_until_at=LAST), "options[0].slot_until_at: is in the year 9999"),
    (with_delivery(slot_from_at=FIRST), "delivery.slot_from_at: is in the year 1;"),
    (with_delivery(cold_chain_until_at=LAST), "delivery.cold_chain_until_at: is in the year 9999"),
    (an_amendment(picked_until_at=NOON + timedelta(days=367)), "picked_until_at: is 367 days, 0:00:00 away"),
    # Delivery.
    (with_delivery(country=""), "delivery.country: is no ISO 3166 country code"),
    (with_delivery(country="fr"), "delivery.country: is no ISO 3166 country code"),
    (with_delivery(zone="Europe/Atlantis"), "delivery.zone: is no known time zone"),
    (with_delivery(zone="../etc/passwd"), "delivery.zone: is no known time zone"),
    (
        with_delivery(slot_from_at=NOON, slot_until_at=NOON - timedelta(hours=1)),
        "delivery.slot_until_at: is not after the slot's start",
    ),
    (with_delivery(slot_from_at=NAIVE, slot_until_at=NOON), "delivery.slot_from_at: has no time zone"),
    (with_delivery(driver_eta_at=NAIVE), "delivery.driver_eta_at: has no time zone"),
    (with_delivery(cold_chain_until_at=NAIVE), "delivery.cold_chain_until_at: has no time zone"),
    (with_delivery(sale_from="8:00", sale_until="22:00"), "delivery.sale_from: is no time of day"),
    (with_delivery(sale_from="08:00", sale_until="24:00"), "delivery.sale_until: is no time of day"),
    (with_delivery(sale_from="08:00"), "delivery.sale_until: is missing"),
    (with_delivery(sale_until="08:00"), "delivery.sale_from: is missing"),
    (with_delivery(sale_from="08:00", sale_until="08:00"), "delivery.sale_until: equals delivery.sale_from"),
    # Amendments and withdrawals.
    (an_amendment(exception_id=""), "exception_id: is empty"),
    (an_amendment(order_id=""), "order_id: is empty"),
    (an_amendment(revision=0), "revision: is 0; upstream must send a number from 1"),
    (
        an_amendment(fulfilment_deadline_at=NOON - timedelta(seconds=1)),
        "fulfilment_deadline_at: is before occurred_at",
    ),
    (an_amendment(quantity_available=-1), "quantity_available: is -1"),
    (an_amendment(options=(an_option(), an_option())), "options[1].option_id: is the same"),
    (
        an_amendment(
            options=(
                an_option(),
                an_option(option_id="o2", components=(a_component(unit_price=Money(1, "EUR")),)),
            )
        ),
        "options[1].components[0].unit_price.currency: is EUR, but the order is in GBP",
    ),
    (
        of_order(ExceptionWithdrawn, exception_id="", reason=WithdrawalReason.FOUND),
        "exception_id: is empty",
    ),
    (
        of_order(ExceptionWithdrawn, exception_id="x1", revision=-1, reason=WithdrawalReason.FOUND),
        "revision: is -1",
    ),
    # Outcomes.
    (of_order(LinePicked, line_id="", quantity=1), "line_id: is empty"),
    (of_order(LinePicked, line_id="l1", quantity=-1), "quantity: is -1"),
    (of_order(RefusedAtDoor, line_id="l1", quantity=-1), "quantity: is -1"),
    (of_order(Delivered, line_id="l1", quantity=1, charged=Money(-1, "GBP")), "charged: is negative (-1)"),
    (of_order(Credited, amount=Money(-1, "GBP")), "amount: is negative (-1)"),
    (OrderCompleted(event_id="e", order_id="", occurred_at=NOON), "order_id: is empty"),
    (OrderCancelled(event_id="e", order_id="o", occurred_at=NAIVE), "occurred_at: has no time zone"),
    # Receipts, contacts, consents, blocks: each names its own publisher.
    (a_trigger_receipt(trigger_id=""), "trigger_id: is empty; fulfilment must send an identifier"),
    (a_trigger_receipt(state=TriggerState.UNKNOWN), "state: is a word that this version does not know"),
    (a_trigger_receipt(reason="x" * 201), "reason: has 201 characters"),
    (a_contact(customer_ref=""), "customer_ref: is empty; the source of contacts must send an identifier"),
    (a_contact(phone="0" * 41), "phone: has 41 characters"),
    (a_contact(email="a@b\r\nBcc: c@d"), "email: has control characters"),
    (a_contact(name="x" * 201), "name: has 201 characters"),
    (a_contact(locale=""), "locale: is no language tag"),
    (a_contact(spoken_language="english please"), "spoken_language: is no language tag"),
    (a_contact(zone="Mars/Base"), "zone: is no known time zone"),
    (a_contact(country="France"), "country: is no ISO 3166 country code"),
    (a_contact(price_cap=Money(-1, "GBP")), "price_cap: is negative (-1)"),
    (a_contact(push_tokens=("",)), "push_tokens[0]: is empty"),
    (a_contact(own_choices=(OwnChoice(sku="", instead="b"),)), "own_choices[0].sku: is empty"),
    (a_contact(allergens=("\x07",)), "allergens[0]: has control characters"),
    (a_contact(occurred_at=NAIVE), "occurred_at: has no time zone"),
    (a_consent(channels=()), "channels: is empty; the source of consents must"),
    (a_consent(customer_ref=LONG), "customer_ref: has 66 bytes"),
    (a_block(sku=""), "sku: is empty; the source of blocks must send an identifier"),
    (a_block(occurred_at=NAIVE), "occurred_at: has no time zone"),
]


@pytest.mark.parametrize(("record", "reason"), INVALID, ids=[reason[:60] for _, reason in INVALID])
def test_each_reason_is_found_by_itself_and_alone(record, reason):
    (found,) = faults(record)
    assert found.startswith(reason)
    assert " must " in found


def test_a_record_over_the_limit_is_refused():
    assert faults(an_exception(), INCOMING_BYTES_MAX) == []
    (found,) = faults(an_exception(), INCOMING_BYTES_MAX + 1)
    assert found == "record: has 65537 bytes; upstream must keep it within 65536"


def test_all_faults_stand_in_one_report():
    wrong = an_exception(
        exception_id="",
        kind=Kind.PARTLY_AVAILABLE,
        line=a_line(quantity_available=7, unit_price=Money(-1, "EUR"), name=""),
        options=(
            an_option(components=(a_component(quantity_default=10),)),
            an_option(components=(), image_url="file:///etc/passwd"),
        ),
        fulfilment_deadline_at=NOON - timedelta(hours=1),
        delivery=Delivery(country="?", zone="?", sale_from="?"),
    )
    paths = [found.split(": ")[0] for found in faults(wrong, 10**6)]
    assert paths == [
        "exception_id",
        "fulfilment_deadline_at",
        "line.name",
        "line.unit_price",
        "line.unit_price.currency",
        "line.quantity_available",
        "options[0].components[0].quantity_max",
        "options[1].option_id",
        "options[1].components",
        "options[1].image_url",
        "delivery.country",
        "delivery.zone",
        "delivery.sale_from",
        "delivery.sale_until",
        "record",
    ]


def test_a_fault_never_repeats_what_a_customer_wrote():
    secret = "0044 7700 900123 Zoë"
    wrong = a_contact(
        phone=secret * 9, email=secret + "\n", name=secret * 20, zone=secret, locale=secret, country=secret
    )
    assert len(faults(wrong)) == 6
    assert not any("7700" in found or "Zoë" in found for found in faults(wrong))


@given(strategies.exceptions())
def test_valid_exceptions_of_every_kind_pass(exception):
    assert faults(exception) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_plain_exception_of_each_kind_passes(kind):
    assert faults(an_exception(kind=kind)) == []


@given(strategies.amendments())
def test_valid_amendments_pass(amendment):
    assert faults(amendment) == []


@given(strategies.withdrawals())
def test_valid_withdrawals_pass(withdrawal):
    assert faults(withdrawal) == []


@given(strategies.contacts(), strategies.consents())
def test_valid_contacts_and_consents_pass(contact, consent):
    assert faults(contact) == []
    assert faults(consent) == []


@pytest.mark.parametrize(
    "record",
    [
        an_amendment(),
        an_amendment(options=()),
        of_order(LinePicked, line_id="l1", quantity=0),
        of_order(Delivered, line_id="l1", quantity=2, charged=PAID),
        of_order(RefusedAtDoor, line_id="l1", quantity=1),
        of_order(OrderCompleted),
        of_order(OrderCancelled),
        of_order(Credited, amount=PAID),
        a_trigger_receipt(),
        a_trigger_receipt(trigger_id="%20" * 64 + ".d12.t"),
        a_block(),
    ],
    ids=lambda record: type(record).__name__,
)
def test_the_other_records_pass_when_they_are_plain(record):
    assert faults(record) == []


@pytest.mark.parametrize(
    "exception",
    [
        # Late is valid: the default is applied and announced.
        an_exception(fulfilment_deadline_at=NOON),
        an_exception(picked_until_at=NOON - timedelta(minutes=5)),
        # So is a refund as the only way out.
        an_exception(options=()),
        # A new word in an option makes that option unusable, not the exception.
        an_exception(options=(an_option(kind=OptionKind.UNKNOWN), an_option(option_id="o2"))),
        # The slot of a delivery and the zone may be unknown; a bar may sell past midnight.
        with_delivery(zone="", postcode=""),
        with_delivery(slot_until_at=None),
        with_delivery(sale_from="18:00", sale_until="02:00"),
        with_line(name="Crème fraîche 30 % 🧀", attributes=Attributes(age_class=18)),
        with_line(unit_price=Money(0, "GBP"), quantity_ordered=10_000),
    ],
)
def test_what_is_unusual_but_valid_passes(exception):
    assert faults(exception) == []


def test_any_record_that_can_be_decoded_is_judged_without_raising():
    @given(strategies.records())
    def judged(record):
        if isinstance(record, INCOMING):
            assert all(isinstance(found, str) for found in faults(record))

    judged()


def test_a_fact_older_than_half_the_retention_is_stale():
    week = timedelta(days=7)
    assert stale(NOON, NOON + week / 2, week) == []
    (found,) = stale(NOON, NOON + week / 2 + timedelta(seconds=1), week)
    assert found.startswith("occurred_at: is stale: 3 days, 12:00:01 old")
    assert stale(NOON + timedelta(days=1), NOON, week) == []


def test_a_fact_from_the_future_is_premature_beyond_a_small_skew():
    assert premature(NOON + timedelta(minutes=10), NOON) == []
    (found,) = premature(NOON + timedelta(minutes=11), NOON)
    assert found == "occurred_at: is premature: 0:11:00 ahead of us; upstream must set its clock"
    assert premature(datetime(2020, 1, 1, tzinfo=UTC), NOON) == []


def test_a_recall_may_come_while_every_piece_still_lies_there():
    line = a_line(quantity_ordered=2, quantity_available=2)
    assert faults(an_exception(kind=Kind.RECALLED, line=line)) == []
