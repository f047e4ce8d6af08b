"""What the platform is shown of the register: looked at every few seconds, right to the case whatever restarted.

Counters in workers would begin anew with every restart and count a repeated transaction twice, so cases, decisions
and money are counted where they are kept. The figures follow `report` to the case; a test compares the two.
"""

import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import psycopg
import structlog
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from psycopg_pool import ConnectionPool, PoolTimeout

from connectors import metrics
from connectors.clock import Clock
from connectors.measuring import Family, Spread
from connectors.outbox import Connection
from connectors.register.report import ANOTHER_ATTEMPT, BY_PEOPLE, DONE_AT, KEPT, REPLACED
from schemas.words import LINE_KINDS

log = structlog.get_logger()

_EVERY_S = 5.0
_SHARE = 20
"""A look is followed by a pause of so many times its length: a large register is not looked at all the time."""
_LONGEST_MS = 60_000

# Each row: what it is, up to two labels, a number. What alerts watch is quickly found, however large the register.
_WATCH = """
SELECT 'stuck', CASE state WHEN 'closed' THEN 'given_up' ELSE 'waiting' END, '', count(*)
    FROM register_cases WHERE stuck <> '' GROUP BY 2
UNION ALL SELECT 'stuck_oldest', '', '', extract(epoch FROM %(now)s - min(changed_at))
    FROM register_cases WHERE stuck <> '' AND state <> 'closed'
UNION ALL SELECT 'overdue', '', '', count(*) FROM register_cases
    WHERE state = 'open' AND stuck = '' AND deadline_at < %(now)s - interval '1 minute'
UNION ALL SELECT 'ambiguous_oldest', '', '', extract(epoch FROM %(now)s - min(ambiguous_at))
    FROM claims WHERE state = 'ambiguous'
UNION ALL SELECT 'opt_outs', channel, '', count(*) FROM opt_outs WHERE opted_out GROUP BY 2
UNION ALL SELECT 'kill_switches', scope, CASE scope WHEN 'store' THEN 'store' ELSE name END, count(*)
    FROM kill_switches GROUP BY 2, 3
UNION ALL SELECT 'write_back_oldest', '', '', extract(epoch FROM %(now)s - min(filed_at))
    FROM write_backs WHERE settled_at IS NULL
UNION ALL SELECT 'evidence', CASE problem WHEN 'store' THEN 'failing' ELSE 'waiting' END, '', count(*)
    FROM evidence_requests WHERE settled_at IS NULL GROUP BY 2
UNION ALL SELECT 'evidence_oldest', '', '', extract(epoch FROM %(now)s - min(filed_at))
    FROM evidence_requests WHERE settled_at IS NULL
"""
_COUNT = f"""
WITH base AS MATERIALIZED (
    SELECT r.*, d.done_at, r.kind = ANY(%(lines)s) AS of_line, r.actor = ANY(%(people)s) AS by_people,
        r.resolution = ANY(%(kept)s) AS keeps, r.actor <> 'default' AND r.decided_at IS NOT NULL AS answered
    FROM register_cases r LEFT JOIN ({DONE_AT}) d USING (case_id)
    WHERE r.mode <> 'shadow' AND NOT (r.close_reason = 'withdrawn' AND NOT r.presented)
), treated AS MATERIALIZED (SELECT * FROM base WHERE arm <> 'holdout'),
told AS MATERIALIZED (
    SELECT order_id, bool_or(outcome IN ('delivered', 'completed')) AND NOT bool_or(outcome = 'cancelled') AS delivered,
        sum(CASE outcome WHEN 'delivered' THEN amount_minor WHEN 'credited' THEN -amount_minor ELSE 0 END) AS charge
    FROM order_outcomes GROUP BY order_id
), anything AS MATERIALIZED (SELECT count(*) > 0 AS told FROM base JOIN told USING (order_id)),
orders AS MATERIALIZED (
    SELECT DISTINCT ON (order_id) order_id, CASE arm WHEN 'holdout' THEN arm ELSE 'treatment' END AS arm,
        coalesce(t.delivered, false) AS delivered, coalesce(t.charge, 0) AS charge
    FROM base LEFT JOIN told t USING (order_id) ORDER BY order_id, opened_at DESC, case_id DESC
), reached AS MATERIALIZED (
    SELECT DISTINCT channel, jsonb_array_elements_text(convert_from(command, 'UTF8')::jsonb -> 'about') AS case_id
    FROM claims WHERE state = 'sent' AND purpose IN ('ask', 'update', 'call', 'link') AND command IS NOT NULL
), asked AS MATERIALIZED (
    SELECT conversation_id,
        (array_agg(rating ORDER BY opened_at, case_id) FILTER (WHERE rating IS NOT NULL))[1] AS rating
    FROM treated WHERE rating IS NOT NULL OR conversation_id IN (
        SELECT conversation_id FROM claims WHERE state = 'sent' AND purpose = 'satisfaction' AND command IS NOT NULL)
    GROUP BY conversation_id
), figures AS (
    SELECT 'order_save_rate' AS figure, count(*) FILTER (WHERE delivered AND told) AS above,
        count(*) FILTER (WHERE told) AS below FROM orders, anything
    UNION ALL SELECT 'line_save', sum(units_replaced) FILTER (WHERE told AND outcome = 'delivered' AND by_people
        AND resolution = ANY(%(replaced)s)), sum(quantity_short) FILTER (WHERE told) FROM base, anything WHERE of_line
    UNION ALL SELECT 'last_mile_failures_avoided',
        count(*) FILTER (WHERE told AND t.delivered AND resolution <> ALL(%(again)s)), count(*) FILTER (WHERE told)
        FROM base LEFT JOIN told t USING (order_id), anything WHERE NOT of_line
    UNION ALL SELECT 'acceptance', count(*) FILTER (WHERE by_people AND keeps), count(*) FROM treated WHERE presented
    UNION ALL SELECT 'acceptance_of_all', count(*) FILTER (WHERE by_people AND keeps), count(*) FROM treated
    UNION ALL SELECT 'done', count(*) FILTER (WHERE done_at <= deadline_at), count(*) FROM base
    UNION ALL SELECT 'done_at_all', count(done_at), count(*) FROM base
    UNION ALL SELECT 'write_back_verified_60s',
        count(*) FILTER (WHERE written_at - decided_at <= interval '60 seconds'), count(*)
        FROM base WHERE decided_at IS NOT NULL
    UNION ALL SELECT 'nps', count(*) FILTER (WHERE rating >= 9) - count(*) FILTER (WHERE rating <= 6), count(*)
        FROM asked WHERE rating IS NOT NULL
    UNION ALL SELECT 'nps_response', count(rating), count(*) FROM asked
    UNION ALL SELECT 'acceptance_' || wanted.channel,
        count(*) FILTER (WHERE treated.channel = wanted.channel AND by_people AND keeps), count(*)
        FROM treated, unnest(ARRAY['sms', 'voice', 'page', 'app']) AS wanted (channel)
        WHERE case_id IN (SELECT case_id FROM reached WHERE reached.channel = wanted.channel
            OR wanted.channel IN ('page', 'app') AND reached.channel IN ('push', 'sms', 'email'))
        GROUP BY wanted.channel
)
SELECT 'opened', kind, mode, count(*)::float8 FROM register_cases GROUP BY 2, 3
UNION ALL SELECT 'closed', coalesce(nullif(resolution, 'unknown'), 'none'),
    coalesce(nullif(nullif(channel, ''), 'unknown'), 'none'), count(*)
    FROM register_cases WHERE state = 'closed' GROUP BY 2, 3
UNION ALL SELECT 'closes', close_reason, '', count(*) FROM register_cases WHERE state = 'closed' GROUP BY 2
UNION ALL SELECT 'cases', state, '', count(*) FROM register_cases GROUP BY 2
UNION ALL SELECT 'base', 'cases', '', count(*) FROM base
UNION ALL SELECT 'base', 'orders', '', count(DISTINCT order_id) FROM base
UNION ALL SELECT 'base', 'customers', '', count(DISTINCT customer_ref) FROM base
UNION ALL SELECT 'base', 'late', '', count(*) FROM base WHERE late
UNION ALL SELECT 'base', 'holdout', '', count(*) FROM base WHERE arm = 'holdout'
UNION ALL SELECT 'base', 'withdrawn_before_the_first_send', '', count(*) FROM register_cases
    WHERE mode <> 'shadow' AND close_reason = 'withdrawn' AND NOT presented
UNION ALL SELECT 'base', 'shadow', '', count(*) FROM register_cases WHERE mode = 'shadow'
UNION ALL SELECT 'numerator', figure, '', above FROM figures
UNION ALL SELECT 'denominator', figure, '', below FROM figures
UNION ALL SELECT 'resolved', CASE WHEN actor IN ('staff', 'stored_preference', 'default') THEN actor
    WHEN channel = 'voice' THEN 'voice' ELSE 'digital' END, '', count(*)
    FROM base WHERE decided_at IS NOT NULL GROUP BY 2
UNION ALL SELECT 'decision_s', CASE WHEN answered THEN 'yes' ELSE 'no' END, width_bucket(seconds, %(buckets)s)::text,
    count(*) FROM (SELECT answered, greatest(0.0, extract(epoch FROM
        CASE WHEN answered THEN decided_at ELSE deadline_at END - occurred_at))::float8 AS seconds FROM treated) AS t
    GROUP BY 2, 3
UNION ALL SELECT 'decision_s_sum', CASE WHEN answered THEN 'yes' ELSE 'no' END, '', sum(greatest(0.0, extract(epoch FROM
    CASE WHEN answered THEN decided_at ELSE deadline_at END - occurred_at))) FROM treated GROUP BY 2
UNION ALL SELECT 'in_trouble', currency, '', sum(value_minor) FROM treated WHERE currency <> '' GROUP BY 2
UNION ALL SELECT 'handled', currency, '', sum(value_minor) FILTER (WHERE keeps) FROM treated
    WHERE currency <> '' GROUP BY 2
UNION ALL SELECT 'orders', arm, '', count(*) FROM orders GROUP BY 2
UNION ALL SELECT 'delivered', arm, '', count(*) FILTER (WHERE delivered) FROM orders GROUP BY 2
UNION ALL SELECT 'net_charge', arm, '', sum(charge) FROM orders GROUP BY 2
UNION ALL SELECT 'last_mile', coalesce(nullif(resolution, 'unknown'), 'none'), '', count(*)
    FROM register_cases WHERE kind <> ALL(%(lines)s) GROUP BY 2
UNION ALL SELECT 'outcomes', outcome, '', count(*) FROM order_outcomes GROUP BY 2
UNION ALL SELECT 'contacted', rung, '', count(DISTINCT conversation_id) FROM (SELECT conversation_id,
    CASE channel WHEN 'voice' THEN 'voice' WHEN 'person' THEN 'person' ELSE 'digital' END AS rung FROM claims
    WHERE conversation_id <> '' AND (state = 'sent' OR channel = 'person')) AS sent GROUP BY 2
UNION ALL SELECT 'claims', channel, state, count(*) FROM claims GROUP BY 2, 3
UNION ALL SELECT 'write_backs', outcome, '', count(*) FROM write_backs WHERE settled_at IS NOT NULL GROUP BY 2
UNION ALL SELECT 'evidence_settled', CASE WHEN pointer IS NULL THEN 'erased' ELSE 'stored' END, '', count(*)
    FROM evidence_requests WHERE settled_at IS NOT NULL GROUP BY 2
"""  # noqa: S608 - our own words
_WATCHED: dict[str, Family] = {
    "stuck": metrics.STUCK,
    "stuck_oldest": metrics.STUCK_OLDEST_S,
    "overdue": metrics.OVERDUE,
    "ambiguous_oldest": metrics.AMBIGUOUS_OLDEST_S,
    "opt_outs": metrics.OPT_OUTS,
    "kill_switches": metrics.KILL_SWITCHES,
    "write_back_oldest": metrics.WRITE_BACK_OLDEST_S,
    "evidence": metrics.EVIDENCE,
    "evidence_oldest": metrics.EVIDENCE_OLDEST_S,
}
_COUNTED: dict[str, Family] = {
    "opened": metrics.OPENED,
    "closed": metrics.CLOSED,
    "closes": metrics.CLOSE_REASONS,
    "cases": metrics.CASES,
    "base": metrics.BASE,
    "numerator": metrics.NUMERATOR,
    "denominator": metrics.DENOMINATOR,
    "resolved": metrics.RESOLVED,
    "in_trouble": metrics.IN_TROUBLE,
    "handled": metrics.HANDLED,
    "orders": metrics.ORDERS,
    "delivered": metrics.DELIVERED,
    "net_charge": metrics.NET_CHARGE,
    "last_mile": metrics.LAST_MILE,
    "outcomes": metrics.OUTCOMES,
    "contacted": metrics.CONTACTED,
    "claims": metrics.CLAIMS,
    "write_backs": metrics.WRITE_BACKS,
}

Rows = dict[str, list[tuple[Any, ...]]]
_WORDS: dict[str, Any] = {
    "lines": [str(kind) for kind in LINE_KINDS],
    "people": list(BY_PEOPLE),
    "kept": list(KEPT),
    "replaced": list(REPLACED),
    "again": list(ANOTHER_ATTEMPT),
    # A value on a bound belongs to the bucket below it, and to the one above in Postgres.
    "buckets": [bound + 1e-6 for bound in metrics.TIME_TO_DECISION_S.buckets],
}


class RegisterCounts(Collector):
    """`run` looks until `ended`; what is scraped are the last looks, nothing before the first."""

    def __init__(self, pool: ConnectionPool[Connection], clock: Clock, modes: Mapping[str, int]) -> None:
        """`modes`: how many policies are loaded in each."""
        self._pool, self._clock, self._modes = pool, clock, dict(modes)
        self._settled: list[tuple[Any, ...]] = []
        """Evidence that is settled, as of the last count: how much there is only matters to who looks back."""
        self._watched: list[Metric] = []
        self._counted: list[Metric] = []

    def run(self, ended: threading.Event) -> None:
        """What alerts watch is looked at every few seconds, all cases are counted as often as they can be."""
        count_again_s = self._clock.monotonic()
        while not ended.is_set():
            began_s = self._clock.monotonic()
            try:
                self.watch()
            except (psycopg.Error, PoolTimeout) as error:
                # The last look stays, with its time: whoever reads it sees how old it is.
                log.warning("register_not_watched", error=type(error).__name__)
            watched_s = self._clock.monotonic()
            if watched_s >= count_again_s:
                try:
                    self.count()
                except (psycopg.Error, PoolTimeout) as error:
                    log.warning("register_not_counted", error=type(error).__name__)
                counted_s = self._clock.monotonic()
                count_again_s = counted_s + _SHARE * (counted_s - watched_s)
            ended.wait(max(_EVERY_S, _SHARE * (watched_s - began_s)))

    def collect(self) -> Iterable[Metric]:
        return [*self._watched, *self._counted]

    def watch(self) -> None:
        """Look at what alerts ask for."""
        now = self._clock.now()
        rows = self._rows(_WATCH, now)
        rows["evidence"] += self._settled
        shown = [family.sampled(_labelled(family, rows[name])) for name, family in _WATCHED.items()]
        self._watched = [
            *shown,
            metrics.POLICIES.sampled(self._modes.items()),
            metrics.WATCHED_AT_S.sampled([(now.timestamp(),)]),
        ]

    def count(self) -> None:
        """Count all cases, and the report's figures."""
        began_s, now = self._clock.monotonic(), self._clock.now()
        rows = self._rows(_COUNT, now)
        self._settled = rows["evidence_settled"]
        shown = [family.sampled(_labelled(family, rows[name])) for name, family in _COUNTED.items()]
        self._counted = [
            *shown,
            _time_to_decision(rows),
            metrics.LOOKED_S.sampled([(self._clock.monotonic() - began_s,)]),
            metrics.LOOKED_AT_S.sampled([(now.timestamp(),)]),
        ]
        self.watch()

    def _rows(self, query: str, now: datetime) -> Rows:
        """Label values and a number, by what they are; one statement, so that all of it is of one instant."""
        found: Rows = defaultdict(list)
        with self._pool.connection() as connection, connection.transaction():
            connection.execute(f"SET LOCAL statement_timeout = {_LONGEST_MS}")
            # So many small plans take longer to compile than they would take to run.
            connection.execute("SET LOCAL jit = off")
            cursor = connection.execute(query.encode(), _WORDS | {"now": now})
            for name, first, second, number in cursor:
                found[name].append((first, second, number))
        return found


def _labelled(family: Family, rows: Iterable[tuple[Any, ...]]) -> Iterable[tuple[Any, ...]]:
    return [(*row[: len(family.labels)], row[2]) for row in rows]


def _time_to_decision(rows: Rows) -> Metric:
    spreads = {answered: Spread(metrics.TIME_TO_DECISION_S) for answered in ("yes", "no")}
    for answered, bucket, number in rows["decision_s"]:
        spreads[answered].counts[int(bucket)] = int(number)
    for answered, _, number in rows["decision_s_sum"]:
        spreads[answered].total = float(number)
    return metrics.TIME_TO_DECISION_S.spread(([answered], spread) for answered, spread in spreads.items())
