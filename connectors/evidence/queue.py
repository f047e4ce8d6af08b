"""Evidence requests wait in Postgres until their evidence is stored; a store that is down delays nothing else."""

import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import msgspec
import structlog
from psycopg_pool import ConnectionPool

from connectors.bell import Bell, keep_looking
from connectors.clock import Clock
from connectors.evidence.chain import Stored, Tail
from connectors.evidence.gather import Gathered
from connectors.evidence.keeper import Keeper, Kept
from connectors.evidence.store import StoreError
from connectors.kept import evidence_request
from connectors.outbox import Connection, Outbox
from connectors.rounds import Rounds
from connectors.tracing import continuing, traced
from connectors.vault import Erased
from schemas.commands import EvidenceRequest
from schemas.events import EvidenceStored
from schemas.words import EvidencePart

log = structlog.get_logger()

_RETRY_S = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
# For how long a part that comes later (a recording) is waited for, and how often it is looked for.
WAIT_FOR_PARTS = timedelta(seconds=120)
_LOOK_AGAIN = timedelta(seconds=2)
# Whoever takes a request has it for so long.
_LEASE = timedelta(seconds=60)
# How long after a provider did not let a recording be deleted it is tried again.
_CLEAR_AGAIN = timedelta(seconds=30)
_stored = msgspec.json.Decoder(tuple[Stored, ...]).decode


class EvidenceQueue:
    """`outboxes` carry the pointer, to `case.events.v1` and to `case.evidence.v1`."""

    def __init__(
        self,
        pool: ConnectionPool[Connection],
        outboxes: tuple[Outbox, ...],
        clock: Clock,
        *,
        gather: Callable[[EvidenceRequest], Gathered],
        keeper: Keeper,
        after: Callable[[list[str]], bool] = lambda _calls: True,
        wait_for_parts: timedelta = WAIT_FOR_PARTS,
    ) -> None:
        """`after` removes at the provider what it has of these calls of its own; False if it could not."""
        self._pool, self._outboxes, self._clock = pool, outboxes, clock
        self._gather, self._keeper, self._wait_for_parts = gather, keeper, wait_for_parts
        self._after = after
        self._filed = Bell()

    def file(self, requests: list[EvidenceRequest], traces: Sequence[str] = ()) -> None:
        """Durable when it returns; repeats change nothing. `traces` are the requests' own, in their order."""
        now = self._clock.now()
        with self._pool.connection() as connection, connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO evidence_requests"
                " (request_id, order_id, case_id, conversation_id, record, filed_at, due_at, traceparent)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                [
                    (
                        *(one.command_id, one.order_id, one.case_id, one.conversation_id),
                        *(msgspec.json.encode(one), now, now, trace),
                    )
                    for one, trace in traced(requests, traces)
                ],
            )
        self._filed.ring()

    def work_once(self) -> bool:
        """Takes the next request that is due; False if there is none."""
        now = self._clock.now()
        with self._pool.connection() as connection:
            row = connection.execute(
                "UPDATE evidence_requests SET due_at = %s, tries = tries + 1 WHERE request_id = ("
                " SELECT request_id FROM evidence_requests WHERE settled_at IS NULL AND due_at <= %s"
                " ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING record, tries, filed_at, traceparent",
                [now + _LEASE, now],
            ).fetchone()
        if row is None:
            return self._clear_once(now)
        request, tries, filed_at = evidence_request(bytes(row[0])), row[1], row[2]
        with continuing(row[3]):
            self._try(request, filed_at, tries, now)
        return True

    def _try(self, request: EvidenceRequest, filed_at: datetime, tries: int, now: datetime) -> None:
        try:
            self._work_on(request, filed_at, now)
        except StoreError as error:
            log.warning("evidence_waits", request_id=request.command_id, error=str(error)[:200])
            after_s = _RETRY_S[min(tries, len(_RETRY_S)) - 1]
            self._later(request.command_id, self._clock.now() + timedelta(seconds=after_s), "store")
        except Erased:
            # Nothing of theirs may be kept any more, here or at the provider.
            self._settle(request, None, now)

    def _work_on(self, request: EvidenceRequest, filed_at: datetime, now: datetime) -> None:
        gathered = self._gather(request)
        missing = gathered.missing
        shared: tuple[Stored, ...] = ()
        if EvidencePart.RECORDING in missing:
            # One call decides several cases: whichever was first has it, and the provider no longer.
            shared = self._recordings_of(request.conversation_id)
            missing = tuple(part for part in missing if not (shared and part is EvidencePart.RECORDING))
        if missing and now < filed_at + self._wait_for_parts:
            waiting = f"waits for {', '.join(missing)}"
            self._later(request.command_id, now + _LOOK_AGAIN, waiting)
            return
        kept = self._keeper.keep(request, Gathered(gathered.parts, missing), shared, self._tail, now)
        # Only what was stored and read back is deleted, and what the customer did not want to exist.
        done_with = EvidencePart.RECORDING in gathered.parts or request.recording_refused
        cleared = not done_with or self._after(self._calls_of(request.conversation_id))
        self._settle(request, kept, None if cleared else now + _CLEAR_AGAIN)

    def _clear_once(self, now: datetime) -> bool:
        """Takes one settled request whose recording the provider still has; False if there is none."""
        with self._pool.connection() as connection:
            row = connection.execute(
                "UPDATE evidence_requests SET clear_at = %s WHERE request_id = ("
                " SELECT request_id FROM evidence_requests WHERE clear_at <= %s"
                " ORDER BY clear_at LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING request_id, conversation_id",
                [now + _CLEAR_AGAIN, now],
            ).fetchone()
        if row is None:
            return False
        request_id, conversation_id = row
        if self._after(self._calls_of(conversation_id)):
            with self._pool.connection() as connection:
                connection.execute(
                    "UPDATE evidence_requests SET clear_at = NULL WHERE request_id = %s", [request_id]
                )
        else:
            log.warning("recording_stays_at_provider", request_id=request_id)
        return True

    def _calls_of(self, conversation_id: str) -> list[str]:
        """What the provider calls the calls of a conversation, made by us or by the customer."""
        with self._pool.connection() as connection:
            rows = connection.execute(
                "SELECT provider_id FROM claims WHERE conversation_id = %s AND channel = 'voice'"
                " AND provider_id <> '' UNION SELECT provider_id FROM call_sessions WHERE conversation_id = %s",
                [conversation_id, conversation_id],
            ).fetchall()
        return [row[0] for row in rows]

    def _tail(self, chain: int) -> Tail:
        with self._pool.connection() as connection:
            row = connection.execute(
                "SELECT seq, sha256 FROM evidence_chains WHERE chain = %s", [chain]
            ).fetchone()
        return Tail(row[0], row[1]) if row else Tail()

    def _recordings_of(self, conversation_id: str) -> tuple[Stored, ...]:
        with self._pool.connection() as connection:
            rows = connection.execute(
                "SELECT objects FROM evidence_requests WHERE conversation_id = %s AND objects IS NOT NULL"
                " ORDER BY settled_at DESC",
                [conversation_id],
            ).fetchall()
        for (objects,) in rows:
            stored = _stored(bytes(objects))
            found = tuple(one for one in stored if EvidencePart.RECORDING in one.parts)
            if found:
                return found
        return ()

    def _later(self, request_id: str, at: datetime, problem: str) -> None:
        with self._pool.connection() as connection:
            connection.execute(
                "UPDATE evidence_requests SET due_at = %s, problem = %s WHERE request_id = %s",
                [at, problem, request_id],
            )

    def _settle(self, request: EvidenceRequest, kept: Kept | None, clear_at: datetime | None = None) -> None:
        now = self._clock.now()
        with self._pool.connection() as connection, connection.transaction():
            settled = connection.execute(
                "UPDATE evidence_requests SET settled_at = %s, problem = %s, pointer = %s, objects = %s,"
                " clear_at = %s"
                " WHERE request_id = %s AND settled_at IS NULL RETURNING 1",
                [
                    *(now, "" if kept else "erased"),
                    msgspec.json.encode(kept.pointer) if kept else None,
                    msgspec.json.encode(kept.link.objects) if kept else None,
                    clear_at,
                    request.command_id,
                ],
            ).fetchone()
            if kept is None or settled is None:
                return
            connection.execute(
                "INSERT INTO evidence_chains AS known (chain, seq, sha256) VALUES (%s, %s, %s)"
                " ON CONFLICT (chain) DO UPDATE SET seq = excluded.seq, sha256 = excluded.sha256"
                " WHERE known.seq < excluded.seq",
                [kept.link.chain, kept.tail.seq, kept.tail.sha256],
            )
            fact = EvidenceStored(
                event_id=f"{request.command_id}.stored",
                order_id=request.order_id,
                case_id=request.case_id,
                request_id=request.command_id,
                pointer=kept.pointer,
                missing=kept.link.missing,
                occurred_at=now,
            )
            for outbox in self._outboxes:
                outbox.put(connection, [fact])

    def run(self, ended: threading.Event, rounds: Rounds) -> None:
        keep_looking(rounds.watched("evidence", self.work_once), ended, self._filed)
