"""`saveline report` and `saveline trace`: the figures and one order's story, for people and as JSON."""

import json
import sys
from datetime import date
from typing import Annotated

import psycopg
from cyclopts import Parameter
from rich.console import Console
from rich.table import Table
from rich.text import Text

from connectors.register import migrate
from connectors.register.figures import Figure
from connectors.register.report import Report, report
from connectors.register.telling import moments, paragraphs
from connectors.register.trace import trace

Dsn = Annotated[str, Parameter(env_var="SAVELINE_PG_DSN", help="The register's Postgres.")]
AsJson = Annotated[bool, Parameter(name="--json", negative="")]


def migrate_command(*, dsn: Dsn) -> int:
    """Bring the database to the schema of this version; waits for another that is doing the same."""
    try:
        brought = migrate.lacking(dsn)
        migrate.upgrade(dsn)
    except psycopg.Error as error:
        print(f"postgres: {migrate.in_a_line(error)}. To do: {migrate.REACH}", file=sys.stderr)
        return 1
    print(f"brought the revisions {', '.join(brought)}" if brought else "every revision is there")
    return 0


def report_command(
    *, dsn: Dsn, since: date | None = None, until: date | None = None, as_json: AsJson = False
) -> int:
    """The figures of the cases opened on these days (UTC, both included), or of all.

    Each with numerator, denominator and a 95 % interval clustered by customer; what cannot be counted says why.
    """
    try:
        with psycopg.connect(dsn, connect_timeout=10) as connection:
            made = report(connection, since, until)
    except psycopg.Error as error:
        print(f"The register cannot be read: {error}", file=sys.stderr)
        return 2
    if as_json:
        print(json.dumps(made.as_json()))
    else:
        _show(made, _console())
    return 0


def trace_command(order: str, *, dsn: Dsn, as_json: AsJson = False) -> int:
    """Everything about ORDER: cases, decisions, messages and calls, write-backs, evidence, and each instant.

    Instants are UTC. No personal data. The exit code is 1 for an order that is unknown.
    """
    try:
        with psycopg.connect(dsn, connect_timeout=10) as connection:
            story = trace(connection, order)
    except psycopg.Error as error:
        print(f"The register cannot be read: {error}", file=sys.stderr)
        return 2
    if not story["cases"] and not story["commands"]:
        print(f"No order {order} is known here.", file=sys.stderr)
        return 1
    if as_json:
        print(json.dumps(story))
        return 0
    out = _console()
    out.print(f"order {order}", style="bold", markup=False)
    for paragraph in paragraphs(story):
        out.print(paragraph, markup=False)
    table = Table(box=None, pad_edge=False, show_header=False)
    for when, what, about in moments(story):
        table.add_row(f"{when:%F %T}.{when.microsecond // 1000:03d}", Text(what), Text(about, style="dim"))
    out.print(table)
    return 0


def _console() -> Console:
    """As wide as the terminal; into a file or a pipe, as wide as a line of figures needs."""
    return Console(highlight=False, width=None if Console().is_terminal else 150)


def _show(made: Report, out: Console) -> None:
    base = made.base
    out.print(
        f"{base['cases']} cases of {base['orders']} orders of {base['customers']} customers"
        f" ({base['late']} late, {base['holdout']} holdout);"
        f" beside them {base['withdrawn_before_the_first_send']} withdrawn before the first send,"
        f" {base['shadow']} in shadow."
    )
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column, justify in (("figure", "left"), ("value", "right"), ("95 %", "right"), ("of", "right")):
        table.add_column(column, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    table.add_column("what is counted")
    for figure in made.figures + made.by_channel:
        if not figure.reason:
            table.add_row(
                figure.name, *_numbers(figure), figure.says + (f" ({figure.note})" if figure.note else "")
            )
    out.print(table)
    for figure in made.figures + made.by_channel:
        if figure.reason:
            out.print(f"{figure.name}: not counted, {figure.reason}", style="dim")
    out.print(
        "Resolved: " + ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in made.resolved.items())
    )
    out.print(f"Open: {made.open}. Stuck: {sum(made.stuck.values())}.")
    for reason, count in made.stuck.items():
        out.print(f"  {count} x {reason}", markup=False)


def _numbers(figure: Figure) -> tuple[str, str, str]:
    def worded(value: float | None) -> str:
        if value is None:
            return ""
        match figure.unit:
            case "share":
                return f"{value:.1%}"
            case "s":
                return f"{value:.1f} s"
            case _:
                return f"{value:,.0f}"

    of = "" if figure.denominator is None else f"{figure.denominator:,.0f}"
    if figure.numerator is not None:
        of = f"{figure.numerator:,.0f}/{of}"
    return worded(figure.value), f"{worded(figure.low)} - {worded(figure.high)}", of
