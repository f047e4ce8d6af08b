"""Facts that leave in the transaction that made them true, and reach Kafka at least once, after it."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol

import msgspec
import psycopg
from psycopg_pool import ConnectionPool

from connectors.tracing import current
from schemas.catalogue import Topic
from schemas.events import Fact

Connection = psycopg.Connection[Any]
_AT_ONCE = 500


class Leaving(NamedTuple):
    """A record on its way to Kafka; `traceparent` is empty where it belongs to no trace."""

    topic: str
    key: str
    value: bytes
    traceparent: str = ""


class Publish(Protocol):
    """Hands records to Kafka; returns only once all are acknowledged, else raises."""

    def __call__(self, records: list[Leaving]) -> None: ...


class Outbox:
    """`encode` is the codec's; a repeat carries the same `event_id`, so that readers drop it."""

    def __init__(self, encode: Callable[[msgspec.Struct], bytes], topic: Topic = Topic.CASE_EVENTS) -> None:
        self._encode = encode
        self._topic = topic

    def put(self, connection: Connection, facts: Iterable[Fact]) -> None:
        """Part of the caller's transaction."""
        for fact in facts:
            self.put_elsewhere(connection, self._topic, fact.order_id, fact)

    def put_elsewhere(self, connection: Connection, topic: Topic, key: str, record: msgspec.Struct) -> None:
        """A record for another topic, part of the caller's transaction.

        What answers a command goes on with that command's trace, everything else with the current one.
        """
        connection.execute(
            "INSERT INTO outbox (topic, key, value, traceparent) VALUES (%s, %s, %s, coalesce("
            " (SELECT nullif(traceparent, '') FROM claims WHERE command_id = %s), %s))",
            [str(topic), key, self._encode(record), getattr(record, "command_id", ""), current()],
        )


def publish_outbox(pool: ConnectionPool[Connection], publish: Publish) -> int:
    """One batch, oldest first; returns how many. Killed in between, it publishes them once more."""
    with pool.connection() as connection:
        # Most looks find nothing, and need no transaction.
        if not connection.execute("SELECT 1 FROM outbox ORDER BY id LIMIT 1").fetchone():
            return 0
        with connection.transaction():
            rows = connection.execute(
                "SELECT id, topic, key, value, traceparent FROM outbox ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED",
                [_AT_ONCE],
            ).fetchall()
            if rows:
                publish([Leaving(topic, key, bytes(value), trace) for _, topic, key, value, trace in rows])
                connection.execute("DELETE FROM outbox WHERE id = ANY(%s)", [[row[0] for row in rows]])
            return len(rows)
