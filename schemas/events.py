"""What happened: the records of the incoming topics and of `case.events.v1`, the workers' only source."""

from datetime import datetime

import msgspec

from schemas.facts import (
    Chosen,
    CustomerFacts,
    Delivery,
    EvidencePointer,
    Line,
    Money,
    Option,
    OwnChoice,
)
from schemas.words import (
    Channel,
    ContactMode,
    EvidencePart,
    Kind,
    ReceiptState,
    Responder,
    Signal,
    SwitchScope,
    TriggerState,
    UpstreamDefault,
    WithdrawalReason,
    WriteBackOutcome,
)


class Fact(msgspec.Struct, frozen=True, array_like=True, kw_only=True, gc=False):
    """A fact about one order; `event_id` lets every reader drop repeats. Fields are only ever appended."""

    event_id: str
    order_id: str


# order.exceptions.v1


class ExceptionRaised(Fact, frozen=True, kw_only=True):
    """One line cannot be fulfilled as ordered, or a delivery failed. `exception_id` is the case id."""

    exception_id: str
    revision: int = 0
    supersedes: str = ""
    shipment_id: str = ""
    stop_id: str = ""
    customer_ref: str
    store_id: str
    kind: Kind
    line: Line | None = None
    options: tuple[Option, ...] = ()
    refund_allowed: bool = True
    fulfilment_deadline_at: datetime
    picked_until_at: datetime | None = None
    occurred_at: datetime
    order_total: Money
    upstream_default: UpstreamDefault = UpstreamDefault.CANCEL_LINE
    delivery: Delivery
    policy_hint: str = ""


class ExceptionAmended(Fact, frozen=True, kw_only=True):
    """A higher `revision` wins; a field that is not given stays as it was."""

    exception_id: str
    revision: int
    fulfilment_deadline_at: datetime | None = None
    picked_until_at: datetime | None = None
    quantity_available: int | None = None
    options: tuple[Option, ...] | None = None
    occurred_at: datetime


class ExceptionWithdrawn(Fact, frozen=True, kw_only=True):
    """The exception no longer holds; remembered even when it arrives before the exception."""

    exception_id: str
    revision: int = 0
    reason: WithdrawalReason
    occurred_at: datetime


# order.outcomes.v1


class LinePicked(Fact, frozen=True, kw_only=True):
    line_id: str
    quantity: int
    occurred_at: datetime


class Delivered(Fact, frozen=True, kw_only=True):
    line_id: str
    quantity: int
    charged: Money
    occurred_at: datetime


class RefusedAtDoor(Fact, frozen=True, kw_only=True):
    line_id: str
    quantity: int
    occurred_at: datetime


class OrderCompleted(Fact, frozen=True, kw_only=True):
    occurred_at: datetime


class OrderCancelled(Fact, frozen=True, kw_only=True):
    occurred_at: datetime


class Credited(Fact, frozen=True, kw_only=True):
    line_id: str = ""
    amount: Money
    occurred_at: datetime


# case.events.v1, beside the above


class ExceptionAccepted(Fact, frozen=True, kw_only=True):
    """A valid exception, enriched by intake with facts that are no personal data."""

    exception: ExceptionRaised
    facts: CustomerFacts


class Answer(msgspec.Struct, frozen=True, array_like=True, kw_only=True, gc=False):
    """A choice for one case, named by id, by letter, or not at all where only one is open.

    `key` is the number as offered (0 is the refund); `decision_version` is the version that the sender saw,
    None where the channel names none (SMS). `confirmed` is an explicit yes after a readback or beside a
    total.
    """

    case_id: str = ""
    letter: str = ""
    key: int | None = None
    option_id: str = ""
    chosen: tuple[Chosen, ...] = ()
    keep_quantity: int | None = None
    refund_quantity: int | None = None
    decision_version: int | None = None
    total_shown: Money | None = None
    confirmed: bool = False
    readback: str = ""
    reference: str = ""


class ResponseReceived(Fact, frozen=True, kw_only=True):
    """What somebody answered on a channel. `sealed` is ciphertext under the customer's key."""

    channel: Channel
    command_id: str = ""
    responder: Responder = Responder.CUSTOMER
    signal: Signal = Signal.NONE
    answers: tuple[Answer, ...] = ()
    logged_in: bool = False
    spoken: bool = False
    later_at: datetime | None = None
    rating: int | None = None
    sealed: bytes = b""
    confidence_percent: int = 100
    received_at: datetime


class ReceiptReceived(Fact, frozen=True, kw_only=True):
    """What became of a channel command; calls order theirs by `sequence`."""

    command_id: str
    channel: Channel
    state: ReceiptState
    reason: str = ""
    sequence: int = 0
    provider_id: str = ""
    recorded: bool = False
    recording_refused: bool = False
    occurred_at: datetime


class WriteBackReceived(Fact, frozen=True, kw_only=True):
    """The OMS's word on an update; `line_quantity` is what the line holds now, where that is the conflict."""

    case_id: str
    update_id: str
    outcome: WriteBackOutcome
    code: str = ""
    differences: tuple[str, ...] = ()
    line_quantity: int | None = None
    snapshot_sha256: str = ""
    occurred_at: datetime


class TriggerReceived(Fact, frozen=True, kw_only=True):
    """fulfilment.receipts.v1: a trigger was accepted, refused or done."""

    trigger_id: str
    state: TriggerState
    reason: str = ""
    occurred_at: datetime


class EvidenceStored(Fact, frozen=True, kw_only=True):
    """case.evidence.v1: sealed, stored, read back."""

    case_id: str
    request_id: str
    pointer: EvidencePointer
    missing: tuple[EvidencePart, ...] = ()
    occurred_at: datetime


class ContactChanged(Fact, frozen=True, kw_only=True):
    facts: CustomerFacts
    occurred_at: datetime


class ConsentChanged(Fact, frozen=True, kw_only=True):
    channels: tuple[Channel, ...]
    opted_out: bool
    source: str = ""
    occurred_at: datetime


# customer.contacts.v1 and customer.consents.v1, the only place where addresses stand in clear


class CustomerContact(msgspec.Struct, frozen=True, kw_only=True):
    """A customer's addresses and wishes; a higher `revision` wins."""

    customer_ref: str
    revision: int = 0
    push_tokens: tuple[str, ...] = ()
    phone: str = ""
    email: str = ""
    name: str = ""
    locale: str = "en-GB"
    spoken_language: str = "en"
    zone: str = ""
    country: str = ""
    postcode: str = ""
    contact_mode: ContactMode = ContactMode.ANY
    never_substitute: bool = False
    substitute_by_default: bool = False
    allergens: tuple[str, ...] = ()
    own_choices: tuple[OwnChoice, ...] = ()
    price_cap: Money | None = None
    delegate_phone: str = ""
    recipient_phone: str = ""
    business: bool = False
    occurred_at: datetime


class CustomerConsent(msgspec.Struct, frozen=True, kw_only=True):
    """An opt-out or a renewal; outranks the contact record until an explicit newer renewal."""

    customer_ref: str
    channels: tuple[Channel, ...]
    opted_out: bool
    source: str = ""
    occurred_at: datetime


# Once to each partition: folded by the ledger into one record of conditions.


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """A fact about the whole partition's surroundings; it belongs to no order."""

    event_id: str
    occurred_at: datetime


class ChannelHealthChanged(Condition, frozen=True, kw_only=True):
    channel: Channel
    healthy: bool


class VoiceQueueChanged(Condition, frozen=True, kw_only=True):
    delay_ms: int


class KillSwitchChanged(Condition, frozen=True, kw_only=True):
    scope: SwitchScope
    name: str
    on: bool


class ProductBlocked(Condition, frozen=True, kw_only=True):
    """product.blocks.v1: recalls and sales stops; overrides every snapshot."""

    sku: str
    blocked: bool
    reason: str = ""


ConditionEvent = ChannelHealthChanged | VoiceQueueChanged | KillSwitchChanged | ProductBlocked

CaseEvent = (
    ExceptionAccepted
    | ExceptionAmended
    | ExceptionWithdrawn
    | ResponseReceived
    | ReceiptReceived
    | WriteBackReceived
    | TriggerReceived
    | EvidenceStored
    | ContactChanged
    | ConsentChanged
    | LinePicked
    | Delivered
    | RefusedAtDoor
    | OrderCompleted
    | OrderCancelled
    | Credited
)
