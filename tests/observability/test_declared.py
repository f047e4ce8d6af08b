"""The declarations of the metrics: names, units and labels as they should be, and the page that shows them."""

import re
from pathlib import Path

from connectors.metrics import FAMILIES, ROUTES
from tests.observability.table import PAGE, page

ROOT = Path(__file__).parents[2]
NOT_BASE = re.compile(r"_(ms|millis|milliseconds|us|minutes|hours|kb|mb|percent)$")


def test_every_metric_has_our_prefix_a_base_unit_and_says_what_it_is() -> None:
    for family in FAMILIES:
        assert re.fullmatch(r"saveline_[a-z0-9_]+", family.name)
        assert not NOT_BASE.search(family.name), family.name
        assert not family.name.endswith("_total"), "the client adds it"
        assert family.says.endswith((".", ".)"))


def test_no_name_is_declared_twice() -> None:
    names = [family.shown for family in FAMILIES]
    assert sorted(set(names)) == sorted(names)


def test_every_label_has_a_closed_list_but_the_partition() -> None:
    for family in FAMILIES:
        for label, values in family.labels.items():
            assert (values is None) == (label == "partition"), (family.name, label)
            assert values is None or len(set(values)) == len(values) > 1


def test_metrics_are_declared_in_one_file_only() -> None:
    makers = re.compile(
        r"prometheus_client.*\b(Counter|Gauge|Histogram|Summary)\b|MetricFamily\(|[\"']saveline_[a-z]+_[a-z]"
    )
    found = [
        str(file.relative_to(ROOT))
        for package in ("connectors", "streams", "state", "schemas")
        for file in (ROOT / package).rglob("*.py")
        if makers.search(file.read_text())
    ]
    assert found == ["connectors/measuring.py"]


def test_every_route_of_the_edge_is_named_or_would_be_counted_as_other() -> None:
    templates = set()
    for file in (ROOT / "connectors" / "edge").glob("*.py"):
        templates |= set(re.findall(r'"(/(?:c|app|staff|driver|twilio)/[^"]*)"', file.read_text()))
    named = {route for route in ROUTES if "/twilio/voice/" not in route}
    for template in templates:
        assert template.rstrip("/") in {*named, "/app", "/staff", "/driver", "/twilio", "/c"} or (
            "/twilio/voice/" in template
        ), template


def test_the_page_of_the_metrics_is_current() -> None:
    assert PAGE.read_text() == page(), "run `make metrics-table`"
