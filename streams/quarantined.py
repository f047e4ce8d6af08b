"""The quarantine from the side of whoever empties it: read, replayed or discarded, each record once.

Which records are settled stands in a compacted topic of its own, written in the transaction that replays them. So a
kill between any two steps loses and doubles nothing; a second operator fences the first, who then stops.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import cached_property
from itertools import islice
from typing import Any, cast

import msgspec
from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient

from streams import rights
from streams.outcomes import Fenced
from streams.quarantine import ADDED, ATTEMPT, BYTES_MAX, REPLAYED_FROM
from streams.topics import replayable, settled_topic
from streams.traces import HEADER
from streams.transactions import outcome

_PATIENCE_S = 30.0
AT_ONCE_MAX = 100
"""Records in one transaction."""
_TRACES = frozenset({HEADER, "tracestate"})


class Quarantined(msgspec.Struct, frozen=True, kw_only=True):
    """One record in quarantine; `id` is where it stands there, `at_ms` since when."""

    id: str
    at_ms: int
    topic: str
    """Where it came from, as its headers say; empty if they do not."""
    partition: str
    offset: str
    reasons: tuple[str, ...]
    attempt: int
    version: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]

    @property
    def is_deadline(self) -> bool:
        """A deadline on which `decide` failed: there is no record to send again."""
        return any(name == "deadline-version" for name, _ in self.headers)


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a record in quarantine."""

    how: str
    """`replayed` or `discarded`."""
    by: str
    why: str = ""
    at: datetime


class UnreadableError(Exception):
    """The broker is not there, or does not know the topics."""


class OvertakenError(Exception):
    """Another operator began after this one; what was settled before is told in `settled`."""

    def __init__(self, settled: int) -> None:
        super().__init__(f"somebody else settles the quarantine now; {settled} were settled before that")
        self.settled = settled


class Quarantine:
    """`client` are librdkafka's properties; names are the deployment's."""

    def __init__(self, client: Mapping[str, str], *, topic: str, app: str) -> None:
        self._client, self._topic, self._settled_topic, self._app = client, topic, settled_topic(app), app

    def records(self, since_ms: int = 0) -> Iterator[Quarantined]:
        """Everything that is there when it begins, oldest first in each partition. Raises `UnreadableError`.

        What comes meanwhile, such as one that was replayed and failed again, is left for the next time.
        """
        return (_quarantined(message) for message in self._read(self._topic, since_ms))

    def settled(self) -> dict[str, Settled]:
        """By id. Raises `UnreadableError`."""
        prefix, found = self.marker(""), dict[str, Settled]()
        for message in self._read(self._settled_topic, 0):
            key, value = message.key() or b"", message.value()
            if value is not None and key.startswith(prefix):
                found[key.removeprefix(prefix).decode()] = msgspec.json.decode(value, type=Settled)
        return found

    def marker(self, record_id: str) -> bytes:
        """The key under which it is written that this record is settled. Raises `UnreadableError`.

        A topic that is made anew counts its offsets from zero: its own id tells its records from those before.
        """
        return f"{self._topic_id}/{record_id}".encode()

    def partitions_of(self, topic: str) -> int:
        """0 where there is no such topic. Raises `UnreadableError`."""
        try:
            return len(self._admin.list_topics(topic, timeout=_PATIENCE_S).topics[topic].partitions)
        except KafkaException as error:
            raise UnreadableError(f"{topic}: {error.args[0].str()}") from error

    @cached_property
    def _admin(self) -> AdminClient:
        return AdminClient({**self._client})

    @cached_property
    def _topic_id(self) -> str:
        asked = self._admin.describe_topics(TopicCollection([self._topic]), request_timeout=_PATIENCE_S)
        try:
            return str(asked[self._topic].result(_PATIENCE_S).topic_id)
        except KafkaException as error:
            raise _unreadable(self._topic, error.args[0]) from error

    def _read(self, topic: str, since_ms: int) -> Iterator[Message]:
        consumer = Consumer(
            {
                **self._client,
                "group.id": f"{self._app}-quarantine",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "isolation.level": "read_committed",
            }
        )
        try:
            known = consumer.list_topics(topic, timeout=_PATIENCE_S).topics[topic]
            if known.error is not None:
                raise _unreadable(topic, known.error)
            starts = [
                TopicPartition(topic, partition, since_ms or OFFSET_BEGINNING)
                for partition in known.partitions
            ]
            if since_ms:
                starts = consumer.offsets_for_times(starts, timeout=_PATIENCE_S)
            ends = {
                start.partition: consumer.get_watermark_offsets(start, timeout=_PATIENCE_S)[1]
                for start in starts
            }
            consumer.assign(starts)
            left = set(ends)
            while left:
                message = consumer.poll(_PATIENCE_S)
                if message is None:
                    raise UnreadableError(f"{topic}: nothing came for {_PATIENCE_S:.0f} s")
                error, partition = message.error(), message.partition() or 0
                over = error is not None and error.code() == KafkaError._PARTITION_EOF  # noqa: SLF001 - its name
                if over or (error is None and (message.offset() or 0) >= ends[partition]):
                    left.discard(partition)
                    consumer.pause([TopicPartition(topic, partition)])
                elif error is None:
                    yield message
                else:
                    raise UnreadableError(f"{topic}: {error.str()}")
        except KafkaException as error:
            raise UnreadableError(f"{topic}: {error.args[0].str()}") from error
        finally:
            consumer.close()


class Settling:
    """One operator at work. It sees all that was settled before, and nobody settles beside it."""

    def __init__(self, quarantine: Quarantine, client: Mapping[str, str], *, app: str, by: str) -> None:
        """Raises `UnreadableError`."""
        self._by, self._markers, self._count = by, settled_topic(app), 0
        self._quarantine = quarantine
        self._producer = Producer(
            {
                **client,
                "transactional.id": rights.transactions_of_quarantine(app),
                # As our own producers choose it, so that a key finds its partition again.
                "partitioner": "murmur2_random",
                "message.max.bytes": str(BYTES_MAX),
            }
        )
        try:
            # An open transaction of whoever was here before is over now: what is read next is all there is.
            self._producer.init_transactions(_PATIENCE_S)
        except KafkaException as error:
            raise UnreadableError(error.args[0].str()) from error
        self.done = quarantine.settled()

    def replay(
        self, records: Iterable[Quarantined], at: datetime, at_once: int = AT_ONCE_MAX
    ) -> Iterator[Quarantined]:
        """Each to the topic that it came from, once, as it was; yields those that are there for certain.

        `at_once` of them are one transaction, and not sent where it raises `OvertakenError` or `UnreadableError`.
        """
        return self._settle(records, Settled(how="replayed", by=self._by, at=at), at_once, send=True)

    def discard(self, records: Iterable[Quarantined], at: datetime, why: str) -> Iterator[Quarantined]:
        """Nobody wants them any more; they stay in the topic as long as it keeps them. Raises as `replay`."""
        what = Settled(how="discarded", by=self._by, why=why, at=at)
        return self._settle(records, what, AT_ONCE_MAX, send=False)

    def _settle(
        self, records: Iterable[Quarantined], settled: Settled, at_once: int, *, send: bool
    ) -> Iterator[Quarantined]:
        marker, open_ones = msgspec.json.encode(settled), (one for one in records if one.id not in self.done)
        while chunk := list(islice(open_ones, at_once)):
            try:
                self._transact(chunk, marker, send=send)
            except KafkaException as failure:
                raise self._void(failure) from failure
            self._count += len(chunk)
            self.done.update(dict.fromkeys((one.id for one in chunk), settled))
            yield from chunk

    def _transact(self, chunk: Iterable[Quarantined], marker: bytes, *, send: bool) -> None:
        """All of them or none. Raises `KafkaException`."""
        self._producer.begin_transaction()
        for one in chunk:
            if send:
                self._producer.produce(
                    one.topic, one.value, one.key, home(one), headers=replayed_headers(one)
                )
            self._producer.produce(self._markers, marker, self._quarantine.marker(one.id))
            self._producer.poll(0)
        self._producer.commit_transaction(_PATIENCE_S)

    def _void(self, failure: KafkaException) -> OvertakenError | UnreadableError:
        """Abort, and say what the failure means for the operator."""
        problem = failure
        if not isinstance(outcome(failure), Fenced):
            try:
                self._producer.abort_transaction(_PATIENCE_S)
            except KafkaException as second:
                # Such as after a commit without an answer: whoever begins next learns how it ended.
                problem = second
        if isinstance(outcome(problem), Fenced):
            return OvertakenError(self._count)
        return UnreadableError(f"after {self._count}: {failure.args[0].str()}; ask again to go on")


def home(record: Quarantined) -> int:
    """The partition to send it to; -1: wherever its key belongs. Without a key it belongs where it came from."""
    return int(record.partition) if record.key is None else -1


def unreplayable(record: Quarantined, app: str, partitions_of: Callable[[str], int]) -> str:
    """Why a record cannot be sent again; empty if it can. Headers are whatever somebody wrote there."""
    if record.is_deadline:
        return "a deadline, not a record: its conversation was handed to people"
    if record.topic not in replayable(app):
        return f"came from {record.topic or 'nowhere'!r}, which is no topic of ours to send to"
    if record.key is None:
        came, there = record.partition, partitions_of(record.topic)
        if not (came.isascii() and came.isdigit() and int(came) < there):
            return f"has no key, and came from partition {came or 'nobody knows'}, of which {record.topic} has {there}"
    return ""


def replayed_headers(record: Quarantined) -> list[tuple[str, str | bytes | None]]:
    """Those that it came with, and where it was meanwhile; a trace of then would mislead."""
    kept = [(name, text) for name, text in record.headers if name not in ADDED | _TRACES]
    return [*kept, (REPLAYED_FROM, record.id.encode()), (ATTEMPT, b"%d" % (record.attempt + 1))]


def _unreadable(topic: str, problem: KafkaError) -> UnreadableError:
    return UnreadableError(f"{topic}: {problem.str()}; create it with: saveline topics apply")


def _quarantined(message: Message) -> Quarantined:
    headers: list[tuple[str, bytes]] = [
        (one[0], one[1] or b"") for one in cast("list[Any]", message.headers() or ())
    ]
    told = {name: text.decode(errors="replace") for name, text in headers}
    attempt = told.get(ATTEMPT, "")
    return Quarantined(
        id=f"{message.partition()}-{message.offset()}",
        at_ms=message.timestamp()[1],
        topic=told.get("original-topic", ""),
        partition=told.get("original-partition", ""),
        offset=told.get("original-offset", ""),
        reasons=tuple([text.decode(errors="replace") for name, text in headers if name == "reason"]),
        attempt=int(attempt) if attempt.isascii() and attempt.isdigit() and len(attempt) < 6 else 1,
        version=told.get("app-version", ""),
        key=message.key(),
        value=message.value(),
        headers=tuple(headers),
    )
