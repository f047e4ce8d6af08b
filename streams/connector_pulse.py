"""How a connectors process is: what waits in its database, looked at once a second, off the event loop."""

import threading
from collections.abc import Callable, Iterable, Mapping

import msgspec
import psycopg
from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from psycopg_pool import ConnectionPool, PoolTimeout

from connectors.clock import Clock
from connectors.measuring import NONE
from connectors.metrics import WAITING
from connectors.outbox import Connection
from connectors.rounds import Rounds
from schemas.words import Channel

_EVERY_S = 1.0
_WAIT_S = 2.0
_ASK_S = 10.0
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
    """The health and the gauges of one process; `service` is the thread that has to live.

    `at_end` asks whether all that lies in its topics was handled. What has begun a round in `rounds` may take
    `patience_s`.
    """

    def __init__(
        self,
        pool: ConnectionPool[Connection],
        service: threading.Thread,
        at_end: Callable[[], bool],
        *,
        rounds: Rounds,
        patience_s: float,
        clock: Clock,
    ) -> None:
        self._pool, self._service, self._at_end, self._last = pool, service, at_end, Look()
        self._rounds, self._patience_s, self._clock = rounds, patience_s, clock

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
        if not self._service.is_alive():
            return ["the service has ended"]
        # Whoever needs the database waits for it; no restart brings it back.
        return [] if self.not_ready() else self._rounds.standing(self._patience_s)

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


def nothing_follows(
    client: Mapping[str, str], positions: Callable[[], Mapping[tuple[str, int], int]]
) -> bool:
    """Whether no partition reaches beyond its position; not before there are any, or while nobody can tell.

    For tests: each question has a connection of its own.
    """
    places = {TopicPartition(*partition): offset for partition, offset in positions().items()}
    latest = {place: OffsetSpec.latest() for place in places}  # type: ignore[no-untyped-call]
    if not latest:
        return False
    # Kept until it has answered: without it its questions are dropped.
    admin = AdminClient({**client, "log_level": "0"})
    try:
        asked = admin.list_offsets(latest, request_timeout=_ASK_S)
        return all(end.result(_ASK_S).offset <= places[place] for place, end in asked.items())
    except (KafkaException, TimeoutError):
        return False
