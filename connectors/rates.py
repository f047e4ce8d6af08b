"""How fast a channel may send, counted in Postgres: one bucket of tokens for all processes together."""

from datetime import datetime
from typing import Any

import msgspec
import psycopg


class Rate(msgspec.Struct, frozen=True):
    """So many a second on average, and so many at once after a pause."""

    per_second: float
    burst: int = 1


def take(connection: psycopg.Connection[Any], name: str, rate: Rate, wanted: int, now: datetime) -> int:
    """Takes up to `wanted` tokens and says how many; returned to nobody if the transaction fails."""
    connection.execute(
        "INSERT INTO rates (name, tokens, refilled_at) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
        [name, rate.burst, now],
    )
    query = "SELECT tokens, refilled_at FROM rates WHERE name = %s FOR UPDATE"
    [(tokens, refilled_at)] = connection.execute(query, [name]).fetchall()
    # A process whose clock is behind takes nothing from the others.
    elapsed_s = max(0.0, (now - refilled_at).total_seconds())
    filled = min(float(rate.burst), tokens + elapsed_s * rate.per_second)
    taken = min(wanted, int(filled + 1e-9))
    connection.execute(
        "UPDATE rates SET tokens = %s, refilled_at = greatest(refilled_at, %s) WHERE name = %s",
        [filled - taken, now, name],
    )
    return taken
