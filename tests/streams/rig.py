"""Topics of their own on a real broker, ledgers over them, and plain clients to write and read."""

import itertools
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from connectors.clock import SystemClock
from state.rocks import BlockCache
from streams.core import Batch
from streams.envelope import BatchRecord, decode_batch
from streams.ledger import Ledger
from streams.settings import LedgerSettings
from streams.source import Source
from tests.streams.job import Event, Job, Said

_numbers = itertools.count(1)
PATIENCE_S = 90.0


def until(condition: Callable[[], Any], what: str = "the condition", patience_s: float = PATIENCE_S) -> Any:
    deadline = time.monotonic() + patience_s
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what} did not come within {patience_s} s"
        time.sleep(0.01)
    return found


class Rig:
    """One app with its topics; `partitions` of each."""

    def __init__(
        self,
        bootstrap: str,
        folder: Path,
        *,
        partitions: int = 1,
        replication: int = 1,
        changelog: dict[str, str] | None = None,
    ) -> None:
        self.app = f"app-{os.getpid()}-{next(_numbers)}"
        self.client = {"bootstrap.servers": bootstrap, "log_level": "0"}
        self.folder = folder
        self.partitions = partitions
        self.clock = SystemClock()
        self.cache = BlockCache(16 << 20)
        self.replication = replication
        self.changelog = changelog or {}
        self.create("source", "changelog", "batches", "quarantine", "commands")
        self._producer = Producer({**self.client, "partitioner": "murmur2_random", "linger.ms": 0})

    def create(self, *names: str) -> None:
        stamped = {"message.timestamp.type": "LogAppendTime"}
        compact = {**stamped, "cleanup.policy": "compact", **self.changelog}
        topics = [
            NewTopic(
                self.topic(name),
                self.partitions,
                self.replication,
                config=compact if name == "changelog" else stamped,
            )
            for name in names
        ]
        admin = AdminClient(self.client)
        for future in admin.create_topics(topics).values():
            future.result(30)
        # The controller has them. A worker that starts soon asks the broker, which may hear of them later.
        wanted = {self.topic(name) for name in names}
        until(
            lambda: wanted <= admin.list_topics(timeout=PATIENCE_S).topics.keys(), f"{wanted} at the broker"
        )

    def topic(self, name: str) -> str:
        return f"{self.app}-{'cases-changelog' if name == 'changelog' else name}"

    def settings(self, partition: int = 0, **more: Any) -> LedgerSettings:
        names = {name: self.topic(name) for name in ("source", "changelog", "batches", "quarantine")}
        return LedgerSettings(
            app=self.app,
            partition=partition,
            folder=more.pop("folder", self.folder / f"partition-{partition}"),
            client=self.client,
            partitions=more.pop("partitions", self.partitions),
            **{**names, **more},
        )

    def ledger(self, partition: int = 0, **more: Any) -> Ledger[Any, Any, Any]:
        core = more.pop("core", None) or Job(self.topic("commands"))
        failpoints = more.pop("failpoints", None)
        clock = more.pop("clock", self.clock)
        return Ledger(core, self.settings(partition, **more), clock, self.cache, failpoints)

    def send(self, *events: Event | bytes, key: bytes | None = None, headers: Any = None) -> None:
        """Append to the source; returns when the broker has them."""
        for event in events:
            value = event if isinstance(event, bytes) else msgspec.json.encode(event)
            own = key if isinstance(event, bytes) or key else event.case.encode()
            self._producer.produce(self.topic("source"), value, own, headers=headers)
        assert self._producer.flush(30) == 0

    def read(self, name: str, *, isolation: str = "read_committed", whole: bool = True) -> list[Any]:
        """Every record of a topic up to its present end, partition by partition.

        The `whole` of it: a transaction is over for its writer a moment before it is so for readers. Otherwise what
        can be read now.
        """
        return [
            message
            for partition in range(self.partitions)
            for message in self.read_partition(name, partition, isolation=isolation, whole=whole)
        ]

    def read_partition(self, name: str, partition: int, *, isolation: str, whole: bool = True) -> list[Any]:
        topic = TopicPartition(self.topic(name), partition, 0)
        end = self.end(name, partition) if whole else 0
        consumer = Consumer(
            {
                **self.client,
                "group.id": f"{self.app}-test",
                "isolation.level": isolation,
                "enable.partition.eof": True,
            }
        )
        found = []
        try:
            consumer.assign([topic])
            deadline = time.monotonic() + PATIENCE_S
            while time.monotonic() < deadline:
                message = consumer.poll(1.0)
                if message is None:
                    continue
                if message.error() is None:
                    found.append(message)
                elif message.offset() >= end:
                    return found
        finally:
            consumer.close()
        raise AssertionError(f"{name} has no end")

    def end(self, name: str, partition: int) -> int:
        """The offset that comes next, whatever is not committed yet."""
        consumer = Consumer(
            {**self.client, "group.id": f"{self.app}-test", "isolation.level": "read_uncommitted"}
        )
        try:
            place = TopicPartition(self.topic(name), partition)
            return consumer.get_watermark_offsets(place, timeout=PATIENCE_S)[1]
        finally:
            consumer.close()

    def said(self) -> list[Said]:
        decoder = msgspec.json.Decoder(Said)
        return [decoder.decode(message.value()) for message in self.read("commands")]

    def batches(self) -> list[BatchRecord]:
        return [decode_batch(message.value()) for message in self.read("batches")]


class Run:
    """A ledger with its reader, stepped by hand."""

    def __init__(self, rig: Rig, partition: int = 0, **more: Any) -> None:
        self.rig = rig
        self.ledger = rig.ledger(partition, **more)
        self.ledger.open()
        self.source = Source(self.ledger.settings, self.ledger)
        self.source.seek()

    def step(self) -> None:
        """One delivery, or the deadlines if nothing is there."""
        batch = self.source.poll(1_000, 0.05)
        if not batch.records:
            batch = Batch(batch.starts_after, [], self.source.caught_up_ms())
        self.ledger.step(batch)

    def until(self, condition: Callable[[], Any], what: str = "the condition") -> Any:
        def stepped() -> Any:
            self.step()
            return condition()

        return until(stepped, what)

    def processed(self, offset: int) -> None:
        self.until(lambda: self.ledger.progress.offset >= offset, f"offset {offset}")

    def states(self) -> dict[bytes, bytes]:
        return {key: value for key, value in self.ledger._store.all_states() if key[:1] != b"\x00"}

    def close(self) -> None:
        self.source.close()
        self.ledger.close()
