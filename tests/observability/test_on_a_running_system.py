"""On a system that has lived through the demo's hour: figures to the case, expressions with data, clean metrics."""

import math
import re
import subprocess
import urllib.request

import promql_parser
import pytest
import yaml

from connectors.measuring import OTHER
from connectors.metrics import FAMILIES, FIGURES
from dashboards.catalogue import ALL
from tests.observability.conftest import ALERTS, Lived
from tests.world.prometheus import tool
from tests.world.stack import PROCESSES

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("kafka")]
EXPRESSIONS = [
    pytest.param(query.expression, id=f"{dashboard.uid}: {panel.title} {query.legend}")
    for dashboard in ALL
    for panel in dashboard.panels
    for query in panel.queries
]


def scraped(life: Lived, process: str) -> str:
    with urllib.request.urlopen(f"{life.stack.url_of(process)}/metrics", timeout=60) as answer:
        return str(answer.read().decode())


@pytest.mark.parametrize("process", PROCESSES)
def test_promtool_has_nothing_to_say_about_the_metrics_of(process: str, life: Lived) -> None:
    done = subprocess.run(
        [tool("promtool"), "check", "metrics"],
        input=scraped(life, process),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout + done.stderr, done.returncode) == ("", 0)


def test_every_series_is_declared_and_every_declared_metric_is_there(life: Lived) -> None:
    declared = {family.shown: family for family in FAMILIES}
    shown = set()
    for process in PROCESSES:
        for line in scraped(life, process).splitlines():
            if not (found := re.match(r"(saveline_\w+?)(_bucket|_sum|_count|_created)?(\{.*\})? ", line)):
                continue
            name = found[1] if found[1] in declared else f"{found[1]}_total"
            family = declared[name]
            shown.add(name)
            for label, value in re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', found[3] or ""):
                allowed = family.labels.get(label, ()) if label != "le" else None
                assert allowed is None or value in (*allowed, OTHER), line
    assert shown == set(declared)


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_a_dashboard_asks_what_parses_and_has_an_answer(expression: str, life: Lived) -> None:
    asked = expression.replace("$__rate_interval", "2m")
    promql_parser.parse(asked)
    assert life.prometheus.query(asked), asked


def test_every_alert_asks_what_can_be_answered(life: Lived) -> None:
    for group in yaml.safe_load(ALERTS.read_text())["groups"]:
        for rule in group["rules"]:
            promql_parser.parse(rule["expr"])
            for selector in set(re.findall(r"saveline_\w+(?:\{[^}]*\})?", rule["expr"])):
                assert life.prometheus.query(f"count({selector})"), (rule["alert"], selector)


def test_the_figures_are_those_of_the_report_to_the_case(life: Lived) -> None:
    life.look()
    told = life.report()
    ask = life.prometheus.value
    for of, count in told.base.items():
        assert ask(f'max(saveline_report_base{{of="{of}"}})') == count, of
    found = {figure.name: figure for figure in (*told.figures, *told.by_channel)}
    for name in FIGURES:
        one = found[name]
        above, below = (
            ask(f'max(saveline_report_{part}{{figure="{name}"}})') for part in ("numerator", "denominator")
        )
        assert (above, below) == (one.numerator or 0, one.denominator or 0), name
    handled = found["value_handled_gbp"]
    assert ask('max(saveline_value_handled_minor{currency="GBP"})') == handled.numerator
    assert ask('max(saveline_value_in_trouble_minor{currency="GBP"})') == handled.denominator
    for by, count in told.resolved.items():
        assert (
            ask(
                f'max(saveline_cases_resolved{{by="{by.removeprefix("by_").replace("digitally", "digital")}"}})'
            )
            == count
        )
    assert ask('max(saveline_cases{state="open"})') == told.open
    assert ask("sum(max by (since) (saveline_cases_stuck))") == sum(told.stuck.values())


def test_cases_are_opened_closed_and_timed_once_each(life: Lived) -> None:
    expected = {case_id for order in life.orders for case_id in order.case_ids}
    ask = life.prometheus.value
    assert ask("sum(max by (kind, mode) (saveline_cases_opened_total))") == len(expected)
    assert ask("sum(max by (resolution, channel) (saveline_cases_closed_total))") == len(expected)
    assert ask("sum(max by (reason) (saveline_case_closes_total))") == len(expected)
    base = ask('max(saveline_report_base{of="cases"})')
    assert ask("sum(max by (answered) (saveline_time_to_decision_seconds_count))") == base
    median = ask(
        "histogram_quantile(0.5, sum by (le) (max by (le, answered) (saveline_time_to_decision_seconds_bucket)))"
    )
    report = {figure.name: figure for figure in life.report().figures}["time_to_decision_p50"].value
    assert report is not None
    bounds = [
        0.0,
        *next(family.buckets for family in FAMILIES if "time_to_decision" in family.name),
        math.inf,
    ]
    # The same bucket: that is as exact as a histogram is.
    below = max(bound for bound in bounds if bound <= report)
    assert below <= median <= min(bound for bound in bounds if bound > below)


def test_without_a_holdout_nothing_is_called_saved_beyond_it(life: Lived) -> None:
    delivered = 'max(saveline_orders_delivered{arm="holdout"}) / max(saveline_orders{arm="holdout"})'
    assert math.isnan(life.prometheus.value(delivered))
