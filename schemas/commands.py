"""What is asked of others: channel commands, holds, updates, triggers, evidence, and the case as shown."""

from datetime import datetime

import msgspec

from schemas.facts import Decision, EvidencePointer, Money, Value
from schemas.words import (
    Actor,
    Arm,
    CaseState,
    Channel,
    CloseReason,
    EvidencePart,
    EvidencePath,
    HoldState,
    Kind,
    Mode,
    Purpose,
    Resolution,
    TriggerKind,
)


class Spoken(Value, frozen=True, kw_only=True):
    """What a call needs to speak about an option.

    `totals_minor` are the order's new totals for 1, 2, ... pieces with the rest refunded; empty where they do not go
    by the piece. Allergens None: unknown.
    """

    brand: str = ""
    size: str = ""
    allergens: tuple[str, ...] | None = None
    unit_price_minor: int = 0
    own_choice: bool = False
    totals_minor: tuple[int, ...] = ()
    skus: tuple[str, ...] = ()
    reserved_until_at: datetime | None = None


class OfferedOption(Value, frozen=True, kw_only=True):
    """An option as it is shown: `key` is what is pressed; `total` is the whole order's new total.

    `skus` is what it consists of, so that a block that comes meanwhile finds it.
    """

    key: int
    option_id: str
    name: str
    quantity: int
    price: Money
    total: Money
    dearer: Money | None = None
    at_old_price: bool = False
    less_content: bool = False
    while_stocks_last: bool = False
    ranked_because: str = ""
    spoken: Spoken | None = None
    skus: tuple[str, ...] = ()


class RefusedOption(Value, frozen=True, kw_only=True):
    """An option that is not offered, with every reason."""

    option_id: str
    reasons: tuple[str, ...]


class OfferedCase(Value, frozen=True, kw_only=True):
    """One case inside a message or call; `letter` is empty when it is the only one.

    `gift` marks what only the buyer may hear: nobody else who answers is told contents or prices.
    `total` is the order's, with all that was decided; `refund_total` what it would be with this line refunded.
    """

    case_id: str
    letter: str = ""
    kind: Kind
    decision_version: int
    line_name: str = ""
    quantity_short: int = 0
    options: tuple[OfferedOption, ...] = ()
    more: int = 0
    refused: tuple[RefusedOption, ...] = ()
    refund_allowed: bool = True
    standing: Decision | None = None
    gift: bool = False
    total: Money | None = None
    refund_total: Money | None = None


class Command(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """`command_id` is deterministic and is the idempotency key."""

    command_id: str
    order_id: str


class ChannelCommand(Command, frozen=True, kw_only=True):
    """Ask a connector to send or dial, unless it is later than `not_after_at`.

    `zones` are those whose quiet hours hold, and between the two exempt instants none do.
    """

    conversation_id: str
    customer_ref: str
    store_id: str
    channel: Channel
    purpose: Purpose
    about: tuple[str, ...] = ()
    step: str = ""
    attempt: int = 1
    reason: str = ""
    cases: tuple[OfferedCase, ...] = ()
    respond_by_at: datetime | None = None
    not_after_at: datetime
    silent: bool = False
    locale: str = "en-GB"
    script: str = ""
    policy: str = ""
    reply_to: str = ""
    issued_at: datetime
    zones: tuple[str, ...] = ()
    quiet_exempt_from_at: datetime | None = None
    quiet_exempt_until_at: datetime | None = None


class ChannelCancel(Command, frozen=True, kw_only=True):
    """Take back a queued send or a ringing call; a call in progress is told instead."""

    cancels: str
    channel: Channel
    reason: str
    issued_at: datetime


class LineHold(Command, frozen=True, kw_only=True):
    """What the picker sees. Pickers never wait: `until_at` is no later than the tote closes."""

    case_id: str
    store_id: str
    line_id: str
    state: HoldState
    until_at: datetime | None = None
    default: Resolution = Resolution.UNKNOWN
    decision: Decision | None = None
    issued_at: datetime


class OrderUpdate(Command, frozen=True, kw_only=True):
    """One a decision version; `command_id` is the decision's id. `attempt` tells a retry apart."""

    case_id: str
    customer_ref: str
    store_id: str
    line_id: str
    attempt: int = 1
    expected_quantity: int
    decision: Decision
    issued_at: datetime


class FulfilmentTrigger(Command, frozen=True, kw_only=True):
    """Release, refund, redeliver...; names the trigger that it supersedes."""

    case_id: str
    store_id: str
    kind: TriggerKind
    decision_version: int
    supersedes: str = ""
    line_id: str = ""
    quantity: int = 0
    reference: str = ""
    issued_at: datetime


class EvidenceRequest(Command, frozen=True, kw_only=True):
    """Gather, seal and store the named parts for one decision version; `commands` were issued until now."""

    conversation_id: str
    case_id: str
    customer_ref: str
    path: EvidencePath
    parts: tuple[EvidencePart, ...]
    decision: Decision
    commands: int
    recording_refused: bool = False
    policy: str
    issued_at: datetime


class ResponseVerdict(Value, frozen=True, kw_only=True):
    """Whether a response was accepted for this case, and why not."""

    response_id: str
    accepted: bool
    reason: str = ""


class CaseChanged(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The case as the register shows it, after an event that moved it."""

    case_id: str
    order_id: str
    conversation_id: str
    customer_ref: str
    store_id: str
    kind: Kind
    policy: str
    mode: Mode
    arm: Arm
    state: CaseState
    step: str = ""
    step_due_at: datetime | None = None
    default_at: datetime | None = None
    decision: Decision | None = None
    resolution: Resolution = Resolution.UNKNOWN
    actor: Actor = Actor.UNKNOWN
    announced: str = ""
    missing: tuple[str, ...] = ()
    stuck: str = ""
    close_reason: CloseReason = CloseReason.NONE
    closed_at: datetime | None = None
    opened_at: datetime
    occurred_at: datetime
    deadline_at: datetime
    presented: bool = False
    late: bool = False
    offered: tuple[str, ...] = ()
    refused: tuple[RefusedOption, ...] = ()
    response: ResponseVerdict | None = None
    would_have: tuple[str, ...] = ()
    outcome: str = ""
    rating: int | None = None
    evidence: EvidencePointer | None = None
    written_at: datetime | None = None
    triggered_at: datetime | None = None
    line_id: str = ""
    line_name: str = ""
    quantity_short: int = 0
    value_at_risk: Money | None = None
    changed_at: datetime


Effect = (
    ChannelCommand
    | ChannelCancel
    | LineHold
    | OrderUpdate
    | FulfilmentTrigger
    | EvidenceRequest
    | CaseChanged
)
