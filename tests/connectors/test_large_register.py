"""A register of many cases: what counts it reads no command and no change, what reports of it does not hold it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from connectors.register.counts import _COUNT, _WATCH, _WORDS
from connectors.register.migrate import upgrade
from connectors.register.report import _ROWS
from tests.bench.register import fill
from tests.builders import NOON

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("postgres")]
# Their rows are hundred times as wide as what is counted of them.
_WIDE = {"case_timeline", "claims", "write_backs", "evidence_requests"}
_FEW, _MANY = 400, 100_000


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from nodes(part)


def reads_of_wide_tables(connection: psycopg.Connection, query: str) -> set[tuple[str, str]]:
    """(table, how it is read), where an index is taken wherever there is one that serves."""
    values = _WORDS | {"now": NOON, "from": None, "before": None}
    with connection.transaction():
        for way in ("seqscan", "bitmapscan"):
            connection.execute(f"SET LOCAL enable_{way} = off".encode())
        row = connection.execute(f"EXPLAIN (FORMAT JSON) {query}".encode(), values).fetchone()
    found = list(nodes(row[0][0]["Plan"]))
    assert any(one.get("Relation Name") == "register_cases" for one in found)
    return {(one["Relation Name"], one["Node Type"]) for one in found if one.get("Relation Name") in _WIDE}


def test_counting_reads_indexes_alone_of_what_is_wide(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        fill(dsn, connection, _FEW)
        upgrade(dsn)
        connection.execute("VACUUM ANALYZE")
        assert reads_of_wide_tables(connection, _COUNT) == {
            (table, "Index Only Scan") for table in ("claims", "write_backs", "evidence_requests")
        }
        assert "Seq Scan" not in {how for _, how in reads_of_wide_tables(connection, _WATCH)}
        assert reads_of_wide_tables(connection, _ROWS) == set()


def peak_mb(dsn: str) -> float:
    """Of `saveline report`, as a process of its own."""
    saveline = str(Path(sys.executable).with_name("saveline"))
    made = subprocess.Popen(
        [saveline, "report", "--json"], env=os.environ | {"SAVELINE_PG_DSN": dsn}, stdout=subprocess.DEVNULL
    )
    _, status, used = os.wait4(made.pid, 0)
    assert status == 0
    return used.ru_maxrss / 1024


def test_a_report_of_many_cases_is_hardly_larger_than_one_of_a_few(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        fill(dsn, connection, _FEW, ("register_cases",))
        upgrade(dsn)
        few = peak_mb(dsn)
        connection.execute(
            "CREATE TEMP TABLE more AS SELECT r.* FROM register_cases r, generate_series(1, %s)",
            [_MANY // _FEW],
        )
        connection.execute(
            "UPDATE more SET case_id = n || case_id, order_id = n || order_id, customer_ref = n || customer_ref"
            " FROM (SELECT ctid AS at, row_number() OVER () AS n FROM more) AS one WHERE more.ctid = one.at"
        )
        connection.execute("INSERT INTO register_cases SELECT * FROM more")
        # Held, they would be 25 MB; a thousand at a time and a number of each are two.
        assert peak_mb(dsn) - few < 10
