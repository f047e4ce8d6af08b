"""Which incoming records are invalid, with all reasons at once. Late is valid; so is an unknown customer."""

from datetime import datetime, timedelta
from typing import assert_never

from schemas.events import (
    Credited,
    CustomerConsent,
    CustomerContact,
    Delivered,
    ExceptionAmended,
    ExceptionRaised,
    ExceptionWithdrawn,
    LinePicked,
    OrderCancelled,
    OrderCompleted,
    ProductBlocked,
    RefusedAtDoor,
    TriggerReceived,
)
from schemas.facts import Attributes, Component, Content, Delivery, Line, Option
from schemas.faults import HORIZON, MINOR_MAX, REVISION_MAX, Faults
from schemas.words import LINE_KINDS, Kind, OptionKind, PriceKind, TriggerState

OPTIONS_MAX = 20
COMPONENTS_MAX = 10
LIST_MAX = 50
AGE_MAX = 99
# Far above any real exception, and far enough below Kafka's limit for a conversation of many.
INCOMING_BYTES_MAX = 65_536
# Ids of ours that come back hold upstream's percent-encoded, so they may be longer.
_OWN_ID_BYTES_MAX = 512

Outcome = LinePicked | Delivered | RefusedAtDoor | OrderCompleted | OrderCancelled | Credited
Incoming = (
    ExceptionRaised
    | ExceptionAmended
    | ExceptionWithdrawn
    | Outcome
    | TriggerReceived
    | CustomerContact
    | CustomerConsent
    | ProductBlocked
)


def faults(record: Incoming, size_bytes: int = 0) -> list[str]:
    """Everything that is wrong with a record of `size_bytes`, in words; empty when it is valid.

    Each reason names the field's path, what is wrong, and what its publisher must do.
    """
    match record:
        case ExceptionRaised():
            found = _raised(record)
        case ExceptionAmended():
            found = _amended(record)
        case ExceptionWithdrawn():
            found = _fact("upstream", record)
            found.identifier("exception_id", record.exception_id)
            found.number("revision", record.revision, 0, REVISION_MAX)
        case LinePicked() | Delivered() | RefusedAtDoor() | OrderCompleted() | OrderCancelled() | Credited():
            found = _outcome(record)
        case TriggerReceived():
            found = _trigger(record)
        case CustomerContact():
            found = _contact(record)
        case CustomerConsent():
            found = Faults("the source of consents")
            found.identifier("customer_ref", record.customer_ref)
            if not record.channels:
                found.add("channels", "is empty", "name the channels that it is about")
            found.count("channels", record.channels, LIST_MAX)
            found.text("source", record.source)
            found.instant("occurred_at", record.occurred_at)
        case ProductBlocked():
            found = Faults("the source of blocks")
            found.identifier("event_id", record.event_id)
            found.identifier("sku", record.sku)
            found.text("reason", record.reason)
            found.instant("occurred_at", record.occurred_at)
        case _:
            assert_never(record)
    if size_bytes > INCOMING_BYTES_MAX:
        found.add("record", f"has {size_bytes} bytes", f"keep it within {INCOMING_BYTES_MAX}")
    return found.found


def stale(occurred_at: datetime, now: datetime, retention: timedelta) -> list[str]:
    """Why a fact is too old to act on: a reset offset must not refund last month's orders."""
    age = now - occurred_at
    if age <= retention / 2:
        return []
    found = Faults("upstream")
    found.add(
        "occurred_at", f"is stale: {age} old, more than half of {retention}", "raise anew what still holds"
    )
    return found.found


def premature(occurred_at: datetime, now: datetime, skew: timedelta = timedelta(minutes=10)) -> list[str]:
    """Why a fact cannot have happened yet: a clock that is wrong must not keep a case open for years."""
    if occurred_at - now <= skew:
        return []
    found = Faults("upstream")
    found.add("occurred_at", f"is premature: {occurred_at - now} ahead of us", "set its clock")
    return found.found


def _fact(
    publisher: str, record: ExceptionRaised | ExceptionAmended | ExceptionWithdrawn | Outcome
) -> Faults:
    found = Faults(publisher)
    found.identifier("event_id", record.event_id)
    found.identifier("order_id", record.order_id)
    found.instant("occurred_at", record.occurred_at)
    return found


def _raised(raised: ExceptionRaised) -> Faults:
    found = _fact("upstream", raised)
    found.identifier("exception_id", raised.exception_id)
    found.number("revision", raised.revision, 0, REVISION_MAX)
    found.identifier("customer_ref", raised.customer_ref)
    found.identifier("store_id", raised.store_id)
    for path in ("supersedes", "shipment_id", "stop_id", "policy_hint"):
        found.identifier(path, getattr(raised, path), required=False)
    if raised.supersedes and raised.supersedes == raised.exception_id:
        found.add("supersedes", "names the exception itself", "name the earlier one")
    if raised.kind is Kind.UNKNOWN:
        found.add("kind", "is a word that this version does not know", "use a kind of the contract")
    if raised.kind in LINE_KINDS and raised.line is None:
        found.add("line", f"is missing, but {raised.kind} concerns one", "send the line")
    _picked_until(found, raised)
    if found.instant("fulfilment_deadline_at", raised.fulfilment_deadline_at) and raised.occurred_at.tzinfo:
        _deadline(found, raised.fulfilment_deadline_at, raised.occurred_at)
    # A basket may hold many lines of the highest price.
    currency = found.money("order_total", raised.order_total, "", 1000 * MINOR_MAX)
    if raised.line is not None:
        _line(found, raised.line, raised.kind, currency)
    _options(found, raised.options, currency)
    choices = {option.kind for option in raised.options} - {OptionKind.UNKNOWN, OptionKind.REFUND}
    if not raised.refund_allowed:
        for n, option in enumerate(raised.options):
            if option.kind is OptionKind.REFUND:
                found.add(f"options[{n}]", "is a refund, which is not allowed", "allow it, or leave it out")
        if not choices:
            found.add("options", "leave no choice and no refund", "offer an option, or allow the refund")
    _delivery(found, raised.delivery)
    return found


def _amended(amended: ExceptionAmended) -> Faults:
    found = _fact("upstream", amended)
    found.identifier("exception_id", amended.exception_id)
    # The exception itself has revision 0 or more, and only a higher one wins.
    found.number("revision", amended.revision, 1, REVISION_MAX)
    _picked_until(found, amended)
    deadline_at = amended.fulfilment_deadline_at
    if found.instant("fulfilment_deadline_at", deadline_at) and deadline_at and amended.occurred_at.tzinfo:
        _deadline(found, deadline_at, amended.occurred_at)
    if amended.quantity_available is not None:
        found.quantity("quantity_available", amended.quantity_available)
    options = amended.options or ()
    currencies = [c.unit_price.currency for option in options for c in option.components]
    _options(found, options, currencies[0] if currencies else "")
    return found


def _picked_until(found: Faults, record: ExceptionRaised | ExceptionAmended) -> None:
    """A done case waits for it, so that it may not be far away."""
    until_at, occurred_at = record.picked_until_at, record.occurred_at
    comparable = found.instant("picked_until_at", until_at) and occurred_at.tzinfo is not None
    if comparable and until_at is not None and until_at - occurred_at > HORIZON:
        found.add("picked_until_at", f"is {until_at - occurred_at} away", f"stay within {HORIZON}")


def _deadline(found: Faults, deadline_at: datetime, occurred_at: datetime) -> None:
    if deadline_at < occurred_at:
        found.add("fulfilment_deadline_at", "is before occurred_at", "send the real deadline")
    elif deadline_at - occurred_at > HORIZON:
        found.add("fulfilment_deadline_at", f"is {deadline_at - occurred_at} away", f"stay within {HORIZON}")


def _line(found: Faults, line: Line, kind: Kind, currency: str) -> None:
    found.identifier("line.line_id", line.line_id)
    _product(found, "line", line, currency)
    found.quantity("line.quantity_ordered", line.quantity_ordered, 1)
    found.quantity("line.quantity_available", line.quantity_available)
    if line.quantity_available > line.quantity_ordered:
        wrong = f"is {line.quantity_available}, more than the {line.quantity_ordered} ordered"
        found.add("line.quantity_available", wrong, "send how many of the ordered pieces there are")
    elif (
        kind in LINE_KINDS
        and kind is not Kind.RECALLED
        and 0 < line.quantity_ordered == line.quantity_available
    ):
        found.add("line.quantity_available", "leaves nothing short", "raise no exception, or withdraw it")
    if line.price_kind is PriceKind.UNKNOWN:
        wrong = "is a word that this version does not know"
        found.add("line.price_kind", wrong, "use a price kind of the contract")
    found.count("line.groups", line.groups, LIST_MAX)


def _options(found: Faults, options: tuple[Option, ...], currency: str) -> None:
    found.count("options", options, OPTIONS_MAX)
    first: dict[str, int] = {}
    for n, option in enumerate(options[:OPTIONS_MAX]):
        path = f"options[{n}]"
        found.identifier(f"{path}.option_id", option.option_id)
        if option.option_id in first:
            wrong = f"is the same as that of options[{first[option.option_id]}]"
            found.add(f"{path}.option_id", wrong, "give each option its own")
        first.setdefault(option.option_id, n)
        if option.kind is OptionKind.SUBSTITUTE and not option.components:
            found.add(f"{path}.components", "are missing", "name what the substitute consists of")
        found.count(f"{path}.components", option.components, COMPONENTS_MAX)
        for m, component in enumerate(option.components[:COMPONENTS_MAX]):
            _component(found, f"{path}.components[{m}]", component, currency)
        found.url(f"{path}.image_url", option.image_url)
        found.instant(f"{path}.reserved_until_at", option.reserved_until_at)
        found.span(f"{path}.slot", option.slot_from_at, option.slot_until_at)
        if option.fee is not None:
            found.money(f"{path}.fee", option.fee, currency)
        found.text(f"{path}.reference", option.reference)


def _component(found: Faults, path: str, component: Component, currency: str) -> None:
    _product(found, path, component, currency)
    found.quantity(f"{path}.quantity_default", component.quantity_default, 1)
    found.quantity(f"{path}.quantity_max", component.quantity_max, 1)
    if component.quantity_max < component.quantity_default:
        wrong = f"is {component.quantity_max}, less than the default of {component.quantity_default}"
        found.add(f"{path}.quantity_max", wrong, "send a maximum that allows the default")


def _product(found: Faults, path: str, product: Line | Component, currency: str) -> None:
    found.identifier(f"{path}.sku", product.sku)
    found.text(f"{path}.name", product.name, required=True)
    found.text(f"{path}.brand", product.brand)
    found.money(f"{path}.unit_price", product.unit_price, currency)
    if product.content is not None:
        _content(found, f"{path}.content", product.content)
    _attributes(found, f"{path}.attributes", product.attributes)


def _content(found: Faults, path: str, content: Content) -> None:
    if not content.amount.is_finite() or content.amount <= 0:
        found.add(f"{path}.amount", "is not above 0", "send what one piece holds, or no content")
    found.text(f"{path}.unit", content.unit, required=True, chars_max=16)


def _attributes(found: Faults, path: str, attributes: Attributes) -> None:
    found.number(f"{path}.age_class", attributes.age_class, 0, AGE_MAX)
    _words(found, f"{path}.allergens", attributes.allergens)
    _words(found, f"{path}.dietary", attributes.dietary)


def _words(found: Faults, path: str, words: tuple[str, ...]) -> None:
    found.count(path, words, LIST_MAX)
    for n, word in enumerate(words[:LIST_MAX]):
        found.text(f"{path}[{n}]", word, required=True)


def _delivery(found: Faults, delivery: Delivery) -> None:
    found.country("delivery.country", delivery.country)
    found.text("delivery.postcode", delivery.postcode, chars_max=16)
    found.zone("delivery.zone", delivery.zone)
    found.span("delivery.slot", delivery.slot_from_at, delivery.slot_until_at)
    found.instant("delivery.driver_eta_at", delivery.driver_eta_at)
    found.instant("delivery.cold_chain_until_at", delivery.cold_chain_until_at)
    found.count("delivery.contains", delivery.contains, LIST_MAX)
    found.hours("delivery.sale", delivery.sale_from, delivery.sale_until)


def _outcome(outcome: Outcome) -> Faults:
    found = _fact("upstream", outcome)
    match outcome:
        case LinePicked() | RefusedAtDoor():
            found.identifier("line_id", outcome.line_id)
            found.quantity("quantity", outcome.quantity)
        case Delivered():
            found.identifier("line_id", outcome.line_id)
            found.quantity("quantity", outcome.quantity)
            found.money("charged", outcome.charged, "", 1000 * MINOR_MAX)
        case Credited():
            found.identifier("line_id", outcome.line_id, required=False)
            found.money("amount", outcome.amount, "", 1000 * MINOR_MAX)
        case OrderCompleted() | OrderCancelled():
            pass
        case _:
            assert_never(outcome)
    return found


def _trigger(receipt: TriggerReceived) -> Faults:
    found = Faults("fulfilment")
    found.identifier("event_id", receipt.event_id, bytes_max=_OWN_ID_BYTES_MAX)
    found.identifier("order_id", receipt.order_id)
    found.identifier("trigger_id", receipt.trigger_id, bytes_max=_OWN_ID_BYTES_MAX)
    if receipt.state is TriggerState.UNKNOWN:
        found.add("state", "is a word that this version does not know", "send accepted, refused or done")
    found.text("reason", receipt.reason)
    found.instant("occurred_at", receipt.occurred_at)
    return found


def _contact(contact: CustomerContact) -> Faults:
    found = Faults("the source of contacts")
    found.identifier("customer_ref", contact.customer_ref)
    found.number("revision", contact.revision, 0, REVISION_MAX)
    found.instant("occurred_at", contact.occurred_at)
    found.count("push_tokens", contact.push_tokens, LIST_MAX)
    for n, token in enumerate(contact.push_tokens[:LIST_MAX]):
        found.text(f"push_tokens[{n}]", token, required=True, chars_max=4096)
    for path in ("phone", "delegate_phone", "recipient_phone"):
        found.text(path, getattr(contact, path), chars_max=40)
    found.text("email", contact.email, chars_max=254)
    found.text("name", contact.name)
    found.language("locale", contact.locale)
    found.language("spoken_language", contact.spoken_language)
    found.zone("zone", contact.zone)
    if contact.country:
        found.country("country", contact.country)
    found.text("postcode", contact.postcode, chars_max=16)
    _words(found, "allergens", contact.allergens)
    found.count("own_choices", contact.own_choices, LIST_MAX)
    for n, choice in enumerate(contact.own_choices[:LIST_MAX]):
        found.identifier(f"own_choices[{n}].sku", choice.sku)
        found.identifier(f"own_choices[{n}].instead", choice.instead)
    if contact.price_cap is not None:
        found.money("price_cap", contact.price_cap, "")
    return found
