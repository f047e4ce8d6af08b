"""The register on a real Postgres: what `decide` said of a case is what people see."""

import random
from collections.abc import Iterator

import psycopg
import pytest

from connectors.register.migrate import upgrade
from connectors.register.projection import Placed, project
from connectors.register.trace import trace
from schemas.commands import CaseChanged
from tests.builders import a_line, an_exception
from tests.scenarios.world import World

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("postgres")]


@pytest.fixture
def connection(dsn: str) -> Iterator[psycopg.Connection]:
    upgrade(dsn)
    with psycopg.connect(dsn) as connection:
        yield connection


def changes_of_an_order() -> list[Placed]:
    """Two lines: one is answered, one takes the default."""
    world = World()
    world.exception(an_exception("x1"))
    world.exception(an_exception("x2", line=a_line(line_id="L2")))
    world.fast_forward(seconds=30)
    world.taps("corner")
    world.fast_forward(hours=2)
    return [Placed(0, n, change) for n, change in enumerate(world.of(CaseChanged))]


def rows(connection: psycopg.Connection) -> list[tuple]:
    return connection.execute(
        "SELECT case_id, state, resolution, actor, channel, version, missing FROM register_cases ORDER BY case_id"
    ).fetchall()


def test_the_register_shows_the_last_word_on_every_case(connection: psycopg.Connection) -> None:
    project(connection, changes_of_an_order())
    assert rows(connection) == [
        ("x1", "closed", "substituted", "customer", "page", 1, []),
        ("x2", "closed", "refunded", "default", "unknown", 1, []),
    ]


def test_repeats_and_reordered_batches_end_in_the_same_register(connection: psycopg.Connection) -> None:
    changes = changes_of_an_order()
    project(connection, changes)
    expected = rows(connection)
    again = changes[:]
    random.Random(1).shuffle(again)
    project(
        connection, [change for change in again if change.change.changed_at != changes[-1].change.changed_at]
    )
    project(connection, changes[-3:])
    assert rows(connection) == expected
    count = connection.execute("SELECT count(*) FROM case_timeline").fetchone()
    assert count == (len(changes),)


def test_a_trace_tells_every_instant_and_nothing_of_other_orders(connection: psycopg.Connection) -> None:
    project(connection, changes_of_an_order())
    story = trace(connection, "order-1")
    assert [case["case_id"] for case in story["cases"]] == ["x1", "x2"]
    assert [entry["change"]["state"] for entry in story["timeline"] if entry["case_id"] == "x1"][:2] == [
        "open",
        "open",
    ]
    assert story["cases"][0]["evidence"]["key"] == "x1.d1.e"
    assert trace(connection, "another")["cases"] == []
