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
from connectors.register.report import ANOTHER_ATTEMPT, BY_PEOPLE, KEPT, REPLACED
from connectors.rounds import Rounds
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
# Cases are read twice, once for their words and once with all that belongs to each; nothing of a command or a change
# is read, which are hundred times as much.
_COUNT = """
WITH words AS MATERIALIZED (
    SELECT kind, mode, state, resolution, channel, close_reason, presented, count(*) AS cases
    FROM register_cases GROUP BY 1, 2, 3, 4, 5, 6, 7
), told AS MATERIALIZED (
    SELECT order_id, bool_or(outcome IN ('delivered', 'completed')) AND NOT bool_or(outcome = 'cancelled') AS delivered,
        sum(CASE outcome WHEN 'delivered' THEN amount_minor WHEN 'credited' THEN -amount_minor ELSE 0 END) AS charge
    FROM order_outcomes GROUP BY order_id
), reached AS (
    SELECT case_id, bool_or(channel = 'sms') AS sms, bool_or(channel = 'voice') AS voice,
        bool_or(channel IN ('push', 'sms', 'email')) AS linked
    FROM register_reached GROUP BY case_id
), base AS MATERIALIZED (
    SELECT case_id, order_id, conversation_id, customer_ref, arm, r.channel, actor, late, presented, outcome, rating,
        resolution, quantity_short, units_replaced, value_minor, currency, occurred_at, opened_at, deadline_at,
        decided_at, written_at, done_at, t.order_id IS NOT NULL AS told, coalesce(t.delivered, false) AS delivered,
        coalesce(t.charge, 0) AS charge, arm <> 'holdout' AS treated, r.kind = ANY(%(lines)s) AS of_line,
        actor = ANY(%(people)s) AS by_people, actor = ANY(%(people)s) AND resolution = ANY(%(kept)s) AS approved,
        resolution = ANY(%(kept)s) AS keeps, actor <> 'default' AND decided_at IS NOT NULL AS answered,
        sms, voice, linked
    FROM register_cases r LEFT JOIN register_done USING (case_id, version) LEFT JOIN reached USING (case_id)
        LEFT JOIN told t USING (order_id)
    WHERE mode <> 'shadow' AND NOT (close_reason = 'withdrawn' AND NOT presented)
), orders AS MATERIALIZED (
    SELECT DISTINCT ON (order_id) CASE arm WHEN 'holdout' THEN arm ELSE 'treatment' END AS arm, told, delivered, charge
    FROM base ORDER BY order_id, opened_at DESC, case_id DESC
), asked AS (
    SELECT DISTINCT ON (conversation_id) rating FROM base
    WHERE treated AND (rating IS NOT NULL OR conversation_id IN (SELECT conversation_id FROM register_invited))
    ORDER BY conversation_id, rating IS NULL, opened_at, case_id
), of_orders AS MATERIALIZED (
    SELECT count(*) AS orders, count(*) FILTER (WHERE delivered) AS delivered, bool_or(told) AS told FROM orders
), of_cases AS MATERIALIZED (
    SELECT count(*) AS cases, count(*) FILTER (WHERE late) AS late, count(*) FILTER (WHERE NOT treated) AS holdout,
        count(*) FILTER (WHERE treated) AS treated,
        sum(units_replaced) FILTER (WHERE of_line AND outcome = 'delivered' AND by_people
            AND resolution = ANY(%(replaced)s)) AS replaced,
        sum(quantity_short) FILTER (WHERE of_line) AS short,
        count(*) FILTER (WHERE NOT of_line AND delivered AND resolution <> ALL(%(again)s)) AS handed_over,
        count(*) FILTER (WHERE NOT of_line) AS stops,
        count(*) FILTER (WHERE treated AND presented AND approved) AS presented_approved,
        count(*) FILTER (WHERE treated AND presented) AS presented,
        count(*) FILTER (WHERE treated AND approved) AS approved,
        count(*) FILTER (WHERE done_at <= deadline_at) AS done_in_time, count(done_at) AS done,
        count(*) FILTER (WHERE written_at - decided_at <= interval '60 seconds') AS written_quickly,
        count(decided_at) AS decided,
        count(*) FILTER (WHERE treated AND sms AND channel = 'sms' AND approved) AS sms_approved,
        count(*) FILTER (WHERE treated AND sms) AS sms,
        count(*) FILTER (WHERE treated AND voice AND channel = 'voice' AND approved) AS voice_approved,
        count(*) FILTER (WHERE treated AND voice) AS voice,
        count(*) FILTER (WHERE treated AND linked AND channel = 'page' AND approved) AS page_approved,
        count(*) FILTER (WHERE treated AND linked AND channel = 'app' AND approved) AS app_approved,
        count(*) FILTER (WHERE treated AND linked) AS linked
    FROM base
), of_asked AS MATERIALIZED (
    SELECT count(*) AS invited, count(rating) AS rated,
        count(*) FILTER (WHERE rating >= 9) - count(*) FILTER (WHERE rating <= 6) AS score FROM asked
), figures AS MATERIALIZED (
    SELECT figure.* FROM of_orders o, of_cases c, of_asked a, LATERAL (VALUES
        ('order_save_rate', CASE WHEN told THEN o.delivered END, CASE WHEN told THEN o.orders END),
        ('line_save', CASE WHEN told THEN c.replaced END, CASE WHEN told THEN c.short END),
        ('last_mile_failures_avoided', CASE WHEN told THEN c.handed_over END, CASE WHEN told THEN c.stops END),
        ('acceptance', c.presented_approved, c.presented), ('acceptance_of_all', c.approved, c.treated),
        ('done', c.done_in_time, c.cases), ('done_at_all', c.done, c.cases),
        ('write_back_verified_60s', c.written_quickly, c.decided),
        ('nps', a.score, a.rated), ('nps_response', a.rated, a.invited),
        ('acceptance_sms', c.sms_approved, c.sms), ('acceptance_voice', c.voice_approved, c.voice),
        ('acceptance_page', c.page_approved, c.linked), ('acceptance_app', c.app_approved, c.linked)
    ) AS figure (figure, above, below)
), times AS MATERIALIZED (
    SELECT CASE WHEN answered THEN 'yes' ELSE 'no' END AS answered, width_bucket(seconds, %(buckets)s) AS bucket,
        count(*) AS cases, sum(seconds) AS seconds
    FROM (SELECT answered, greatest(0.0, extract(epoch FROM
        CASE WHEN answered THEN decided_at ELSE deadline_at END - occurred_at))::float8 AS seconds
        FROM base WHERE treated) AS each GROUP BY 1, 2
)
SELECT 'opened', kind, mode, sum(cases)::float8 FROM words GROUP BY 2, 3
UNION ALL SELECT 'closed', coalesce(nullif(resolution, 'unknown'), 'none'),
    coalesce(nullif(nullif(channel, ''), 'unknown'), 'none'), sum(cases)
    FROM words WHERE state = 'closed' GROUP BY 2, 3
UNION ALL SELECT 'closes', close_reason, '', sum(cases) FROM words WHERE state = 'closed' GROUP BY 2
UNION ALL SELECT 'cases', state, '', sum(cases) FROM words GROUP BY 2
UNION ALL SELECT 'last_mile', coalesce(nullif(resolution, 'unknown'), 'none'), '', sum(cases)
    FROM words WHERE kind <> ALL(%(lines)s) GROUP BY 2
UNION ALL SELECT 'base', 'withdrawn_before_the_first_send', '', coalesce(sum(cases), 0) FROM words
    WHERE mode <> 'shadow' AND close_reason = 'withdrawn' AND NOT presented
UNION ALL SELECT 'base', 'shadow', '', coalesce(sum(cases), 0) FROM words WHERE mode = 'shadow'
UNION ALL SELECT 'base', part.* FROM of_cases c, of_orders o, LATERAL (VALUES
    ('cases', '', c.cases), ('orders', '', o.orders), ('late', '', c.late), ('holdout', '', c.holdout)) AS part
UNION ALL SELECT 'base', 'customers', '', count(*) FROM (SELECT DISTINCT customer_ref FROM base) AS customers
UNION ALL SELECT 'numerator', figure, '', above FROM figures
UNION ALL SELECT 'denominator', figure, '', below FROM figures
UNION ALL SELECT 'resolved', CASE WHEN actor IN ('staff', 'stored_preference', 'default') THEN actor
    WHEN channel = 'voice' THEN 'voice' ELSE 'digital' END, '', count(*)
    FROM base WHERE decided_at IS NOT NULL GROUP BY 2
UNION ALL SELECT 'decision_s', answered, bucket::text, cases FROM times
UNION ALL SELECT 'decision_s_sum', answered, '', sum(seconds) FROM times GROUP BY 2
UNION ALL SELECT 'in_trouble', currency, '', sum(value_minor) FROM base WHERE treated AND currency <> '' GROUP BY 2
UNION ALL SELECT 'handled', currency, '', sum(value_minor) FILTER (WHERE keeps) FROM base
    WHERE treated AND currency <> '' GROUP BY 2
UNION ALL SELECT 'orders', arm, '', count(*) FROM orders GROUP BY 2
UNION ALL SELECT 'delivered', arm, '', count(*) FILTER (WHERE delivered) FROM orders GROUP BY 2
UNION ALL SELECT 'net_charge', arm, '', sum(charge) FROM orders GROUP BY 2
UNION ALL SELECT 'outcomes', outcome, '', count(*) FROM order_outcomes GROUP BY 2
UNION ALL SELECT 'contacted', rung, '', count(*) FROM (SELECT DISTINCT conversation_id,
    CASE channel WHEN 'voice' THEN 'voice' WHEN 'person' THEN 'person' ELSE 'digital' END AS rung FROM claims
    WHERE conversation_id <> '' AND (state = 'sent' OR channel = 'person')) AS sent GROUP BY 2
UNION ALL SELECT 'claims', channel, state, count(*) FROM claims GROUP BY 2, 3
UNION ALL SELECT 'write_backs', outcome, '', count(*) FROM write_backs WHERE settled_at IS NOT NULL GROUP BY 2
UNION ALL SELECT 'evidence_settled', 'stored', '', count(*)
    FROM evidence_requests WHERE settled_at IS NOT NULL AND pointer IS NOT NULL
UNION ALL SELECT 'evidence_settled', 'erased', '', count(*)
    FROM evidence_requests WHERE settled_at IS NOT NULL AND pointer IS NULL
"""
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

    def __init__(
        self, pool: ConnectionPool[Connection], clock: Clock, modes: Mapping[str, int], rounds: Rounds
    ) -> None:
        """`modes`: how many policies are loaded in each."""
        self._pool, self._clock, self._modes, self._rounds = pool, clock, dict(modes), rounds
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
        with (
            self._rounds.at("the count of the register"),
            self._pool.connection() as connection,
            connection.transaction(),
        ):
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
