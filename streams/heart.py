"""The ledger's core for the product: Avro in, `decide`, Avro out; states in the heart's own encoding."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from importlib.metadata import version
from typing import Any

from schemas.catalogue import CHANNEL_TOPICS, RECORDS, Topic
from schemas.codec import Codec
from schemas.commands import (
    CaseChanged,
    ChannelCancel,
    ChannelCommand,
    Effect,
    EvidenceRequest,
    FulfilmentTrigger,
    LineHold,
    OrderUpdate,
)
from schemas.errors import Malformed
from schemas.events import CaseEvent, Condition
from state import decide as heart
from state import encoding
from state.conversation import Conversation
from state.rules import Conditions, Rules, fold
from state.shelf import Shelf, digest
from state.turn import QuarantineRecord
from streams.core import Deadline, Output, Record

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
_EXPECTED = RECORDS[Topic.CASE_EVENTS]
# Others than we read these topics, so each record says what it is without being decoded (CloudEvents 1.0, binary).
_PUBLIC = frozenset({Topic.HOLDS, Topic.UPDATES, Topic.TRIGGERS, Topic.CHANGES})

Event = CaseEvent | Condition
Effects = list[Effect | QuarantineRecord]


def instant(ms: int) -> datetime:
    """Epoch milliseconds as an aware instant."""
    return EPOCH + timedelta(milliseconds=ms)


class HeartCore:
    """Implements `streams.core.Core` with the codec, `decide` and the policies of one deployment."""

    def __init__(self, codec: Codec, shelf: Shelf) -> None:
        self._codec = codec
        self._shelf = shelf
        policies = blake2b(
            "".join(digest(policy) for policy in shelf.by_key.values()).encode(), digest_size=6
        ).hexdigest()
        self.version = f"{version('saveline')}+{policies}"

    def decode(self, record: Record) -> Event:
        event: Event = self._codec.decode(record.value, _EXPECTED)
        return event

    def key(self, event: Event) -> bytes | None:
        return None if isinstance(event, Condition) else event.order_id.encode()

    def decide(
        self, state: Conversation | None, event: Event | Deadline, now_ms: int, rules: Rules
    ) -> tuple[Conversation | None, Effects]:
        moved: Any = event
        if isinstance(event, Deadline):
            moved = heart.Deadline(instant(event.due_ms), event.version)
        after, effects = heart.decide(state, moved, instant(now_ms), rules)
        for effect in effects:
            if isinstance(effect, QuarantineRecord):
                # Well-formed by itself, but not beside what is known: the record goes back, nothing else moves.
                raise Malformed(effect.reasons)
        return after, effects

    def due(self, state: Conversation) -> tuple[int, int] | None:
        if state.due_at is None:
            return None
        return (state.due_at - EPOCH) // _MS, state.due_version

    def outputs(self, effects: Any) -> Sequence[Output]:
        return [self._output(effect) for effect in effects]

    def encode_state(self, state: Conversation) -> bytes:
        return encoding.encode(state)

    def decode_state(self, key: bytes, data: bytes) -> Conversation:  # noqa: ARG002 - the key is in the state
        return encoding.decode(data)

    def stuck(
        self, key: bytes, state: Conversation | None, now_ms: int, reason: str, rules: Rules
    ) -> tuple[Conversation | None, Effects]:
        del key
        if state is None:
            return None, []
        return heart.hand_to_people(state, instant(now_ms), f"our own fault: {reason}", rules)

    def fold(self, conditions: bytes | None, event: Any, now_ms: int) -> bytes:
        del now_ms
        return encoding.encode(fold(_conditions(conditions), event))

    def rules(self, conditions: bytes | None) -> Rules:
        return Rules(self._shelf, _conditions(conditions))

    def _output(self, effect: Effect) -> Output:
        topic = topic_of(effect)
        key = effect.case_id if isinstance(effect, CaseChanged) else effect.order_id
        headers = _cloud_event(effect) if topic in _PUBLIC else None
        return Output(topic.value, key.encode(), self._codec.encode(effect), headers)


def topic_of(effect: Effect) -> Topic:
    """Where an effect is published."""
    match effect:
        case ChannelCommand() | ChannelCancel():
            return CHANNEL_TOPICS[effect.channel]
        case LineHold():
            return Topic.HOLDS
        case OrderUpdate():
            return Topic.UPDATES
        case FulfilmentTrigger():
            return Topic.TRIGGERS
        case EvidenceRequest():
            return Topic.EVIDENCE_REQUESTS
        case CaseChanged():
            return Topic.CHANGES


def _conditions(stored: bytes | None) -> Conditions:
    return Conditions() if stored is None else encoding.decode_conditions(stored)


def _cloud_event(effect: Any) -> list[tuple[str, bytes]]:
    changed = isinstance(effect, CaseChanged)
    identity = f"{effect.case_id}@{effect.changed_at.isoformat()}" if changed else effect.command_id
    return [
        ("ce_specversion", b"1.0"),
        ("ce_type", f"saveline.v1.{type(effect).__name__}".encode()),
        ("ce_source", b"/saveline/worker"),
        ("ce_id", identity.encode()),
    ]
