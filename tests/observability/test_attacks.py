"""Nobody can make series: whatever words arrive from outside, labels keep to their lists."""

import re
import secrets
import threading
from collections.abc import Iterator

import psycopg
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient

from connectors import metrics
from connectors.clock import SystemClock
from connectors.edge.measured import MeasuredRequests
from connectors.measuring import OTHER, Counted, Timed
from connectors.metrics import FAMILIES
from connectors.postgres import open_pool
from connectors.register.counts import _WATCH, RegisterCounts
from connectors.register.migrate import upgrade
from connectors.rounds import Rounds

WORDS = 300


def strange() -> str:
    return f'{secrets.token_hex(8)}"\n}}'


def foreign(found: Iterator[Metric] | list[Metric]) -> list[tuple[str, str, str]]:
    """Label values that no declaration knows."""
    declared = {family.name: family for family in FAMILIES}
    return [
        (metric.name, label, value)
        for metric in found
        for sample in metric.samples
        for label, value in sample.labels.items()
        if label != "le"
        and (allowed := declared[metric.name].labels[label]) is not None
        and value not in (*allowed, OTHER)
    ]


def test_words_that_no_list_knows_are_counted_as_other() -> None:
    for one in (*metrics.IN_CONNECTORS, *metrics.IN_EDGE):
        before = sum(len(metric.samples) for metric in one.metric.collect())
        for _ in range(WORDS):
            words = [strange() for _ in one.family.labels]
            match one:
                case Counted():
                    one.add(*words)
                case Timed():
                    one.add(*words, seconds=1.0)
        found = list(one.metric.collect())
        assert foreign(found) == []
        grown = sum(len(metric.samples) for metric in found) - before
        # One more series, with its buckets and its creation time.
        assert grown <= len(one.family.buckets) + 4


def test_no_path_makes_a_series_at_the_edge() -> None:
    app = Starlette(routes=[Route("/c/{token}", lambda _: Response(status_code=403))])
    app.add_middleware(MeasuredRequests, clock=SystemClock())
    client = TestClient(app)
    refused = metrics.REFUSED.metric.labels("customer")._value.get()
    for _ in range(WORDS):
        client.get(f"/{secrets.token_hex(8)}")
        client.request(secrets.token_hex(4).upper(), f"/c/{secrets.token_hex(8)}")
        client.get(f"/c/{secrets.token_hex(8)}")
    registry = CollectorRegistry()
    registry.register(metrics.REQUESTS.metric)
    assert foreign(list(registry.collect())) == []
    assert metrics.REFUSED.metric.labels("customer")._value.get() - refused >= WORDS


@pytest.mark.real
@pytest.mark.xdist_group("postgres")
def test_no_word_in_the_register_makes_a_series(dsn: str) -> None:
    upgrade(dsn)
    with psycopg.connect(dsn, autocommit=True) as connection:
        for n in range(WORDS):
            connection.execute(
                "INSERT INTO register_cases SELECT (jsonb_populate_record(NULL::register_cases, %s::jsonb)).*",
                [_a_row(n)],
            )
        connection.execute(
            "INSERT INTO opt_outs SELECT i::text, 'x' || i, true, now() FROM generate_series(1, 50) i"
        )
        connection.execute(
            "INSERT INTO kill_switches SELECT 'store', 'store-' || i FROM generate_series(1, 50) i"
        )
    with open_pool(dsn, max_size=2) as pool:
        counts = RegisterCounts(pool, SystemClock(), {"live": 1, strange(): 1}, Rounds(SystemClock()))
        counts.watch()
        counts.count()
        shown = list(counts.collect())
    assert foreign(shown) == []
    samples = {
        (sample.name, *sample.labels.values()): sample.value for metric in shown for sample in metric.samples
    }
    assert samples["saveline_cases_opened_total", OTHER, OTHER] == WORDS
    assert samples["saveline_kill_switches", "store", "store"] == 50
    assert samples["saveline_value_in_trouble_minor", OTHER] == WORDS
    assert sum(len(metric.samples) for metric in shown) < 1_000


def _a_row(n: int) -> str:
    import json

    at = "2026-01-01T12:00:00Z"
    words = ("store_id", "kind", "policy", "mode", "arm", "state", "resolution", "actor", "channel")
    more = ("stuck", "close_reason", "announced", "outcome", "line_id", "line_name", "currency")
    return json.dumps(
        {
            **{word: strange() for word in (*words, *more)},
            **{word: f"{word}-{n}" for word in ("case_id", "order_id", "conversation_id", "customer_ref")},
            **dict.fromkeys(("occurred_at", "opened_at", "deadline_at", "changed_at"), at),
            "version": 1,
            "missing": [],
            "presented": True,
            "late": False,
            "quantity_short": 1,
            "units_replaced": 1,
            "value_minor": 1,
        }
    )


@pytest.mark.real
@pytest.mark.xdist_group("postgres")
def test_while_the_register_is_away_the_last_look_stays(dsn: str) -> None:
    upgrade(dsn)
    with open_pool(dsn, max_size=1, wait_s=0.2) as pool:
        counts, ended = RegisterCounts(pool, SystemClock(), {}, Rounds(SystemClock())), threading.Event()
        assert list(counts.collect()) == []
        counts.watch()
        with pool.connection():
            # Nobody gives it a connection.
            thread = threading.Thread(target=counts.run, args=(ended,))
            thread.start()
            assert "saveline_cases_overdue" in {metric.name for metric in counts.collect()}
            ended.set()
            thread.join(30)
        assert "saveline_cases_overdue" in {metric.name for metric in counts.collect()}


@pytest.mark.real
@pytest.mark.xdist_group("postgres")
def test_what_alerts_watch_is_found_by_indexes_however_large_the_register(dsn: str) -> None:
    upgrade(dsn)
    with psycopg.connect(dsn) as connection:
        connection.execute("SET enable_seqscan = off")
        asked = f"EXPLAIN {_WATCH}".encode()
        plan = "\n".join(row[0] for row in connection.execute(asked, {"now": SystemClock().now()}))
    assert "register_overdue" in plan
    # Only a table of a few rows, or of customers who opted out, may be read as a whole.
    assert set(re.findall(r"Seq Scan on (\w+)", plan)) <= {"kill_switches", "opt_outs"}, plan
