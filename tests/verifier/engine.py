"""Recomputes every case, command and deadline from the source and the batches; shares no code with the engine.

The rules it holds the engine to are those of the design: one transaction after another without hole or
overlap, each record's time the broker's, a case's own deadline before its event and only if it was due, no
deadline early by the broker's clock, none late once all is quiet, none before an answer that was given in time.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
from confluent_kafka import Consumer, TopicPartition

from tests.verifier import model

HEAD = 13
PATIENCE_S = 60
APART_MS = 1_000
"""How far a machine's two clocks, one for instants and one for spans, may drift apart in a run."""


@dataclass
class Verdict:
    events: int = 0
    transactions: int = 0
    commands: int = 0
    deadlines: int = 0
    cases: int = 0
    violations: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Names:
    source: str
    batches: str
    commands: str
    changelog: str
    quarantine: str


def verify(client: dict[str, str], names: Names, partitions: int) -> Verdict:
    """Read everything that is committed, and compare; the engine must have nothing left to do."""
    verdict = Verdict()
    for partition in range(partitions):
        records = {
            topic: list(read(client, getattr(names, topic), partition)) for topic in Names.__annotations__
        }
        Partition(partition, verdict).replay(**records)
    return verdict


def read(client: dict[str, str], topic: str, partition: int) -> Iterator[Any]:
    """Every committed record up to the present end."""
    consumer = Consumer(
        {
            **client,
            "group.id": "verifier",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
        }
    )
    try:
        consumer.assign([TopicPartition(topic, partition, 0)])
        while True:
            message = consumer.poll(PATIENCE_S)
            assert message is not None, f"{topic}-{partition} has no end"
            if message.error() is not None:
                return
            yield message
    finally:
        consumer.close()


class Partition:
    """One partition's replay."""

    def __init__(self, number: int, verdict: Verdict) -> None:
        self.number = number
        self.verdict = verdict
        self.cases: dict[str, model.Case] = {}
        self.said: list[tuple[str, Any]] = []
        self.rejected: list[tuple[Any, Any]] = []
        self.muted = False
        self.now_ms = 0
        self.input_ms = 0
        """The latest append time, of records for the quarantine as well."""

    def wrong(self, words: str) -> None:
        self.verdict.violations.append(f"partition {self.number}: {words}")

    def replay(
        self,
        source: list[Any],
        batches: list[Any],
        commands: list[Any],
        changelog: list[Any],
        quarantine: list[Any],
    ) -> None:
        self.verdict.events += len(source)
        self.verdict.transactions += len(batches)
        self.verdict.commands += len(commands)
        self.latest_by_case = last_appended(source)
        waiting = list(reversed(source))
        progress = -1
        for message in batches:
            before, after, now_ms, fired, *_ = msgspec.msgpack.decode(message.value())
            if before != progress or after < before:
                self.wrong(
                    f"a transaction goes from {before} to {after}, the one before it ended at {progress}"
                )
            progress = after
            own = [one for one in fired if one[0] is not None]
            while waiting and waiting[-1].offset() <= after:
                own = self.take(waiting.pop(), own)
            if own:
                self.wrong(f"deadlines fired before records that are not there: {own}")
            if now_ms < max(self.now_ms, self.input_ms):
                self.wrong(f"the time {now_ms} is before {self.now_ms} or its input's {self.input_ms}")
            if now_ms > message.timestamp()[1] + APART_MS:
                self.wrong(f"at {message.timestamp()[1]} it was taken for {now_ms}")
            self.now_ms = max(self.now_ms, now_ms)
            self.fire([one for one in fired if one[0] is None], now_ms, after)
            self.verdict.deadlines += len(fired)
        if waiting:
            self.wrong(f"{len(waiting)} records are not processed, from offset {waiting[-1].offset()}")
        self.compare(commands, changelog, quarantine)

    def take(self, message: Any, own: list[Any]) -> list[Any]:
        """Apply a record; returns the fired deadlines that come later."""
        appended_ms = message.timestamp()[1]
        self.input_ms = max(self.input_ms, appended_ms)
        event = understood(message)
        if event is not None:
            self.now_ms = max(self.now_ms, appended_ms)
        if event is None:
            self.rejected.append((message.key(), message.value()))
            return own
        if event.get("kind") == "switch":
            self.muted = bool(event.get("wait_ms"))
            return own
        name = event["case"]
        case = self.cases.get(name)
        is_due = case is not None and case["due_ms"] is not None and case["due_ms"] <= self.now_ms
        mine = [one for one in own if one[0] == message.offset()]
        if is_due != bool(mine):
            self.wrong(f"offset {message.offset()}: {name} due {case and case['due_ms']}, fired {mine}")
        for one in mine:
            self.fire_one(one, self.now_ms, message.offset() - 1)
        try:
            self.put(name, *model.on_event(self.cases.get(name), event, self.now_ms, self.muted))
        except model.Raised as raised:
            self.rejected.append((message.key(), message.value()))
            self.failed(name, str(raised))
        return [one for one in own if one[0] != message.offset()]

    def fire(self, fired: list[Any], now_ms: int, processed: int) -> None:
        dues = [one[2] for one in fired]
        if dues != sorted(dues):
            self.wrong(f"deadlines out of order: {dues}")
        for one in fired:
            self.fire_one(one, now_ms, processed)

    def fire_one(self, fired: Any, now_ms: int, processed: int) -> None:
        _, key, due_ms, version, fired_ms = fired
        name = key.decode()
        case = self.cases.get(name)
        if case is None or case["due_ms"] != due_ms or case["version"] != version:
            self.wrong(f"{name} fired {due_ms}/{version}, which it does not want: {case}")
            return
        if due_ms > now_ms or fired_ms != now_ms:
            self.wrong(f"{name} fired early: due {due_ms}, at {fired_ms}, now {now_ms}")
        for offset, appended_ms in self.latest_by_case.get(name, ()):
            if offset > processed and appended_ms < due_ms:
                self.wrong(
                    f"{name}: the event at {offset} came {due_ms - appended_ms} ms before its deadline"
                )
        try:
            self.put(name, *model.on_deadline(case, now_ms, self.muted))
        except model.Raised as raised:
            self.rejected.append((key, None))
            self.failed(name, str(raised))

    def failed(self, name: str, failure: str) -> None:
        self.put(name, *model.on_failure(self.cases.get(name), name, failure, self.now_ms, self.muted))

    def put(self, name: str, case: model.Case | None, said: list[Any]) -> None:
        if case is None:
            self.cases.pop(name, None)
        else:
            self.cases[name] = case
        self.said.extend((name, one) for one in said)

    def compare(self, commands: list[Any], changelog: list[Any], quarantine: list[Any]) -> None:
        self.verdict.cases += len(self.cases)
        real = [(message.key().decode(), json.loads(message.value())) for message in commands]
        for place, (expected, found) in enumerate(zip(self.said, real, strict=False)):
            if expected != found:
                self.wrong(f"command {place} is {found} instead of {expected}")
                break
        if len(self.said) != len(real):
            self.wrong(f"{len(real)} commands instead of {len(self.said)}")
        folded = {message.key(): message.value() for message in changelog}
        states = {
            key.decode(): json.loads(value[HEAD:])
            for key, value in folded.items()
            if value is not None and not key.startswith(b"\x00")
        }
        if states != self.cases:
            strange = [
                name for name in states.keys() | self.cases.keys() if states.get(name) != self.cases.get(name)
            ]
            name = strange[0]
            self.wrong(
                f"{len(strange)} cases differ, such as {states.get(name)} instead of {self.cases.get(name)}"
            )
        # Within a transaction what could not be read comes before what could not be decided.
        if sorted((repr(message.key()), repr(message.value())) for message in quarantine) != sorted(
            (repr(key), repr(value)) for key, value in self.rejected
        ):
            self.wrong(f"{len(quarantine)} records in quarantine, or others, instead of {len(self.rejected)}")
        late = [name for name, case in self.cases.items() if case["due_ms"] and case["due_ms"] <= self.now_ms]
        if late:
            self.wrong(f"{len(late)} deadlines never fired, such as that of {late[0]}")


def understood(message: Any) -> dict[str, Any] | None:
    """The event, or None for what has to be in quarantine."""
    try:
        event = json.loads(message.value())
    except ValueError:
        return None
    return event if isinstance(event, dict) and "case" in event and "id" in event else None


def last_appended(source: list[Any]) -> dict[str, list[tuple[int, int]]]:
    """For each case, the (offset, append time) of its events."""
    found: dict[str, list[tuple[int, int]]] = {}
    for message in source:
        event = understood(message)
        if event is not None:
            found.setdefault(event["case"], []).append((message.offset(), message.timestamp()[1]))
    return found
