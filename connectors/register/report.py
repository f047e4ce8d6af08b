"""The figures of the report, from the register: each with what it counts, or why it cannot be counted."""

from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import msgspec

from connectors.outbox import Connection
from connectors.register.figures import Figure, Part, difference, quantile, share
from schemas.words import LINE_KINDS

Row = dict[str, Any]
BY_PEOPLE = {"customer", "delegate"}
REPLACED = {"substituted", "alternative"}
# The order goes on: something is delivered that would not have been.
KEPT = {*REPLACED, "redeliver", "instructions", "pickup"}
ANOTHER_ATTEMPT = {"redeliver", "pickup", "returned", "cancel_order", "refunded"}
# Where answers come from: push and e-mail lead to the page, which cannot tell by which it was reached.
_ANSWERED_ON = ("sms", "page", "app", "voice")
_WRITTEN_WITHIN = timedelta(seconds=60)
_NO_OUTCOMES = "order.outcomes.v1 has told nothing yet"
_NO_HOLDOUT = "no holdout: what would have happened without us is not known"

# When the four parts of each case's last decision were there.
DONE_AT = """
    SELECT t.case_id, min(t.changed_at) AS done_at FROM case_timeline t JOIN register_cases c USING (case_id)
    WHERE (t.change #>> '{decision,version}')::int = c.version AND (t.change ->> 'state' = 'done'
        OR (t.change ->> 'state' = 'closed' AND t.change ->> 'close_reason' IN ('done', 'picked', 'holdout')
            AND t.change ->> 'written_at' IS NOT NULL AND t.change ->> 'triggered_at' IS NOT NULL
            AND t.change -> 'evidence' ->> 'key' IS NOT NULL))
    GROUP BY t.case_id
"""
_OF_THE_DAYS = """
    FROM register_cases r WHERE (%(from)s::timestamptz IS NULL OR r.opened_at >= %(from)s)
        AND (%(before)s::timestamptz IS NULL OR r.opened_at < %(before)s)
"""
# All of it is held at once: no column that no figure needs, nothing of other days.
_CASES = f"""
    SELECT case_id, order_id, conversation_id, customer_ref, kind, mode, arm, state, resolution, actor, channel, stuck,
        close_reason, presented, late, outcome, rating, quantity_short, units_replaced, value_minor, currency,
        occurred_at, opened_at, deadline_at, decided_at, written_at, d.done_at
    FROM (SELECT r.* {_OF_THE_DAYS}) r LEFT JOIN ({DONE_AT}) d USING (case_id) ORDER BY opened_at, case_id
"""  # noqa: S608 - our own words
_CLAIMS = f"""
    SELECT channel, purpose, conversation_id, command FROM claims
    WHERE state = 'sent' AND purpose IN ('ask', 'update', 'call', 'link', 'satisfaction') AND command IS NOT NULL
        AND conversation_id IN (SELECT r.conversation_id {_OF_THE_DAYS})
"""  # noqa: S608 - our own words
_OUTCOMES = f"""
    SELECT order_id, outcome, amount_minor FROM order_outcomes
    WHERE order_id IN (SELECT r.order_id {_OF_THE_DAYS})
"""  # noqa: S608 - our own words


class _About(msgspec.Struct):
    about: tuple[str, ...] = ()


_about = msgspec.json.Decoder(_About).decode


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
    # As instants: a date in a query begins when it does where the server is.
    days = {
        "from": datetime.combine(since, time(), UTC) if since else None,
        "before": datetime.combine(until, time(), UTC) + timedelta(days=1) if until else None,
    }
    with connection.transaction():
        # Postgres cannot guess how many changes say that a case is done: it takes them for a handful, and would
        # compare each of them with each case.
        connection.execute("SET LOCAL enable_nestloop = off")
        rows = _rows(connection, _CASES, days)
    counted = [row for row in rows if row["mode"] != "shadow"]
    withdrawn = [row for row in counted if row["close_reason"] == "withdrawn" and not row["presented"]]
    gone = {row["case_id"] for row in withdrawn}
    base = [row for row in counted if row["case_id"] not in gone]
    treated = [row for row in base if row["arm"] != "holdout"]
    claims = _rows(connection, _CLAIMS, days)
    outcomes = _by_order(_rows(connection, _OUTCOMES, days))
    return Report(
        base={
            "cases": len(base),
            "orders": len({row["order_id"] for row in base}),
            "customers": len({row["customer_ref"] for row in base}),
            "late": sum(row["late"] for row in base),
            "holdout": len(base) - len(treated),
            "withdrawn_before_the_first_send": len(withdrawn),
            "shadow": len(rows) - len(counted),
        },
        figures=[
            *_outcome_figures(base, outcomes),
            *_money(treated),
            *_asking(treated),
            *_doing(base),
            *_asked_afterwards(treated, claims),
        ],
        by_channel=_by_channel(treated, claims),
        resolved=_resolved(base),
        stuck=dict(Counter(row["stuck"] for row in base if row["stuck"]).most_common()),
        open=sum(row["state"] == "open" for row in base),
    )


def _rows(connection: Connection, query: str, values: dict[str, Any]) -> list[Row]:
    cursor = connection.execute(query.encode(), values)
    names = [column.name for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def _by_order(outcomes: list[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = defaultdict(list)
    for row in outcomes:
        found[row["order_id"]].append(row)
    return found


def _parts(rows: list[Row], above: Callable[[Row], float], below: Callable[[Row], float]) -> list[Part]:
    return [Part(row["customer_ref"], float(above(row)), float(below(row))) for row in rows]


def _one(_row: Row) -> float:
    return 1.0


# What needs to know how it ended.


def _outcome_figures(base: list[Row], outcomes: dict[str, list[Row]]) -> list[Figure]:
    saved = "orders delivered / orders with an exception"
    line = "units replaced by the customer's decision and delivered / units short"
    avoided = "handed over in the same attempt / stops with an exception"
    names = [("order_save_rate", saved), ("line_save", line), ("last_mile_failures_avoided", avoided)]
    told = {row["order_id"] for row in base} & outcomes.keys()
    found = [Figure(name=name, says=says, reason=_NO_OUTCOMES) for name, says in names]
    if told:
        orders = list({row["order_id"]: row for row in base}.values())
        lines = [row for row in base if row["kind"] in LINE_KINDS]
        stops = [row for row in base if row["kind"] not in LINE_KINDS]
        note = f"outcomes known of {len(told)} orders; final 72 h after delivery"
        found = [
            share(*names[0], _parts(orders, lambda r: _delivered(r, outcomes), _one), note=note),
            share(*names[1], _parts(lines, _saved_units, lambda r: r["quantity_short"]), note=note),
            share(*names[2], _parts(stops, lambda r: _same_attempt(r, outcomes), _one), note=note),
        ]
    return found + _against_holdout(base, outcomes, bool(told))


def _against_holdout(base: list[Row], outcomes: dict[str, list[Row]], told: bool) -> list[Figure]:
    names = [
        ("incremental_saves", "(order save rate, treatment - holdout) x treatment orders", "orders"),
        ("revenue_recovered", "(net charge an order, treatment - holdout) x treatment orders", "minor"),
    ]
    arms: dict[bool, list[Row]] = {True: [], False: []}
    for row in {row["order_id"]: row for row in base}.values():
        arms[row["arm"] == "holdout"].append(row)
    figures = []
    measures: list[Callable[[Row, dict[str, list[Row]]], float]] = [_delivered, _net_charge]
    for (name, says, unit), measure in zip(names, measures, strict=True):
        if not arms[True] or not told:
            reason = _NO_OUTCOMES if arms[True] else _NO_HOLDOUT
            figures.append(Figure(name=name, says=says, unit=unit, reason=reason))
            continue
        ours, theirs = (
            _parts(arms[held], lambda r, m=measure: m(r, outcomes), _one)  # type: ignore[misc]
            for held in (False, True)
        )
        figures.append(difference(name, says, ours, theirs, unit=unit))
    says = "recovered x margin - messages, calls, staff, price matches"
    return [
        *figures,
        Figure(
            name="net_benefit", says=says, unit="minor", reason="margin and prices of messages are not known"
        ),
    ]


def _words(row: Row, outcomes: dict[str, list[Row]]) -> set[str]:
    return {one["outcome"] for one in outcomes.get(row["order_id"], [])}


def _delivered(row: Row, outcomes: dict[str, list[Row]]) -> float:
    words = _words(row, outcomes)
    return float(bool(words & {"delivered", "completed"}) and "cancelled" not in words)


def _same_attempt(row: Row, outcomes: dict[str, list[Row]]) -> float:
    return _delivered(row, outcomes) * (row["resolution"] not in ANOTHER_ATTEMPT)


def _saved_units(row: Row) -> float:
    saved = row["outcome"] == "delivered" and row["actor"] in BY_PEOPLE and row["resolution"] in REPLACED
    return float(row["units_replaced"] if saved else 0)


def _net_charge(row: Row, outcomes: dict[str, list[Row]]) -> float:
    signs = {"delivered": 1, "credited": -1}
    return float(
        sum(signs.get(one["outcome"], 0) * one["amount_minor"] for one in outcomes.get(row["order_id"], []))
    )


# What the register knows by itself.


def _money(rows: list[Row]) -> list[Figure]:
    """Without a holdout money is handled, never recovered."""
    figures = []
    for currency in sorted({row["currency"] for row in rows if row["currency"]}):
        mine = [row for row in rows if row["currency"] == currency]
        parts = _parts(
            mine, lambda r: r["value_minor"] * (r["resolution"] in KEPT), lambda r: r["value_minor"]
        )
        says = f"{currency}, minor units: value of what was kept / value in trouble"
        figures.append(share(f"value_handled_{currency.lower()}", says, parts))
    return figures


def _asking(rows: list[Row]) -> list[Figure]:
    presented = [row for row in rows if row["presented"]]
    approved = lambda row: row["actor"] in BY_PEOPLE and row["resolution"] in KEPT  # noqa: E731
    times, censored = [], 0
    for row in rows:
        answered = row["decided_at"] is not None and row["actor"] != "default"
        end_at = row["decided_at"] if answered else row["deadline_at"]
        censored += not answered
        times.append((row["customer_ref"], max(0.0, (end_at - row["occurred_at"]).total_seconds())))
    says, note = "decided - occurred", f"{censored} without an answer count until their deadline"
    return [
        share("acceptance", "approved by the customer / presented", _parts(presented, approved, _one)),
        share(
            "acceptance_of_all", "approved by the customer / all in the base", _parts(rows, approved, _one)
        ),
        quantile("time_to_decision_p50", f"{says}, half of all", times, 0.5, note=note),
        quantile("time_to_decision_p90", f"{says}, nine of ten", times, 0.9, note=note),
    ]


def _doing(base: list[Row]) -> list[Figure]:
    decided = [row for row in base if row["decided_at"] is not None]

    def in_time(row: Row) -> float:
        return float(row["done_at"] is not None and row["done_at"] <= row["deadline_at"])

    def done(row: Row) -> float:
        return float(row["done_at"] is not None)

    def quick(row: Row) -> float:
        at = row["written_at"]
        return float(at is not None and at - row["decided_at"] <= _WRITTEN_WITHIN)

    return [
        share("done", "all four parts by the deadline / base", _parts(base, in_time, _one)),
        share("done_at_all", "all four parts, whenever / base", _parts(base, done, _one)),
        share("write_back_verified_60s", "read back within 60 s / decisions", _parts(decided, quick, _one)),
    ]


def _asked_afterwards(rows: list[Row], claims: list[Row]) -> list[Figure]:
    invited = {claim["conversation_id"] for claim in claims if claim["purpose"] == "satisfaction"}
    conversations: dict[str, Row] = {}
    for row in rows:
        if row["conversation_id"] in invited or row["rating"] is not None:
            known = conversations.setdefault(row["conversation_id"], row)
            if known["rating"] is None:
                conversations[row["conversation_id"]] = row
    asked = list(conversations.values())
    rated = [row for row in asked if row["rating"] is not None]
    score = _parts(rated, lambda r: float(r["rating"] >= 9) - float(r["rating"] <= 6), _one)
    answered = _parts(asked, lambda r: r["rating"] is not None, _one)
    return [
        share("nps", "9-10 less 0-6 / those who answered", score),
        share("nps_response", "answered / invited", answered),
    ]


def _by_channel(rows: list[Row], claims: list[Row]) -> list[Figure]:
    """What was approved where, of what was put there; the page and the app follow any digital message."""
    reached: dict[str, set[str]] = defaultdict(set)
    for claim in claims:
        if claim["purpose"] != "satisfaction":
            reached[claim["channel"]].update(_about(bytes(claim["command"])).about)
    linked = reached["push"] | reached["sms"] | reached["email"]
    figures = []
    for channel in _ANSWERED_ON:
        there = linked if channel in ("page", "app") else reached[channel]
        mine = [row for row in rows if row["case_id"] in there]
        parts = _parts(
            mine,
            lambda r, c=channel: r["channel"] == c and r["actor"] in BY_PEOPLE and r["resolution"] in KEPT,  # type: ignore[misc]
            _one,
        )
        figures.append(
            share(f"acceptance_{channel}", f"approved by {channel} / sent or dialled there", parts)
        )
    return figures


def _resolved(base: list[Row]) -> dict[str, int]:
    """Units of work: cases by how they were decided."""
    counts = {"by_voice": 0, "digitally": 0, "by_staff": 0, "by_stored_preference": 0, "by_default": 0}
    by_actor = {"staff": "by_staff", "stored_preference": "by_stored_preference", "default": "by_default"}
    for row in base:
        if row["decided_at"] is None:
            continue
        name = by_actor.get(row["actor"]) or ("by_voice" if row["channel"] == "voice" else "digitally")
        counts[name] += 1
    return counts
