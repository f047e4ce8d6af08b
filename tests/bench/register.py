"""What a register of many cases costs who counts it and who reports of it, on a real Postgres: `make bench-register`.

CASES says how many (250,000). One hour of three orders is played, kept by the real tables of the revision before the
register noted what its counts need, and copied there, each copy with ids and a day of its own. Then the database is
brought to today's revision, counted twice and reported of, each as a running system does it.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import msgspec
import psutil
import psycopg
from psycopg import sql

from connectors.clock import SystemClock
from connectors.postgres import open_pool
from connectors.register import outcomes
from connectors.register.counts import RegisterCounts
from connectors.register.migrate import upgrade
from connectors.register.projection import Placed, project
from connectors.rounds import Rounds
from schemas.commands import CaseChanged, ChannelCommand, EvidenceRequest, OrderUpdate
from schemas.events import Delivered, OrderCompleted
from tests.builders import NOON, pounds
from tests.connectors.builders import an_hour
from tests.scenarios.world import World
from tests.world.postgres import Postgres

BEFORE = "0019"
DAYS = 30
_TABLES = ("register_cases", "case_timeline", "claims", "write_backs", "evidence_requests", "order_outcomes")
_NAMED = {
    "case_id",
    "order_id",
    "conversation_id",
    "customer_ref",
    "command_id",
    "update_id",
    "request_id",
    "event_id",
}
_COPIES_AT_ONCE = 2_500


def main() -> int:
    cases = int(os.environ.get("CASES") or 250_000)
    with tempfile.TemporaryDirectory() as folder:
        server = Postgres(Path(folder))
        server.start()
        try:
            measure(server, server.create_database("bench"), cases)
        finally:
            server.stop()
    return 0


def measure(server: Postgres, dsn: str, cases: int) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        fill(dsn, connection, cases)
        size = connection.execute("SELECT pg_database_size(current_database()) / 1e9").fetchone()
        print(f"A register of {cases:,} cases of {DAYS} days, {size[0] if size else 0:.1f} GB:", flush=True)
        with measured("brought to this version", server, connection):
            upgrade(dsn)
        # As autovacuum does sooner or later.
        connection.execute("VACUUM ANALYZE")
        with open_pool(dsn, max_size=1) as pool:
            counts = RegisterCounts(pool, SystemClock(), {}, Rounds(SystemClock()))
            for what in ("counted", "counted again"):
                with measured(what, server, connection):
                    counts.count()
            with measured("what alerts watch", server, connection):
                counts.watch()
        whole = reported("the whole report", server, connection, dsn)
        day = str(NOON.date() + timedelta(days=DAYS // 2))
        reported("one day's report", server, connection, dsn, "--since", day, "--until", day)
        found = next(metric for metric in counts.collect() if metric.name == "saveline_report_denominator")
        for sample in found.samples:
            told = (whole["figures"] | whole["by_channel"])[sample.labels["figure"]]["denominator"]
            if sample.value != (told or 0):
                raise AssertionError(f"{sample.labels['figure']}: counted {sample.value}, reported {told}")


def fill(dsn: str, connection: psycopg.Connection, cases: int, tables: tuple[str, ...] = _TABLES) -> None:
    """Played once, then copied, of these tables; Postgres knows what it has afterwards."""
    upgrade(dsn, BEFORE)
    world = an_hour()
    _keep(connection, world)
    names = [row[0] for row in connection.execute("SELECT case_id FROM register_cases")]
    copies = -(-cases // len(names)) - 1
    for table in tables:
        connection.execute(
            sql.SQL("CREATE TEMP TABLE {} AS SELECT * FROM {}").format(
                sql.Identifier(f"played_{table}"), sql.Identifier(table)
            )
        )
        copy = _copying(connection, table, names)
        for first in range(1, copies + 1, _COPIES_AT_ONCE):
            connection.execute(copy, [first, min(copies, first + _COPIES_AT_ONCE - 1)])
    connection.execute("VACUUM ANALYZE")


def _keep(connection: psycopg.Connection, world: World) -> None:
    changes = world.of(CaseChanged)
    project(connection, [Placed(0, n, change) for n, change in enumerate(changes)])
    for command in world.of(ChannelCommand):
        connection.execute(
            "INSERT INTO claims (command_id, order_id, conversation_id, customer_ref, channel, purpose, command, state,"
            " filed_at, settled_at, sealed_text) VALUES (%s, %s, %s, %s, %s, %s, %s, 'sent', %s, %s, %s)",
            [
                *(command.command_id, command.order_id, command.conversation_id, command.customer_ref),
                *(command.channel, command.purpose, msgspec.json.encode(command)),
                *(command.issued_at, command.issued_at, os.urandom(300)),
            ],
        )
    for update in world.of(OrderUpdate):
        connection.execute(
            "INSERT INTO write_backs (update_id, attempt, order_id, record, filed_at, due_at, outcome, settled_at)"
            " VALUES (%s, %s, %s, %s, %s, %s, 'verified', %s)",
            [
                *(update.command_id, update.attempt, update.order_id, msgspec.json.encode(update)),
                *(NOON, NOON, NOON),
            ],
        )
    for one in world.of(EvidenceRequest):
        connection.execute(
            "INSERT INTO evidence_requests (request_id, order_id, case_id, conversation_id, record, filed_at, due_at,"
            " pointer, settled_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                *(one.command_id, one.order_id, one.case_id, one.conversation_id, msgspec.json.encode(one)),
                *(NOON, NOON, b"{}", NOON),
            ],
        )
    for n, order in enumerate(("order-1", "order-2")):
        common = {"order_id": order, "occurred_at": NOON + timedelta(hours=5)}
        line = Delivered(event_id=f"d{n}", line_id="L1", quantity=1, charged=pounds(200), **common)
        outcomes.keep(connection, line)
        outcomes.keep(connection, OrderCompleted(event_id=f"c{n}", **common))


def _copying(connection: psycopg.Connection, table: str, cases: list[str]) -> sql.Composed:
    """A statement that copies the rows of a table once for each number between two, ids and instants made its own."""
    columns = connection.execute(
        "SELECT column_name, data_type FROM information_schema.columns"
        " WHERE table_name = %s AND is_identity = 'NO' ORDER BY ordinal_position",
        [table],
    ).fetchall()
    values = []
    for name, kind in columns:
        value: sql.Composable = sql.SQL("t.{}").format(sql.Identifier(name))
        if name in _NAMED:
            value = sql.SQL("{} || '-' || n").format(value)
        elif name == "offset":
            value = sql.SQL("{} + 1000 * n").format(value)
        elif kind == "timestamp with time zone":
            value = sql.SQL("{} + n %% {} * interval '1 day'").format(value, sql.Literal(DAYS))
        elif name == "command":
            value = sql.SQL("convert_from({}, 'UTF8')").format(value)
            for case in cases:
                value = sql.SQL("replace({}, {}, {} || n || '\"')").format(
                    value, sql.Literal(f'"{case}"'), sql.Literal(f'"{case}-')
                )
            value = sql.SQL("convert_to({}, 'UTF8')").format(value)
        values.append(value)
    return sql.SQL(
        "INSERT INTO {table} ({columns}) SELECT {values} FROM {played} AS t, generate_series(%s::int, %s::int) AS n"
    ).format(
        table=sql.Identifier(table),
        played=sql.Identifier(f"played_{table}"),
        columns=sql.SQL(", ").join(sql.Identifier(name) for name, _ in columns),
        values=sql.SQL(", ").join(values),
    )


@contextmanager
def measured(what: str, server: Postgres, connection: psycopg.Connection) -> Iterator[None]:
    began_s, cpu_s, temporary = time.monotonic(), _cpu_s(server), _temporary_mb(connection)
    yield
    print(
        f"  {what:<24} {time.monotonic() - began_s:6.1f} s, Postgres {_cpu_s(server) - cpu_s:6.1f} s of CPU,"
        f" {_temporary_mb(connection) - temporary:6.0f} MB of temporary files",
        flush=True,
    )


def reported(
    what: str, server: Postgres, connection: psycopg.Connection, dsn: str, *days: str
) -> dict[str, dict[str, dict[str, float | None]]]:
    """What `saveline report --json` prints, run as a process of its own."""
    with measured(what, server, connection), tempfile.TemporaryFile() as said:
        command = [str(Path(sys.executable).with_name("saveline")), "report", "--json", *days]
        made = subprocess.Popen(command, stdout=said, env=os.environ | {"SAVELINE_PG_DSN": dsn})
        _, status, used = os.wait4(made.pid, 0)
        if status:
            raise AssertionError(f"saveline report ended with {os.waitstatus_to_exitcode(status)}")
        said.seek(0)
        told = json.load(said)
    cpu_s = used.ru_utime + used.ru_stime
    print(
        f"  {'':<24} the command itself {cpu_s:.1f} s of CPU, at most {used.ru_maxrss / 1024:.0f} MB",
        flush=True,
    )
    return dict(told)


def _cpu_s(server: Postgres) -> float:
    """Of every process that the server has had."""
    parent = psutil.Process(server.part.pid)
    times = parent.cpu_times()
    used = times.user + times.system + times.children_user + times.children_system
    for child in parent.children():
        times = child.cpu_times()
        used += times.user + times.system
    return float(used)


def _temporary_mb(connection: psycopg.Connection) -> float:
    connection.execute("SELECT pg_stat_force_next_flush()")
    row = connection.execute(
        "SELECT temp_bytes / 1e6 FROM pg_stat_database WHERE datname = current_database()"
    ).fetchone()
    return float(row[0]) if row else 0.0


if __name__ == "__main__":
    sys.exit(main())
