"""I6, I7a and I8: every transaction done once more, from the committed input, with the same `decide`.

It takes the order of things from the transaction records and holds them to the rules: no hole between two, no
deadline early, unwanted or twice, a due one before its conversation's next event, none before an answer that was
given in time. What comes out has to be what was published and stored, byte for byte.
"""

from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from schemas.catalogue import CHANNEL_TOPICS, RECORDS, Topic
from schemas.codec import Codec
from schemas.commands import ChannelCancel, ChannelCommand
from schemas.events import ConditionEvent, Fact, ResponseReceived
from state import decide as heart
from state import encoding, shelf
from state.conversation import Conversation
from state.rules import Conditions, Rules, fold
from state.turn import QuarantineRecord
from streams.verifier.comparing import Comparison
from streams.verifier.seen import EPOCH, Message, Seen, instant
from streams.verifier.verdict import Finding

_MOMENT_MS = 5_000
_RECORD_BYTES_MAX = 262_144
_OUTPUTS = (
    *CHANNEL_TOPICS.values(),
    Topic.HOLDS,
    Topic.UPDATES,
    Topic.TRIGGERS,
    Topic.EVIDENCE_REQUESTS,
    Topic.CHANGES,
)
_TOPIC_OF = {
    kind: topic
    for topic in _OUTPUTS
    for kind in RECORDS[topic]
    if kind not in (ChannelCommand, ChannelCancel)
}


class Fired(msgspec.Struct, array_like=True, frozen=True):
    """A deadline that took effect: before which source offset (None: behind the transaction's records)."""

    before_offset: int | None
    key: bytes
    due_ms: int
    version: int
    now_ms: int


class Transaction(msgspec.Struct, array_like=True, frozen=True):
    """As the worker notes it: what was processed before and after, its time, and what fired."""

    before: int
    after: int
    now_ms: int
    fired: list[Fired]
    quarantined: list[int]
    stuck: list[bytes]
    version: str


_decode = msgspec.msgpack.Decoder(Transaction).decode


def check(seen: Seen, codec: Codec) -> tuple[Finding, Finding, Finding]:
    findings = Finding(invariant="I6"), Finding(invariant="I7a"), Finding(invariant="I8")
    policies = shelf.load(Path(seen.policies)) if seen.policies else shelf.load()
    ours, *alike = (_signed(name, policies) for name in (version("saveline"), *seen.alike))
    topics = seen.topics
    for number in range(topics.partitions):
        if (topics.batches, number) in topics.cut or (str(Topic.CASE_EVENTS), number) in topics.cut:
            for finding in findings:
                finding.skip(f"partition {number}: retention has removed the beginning of its input")
            continue
        transactions = _transactions(topics.at(topics.batches, number), findings[2])
        strange = sorted({one.version for one in transactions} - {ours, *alike})
        if strange:
            for finding in findings:
                finding.skip(f"partition {number} was worked on by {', '.join(strange)}; this is {ours}")
            continue
        Replay(seen, codec, policies, number, findings).run(transactions)
    return findings


def _transactions(messages: list[Message], fold: Finding) -> list[Transaction]:
    found = []
    for one in messages:
        try:
            found.append(_decode(one.value or b""))
        except msgspec.DecodeError as error:
            fold.wrong(expected="the note of a transaction", found=str(error), look=one.place)
    return found


def _signed(name: str, policies: shelf.Shelf) -> str:
    """How a worker of this version signs its transactions: by its name, and by all that its policies say."""
    said = "".join(shelf.digest(policy) for policy in policies.by_key.values())
    return f"{name}+{blake2b(said.encode(), digest_size=6).hexdigest()}"


class Replay:
    """One partition."""

    def __init__(
        self,
        seen: Seen,
        codec: Codec,
        policies: shelf.Shelf,
        number: int,
        findings: tuple[Finding, Finding, Finding],
    ) -> None:
        self._topics, self._codec, self._number, self._alike = seen.topics, codec, number, bool(seen.alike)
        self._time, self._answers, self._fold = findings
        self._rules = Rules(policies, Conditions())
        self._states: dict[bytes, Conversation] = {}
        self._said: dict[Topic, list[Any]] = {topic: [] for topic in _OUTPUTS}
        self._fired: set[tuple[bytes, int, int]] = set()
        self._stuck: list[bytes] = []
        self._back: list[int] = []
        self._now_ms = 0
        self._source = seen.topics.at(Topic.CASE_EVENTS, number)
        self._waiting: dict[bytes, list[Message]] = {}
        for one in self._source:
            if isinstance(one.record, Fact) and one.key == one.record.order_id.encode():
                self._waiting.setdefault(one.key or b"", []).append(one)

    def run(self, transactions: list[Transaction]) -> None:
        progress, place = -1, 0
        for one in transactions:
            if one.before != progress or one.after < one.before:
                self._wrong(
                    self._fold,
                    f"a transaction that goes on from {progress}",
                    f"one from {one.before} to {one.after}",
                )
            progress = one.after
            start = place
            while place < len(self._source) and self._source[place].offset <= one.after:
                place += 1
            self._transaction(one, self._source[start:place])
        if place < len(self._source):
            self._wrong(
                self._fold,
                f"every record of {Topic.CASE_EVENTS} to be processed",
                f"{len(self._source) - place} are not, from offset {self._source[place].offset}",
            )
        comparison = Comparison(self._topics, self._codec, self._number, self._fold)
        comparison.outputs(self._said)
        states = {key: encoding.encode(state) for key, state in self._states.items()}
        comparison.states(states, _as_ours if self._alike else bytes)
        self._nothing_is_late()

    def _transaction(self, one: Transaction, records: list[Message]) -> None:
        self._stuck, self._back = [], []
        own = {fired.before_offset: fired for fired in one.fired if fired.before_offset is not None}
        for record in records:
            self._take(record, own.pop(record.offset, None))
        for fired in own.values():
            self._wrong(self._time, "a deadline before its record", f"{_told(fired)}: no such record")
        if records:
            self._now_ms = max(self._now_ms, records[-1].appended_ms)
        if one.now_ms < self._now_ms:
            self._wrong(self._time, f"a time that never goes back from {self._now_ms}", f"{one.now_ms}")
        self._now_ms = max(self._now_ms, one.now_ms)
        for fired in one.fired:
            if fired.before_offset is None:
                self._fire(fired, one.after)
        if self._stuck != one.stuck:
            self._wrong(self._fold, f"{len(self._stuck)} conversations handed to people", f"{one.stuck}")
        if sorted(self._back) != sorted(one.quarantined):
            self._wrong(self._fold, f"offsets {self._back} to be quarantined", f"{one.quarantined}")

    def _take(self, record: Message, fired: Fired | None) -> None:
        self._fold.checked += 1
        event: Any = record.record
        too_large = len(record.value or b"") > _RECORD_BYTES_MAX
        if event is None or too_large or type(event) not in RECORDS[Topic.CASE_EVENTS]:
            self._back.append(record.offset)
            return
        if isinstance(event, ConditionEvent):
            self._now_ms = max(self._now_ms, record.appended_ms)
            self._rules = Rules(self._rules.shelf, fold(self._rules.conditions, event))
            return
        key = event.order_id.encode()
        if key != record.key:
            self._back.append(record.offset)
            return
        self._now_ms = max(self._now_ms, record.appended_ms)
        if isinstance(event, ResponseReceived):
            self._answers.checked += 1
        due = self._due(key)
        is_due = due is not None and due[0] <= self._now_ms
        if is_due != (fired is not None and fired.key == key):
            self._wrong(
                self._time,
                f"the deadline of {key.decode()} to {'fire' if is_due else 'wait'} before {record.place}",
                f"{_told(fired)}; it is due at {_at(due[0]) if due else 'no time'}",
                key.decode(),
            )
        if fired is not None:
            self._fire(fired, record.offset - 1)
        self._waiting[key].remove(record)
        self._decide(key, event, record.offset)

    def _fire(self, fired: Fired, processed: int) -> None:
        self._time.checked += 1
        order, mark = fired.key.decode(), (fired.key, fired.due_ms, fired.version)
        if fired.due_ms > fired.now_ms or fired.now_ms > self._now_ms:
            self._wrong(
                self._time,
                f"no deadline of {order} before {_at(fired.due_ms)}",
                f"it fired at {_at(fired.now_ms)}",
                order,
            )
        if mark in self._fired:
            self._wrong(self._time, f"the deadline {fired.version} of {order} once", "it fired twice", order)
        self._fired.add(mark)
        if self._due(fired.key) != (fired.due_ms, fired.version):
            self._wrong(
                self._time,
                f"no deadline that {order} does not want",
                f"{_told(fired)}, wanted is {self._due(fired.key)}",
                order,
            )
            return
        for one in self._waiting.get(fired.key, []):
            if one.offset > processed and one.appended_ms < fired.due_ms:
                what = "answer" if isinstance(one.record, ResponseReceived) else type(one.record).__name__
                self._wrong(
                    self._answers,
                    f"the {what} of {_at(one.appended_ms)} before the deadline of {_at(fired.due_ms)}",
                    "the deadline took effect first",
                    order,
                    one.place,
                )
        self._decide(fired.key, heart.Deadline(instant(fired.due_ms), fired.version), None)

    def _decide(self, key: bytes, event: Any, offset: int | None) -> None:
        state, now = self._states.get(key), instant(self._now_ms)
        try:
            after, effects = heart.decide(state, event, now, self._rules)
        except Exception as error:  # noqa: BLE001 - the worker hands over whatever `decide` fails on
            self._send_back(offset)
            self._stuck.append(key)
            if state is None:
                return
            reason = f"our own fault: {type(error).__name__}"
            after, effects = heart.hand_to_people(state, now, reason, self._rules)
        if any(isinstance(effect, QuarantineRecord) for effect in effects):
            # Well-formed by itself, but not beside what is known: it goes back, and nothing else moves.
            self._send_back(offset)
            return
        for effect in effects:
            self._say(effect)
        if after is None:
            self._states.pop(key, None)
        else:
            self._states[key] = after

    def _send_back(self, offset: int | None) -> None:
        if offset is not None:
            self._back.append(offset)

    def _say(self, effect: Any) -> None:
        is_channel = isinstance(effect, ChannelCommand | ChannelCancel)
        topic = CHANNEL_TOPICS[effect.channel] if is_channel else _TOPIC_OF[type(effect)]
        self._said[topic].append(effect)

    def _due(self, key: bytes) -> tuple[int, int] | None:
        state = self._states.get(key)
        if state is None or state.due_at is None:
            return None
        return round((state.due_at - EPOCH).total_seconds() * 1000), state.due_version

    def _nothing_is_late(self) -> None:
        """What a transaction itself made due fires with the next one; the last one's is given a moment."""
        for key in self._states:
            due = self._due(key)
            if due is not None and due[0] < self._now_ms - _MOMENT_MS:
                order = key.decode()
                self._wrong(
                    self._time,
                    f"the deadline of {order} to have fired by {_at(self._now_ms)}",
                    f"it waits since {_at(due[0])}",
                    order,
                )

    def _wrong(self, finding: Finding, expected: str, found: str, order: str = "", look: str = "") -> None:
        place = look or f"{self._topics.batches} partition {self._number}"
        finding.wrong(order=order, expected=expected, found=found, look=place)


def _as_ours(state: bytes) -> bytes:
    """As this version writes it after having read it, which drops the fields that it does not know."""
    try:
        return encoding.encode(encoding.decode(state))
    except encoding.UnreadableState:
        return state


def _told(fired: Fired | None) -> str:
    if fired is None:
        return "it did not fire"
    return f"{fired.key.decode()} fired {_at(fired.due_ms)}, version {fired.version}"


def _at(ms: int) -> str:
    return f"{instant(ms):%F %T.%f}"[:-3]
