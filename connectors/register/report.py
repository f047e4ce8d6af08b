"""The figures of the report, from the register: each with what it counts, or why it cannot be counted.

Cases are read customer by customer, a thousand at a time, so that a report of a million is as small as one of a
hundred but for eight bytes a case: a quantile needs all durations.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import msgspec
from psycopg.rows import namedtuple_row

from connectors.outbox import Connection
from connectors.register.figures import Figure, Ratio, Times, difference, quantile, share
from schemas.words import LINE_KINDS

Row = Any
BY_PEOPLE = {"customer", "delegate"}
REPLACED = {"substituted", "alternative"}
# The order goes on: something is delivered that would not have been.
KEPT = {*REPLACED, "redeliver", "instructions", "pickup"}
ANOTHER_ATTEMPT = {"redeliver", "pickup", "returned", "cancel_order", "refunded"}
_WRITTEN_WITHIN = timedelta(seconds=60)
_NO_OUTCOMES = "order.outcomes.v1 has told nothing yet"
_NO_HOLDOUT = "no holdout: what would have happened without us is not known"
_AT_ONCE = 1_000
_BASE = ("cases", "orders", "customers", "late", "holdout", "withdrawn_before_the_first_send", "shadow")
_RESOLVED = ("by_voice", "digitally", "by_staff", "by_stored_preference", "by_default")

# An order is counted by its last case, a conversation that was asked afterwards by the first that has an answer.
_ROWS = """
WITH cases AS (
    SELECT case_id, version, order_id, conversation_id, customer_ref, mode, arm, kind, state, resolution, actor,
        channel, stuck, presented, late, outcome, rating, quantity_short, units_replaced, value_minor, currency,
        occurred_at, opened_at, deadline_at, decided_at, written_at,
        mode <> 'shadow' AND NOT (close_reason = 'withdrawn' AND NOT presented) AS counted
    FROM register_cases WHERE (%(from)s::timestamptz IS NULL OR opened_at >= %(from)s)
        AND (%(before)s::timestamptz IS NULL OR opened_at < %(before)s)
), told AS (
    SELECT order_id, array_agg(DISTINCT outcome) AS outcomes, sum(
        CASE outcome WHEN 'delivered' THEN amount_minor WHEN 'credited' THEN -amount_minor ELSE 0 END)::bigint AS charge
    FROM order_outcomes WHERE order_id IN (SELECT order_id FROM cases) GROUP BY order_id
), reached AS (
    SELECT case_id, array_agg(channel) AS reached
    FROM register_reached WHERE case_id IN (SELECT case_id FROM cases) GROUP BY case_id
)
SELECT customer_ref, mode, counted, arm, kind, state, resolution, actor, channel, stuck, presented, late, outcome,
    rating, quantity_short, units_replaced, value_minor, currency, occurred_at, deadline_at, decided_at, written_at,
    done_at, outcomes, charge, reached, i.conversation_id IS NOT NULL AS invited,
    counted AND row_number() OVER (PARTITION BY counted, order_id ORDER BY opened_at DESC, case_id DESC) = 1
        AS stands_for_order,
    counted AND row_number() OVER (PARTITION BY counted AND arm <> 'holdout', conversation_id
        ORDER BY rating IS NULL, opened_at, case_id) = 1 AS stands_for_conversation
FROM cases LEFT JOIN register_done USING (case_id, version) LEFT JOIN told USING (order_id)
    LEFT JOIN reached USING (case_id) LEFT JOIN register_invited i USING (conversation_id)
ORDER BY customer_ref
"""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """`base` counts cases; `stuck` their reasons."""

    base: dict[str, int]
    figures: list[Figure]
    by_channel: list[Figure]
    resolved: dict[str, int]
    stuck: dict[str, int]
    open: int

    def as_json(self) -> dict[str, Any]:
        told = msgspec.to_builtins(self)
        for group in ("figures", "by_channel"):
            told[group] = {one.pop("name"): one for one in told[group]}
        return dict(told)


def report(connection: Connection, since: date | None = None, until: date | None = None) -> Report:
    """Of the cases that were opened on these days (UTC, both included); of all without them."""
    counting = _Counting()
    # As instants: a date in a query begins when it does where the server is.
    days = {
        "from": datetime.combine(since, time(), UTC) if since else None,
        "before": datetime.combine(until, time(), UTC) + timedelta(days=1) if until else None,
    }
    for row in _rows(connection, days):
        counting.add(row)
    return counting.made()


def _rows(connection: Connection, days: dict[str, datetime | None]) -> Iterator[Row]:
    """By customer; all of one instant."""
    with connection.transaction():
        # It may take all cases for a handful, and would compare each with each.
        connection.execute("SET LOCAL enable_nestloop = off")
        # All rows are wanted, not the first ones soon.
        connection.execute("SET LOCAL cursor_tuple_fraction = 1")
        with connection.cursor("report", row_factory=namedtuple_row) as cursor:
            cursor.itersize = _AT_ONCE
            yield from cursor.execute(_ROWS, days)


class _Share(msgspec.Struct, frozen=True):
    """What a row adds above the line, and below it."""

    name: str
    says: str
    above: Callable[[Row], int]
    below: Callable[[Row], int]


# What a row is.


def _of_line(row: Row) -> bool:
    return row.kind in LINE_KINDS


def _treated(row: Row) -> bool:
    return bool(row.arm != "holdout")


def _approved(row: Row) -> bool:
    return row.actor in BY_PEOPLE and row.resolution in KEPT


def _delivered(row: Row) -> bool:
    words = row.outcomes or ()
    return ("delivered" in words or "completed" in words) and "cancelled" not in words


def _saved_units(row: Row) -> int:
    saved = row.outcome == "delivered" and row.actor in BY_PEOPLE and row.resolution in REPLACED
    return int(row.units_replaced) if saved else 0


def _quick(row: Row) -> bool:
    return row.written_at is not None and row.written_at - row.decided_at <= _WRITTEN_WITHIN


def _score(row: Row) -> int:
    return (row.rating >= 9) - (row.rating <= 6) if row.rating is not None else 0


def _asked_afterwards(row: Row) -> bool:
    return row.stands_for_conversation and _treated(row) and (row.invited or row.rating is not None)


def _rated(row: Row) -> bool:
    return _asked_afterwards(row) and row.rating is not None


# What needs to know how it ended; what the register knows by itself.
_ENDED = (
    _Share(
        "order_save_rate",
        "orders delivered / orders with an exception",
        lambda row: row.stands_for_order and _delivered(row),
        lambda row: row.stands_for_order,
    ),
    _Share(
        "line_save",
        "units replaced by the customer's decision and delivered / units short",
        lambda row: _saved_units(row) if _of_line(row) else 0,
        lambda row: row.quantity_short if _of_line(row) else 0,
    ),
    _Share(
        "last_mile_failures_avoided",
        "handed over in the same attempt / stops with an exception",
        lambda row: not _of_line(row) and _delivered(row) and row.resolution not in ANOTHER_ATTEMPT,
        lambda row: not _of_line(row),
    ),
)
_ASKING = (
    _Share(
        "acceptance",
        "approved by the customer / presented",
        lambda row: _treated(row) and row.presented and _approved(row),
        lambda row: _treated(row) and row.presented,
    ),
    _Share(
        "acceptance_of_all",
        "approved by the customer / all in the base",
        lambda row: _treated(row) and _approved(row),
        _treated,
    ),
)
_DOING = (
    _Share(
        "done",
        "all four parts by the deadline / base",
        lambda row: row.done_at is not None and row.done_at <= row.deadline_at,
        lambda _row: 1,
    ),
    _Share(
        "done_at_all",
        "all four parts, whenever / base",
        lambda row: row.done_at is not None,
        lambda _row: 1,
    ),
    _Share(
        "write_back_verified_60s",
        "read back within 60 s / decisions",
        lambda row: row.decided_at is not None and _quick(row),
        lambda row: row.decided_at is not None,
    ),
    _Share("nps", "9-10 less 0-6 / those who answered", lambda row: _rated(row) and _score(row), _rated),
    _Share("nps_response", "answered / invited", _rated, _asked_afterwards),
)


def _answered_on(channel: str, *reached_by: str) -> _Share:
    """What was approved there, of what was put there."""

    def there(row: Row) -> bool:
        return _treated(row) and row.reached is not None and any(by in row.reached for by in reached_by)

    return _Share(
        f"acceptance_{channel}",
        f"approved by {channel} / sent or dialled there",
        lambda row: there(row) and row.channel == channel and _approved(row),
        there,
    )


# The page and the app follow any digital message; neither can tell by which it was reached.
_LINKED = ("push", "sms", "email")
_BY_CHANNEL = (
    _answered_on("sms", "sms"),
    _answered_on("page", *_LINKED),
    _answered_on("app", *_LINKED),
    _answered_on("voice", "voice"),
)


class _Counting:
    """Everything that the report counts, so far."""

    def __init__(self) -> None:
        self._base = dict.fromkeys(_BASE, 0)
        self._customer: str | None = None
        self._told = self._unanswered = self._open = 0
        self._ratios = {one: Ratio() for one in (*_ENDED, *_ASKING, *_DOING, *_BY_CHANNEL)}
        self._money: dict[str, Ratio] = defaultdict(Ratio)
        # By whether an order is treated: how many were delivered, what was charged in the end.
        self._saves = {True: Ratio(), False: Ratio()}
        self._charges = {True: Ratio(), False: Ratio()}
        self._times = Times()
        self._resolved = dict.fromkeys(_RESOLVED, 0)
        self._stuck: Counter[str] = Counter()

    def add(self, row: Row) -> None:
        """The next case; those of a customer come one after another."""
        if not row.counted:
            self._base["shadow" if row.mode == "shadow" else "withdrawn_before_the_first_send"] += 1
            return
        customer, base = row.customer_ref, self._base
        base["cases"] += 1
        base["orders"] += row.stands_for_order
        base["customers"] += customer != self._customer
        base["late"] += row.late
        base["holdout"] += not _treated(row)
        self._customer = customer
        for one, ratio in self._ratios.items():
            ratio.add(customer, one.above(row), one.below(row))
        if row.stands_for_order:
            self._told += row.outcomes is not None
            self._saves[_treated(row)].add(customer, _delivered(row))
            self._charges[_treated(row)].add(customer, row.charge or 0)
        if _treated(row):
            self._add_treated(row)
        if row.decided_at is not None:
            self._resolved[_how(row)] += 1
        if row.stuck:
            self._stuck[row.stuck] += 1
        self._open += row.state == "open"

    def _add_treated(self, row: Row) -> None:
        if row.currency:
            kept = row.value_minor if row.resolution in KEPT else 0
            self._money[row.currency].add(row.customer_ref, kept, row.value_minor)
        answered = row.decided_at is not None and row.actor != "default"
        self._unanswered += not answered
        end_at = row.decided_at if answered else row.deadline_at
        self._times.add(row.customer_ref, max(0.0, (end_at - row.occurred_at).total_seconds()))

    def made(self) -> Report:
        return Report(
            base=self._base,
            figures=[
                *self._ended(),
                *self._against_holdout(),
                *self._handled(),
                *self._shares(_ASKING),
                *self._quantiles(),
                *self._shares(_DOING),
            ],
            by_channel=self._shares(_BY_CHANNEL),
            resolved=self._resolved,
            stuck=dict(self._stuck.most_common()),
            open=self._open,
        )

    def _shares(self, wanted: tuple[_Share, ...], note: str = "") -> list[Figure]:
        return [share(one.name, one.says, self._ratios[one], note=note) for one in wanted]

    def _ended(self) -> list[Figure]:
        if not self._told:
            return [Figure(name=one.name, says=one.says, reason=_NO_OUTCOMES) for one in _ENDED]
        return self._shares(_ENDED, f"outcomes known of {self._told} orders; final 72 h after delivery")

    def _against_holdout(self) -> Iterator[Figure]:
        for name, what, unit, arms in (
            ("incremental_saves", "order save rate", "orders", self._saves),
            ("revenue_recovered", "net charge an order", "minor", self._charges),
        ):
            says = f"({what}, treatment - holdout) x treatment orders"
            held = arms[False].settle().below
            if not held or not self._told:
                reason = _NO_OUTCOMES if held else _NO_HOLDOUT
                yield Figure(name=name, says=says, unit=unit, reason=reason)
            else:
                yield difference(name, says, arms[True], arms[False], unit=unit)
        says, reason = (
            "recovered x margin - messages, calls, staff, price matches",
            "margin and prices of messages are not known",
        )
        yield Figure(name="net_benefit", says=says, unit="minor", reason=reason)

    def _handled(self) -> Iterator[Figure]:
        """Without a holdout money is handled, never recovered."""
        for currency, ratio in sorted(self._money.items()):
            says = f"{currency}, minor units: value of what was kept / value in trouble"
            yield share(f"value_handled_{currency.lower()}", says, ratio)

    def _quantiles(self) -> Iterator[Figure]:
        note = f"{self._unanswered} without an answer count until their deadline"
        for name, what, at in (("p50", "half of all", 0.5), ("p90", "nine of ten", 0.9)):
            says = f"decided - occurred, {what}"
            yield quantile(f"time_to_decision_{name}", says, self._times, at, note=note)


def _how(row: Row) -> str:
    by_actor = {"staff": "by_staff", "stored_preference": "by_stored_preference", "default": "by_default"}
    return by_actor.get(row.actor) or ("by_voice" if row.channel == "voice" else "digitally")
