"""What is older than it may be kept goes, word by word; what still matters stays, however old."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from psycopg_pool import ConnectionPool

from connectors.outbox import Connection
from connectors.postgres import open_pool
from connectors.register.migrate import upgrade
from connectors.retention import Retention
from connectors.rounds import Rounds
from tests.builders import NOON
from tests.connectors.builders import SteppedClock

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("postgres")]
KEEP = timedelta(days=30)
OLD, YOUNG = NOON - timedelta(days=31), NOON - timedelta(days=29)


@pytest.fixture
def pool(dsn: str) -> Iterator[ConnectionPool[Connection]]:
    upgrade(dsn)
    with open_pool(dsn, max_size=2) as pool:
        yield pool


def a_claim(connection: Connection, name: str, *, filed_at, state="sent", live=False) -> None:
    connection.execute(
        "INSERT INTO claims (command_id, order_id, channel, state, filed_at, live)"
        " VALUES (%s, 'A1', 'sms', %s, %s, %s)",
        [name, state, filed_at, live],
    )


def a_call(connection: Connection, name: str, *, at) -> None:
    connection.execute(
        "INSERT INTO call_sessions (call_id, command_id, order_id, conversation_id, customer_ref, provider_id,"
        " incoming, version, turn, sealed, stage, started_at, spoken_at, ended_at)"
        " VALUES (%s, '', 'A1', '', '', '', false, 1, 1, '', 'ended', %s, %s, %s)",
        [name, at, at, at],
    )
    connection.execute("INSERT INTO call_turns VALUES (%s, 1, '', %s)", [name, at])


def left(pool: ConnectionPool[Connection], table: str, column: str) -> list[str]:
    with pool.connection() as connection:
        return [row[0] for row in connection.execute(f"SELECT {column} FROM {table} ORDER BY 1")]


def test_old_calls_go_with_every_word_and_young_ones_stay(pool: ConnectionPool[Connection]) -> None:
    with pool.connection() as connection:
        a_call(connection, "old", at=OLD)
        a_call(connection, "young", at=YOUNG)
    assert Retention(pool, SteppedClock(NOON), KEEP, Rounds(SteppedClock(NOON))).round() == 1
    assert left(pool, "call_sessions", "call_id") == ["young"]
    assert left(pool, "call_turns", "call_id") == ["young"]


def test_old_claims_go_unless_they_are_still_somebodys_business(pool: ConnectionPool[Connection]) -> None:
    with pool.connection() as connection:
        for state in ("sent", "rejected", "suppressed", "cancelled", "ambiguous"):
            a_claim(connection, f"old {state}", filed_at=OLD, state=state)
        a_claim(connection, "planned", filed_at=OLD, state="planned")
        a_claim(connection, "claimed", filed_at=OLD, state="claimed")
        a_claim(connection, "ringing", filed_at=OLD, live=True)
        a_claim(connection, "young", filed_at=YOUNG)
    assert Retention(pool, SteppedClock(NOON), KEEP, Rounds(SteppedClock(NOON))).round() == 5
    assert left(pool, "claims", "command_id") == ["claimed", "planned", "ringing", "young"]


def test_more_than_one_bite_is_eaten_in_one_round(pool: ConnectionPool[Connection]) -> None:
    with pool.connection() as connection:
        connection.execute(
            "INSERT INTO claims (command_id, order_id, channel, state, filed_at)"
            " SELECT 'c' || n, 'A1', 'sms', 'sent', %s FROM generate_series(1, 1200) n",
            [OLD],
        )
    assert Retention(pool, SteppedClock(NOON), KEEP, Rounds(SteppedClock(NOON))).round() == 1200
    assert left(pool, "claims", "command_id") == []
