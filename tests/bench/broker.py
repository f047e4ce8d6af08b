"""What the benchmarks do with the broker themselves: topics, input, progress, and reading the output."""

import time
from collections.abc import Iterable, Iterator

from confluent_kafka import (
    OFFSET_BEGINNING,
    OFFSET_INVALID,
    Consumer,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic

from tests.bench.clock import now_us
from tests.bench.events import Pair

PARTITIONS = 4
# What was measured is deleted at once: the runs would fill the disk otherwise.
_PASSING = {"file.delete.delay.ms": "1000"}
STAMPED = {**_PASSING, "message.timestamp.type": "LogAppendTime"}


class Broker:
    """One address, and the few things done there."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self._admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})

    def create(self, names: Iterable[str]) -> None:
        """Stamped by the broker; a changelog is compacted."""
        wanted = [
            NewTopic(
                name,
                PARTITIONS,
                1,
                config={**STAMPED, **({"cleanup.policy": "compact"} if name.endswith("-changelog") else {})},
            )
            for name in names
        ]
        for future in self._admin.create_topics(wanted).values():
            future.result(30)
        # The controller has them; who starts at once asks the broker, which may hear of them a moment later.
        while not {topic.topic for topic in wanted} <= self._admin.list_topics(timeout=30).topics.keys():
            time.sleep(0.02)

    def delete(self, beginning: str) -> None:
        """Every topic whose name begins so, or is a peer's private one for that app."""
        names = [name for name in self._admin.list_topics(timeout=30).topics if beginning in name]
        if names:
            for future in self._admin.delete_topics(names).values():
                future.result(60)

    def write(self, topic: str, pairs: Iterable[Pair]) -> list[int]:
        """Append everything; returns the end offset of each partition."""
        producer = self.producer(linger_ms=20)
        for key, value in pairs:
            while True:
                try:
                    producer.produce(topic, value, key)
                    break
                except BufferError:
                    producer.poll(0.1)
        assert producer.flush(120) == 0
        return self.ends(topic)

    def producer(self, *, linger_ms: int = 0) -> Producer:
        return Producer(
            {
                "bootstrap.servers": self.bootstrap,
                "partitioner": "murmur2_random",
                "linger.ms": linger_ms,
                "queue.buffering.max.messages": 500_000,
            }
        )

    def ends(self, topic: str) -> list[int]:
        consumer = self._reader("bench-ends")
        try:
            return [
                consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=30)[1]
                for partition in range(PARTITIONS)
            ]
        finally:
            consumer.close()

    def read(self, topic: str) -> Iterator[tuple[bytes, bytes | None]]:
        """Every committed record there is now, partition by partition."""
        consumer = self._reader("bench-read")
        try:
            for partition in range(PARTITIONS):
                consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING)])
                ended = False
                while not ended:
                    for message in consumer.consume(10_000, 0.2):
                        if message.error() is None:
                            yield message.key() or b"", message.value()
                        else:
                            ended = True
        finally:
            consumer.close()

    def _reader(self, group: str) -> Consumer:
        return Consumer(
            {
                "bootstrap.servers": self.bootstrap,
                "group.id": group,
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
                "log_level": 0,
            }
        )


class Progress:
    """How much of a source a group has acknowledged."""

    def __init__(self, broker: Broker, group: str, source: str) -> None:
        self._consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": group, "log_level": 0})
        self._places = [TopicPartition(source, partition) for partition in range(PARTITIONS)]

    def records(self) -> int:
        """Summed over the partitions; nothing acknowledged counts as 0."""
        try:
            committed = self._consumer.committed(self._places, timeout=10)
        except KafkaException:
            # The coordinator may still be loading; the next question tells.
            return 0
        return sum(place.offset for place in committed if place.offset != OFFSET_INVALID)

    def close(self) -> None:
        self._consumer.close()


class CommandReader:
    """Follows the commands as a `read_committed` reader sees them, with the instant of each."""

    def __init__(self, broker: Broker, topic: str) -> None:
        self._consumer = Consumer(
            {
                "bootstrap.servers": broker.bootstrap,
                "group.id": f"reader-{topic}",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                # A reader that lets the broker wait would measure itself.
                "fetch.wait.max.ms": 5,
                "fetch.min.bytes": 1,
            }
        )
        self._consumer.assign(
            [TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in range(PARTITIONS)]
        )

    def take(self, wait_s: float) -> Iterator[tuple[int, bytes]]:
        """(instant in epoch µs, value) of what is there, or of the first to come within `wait_s`."""
        first = self._consumer.poll(wait_s)
        while first is not None:
            if first.error() is None:
                yield now_us(), first.value() or b""
            first = self._consumer.poll(0)

    def close(self) -> None:
        self._consumer.close()
