"""Hands records to Kafka and comes back once the broker has them."""

from collections.abc import Callable, Iterable
from typing import Any

from confluent_kafka import KafkaException, Producer

from connectors.outbox import Leaving
from streams.quarantine import Rejected
from streams.traces import HEADER

_FLUSH_S = 30.0
Headers = list[tuple[str, bytes]]


class Unsent(OSError):
    """The broker did not acknowledge everything in time: all of it is handed over again."""


class Sender:
    """Over an idempotent producer; for one thread at a time."""

    def __init__(self, producer: Producer) -> None:
        self._producer = producer

    def publish(self, records: list[Leaving]) -> None:
        """Raises `Unsent`."""
        self._send((one.topic, one.key.encode(), one.value, _traced(one.traceparent)) for one in records)

    def quarantine(self, topic: str) -> Callable[[list[Rejected]], None]:
        def put(rejected: list[Rejected]) -> None:
            self._send((topic, one.key, one.value, one.headers) for one in rejected)

        return put

    def _send(self, records: Iterable[tuple[str, bytes | None, bytes | None, Headers]]) -> None:
        failures: list[str] = []

        def delivered(error: Any, _message: Any) -> None:
            if error is not None:
                failures.append(str(error))

        try:
            for topic, key, value, headers in records:
                self._producer.produce(
                    topic, value, key, on_delivery=delivered, headers=[(name, text) for name, text in headers]
                )
                self._producer.poll(0)
        except (BufferError, KafkaException) as error:
            raise Unsent(str(error)) from error
        if self._producer.flush(_FLUSH_S) or failures:
            raise Unsent(failures[0] if failures else f"not acknowledged within {_FLUSH_S} s")


def _traced(traceparent: str) -> Headers:
    return [(HEADER, traceparent.encode())] if traceparent else []
