"""Everything that the judge looks at, once it is read: topics, the register, the bucket, the providers' books."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec

from schemas.catalogue import CHANNEL_TOPICS, Topic
from schemas.commands import CaseChanged, ChannelCommand, OrderUpdate
from schemas.events import (
    ExceptionAccepted,
    ExceptionAmended,
    ReceiptReceived,
    ResponseReceived,
    WriteBackReceived,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
T = TypeVar("T")
Row = dict[str, Any]


def instant(ms: int) -> datetime:
    """Epoch milliseconds as an aware instant."""
    return EPOCH + timedelta(milliseconds=ms)


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One committed record. `record` is what the codec made of it, None where `faults` says why it could not."""

    topic: str
    partition: int
    offset: int
    appended_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
    record: Any = None
    faults: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        return f"{self.topic} partition {self.partition} offset {self.offset}"

    def header(self, name: str) -> list[str]:
        return [value.decode(errors="replace") for key, value in self.headers if key == name]


class Topics(msgspec.Struct, kw_only=True):
    """The committed records of each topic, partition by partition; `cut` names where the oldest are gone."""

    messages: dict[str, list[Message]]
    cut: set[tuple[str, int]] = set()
    partitions: int
    batches: str
    changelog: str
    quarantine: str

    def of(self, topic: str) -> list[Message]:
        return self.messages.get(str(topic), [])

    def at(self, topic: str, partition: int) -> list[Message]:
        return [one for one in self.of(topic) if one.partition == partition]


class Register(msgspec.Struct, kw_only=True):
    """Rows of the database by table; `now` is its clock; `raw` yields each table's bytes for a search."""

    cases: list[Row]
    claims: list[Row]
    opt_outs: list[Row]
    now: datetime
    raw: dict[str, bytes] = {}


class StoredObject(msgspec.Struct, frozen=True):
    """One version of an object as the store returned it; `body` is None where it is gone."""

    key: str
    version: str
    body: bytes | None


class Bucket(msgspec.Struct, kw_only=True):
    """The links by key, and every object that a link or a pointer names."""

    name: str
    links: dict[str, bytes]
    objects: dict[tuple[str, str], StoredObject]
    public_keys: list[bytes]
    """Raw Ed25519 public keys; without any, signatures cannot be judged."""


class Books(msgspec.Struct, kw_only=True):
    """Each provider's own book by name, and the order system's effective writes by order."""

    entries: dict[str, list[Row]] = {}
    writes: dict[str, list[Row]] | None = None
    """Each with `decision_id` and `decision` as the order system recorded it; None: it was not asked."""

    def providers(self) -> Iterator[tuple[str, Row]]:
        """What was asked of those who send and dial."""
        for name in ("twilio", "fcm", "smtp"):
            yield from [(name, e) for e in self.entries.get(name, []) if e["kind"] == "request"]


class Text(msgspec.Struct, frozen=True):
    """Something outside that must hold no personal data, such as a log."""

    name: str
    body: bytes


class Seen(msgspec.Struct, kw_only=True):
    """All of it. What was not given is None, and what needs it is then not checked, and says so."""

    topics: Topics
    register: Register | None = None
    bucket: Bucket | None = None
    books: Books | None = None
    texts: list[Text] = []
    policies: str = ""
    """The folder of the policies that the workers run; empty is the shipped one."""
    alike: tuple[str, ...] = ()
    """Versions that decide as this one does; their states may have fields that this one passes over."""
    kills: int = 0
    """How often a process was ended on purpose in the middle of its work."""
    slack: timedelta = timedelta(seconds=60)
    patience: timedelta = timedelta(seconds=900)
    """How long the longest part of done may take until the case has to be stuck."""

    @property
    def now(self) -> datetime:
        """The register's clock, else the latest append time."""
        if self.register is not None:
            return self.register.now
        latest = max((m[-1].appended_ms for m in self.topics.messages.values() if m), default=0)
        return instant(latest)


class Story:
    """The same records by what they are about; what cannot be decoded is in no story."""

    def __init__(self, topics: Topics) -> None:
        self.accepted: dict[str, ExceptionAccepted] = {}
        self.amended: dict[str, list[ExceptionAmended]] = defaultdict(list)
        self.changes: dict[str, list[CaseChanged]] = defaultdict(list)
        self.commands: dict[str, ChannelCommand] = {}
        self.updates: dict[str, OrderUpdate] = {}
        self.outcomes: dict[str, list[WriteBackReceived]] = defaultdict(list)
        self.responses: dict[str, ResponseReceived] = {}
        self.taken: set[str] = set()
        """Cases that a person took."""
        for one in topics.of(Topic.CASE_EVENTS):
            self._event(one.record)
        for one in topics.of(Topic.CHANGES):
            if one.record is not None:
                self.changes[one.record.case_id].append(one.record)
        for topic in CHANNEL_TOPICS.values():
            for one in topics.of(topic):
                if isinstance(one.record, ChannelCommand):
                    self.commands[one.record.command_id] = one.record
        for one in topics.of(Topic.UPDATES):
            if one.record is not None:
                self.updates[one.record.command_id] = one.record
        self._takers(topics)

    def _event(self, record: Any) -> None:
        match record:
            case ExceptionAccepted():
                self.accepted.setdefault(record.exception.exception_id, record)
            case ExceptionAmended():
                self.amended[record.exception_id].append(record)
            case WriteBackReceived():
                self.outcomes[record.update_id].append(record)
            case ResponseReceived():
                self.responses[record.event_id] = record

    def _takers(self, topics: Topics) -> None:
        for one in topics.of(Topic.CASE_EVENTS):
            receipt = one.record
            if isinstance(receipt, ReceiptReceived) and receipt.state == "taken":
                command = self.commands.get(receipt.command_id)
                self.taken.update(command.about if command else ())

    def last(self, case_id: str) -> CaseChanged | None:
        changes = self.changes.get(case_id)
        return changes[-1] if changes else None

    def order_of(self, case_id: str) -> str:
        if case_id in self.accepted:
            return self.accepted[case_id].order_id
        last = self.last(case_id)
        return last.order_id if last else ""

    def picked_until_at(self, case_id: str) -> datetime | None:
        """When the tote closes, as the latest revision says."""
        accepted = self.accepted.get(case_id)
        at = accepted.exception.picked_until_at if accepted else None
        for one in sorted(self.amended.get(case_id, []), key=lambda a: a.revision):
            at = one.picked_until_at or at
        return at
