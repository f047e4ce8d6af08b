"""How a connectors process is: what waits in its database, looked at once a second, off the event loop."""

import threading
from collections.abc import Callable, Iterable, Sequence

import msgspec
import psycopg
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from psycopg_pool import ConnectionPool, PoolTimeout

from connectors.clock import Clock
from connectors.measuring import NONE
from connectors.metrics import WAITING
from connectors.outbox import Connection
from schemas.words import Channel

_EVERY_S = 1.0
_WAIT_S = 2.0
# Of a look that has not come back it is not known yet whether it will.
_SILENT_S = 30.0
_WAITING = """
    SELECT 'claims_' || state, channel, count(*) FROM claims
        WHERE state IN ('planned', 'claimed', 'ambiguous') GROUP BY 1, 2
    UNION ALL SELECT 'outbox', '', count(*) FROM outbox
    UNION ALL SELECT 'write_backs', '', count(*) FROM write_backs WHERE settled_at IS NULL
    UNION ALL SELECT 'evidence', '', count(*) FROM evidence_requests WHERE settled_at IS NULL
"""


class Look(msgspec.Struct, frozen=True):
    """What waits, by what it is and its channel; `problem` says why nothing could be seen."""

    waiting: dict[tuple[str, str], int] = {}
    problem: str = "not looked yet"
    at_s: float = 0.0
    """By the monotonic clock."""


class Pulse(Collector):
    """The health and the gauges of one process; `service` is a thread that has to live, and so is each it begins.

    `at_end` asks whether all that lies in its topics was handled; each of `standing` tells what has not moved for
    longer than `patience_s`.
    """

    def __init__(
        self,
        pool: ConnectionPool[Connection],
        service: threading.Thread,
        at_end: Callable[[], bool],
        *,
        standing: Sequence[Callable[[float], list[str]]],
        patience_s: float,
        clock: Clock,
    ) -> None:
        self._pool, self._threads, self._at_end, self._last = pool, [service], at_end, Look()
        self._standing, self._patience_s, self._clock = standing, patience_s, clock

    def begin(
        self, name: str, work: Callable[[threading.Event], None], ended: threading.Event
    ) -> threading.Thread:
        """On a thread that ends with the process, and not before."""
        thread = threading.Thread(target=work, args=(ended,), name=name, daemon=True)
        thread.start()
        self._threads.append(thread)
        return thread

    def run(self, ended: threading.Event) -> None:
        while not ended.is_set():
            self.look()
            ended.wait(_EVERY_S)

    def look(self) -> None:
        self._last = self._look()

    def _look(self) -> Look:
        try:
            with self._pool.connection(timeout=_WAIT_S) as connection:
                rows = connection.execute(_WAITING).fetchall()
        except (psycopg.Error, PoolTimeout) as error:
            return Look(problem=f"postgres: {type(error).__name__}", at_s=self._clock.monotonic())
        waiting = {(what, channel): count for what, channel, count in rows}
        return Look(waiting, "", self._clock.monotonic())

    def not_live(self) -> list[str]:
        if gone := [f"the thread {one.name} has ended" for one in self._threads if not one.is_alive()]:
            return gone
        # Whoever needs the database waits for it; no restart brings it back.
        return [] if self.not_ready() else [why for one in self._standing for why in one(self._patience_s)]

    def not_ready(self) -> list[str]:
        last = self._last
        if last.problem:
            return [last.problem]
        silent_s = self._clock.monotonic() - last.at_s
        return [f"postgres: no answer for {silent_s:.0f} s"] if silent_s > _SILENT_S else []

    def quiescent(self) -> bool:
        """Looked at now, not a second ago: who asks wants to act on it. What was read is in the database."""
        if not self._at_end():
            return False
        look = self._look()
        # A task waits for a person, not for us.
        ours = [count for (_, channel), count in look.waiting.items() if channel != Channel.PERSON]
        return not look.problem and not any(ours)

    def collect(self) -> Iterable[Metric]:
        rows = [(what, channel or NONE, count) for (what, channel), count in self._last.waiting.items()]
        yield WAITING.sampled(rows)
