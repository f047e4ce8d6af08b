"""A plain reader of one source partition, for ledgers without Faust: in tests, replays, benchmarks."""

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from streams.core import Batch, Record
from streams.ends import Ends
from streams.ledger import Ledger
from streams.outcomes import SourceTruncated, Unreachable
from streams.settings import LedgerSettings


class Source:
    """Delivers from just after the ledger's progress, and tells how far the source is known."""

    def __init__(self, settings: LedgerSettings, ledger: Ledger, **properties: str) -> None:  # type: ignore[type-arg]
        """`properties`: more librdkafka properties, dots written as underscores."""
        self._ledger = ledger
        self._partition = TopicPartition(settings.source, settings.partition)
        self._consumer = Consumer(
            {
                **settings.client,
                "group.id": f"{settings.app}-source",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                # Beginning anywhere else than at progress + 1 would be a hole: an error, not a choice.
                "auto.offset.reset": "error",
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 100,
                "queued.min.messages": 20_000,
                **{name.replace("_", "."): value for name, value in properties.items()},
            }
        )
        self._ends = Ends(settings.client, settings.app, settings.source)
        self._after = -1
        self._end_seen = -1

    def seek(self) -> None:
        """Start, or start again, after the ledger's progress. Raises `SourceTruncated`."""
        after = self._ledger.progress.offset
        first = self._ends.first(self._partition.partition)
        if first > after + 1:
            raise SourceTruncated(f"processed up to {after}, but the source begins at {first}")
        self._after, self._end_seen = after, -1
        self._consumer.assign([TopicPartition(self._partition.topic, self._partition.partition, after + 1)])

    def poll(self, count_max: int, wait_s: float) -> Batch:
        """At most `count_max` records; empty after `wait_s` without any."""
        first = self._consumer.poll(wait_s)
        messages = [] if first is None else [first, *self._consumer.consume(count_max - 1, 0)]
        records = [_record(message) for message in messages if self._sound(message)]
        batch = Batch(self._after, records)
        if records:
            self._after = records[-1].offset
        return batch

    def caught_up_ms(self) -> int:
        """Until when everything appended has been delivered (epoch ms); 0 when something is still to come."""
        before_ms = self._ledger.clock_ms()
        try:
            end = self._ends.end(self._partition.partition)
        except Unreachable:
            # Not knowing only delays deadlines; the next round asks again.
            return 0
        # Markers of transactions take offsets at the end that are never delivered as records.
        return before_ms if max(self._after + 1, self._end_seen) >= end else 0

    def close(self) -> None:
        self._consumer.close()

    def _sound(self, message: Message) -> bool:
        error = message.error()
        if error is None:
            return True
        if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 -- librdkafka's own code, public in spite of its name
            self._end_seen = message.offset() or 0
            return False
        if error.code() == KafkaError._AUTO_OFFSET_RESET:  # noqa: SLF001 -- librdkafka's own code, public in spite of its name
            raise SourceTruncated(error.str())
        if error.fatal():
            raise Unreachable(error.str())
        return False


def _record(message: Message) -> Record:
    return Record(
        message.offset(),  # type: ignore[arg-type]
        message.timestamp()[1],
        message.key(),
        message.value(),
        message.headers(),  # type: ignore[arg-type]
    )
