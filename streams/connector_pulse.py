"""How a connectors process is: what waits in its database, looked at once a second, off the event loop."""

import threading
from collections.abc import Iterable

import msgspec
import psycopg
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from psycopg_pool import ConnectionPool, PoolTimeout

from connectors.measuring import NONE
from connectors.metrics import WAITING
from connectors.outbox import Connection
from schemas.words import Channel

_EVERY_S = 1.0
_WAIT_S = 2.0
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


class Pulse(Collector):
    """The health and the gauges of one process; `service` is the thread that has to live."""

    def __init__(self, pool: ConnectionPool[Connection], service: threading.Thread) -> None:
        self._pool, self._service, self._last = pool, service, Look()

    def run(self, ended: threading.Event) -> None:
        while not ended.is_set():
            self._last = self._look()
            ended.wait(_EVERY_S)

    def _look(self) -> Look:
        try:
            with self._pool.connection(timeout=_WAIT_S) as connection:
                rows = connection.execute(_WAITING).fetchall()
        except (psycopg.OperationalError, PoolTimeout) as error:
            return Look(problem=f"postgres: {type(error).__name__}")
        return Look({(what, channel): count for what, channel, count in rows}, "")

    def not_live(self) -> list[str]:
        return [] if self._service.is_alive() else ["the service has ended"]

    def not_ready(self) -> list[str]:
        return [self._last.problem] if self._last.problem else []

    def quiescent(self) -> bool:
        """Looked at now, not a second ago: who asks wants to act on it."""
        look = self._look()
        # A task waits for a person, not for us.
        ours = [count for (_, channel), count in look.waiting.items() if channel != Channel.PERSON]
        return not look.problem and not any(ours)

    def collect(self) -> Iterable[Metric]:
        rows = [(what, channel or NONE, count) for (what, channel), count in self._last.waiting.items()]
        yield WAITING.sampled(rows)
