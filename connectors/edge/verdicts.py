"""The worker's word on a response, read from the register, so that whoever decided is told the truth."""

import asyncio
from typing import Any

from psycopg_pool import ConnectionPool

from connectors.clock import Clock
from connectors.outbox import Connection

_WAIT_S = 2.0
_POLL_S = 0.05


class Verdicts:
    """`waiting`, `accepted`, or `refused` with the reason."""

    def __init__(self, pool: ConnectionPool[Connection], clock: Clock) -> None:
        self._pool, self._clock = pool, clock

    async def now(self, order_id: str, response_id: str) -> tuple[str, str]:
        return await asyncio.to_thread(self._word, order_id, response_id)

    async def soon(self, order_id: str, response_id: str) -> tuple[str, str]:
        """Waits briefly; `waiting` if the worker has not spoken until then."""
        ends = self._clock.monotonic() + _WAIT_S
        while True:
            verdict, reason = await self.now(order_id, response_id)
            if verdict != "waiting" or self._clock.monotonic() > ends:
                return verdict, reason
            await asyncio.sleep(_POLL_S)

    def _word(self, order_id: str, response_id: str) -> tuple[str, str]:
        with self._pool.connection() as connection:
            rows = connection.execute(
                "SELECT change->'response' FROM case_timeline WHERE order_id = %s"
                " AND change->'response'->>'response_id' = %s",
                [order_id, response_id],
            ).fetchall()
        verdicts: list[dict[str, Any]] = [row[0] for row in rows]
        if not verdicts:
            return "waiting", ""
        refused = [verdict["reason"] for verdict in verdicts if not verdict["accepted"]]
        return ("refused", "; ".join(dict.fromkeys(refused))) if refused else ("accepted", "")
