"""Puts facts on `case.events.v1`; returns only once the broker has them, so that nobody is told yes too early."""

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

import msgspec
from confluent_kafka import KafkaException, Producer

from connectors.tracing import HEADER, current
from schemas.catalogue import Topic
from schemas.codec import Codec
from schemas.events import Fact

_FLUSH_S = 10.0


class Unpublished(Exception):
    """The broker did not take the fact in time: the request was not accepted, and may be sent again."""


class Facts(Protocol):
    async def publish(self, facts: Sequence[Fact]) -> None:
        """Raises `Unpublished`."""
        ...


class KafkaFacts:
    """Facts over an idempotent producer that partitions as Java's clients do."""

    def __init__(self, client: dict[str, str], codec: Codec) -> None:
        self._producer = Producer(
            client
            | {"enable.idempotence": "true", "partitioner": "murmur2_random", "message.timeout.ms": "8000"}
        )
        self._codec = codec

    async def publish(self, facts: Sequence[Fact]) -> None:
        records = [(fact.order_id, self._encoded(fact)) for fact in facts]
        await asyncio.to_thread(self._send, records, current())

    def _encoded(self, fact: msgspec.Struct) -> bytes:
        return self._codec.encode(fact)

    def _send(self, records: Sequence[tuple[str, bytes]], traceparent: str) -> None:
        failures: list[str] = []

        def delivered(error: Any, _message: Any) -> None:
            if error is not None:
                failures.append(str(error))

        try:
            for key, value in records:
                headers: list[tuple[str, str | bytes | None]] = [(HEADER, traceparent)] if traceparent else []
                self._producer.produce(
                    Topic.CASE_EVENTS.value, value, key, on_delivery=delivered, headers=headers
                )
        except (BufferError, KafkaException) as error:
            raise Unpublished(str(error)) from error
        if self._producer.flush(_FLUSH_S) or failures:
            raise Unpublished(failures[0] if failures else f"not acknowledged within {_FLUSH_S} s")
