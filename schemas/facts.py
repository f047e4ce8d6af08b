"""The values that events and commands share: products, options, deliveries, what is known of a customer."""

from datetime import datetime
from decimal import Decimal

import msgspec

from schemas.words import (
    Actor,
    Channel,
    ContactMode,
    Contents,
    EvidencePart,
    Group,
    OptionKind,
    PriceKind,
    RefundForm,
    Resolution,
    Storage,
)


class Value(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A value without identity. Fields are only ever appended, with defaults: states in RocksDB hold them."""


class Money(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An amount in minor units of an ISO 4217 currency."""

    minor: int
    currency: str


class Content(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What one piece holds, such as 500 g; `unit` is `g`, `ml` or `piece`."""

    amount: Decimal
    unit: str


class Attributes(Value, frozen=True, kw_only=True):
    """What decides whether a product is safe for somebody; `age_class` is the least age in years."""

    allergens: tuple[str, ...] = ()
    allergens_known: bool = False
    age_class: int = 0
    dietary: tuple[str, ...] = ()
    storage: Storage = Storage.AMBIENT
    medicine: bool = False
    infant: bool = False


class Component(Value, frozen=True, kw_only=True):
    """One product of an option; `quantity_default` pieces of it replace all that the line is short of."""

    sku: str
    name: str
    brand: str = ""
    content: Content | None = None
    quantity_default: int = 1
    quantity_max: int = 1
    price_kind: PriceKind = PriceKind.FIXED
    unit_price: Money
    attributes: Attributes = Attributes()


class Option(Value, frozen=True, kw_only=True):
    """One thing that the customer may choose. Places and addresses are references, never text."""

    option_id: str
    kind: OptionKind = OptionKind.SUBSTITUTE
    components: tuple[Component, ...] = ()
    image_url: str = ""
    reserved_until_at: datetime | None = None
    slot_from_at: datetime | None = None
    slot_until_at: datetime | None = None
    fee: Money | None = None
    reference: str = ""


class Line(Value, frozen=True, kw_only=True):
    """The ordered line that cannot be fulfilled as ordered."""

    line_id: str
    sku: str
    name: str
    brand: str = ""
    content: Content | None = None
    quantity_ordered: int
    quantity_available: int = 0
    price_kind: PriceKind = PriceKind.FIXED
    unit_price: Money
    tax_included: bool = True
    groups: tuple[Group, ...] = ()
    attributes: Attributes = Attributes()


class Delivery(Value, frozen=True, kw_only=True):
    """Where and when; `sale_from`/`sale_until` are local times `HH:MM` for age-restricted goods."""

    country: str
    postcode: str = ""
    zone: str = ""
    slot_from_at: datetime | None = None
    slot_until_at: datetime | None = None
    driver_eta_at: datetime | None = None
    contains: tuple[Contents, ...] = ()
    cold_chain_until_at: datetime | None = None
    sale_from: str = ""
    sale_until: str = ""


class OwnChoice(Value, frozen=True, kw_only=True):
    """The customer's stored wish: instead of `sku`, take `instead`."""

    sku: str
    instead: str


class CustomerFacts(Value, frozen=True, kw_only=True):
    """What intake knows of a customer that is no personal data; the unknown may become known later."""

    known: bool = False
    channels: tuple[Channel, ...] = ()
    opted_out: tuple[Channel, ...] = ()
    locale: str = "en-GB"
    spoken_language: str = "en"
    zones: tuple[str, ...] = ()
    contact_mode: ContactMode = ContactMode.ANY
    never_substitute: bool = False
    substitute_by_default: bool = False
    allergens: tuple[str, ...] = ()
    own_choices: tuple[OwnChoice, ...] = ()
    price_cap: Money | None = None
    has_delegate: bool = False
    recipient_differs: bool = False
    business: bool = False
    blocked_skus: tuple[str, ...] = ()
    # Salted hashes of the customer, 0 to 9999: in which share of a pilot and of a holdout one falls.
    pilot_point: int = 0
    arm_point: int = 0

    def may_use(self, channel: Channel) -> bool:
        """There is an address, and the customer's contact mode allows the channel."""
        if channel not in self.channels:
            return False
        mode = self.contact_mode
        if mode is ContactMode.ANY:
            return True
        if mode is ContactMode.SMS_ONLY:
            return channel is Channel.SMS
        # A newer word is a wish that we cannot read: the loudest channel waits for a version that can.
        quiet = mode in (ContactMode.NO_VOICE, ContactMode.UNKNOWN)
        return not (quiet and channel is Channel.VOICE)


class Replacement(Value, frozen=True, kw_only=True):
    """What is picked instead: so many pieces of one product, at this price each."""

    sku: str
    name: str
    pieces: int
    unit_price: Money


class Chosen(Value, frozen=True, kw_only=True):
    """So many of the ordered pieces are replaced by an option; `components` is filled in by the decision."""

    option_id: str
    quantity: int
    components: tuple[Replacement, ...] = ()


class Decision(Value, frozen=True, kw_only=True):
    """The accepted resolution of one case; quantities add up to what was ordered."""

    decision_id: str
    case_id: str
    version: int
    replaces_version: int = 0
    resolution: Resolution
    keep_quantity: int = 0
    chosen: tuple[Chosen, ...] = ()
    refund_quantity: int = 0
    refund_form: RefundForm = RefundForm.NOT_CHARGED
    actor: Actor
    channel: Channel = Channel.UNKNOWN
    policy: str
    price_before: Money | None = None
    price_after: Money | None = None
    absorbed: Money | None = None
    readback: str = ""
    response_id: str = ""
    reference: str = ""
    decided_at: datetime


class EvidencePointer(Value, frozen=True, kw_only=True):
    """Where sealed evidence lies; the bytes never enter Kafka. `sha256` is over the stored ciphertext."""

    bucket: str
    key: str
    version: str
    sha256: str
    parts: tuple[EvidencePart, ...] = ()
