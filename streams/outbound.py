"""Outbound on Kafka: channel commands are filed as claims, and case changes shown in the register."""

from collections.abc import Callable
from typing import Any

import psycopg
import stamina
from psycopg_pool import ConnectionPool

from connectors.claims import Claims
from connectors.metrics import TAKEN_IN
from connectors.outbox import Connection
from connectors.register.projection import Placed, project
from connectors.tracing import sound
from schemas.catalogue import RECORDS, Topic
from schemas.codec import Codec
from schemas.errors import Malformed
from streams.core import Batch, Record
from streams.quarantine import Origin, Rejected, of_record
from streams.traces import traceparent_of

# Puts records that are no commands of ours into quarantine; returns once the broker has them.
Quarantine = Callable[[list[Rejected]], None]

_wait_for_the_database = stamina.retry(on=psycopg.OperationalError, attempts=10, timeout=120.0, wait_max=10.0)


class Outbound:
    """Handlers of the workers' own output topics. Only files and shows: nothing slow may hold a partition up."""

    def __init__(
        self,
        codec: Codec,
        pool: ConnectionPool[Connection],
        claims: Claims,
        quarantine: Quarantine,
        version: str,
    ) -> None:
        self._codec, self._pool, self._filed = codec, pool, self.filing(claims.file)
        self._quarantine, self._version = quarantine, version

    def file(self, topic: str, partition: int, batch: Batch) -> None:
        """Channel commands and cancellations become claims, in one statement for the whole delivery."""
        self._filed(topic, partition, batch)

    def show(self, topic: str, partition: int, batch: Batch) -> None:
        """Case changes become rows of the register."""
        placed = [
            Placed(partition, at.offset, change) for at, change in self._decoded(topic, partition, batch)
        ]
        if placed:
            self._shown(placed)

    def filing(self, file: Callable[[list[Any], list[str]], None]) -> Callable[[str, int, Batch], None]:
        """A handler that only files what is ours, such as updates for the OMS and requests for evidence."""
        durable = _wait_for_the_database(file)

        def handle(topic: str, partition: int, batch: Batch) -> None:
            found = self._decoded(topic, partition, batch)
            if found:
                traces = [sound(traceparent_of(at).decode("latin-1")) for at, _ in found]
                durable([record for _, record in found], traces)

        return handle

    @_wait_for_the_database
    def _shown(self, placed: list[Placed]) -> None:
        with self._pool.connection() as connection, connection.transaction():
            project(connection, placed)

    def _decoded(self, topic: str, partition: int, batch: Batch) -> list[tuple[Record, Any]]:
        """What is ours, in order; the rest goes to quarantine before anything is acknowledged."""
        expected = RECORDS[Topic(topic)]
        found: list[tuple[Record, Any]] = []
        rejected: list[Rejected] = []
        for record in batch.records:
            try:
                found.append((record, self._codec.decode(record.value, expected)))
            except Malformed as malformed:
                origin = Origin(topic, partition)
                rejected.append(of_record(record, origin, malformed.reasons, self._version))
        if rejected:
            self._quarantine(rejected)
        TAKEN_IN.add(topic, "quarantined", by=len(rejected))
        TAKEN_IN.add(topic, "taken", by=len(found))
        return found
