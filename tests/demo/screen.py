"""What the demo shows while it runs: stages, clocks, channels and money, read from the register."""

from collections import Counter
from typing import Any

import msgspec
import psycopg
from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

_CASES = """
    SELECT count(*), count(decided_at), count(written_at), count(evidence), count(triggered_at), count(closed_at),
        count(*) FILTER (WHERE stuck <> ''), coalesce(sum(value_minor), 0),
        coalesce(sum(value_minor) FILTER (WHERE resolution IN
            ('substituted', 'alternative', 'redeliver', 'instructions', 'pickup')), 0)
    FROM register_cases
"""
_HOW = """
    SELECT resolution, coalesce(nullif(channel, 'unknown'), ''), count(*) FROM register_cases
    WHERE decided_at IS NOT NULL GROUP BY 1, 2
"""
_SENT = "SELECT channel, state, count(*) FROM claims GROUP BY 1, 2"
_NEXT = """
    SELECT order_id, kind, extract(epoch FROM coalesce(default_at, deadline_at) - now()) FROM register_cases
    WHERE closed_at IS NULL AND decided_at IS NULL AND coalesce(default_at, deadline_at) > now()
    ORDER BY coalesce(default_at, deadline_at) LIMIT 8
"""
_STAGES = ("opened", "decided", "written and read back", "evidence kept", "triggered", "closed", "stuck")


class View(msgspec.Struct, frozen=True):
    """One look at the register; money in minor units."""

    stages: tuple[int, ...] = (0,) * len(_STAGES)
    value: int = 0
    kept: int = 0
    how: tuple[tuple[str, str, int], ...] = ()
    sent: tuple[tuple[str, str, int], ...] = ()
    waiting: tuple[tuple[str, str, float], ...] = ()

    @property
    def opened(self) -> int:
        return self.stages[0]

    @property
    def closed(self) -> int:
        return self.stages[5]

    @property
    def stuck(self) -> int:
        return self.stages[6]


def look(dsn: str) -> View:
    with psycopg.connect(dsn, connect_timeout=3) as connection:
        cases = connection.execute(_CASES).fetchone()
        assert cases is not None
        return View(
            stages=tuple(cases[:7]),
            value=int(cases[7]),
            kept=int(cases[8]),
            how=tuple(connection.execute(_HOW).fetchall()),
            sent=tuple(connection.execute(_SENT).fetchall()),
            waiting=tuple([(a, b, float(c)) for a, b, c in connection.execute(_NEXT).fetchall()]),
        )


def drawn(view: View, elapsed_s: float, did: Counter[str], said: list[str]) -> RenderableType:
    stages = _table("cases", "")
    for name, count in zip(_STAGES, view.stages, strict=True):
        stages.add_row(name, Text(str(count), style="bold red" if name == "stuck" and count else "bold"))
    decisions = _table("decision", "by", "")
    for resolution, channel, count in sorted(view.how, key=lambda row: -row[2]):
        decisions.add_row(resolution, channel or "default", str(count))
    channels = _table("channel", "claim", "")
    for channel, state, count in sorted(view.sent):
        channels.add_row(channel, state, str(count))
    clocks = _table("order", "waits for an answer", "s left")
    for order, kind, left in view.waiting:
        clocks.add_row(order, kind, f"{left:.0f}")
    people = _table("customers", "")
    for what, count in did.most_common():
        people.add_row(what, str(count))
    money = Text.assemble(
        "value in trouble ",
        (f"£{view.value / 100:,.2f}", "bold"),
        "   value handled ",
        (f"£{view.kept / 100:,.2f}", "bold green"),
        f"   {elapsed_s:.0f} s   The clock is real; the policies' windows are shortened.",
    )
    lower = [Text(line, style="yellow") for line in said[-3:]]
    return Panel(
        Group(money, Columns([stages, decisions, channels, people, clocks], padding=(1, 3)), *lower),
        title="Saveline: a grocer's busiest hour in a minute",
    )


def line(view: View, elapsed_s: float) -> str:
    """The same in one line, where there is no terminal to draw on."""
    stages = ", ".join(f"{count} {name}" for name, count in zip(_STAGES, view.stages, strict=True))
    return f"{elapsed_s:4.0f} s: {stages}; value handled £{view.kept / 100:,.2f} of £{view.value / 100:,.2f}"


def _table(*columns: str) -> Table:
    table: Any = Table(box=None, pad_edge=False, header_style="dim")
    for n, column in enumerate(columns):
        table.add_column(column, justify="right" if n and not column else "left")
    return table
