"""Updates wait in Postgres for their turn: one at a time an order, in order, until their fate is known."""

import threading
from collections.abc import Sequence
from datetime import timedelta

import msgspec
import structlog
from psycopg_pool import ConnectionPool

from connectors import kept
from connectors.bell import Bell, keep_looking
from connectors.clock import Clock
from connectors.oms.writeback import WriteBack, Written
from connectors.outbox import Connection, Outbox
from connectors.rounds import Rounds
from connectors.tracing import continuing, traced
from schemas.commands import OrderUpdate
from schemas.events import WriteBackReceived
from schemas.words import WriteBackOutcome

log = structlog.get_logger()

# How a write of unknown fate is looked for again; the last pause repeats.
_LOOK_AGAIN_S = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
# A process that froze with an order in its hands does not keep it for longer than this.
_HELD_MAX = "60s"


class WriteBackQueue:
    """Several processes may work on it; `outbox` carries each outcome to `case.events.v1`."""

    def __init__(
        self, pool: ConnectionPool[Connection], outbox: Outbox, clock: Clock, write_back: WriteBack
    ) -> None:
        self._pool, self._outbox, self._clock, self._write_back = pool, outbox, clock, write_back
        self._filed = Bell()

    def file(self, updates: list[OrderUpdate], traces: Sequence[str] = ()) -> None:
        """Durable when it returns; repeats change nothing. `traces` are the updates' own, in their order."""
        now = self._clock.now()
        with self._pool.connection() as connection, connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO write_backs (update_id, attempt, order_id, record, filed_at, due_at, traceparent)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                [
                    (one.command_id, one.attempt, one.order_id, msgspec.json.encode(one), now, now, trace)
                    for one, trace in traced(updates, traces)
                ],
            )
        self._filed.ring()

    def work_once(self) -> bool:
        """Takes the next update of an order that nobody works on; False if there is none."""
        with self._pool.connection() as connection:
            due = self._due(connection)
            if not due:
                return False
            connection.execute(f"SET idle_session_timeout = '{_HELD_MAX}'")
            try:
                return self._work(connection, due)
            finally:
                if not connection.broken:
                    connection.execute("RESET idle_session_timeout")

    def _work(self, connection: Connection, due: list[tuple[int, str]]) -> bool:
        for seq, order_id in due:
            locked = connection.execute(
                "SELECT pg_try_advisory_lock(hashtextextended(%s, 1))", [order_id]
            ).fetchone()
            if not (locked and locked[0]):
                continue
            try:
                if self._work_on(connection, seq):
                    return True
            finally:
                if not connection.broken:
                    connection.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 1))", [order_id])
        return False

    def _due(self, connection: Connection) -> list[tuple[int, str]]:
        """Only the first unsettled update of each order: a later one builds on its result."""
        return connection.execute(
            "SELECT seq, order_id FROM write_backs AS mine"
            " WHERE settled_at IS NULL AND due_at <= %s AND NOT EXISTS ("
            "  SELECT 1 FROM write_backs AS earlier WHERE earlier.order_id = mine.order_id"
            "  AND earlier.seq < mine.seq AND earlier.settled_at IS NULL)"
            " ORDER BY due_at, seq LIMIT 50",
            [self._clock.now()],
        ).fetchall()

    def _work_on(self, connection: Connection, seq: int) -> bool:
        row = connection.execute(
            "UPDATE write_backs SET tries = tries + 1 WHERE seq = %s AND settled_at IS NULL AND due_at <= %s"
            " RETURNING record, tries, unknown_at, traceparent",
            [seq, self._clock.now()],
        ).fetchone()
        if row is None:
            # Somebody else settled it between our look and our lock.
            return False
        update, tries, unknown_at = kept.update(bytes(row[0])), row[1], row[2]
        # A second try is one whose first ended without a word: its process died, or nobody answered.
        with continuing(row[3]):
            written = self._write_back.write(update, was_unknown=tries > 1 or unknown_at is not None)
            log.info("written_back", update_id=update.command_id, outcome=written.outcome, code=written.code)
            with connection.transaction():
                self._settle(connection, seq, update, written, tries)
        return True

    def _settle(
        self, connection: Connection, seq: int, update: OrderUpdate, written: Written, tries: int
    ) -> None:
        now = self._clock.now()
        unknown = written.outcome is WriteBackOutcome.UNDETERMINED
        if unknown:
            after_s = _LOOK_AGAIN_S[min(tries, len(_LOOK_AGAIN_S)) - 1]
            first = connection.execute(
                "UPDATE write_backs SET due_at = %s, unknown_at = coalesce(unknown_at, %s), code = %s"
                " WHERE seq = %s RETURNING unknown_at = %s",
                [now + timedelta(seconds=after_s), now, written.code, seq, now],
            ).fetchone()
            if not (first and first[0]):
                return
        else:
            connection.execute(
                "UPDATE write_backs SET settled_at = %s, outcome = %s, code = %s, snapshot = %s WHERE seq = %s",
                [now, written.outcome, written.code, written.snapshot or None, seq],
            )
        fact = WriteBackReceived(
            event_id=f"{update.command_id}.w{update.attempt}.{written.outcome}",
            order_id=update.order_id,
            case_id=update.case_id,
            update_id=update.command_id,
            outcome=written.outcome,
            code=written.code,
            differences=written.differences,
            line_quantity=written.line_quantity,
            snapshot_sha256=written.snapshot_sha256,
            occurred_at=now,
        )
        self._outbox.put(connection, [fact])

    def run(self, ended: threading.Event, rounds: Rounds) -> None:
        """One worker; start several for several orders at once."""
        keep_looking(rounds.watched("write-back", self.work_once), ended, self._filed)
