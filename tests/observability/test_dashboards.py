"""The dashboards' JSON is what the code says, and complete."""

import json

import promql_parser
import pytest

from dashboards.catalogue import ALL, FOLDER, PREVIEWS, file_of
from dashboards.grafana import as_json
from dashboards.panel import Dashboard


@pytest.mark.parametrize("dashboard", ALL, ids=lambda one: one.uid)
def test_the_json_is_current(dashboard: Dashboard) -> None:
    assert file_of(dashboard).read_text() == as_json(dashboard), "run `make dashboards`"


@pytest.mark.parametrize("dashboard", ALL, ids=lambda one: one.uid)
def test_every_panel_says_what_it_shows_and_asks_our_source(dashboard: Dashboard) -> None:
    shown = json.loads(as_json(dashboard))
    panels = [panel for panel in shown["panels"] if panel["type"] != "row"]
    assert len(panels) == len(dashboard.panels)
    for panel in panels:
        assert panel["description"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
        for target in panel["targets"]:
            promql_parser.parse(target["expr"].replace("$__rate_interval", "2m"))


def test_no_other_file_lies_beside_them_and_each_has_a_preview() -> None:
    assert {file.name for file in FOLDER.iterdir()} == {f"{one.uid}.json" for one in ALL}
    assert {file.name for file in PREVIEWS.glob("*.png")} == {f"{one.uid}.png" for one in ALL}
