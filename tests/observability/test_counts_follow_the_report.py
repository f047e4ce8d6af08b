"""What the register's metrics count is what the report counts, also where the demo has no such case."""

import itertools
from datetime import timedelta

import psycopg
import pytest
from psycopg.types.json import Jsonb

from connectors.clock import SystemClock
from connectors.metrics import FIGURES
from connectors.postgres import open_pool
from connectors.register.counts import _COUNT, RegisterCounts
from connectors.register.migrate import upgrade
from connectors.register.report import report
from connectors.rounds import Rounds
from schemas.words import Arm, Kind, Mode
from tests.builders import NOON

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("postgres")]
_WORDS = {
    "kind": (Kind.ITEM_UNAVAILABLE, Kind.DRIVER_WAITING),
    "mode": (Mode.LIVE, Mode.LIVE, Mode.LIVE, Mode.LIVE, Mode.SHADOW),
    "arm": (Arm.TREATMENT, Arm.TREATMENT, Arm.TREATMENT, Arm.HOLDOUT),
    "actor": ("customer", "default", "staff", "delegate", "stored_preference", "unknown"),
    "resolution": (
        "substituted",
        "refunded",
        "alternative",
        "redeliver",
        "returned",
        "instructions",
        "unknown",
    ),
    "channel": ("sms", "voice", "page", "app", "unknown"),
    "close_reason": ("done", "withdrawn", "picked", "none"),
    "outcome": ("delivered", "", "refused"),
    "presented": (True, True, False),
    "late": (False, False, False, True),
    "rating": (None, 10, 3, 8, None),
    "decided_at": (NOON, NOON + timedelta(seconds=40), None),
    "written_at": (NOON + timedelta(seconds=50), None, NOON + timedelta(minutes=10)),
    "stuck": ("", "", "", "evidence"),
    "currency": ("GBP", "GBP", "EUR"),
}
_CASES = 400


def filled(dsn: str) -> psycopg.Connection:
    """Cases of every sort beside each other: the lists have lengths that do not divide one another."""
    connection = psycopg.connect(dsn, autocommit=True)
    turns = {name: itertools.cycle(words) for name, words in _WORDS.items()}
    for n in range(_CASES):
        row = {
            **{name: next(turn) for name, turn in turns.items()},
            "case_id": f"x{n}",
            "order_id": f"o{n // 2}",
            "conversation_id": f"o{n // 2}~x",
            "customer_ref": f"c{n // 3}",
            "store_id": "s",
            "policy": "p@1",
            "version": 1,
            "missing": [],
            "state": ("open", "decided", "done", "closed", "closed")[n % 5],
            "announced": "",
            "line_id": "L",
            "line_name": "n",
            "quantity_short": n % 3 + 1,
            "units_replaced": n % 3,
            "value_minor": 100 + n,
            "occurred_at": NOON,
            "opened_at": NOON + timedelta(seconds=n),
            "changed_at": NOON,
            "deadline_at": NOON + timedelta(minutes=1 + n % 7),
        }
        marks = ", ".join(["%s"] * len(row))
        connection.execute(
            f"INSERT INTO register_cases ({', '.join(row)}) VALUES ({marks})".encode(), list(row.values())
        )
        for m, (channel, purpose) in enumerate((("sms", "ask"), ("voice", "call"), ("push", "satisfaction"))):
            if (n + m) % (m + 2) == 0:
                connection.execute(
                    "INSERT INTO claims (command_id, order_id, conversation_id, channel, purpose, command, state,"
                    " filed_at) VALUES (%s, %s, %s, %s, %s, %s, 'sent', now())",
                    [f"k{n}.{m}", f"o{n // 2}", f"o{n // 2}~x", channel, purpose, b'{"about": ["x%d"]}' % n],
                )
        change = {"state": "done", "decision": {"version": 1}}
        if n % 4 == 0:
            # The first that says so counts, in whatever order they come.
            for late in (1, 0, 2):
                connection.execute(
                    'INSERT INTO case_timeline (partition, "offset", case_id, order_id, changed_at, change)'
                    " VALUES (0, %s, %s, %s, %s, %s)",
                    [3 * n + late, f"x{n}", f"o{n // 2}", NOON + timedelta(minutes=3 + late), Jsonb(change)],
                )
    return connection


def told(connection: psycopg.Connection) -> None:
    for n in range(0, _CASES // 2, 3):
        for m, (outcome, minor) in enumerate((("delivered", 500), ("credited", 30), ("cancelled", 0))):
            if n % (m + 1) == 0:
                connection.execute(
                    "INSERT INTO order_outcomes (event_id, order_id, outcome, amount_minor, occurred_at)"
                    " VALUES (%s, %s, %s, %s, now())",
                    [f"e{n}.{m}", f"o{n}", outcome, minor],
                )


@pytest.mark.parametrize(
    ("outcomes", "filled_at"),
    [(False, "head"), (True, "head"), pytest.param(True, "0019", id="by a version that noted nothing")],
)
def test_every_figure_counts_what_the_report_counts(outcomes: bool, filled_at: str, dsn: str) -> None:
    upgrade(dsn, filled_at)
    with filled(dsn) as connection:
        upgrade(dsn)
        if outcomes:
            told(connection)
        said = report(connection)
        with open_pool(dsn, max_size=1) as pool:
            rows = RegisterCounts(pool, SystemClock(), {}, Rounds(SystemClock()))._rows(
                _COUNT, NOON + timedelta(hours=1)
            )
    of = {
        name: {(first, second): float(number or 0) for first, second, number in rows[name]} for name in rows
    }
    figures = {figure.name: figure for figure in (*said.figures, *said.by_channel)}
    for name in FIGURES:
        found = tuple(of[part].get((name, ""), 0) for part in ("numerator", "denominator"))
        assert found == (figures[name].numerator or 0, figures[name].denominator or 0), name
    assert {name: of["base"][name, ""] for name in said.base} == said.base
    for currency in ("GBP", "EUR"):
        handled = figures[f"value_handled_{currency.lower()}"]
        assert (of["handled"][currency, ""], of["in_trouble"][currency, ""]) == (
            handled.numerator,
            handled.denominator,
        )
    names = {"by_voice": "voice", "digitally": "digital"}
    for by, count in said.resolved.items():
        assert of["resolved"].get((names.get(by, by.removeprefix("by_")), ""), 0) == count, by
    if outcomes:
        # The parts that a holdout's figures are made of.
        orders, delivered, charge = of["orders"], of["delivered"], of["net_charge"]
        for figure, parts in (("incremental_saves", delivered), ("revenue_recovered", charge)):
            ours, theirs = (parts[arm, ""] / orders[arm, ""] for arm in ("treatment", "holdout"))
            assert (ours - theirs) * orders["treatment", ""] == pytest.approx(figures[figure].value)
