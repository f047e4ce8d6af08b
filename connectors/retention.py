"""Removes what nobody needs any more from Postgres: calls word by word, and claims with the texts that were sent.

Evidence has a retention of its own, in the bucket; until then it is the only copy.
"""

import threading
from datetime import timedelta

import psycopg
import structlog
from psycopg_pool import ConnectionPool

from connectors.clock import Clock
from connectors.outbox import Connection
from connectors.rounds import Rounds

log = structlog.get_logger()

_EVERY_S = 3_600.0
_DOWN_S = 5.0
_AT_ONCE = 500
# A claim of these is over; the others are still somebody's business, however old.
_OVER = ("sent", "rejected", "suppressed", "cancelled", "ambiguous")


class Retention:
    """`keep` is longer than any command can come again: a claim that is gone keeps no repeat from leaving."""

    def __init__(
        self, pool: ConnectionPool[Connection], clock: Clock, keep: timedelta, rounds: Rounds
    ) -> None:
        self._pool, self._clock, self._keep, self._rounds = pool, clock, keep, rounds

    def run(self, ended: threading.Event) -> None:
        """Once an hour until `ended`."""
        while not ended.is_set():
            try:
                removed = self.round()
            except psycopg.OperationalError as error:
                log.warning("retention_waits", error=type(error).__name__)
                ended.wait(_DOWN_S)
                continue
            if removed:
                log.info("retention", removed=removed)
            ended.wait(_EVERY_S)

    def round(self) -> int:
        """Everything that is too old now, in small bites; returns how many calls and claims went."""
        removed = 0
        while bite := self._bite():
            removed += bite
        return removed

    def _bite(self) -> int:
        with self._rounds.at("retention"):
            return self._calls() + self._claims()

    def _calls(self) -> int:
        with self._pool.connection() as connection, connection.transaction():
            rows = connection.execute(
                "SELECT call_id FROM call_sessions WHERE coalesce(ended_at, spoken_at) < %s"
                " LIMIT %s FOR UPDATE SKIP LOCKED",
                [self._clock.now() - self._keep, _AT_ONCE],
            ).fetchall()
            ids = [row[0] for row in rows]
            connection.execute("DELETE FROM call_turns WHERE call_id = ANY(%s)", [ids])
            connection.execute("DELETE FROM call_sessions WHERE call_id = ANY(%s)", [ids])
        return len(ids)

    def _claims(self) -> int:
        with self._pool.connection() as connection:
            return connection.execute(
                "DELETE FROM claims WHERE command_id IN (SELECT command_id FROM claims"
                " WHERE filed_at < %s AND state = ANY(%s) AND NOT live LIMIT %s FOR UPDATE SKIP LOCKED)",
                [self._clock.now() - self._keep, list(_OVER), _AT_ONCE],
            ).rowcount
