"""Brings a partition's RocksDB up to its own fence record, by folding the committed changelog into it."""

import struct
from collections.abc import Callable
from typing import cast

from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, TopicPartition

from connectors.clock import Clock
from state.rocks import Store
from streams.deadlines import index_keys
from streams.envelope import foreign
from streams.failpoints import Failpoints
from streams.outcomes import Fenced, ForeignRecord, Unreachable
from streams.settings import LedgerSettings

APPLIED = b"applied"
IDENTITY = b"identity"
_APPLIED = struct.Struct(">qq")
CHUNK = 10_000


def applied(store: Store) -> tuple[int, int]:
    """(changelog offset up to which the store is its fold or -1, append time of that record in epoch ms)."""
    note = store.note(APPLIED)
    return (-1, 0) if note is None else _APPLIED.unpack(note)


def applied_note(offset: int, appended_ms: int) -> bytes:
    return _APPLIED.pack(offset, appended_ms)


def restore(
    store: Store,
    settings: LedgerSettings,
    fence_offset: int,
    clock: Clock,
    go_on: Callable[[], bool],
    failpoints: Failpoints | None,
) -> int:
    """Fold everything after the stored offset up to the fence; returns how many records were read.

    Raises `Fenced` when a newer owner's fence replaced ours, `ForeignRecord`, and `Unreachable` also when
    `go_on`, asked before each part, says no; what was folded until then stays good.
    """
    start = applied(store)[0] + 1
    consumer = Consumer(
        {
            **settings.client,
            "group.id": f"{settings.app}-restore",
            "enable.auto.commit": False,
            # What was aborted never happened: reading it would make states that nobody decided.
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 50,
            "queued.min.messages": 200_000,
            "fetch.message.max.bytes": 4 << 20,
        }
    )
    try:
        # Knowing the topic beforehand saves half a second on the first fetch.
        consumer.list_topics(settings.changelog, timeout=settings.open_timeout_s)
        consumer.assign(
            [TopicPartition(settings.changelog, settings.partition, start if start > 0 else OFFSET_BEGINNING)]
        )
        count, offset = 0, -1
        while offset != fence_offset:
            messages = _read(consumer, settings, fence_offset, clock)
            if not go_on():
                raise Unreachable("told to stop while restoring")
            offset = _fold(messages, store)
            count += len(messages)
            if failpoints is not None:
                failpoints.reach("during_restore", partition=str(settings.partition))
        return count
    finally:
        consumer.close()


def _read(consumer: Consumer, settings: LedgerSettings, fence_offset: int, clock: Clock) -> list[Message]:
    """At least one record, in order, none beyond the fence."""
    patience_until = clock.monotonic() + settings.open_timeout_s
    while clock.monotonic() < patience_until:
        first = consumer.poll(1.0)
        if first is None:
            continue
        # A `consume` that may wait waits in full for its last record; what is there already costs nothing.
        messages = [
            message for message in (first, *consumer.consume(CHUNK - 1, 0)) if message.error() is None
        ]
        if messages:
            if (messages[-1].offset() or 0) > fence_offset:
                raise Fenced(f"the fence at {fence_offset} is no longer the latest")
            return messages
    raise Unreachable(f"the changelog stopped before the fence at {fence_offset}")


def _fold(messages: list[Message], store: Store) -> int:
    """Apply the records; of a key's records only the last is written. Returns the last offset.

    Whatever is done here for each record is multiplied by all partitions, which share one interpreter.
    """
    latest = dict(zip(map(Message.key, messages), map(Message.value, messages), strict=True))
    last = messages[-1]
    offset = last.offset() or 0
    if None in latest:
        raise ForeignRecord(f"a record without a key, up to changelog offset {offset}")
    changes = store.changes()
    for key in [key for key, value in latest.items() if value is None]:
        changes.remove_state(cast("bytes", key))
        del latest[key]
    states = cast("dict[bytes, bytes]", latest)
    if strangers := foreign(states):
        raise ForeignRecord(
            f"{len(strangers)} values that no ledger wrote, the first of key {strangers[0]!r}, "
            f"up to changelog offset {offset}"
        )
    changes.put_all(states, index_keys(states))
    changes.put_note(APPLIED, applied_note(offset, last.timestamp()[1]))
    store.apply(changes)
    return offset
