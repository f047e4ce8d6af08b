"""Intake on Kafka: what each of upstream's topics delivers is admitted to `case.events.v1`, or quarantined."""

from collections.abc import Iterable
from typing import Any

import psycopg
import stamina
from confluent_kafka import KafkaException, Producer

from connectors.intake import Admitted, Intake
from connectors.metrics import TAKEN_IN
from schemas.catalogue import Topic
from schemas.codec import Codec
from schemas.errors import Malformed
from streams.core import Batch, Record
from streams.quarantine import BYTES_MAX, Origin, of_record
from streams.traces import HEADER, traceparent_of

FLUSH_S = 30.0


class Undelivered(Exception):
    """Kafka did not acknowledge what was handed to it: nothing is acknowledged upstream either."""


class Admission:
    """Hands batches to the intake and what comes of them to Kafka; blocking, so it runs on a thread."""

    def __init__(
        self,
        intake: Intake,
        codec: Codec,
        producer: Producer,
        *,
        partitions: int,
        quarantine: str,
        version: str,
    ) -> None:
        self._intake, self._codec, self._producer = intake, codec, producer
        self._partitions, self._quarantine, self._version = partitions, quarantine, version

    @stamina.retry(on=(psycopg.OperationalError, Undelivered), attempts=10, timeout=120.0, wait_max=10.0)
    def take(self, topic: str, partition: int, batch: Batch) -> None:
        """All of a batch, in its order; at least once. A database that is away is waited for."""
        failures: list[str] = []

        def delivered(error: Any, _message: Any) -> None:
            if error is not None:
                failures.append(str(error))

        for record in batch.records:
            try:
                admitted = self._intake.admit(Topic(topic), record.value)
            except Malformed as malformed:
                rejected = of_record(record, Origin(topic, partition), malformed.reasons, self._version)
                TAKEN_IN.add(topic, "quarantined")
                self._produce(self._quarantine, rejected.key, rejected.value, rejected.headers, delivered)
            else:
                TAKEN_IN.add(topic, "taken")
                self._publish(admitted, record, delivered)
        if self._producer.flush(FLUSH_S) or failures:
            raise Undelivered(failures[0] if failures else f"not acknowledged within {FLUSH_S} s")

    def _publish(self, admitted: Admitted, record: Record, delivered: Any) -> None:
        found = traceparent_of(record)
        trace = [(HEADER, found)] if found else []
        for fact in admitted.facts:
            value = self._codec.encode(fact)
            self._produce(Topic.CASE_EVENTS.value, fact.order_id.encode(), value, trace, delivered)
        if admitted.everywhere is not None:
            value = self._codec.encode(admitted.everywhere)
            for partition in range(self._partitions):
                self._produce(Topic.CASE_EVENTS.value, None, value, trace, delivered, partition=partition)

    def _produce(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Iterable[tuple[str, bytes]],
        delivered: Any,
        *,
        partition: int = -1,
    ) -> None:
        # -1: where the key belongs.
        while True:
            try:
                self._producer.produce(topic, value, key, partition, delivered, headers=list(headers))
            except BufferError:
                # The queue is full: what is in it has to leave first.
                self._producer.poll(1.0)
            except KafkaException as error:
                raise Undelivered(str(error)) from error
            else:
                return


def producer(client: dict[str, str]) -> Producer:
    """Idempotent, and partitioned as Java's clients do, so that a key meets its order everywhere."""
    return Producer(
        client
        | {
            "enable.idempotence": "true",
            "partitioner": "murmur2_random",
            "linger.ms": "5",
            "message.max.bytes": str(BYTES_MAX),
        }
    )
