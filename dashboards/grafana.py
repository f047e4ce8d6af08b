"""A dashboard as Grafana's JSON, by its own schemas."""

from typing import Any

from grafana_foundation_sdk.builders import bargauge, common, prometheus, stat, timeseries
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import (
    BigValueGraphMode,
    LegendDisplayMode,
    LegendPlacement,
    StackingMode,
    VizOrientation,
)
from grafana_foundation_sdk.models.dashboard import (
    DataSourceRef,
    Threshold,
    ThresholdsMode,
)

from dashboards.panel import Dashboard, Panel, Query

_SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
_HEIGHT = {"number": 4, "lines": 8, "areas": 8, "bars": 8}
_GREEN, _RED, _PLAIN = "green", "red", "text"


def as_json(dashboard: Dashboard) -> str:
    made = (
        build.Dashboard(dashboard.title)
        .uid(dashboard.uid)
        .description(dashboard.says)
        .tags(["saveline"])
        .refresh("30s")
        .time("now-6h", "now")
        .timezone("browser")
        .readonly()
        .with_variable(build.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
    )
    for row in dashboard.rows:
        made.with_row(build.Row(row.title))
        for panel in row.panels:
            made.with_panel(_panel(panel))
    return str(JSONEncoder(sort_keys=True, indent=2).encode(made.build())) + "\n"


def _panel(panel: Panel) -> Any:
    match panel.drawn:
        case "number":
            made = stat.Panel().graph_mode(BigValueGraphMode.NONE).thresholds(_thresholds(panel))
        case "bars":
            made = bargauge.Panel().orientation(VizOrientation.HORIZONTAL).thresholds(_thresholds(panel))
        case "lines" | "areas":
            made = timeseries.Panel().legend(
                common.VizLegendOptions()
                .display_mode(LegendDisplayMode.LIST)
                .placement(LegendPlacement.BOTTOM)
                .show_legend(True)
            )
            if panel.drawn == "areas":
                made.stacking(common.StackingConfig().mode(StackingMode.NORMAL)).fill_opacity(30)
    made.title(panel.title).description(panel.says).unit(panel.unit).datasource(_SOURCE)
    made.span(panel.width).height(_HEIGHT[panel.drawn])
    for n, query in enumerate(panel.queries):
        made.with_target(_target(query, chr(ord("A") + n), instant=panel.drawn in ("number", "bars")))
    return made


def _target(query: Query, ref_id: str, *, instant: bool) -> Any:
    made = prometheus.Dataquery().expr(query.expression).ref_id(ref_id).legend_format(query.legend)
    return made.instant() if instant else made.range()


def _thresholds(panel: Panel) -> Any:
    steps = [Threshold(None, _PLAIN if panel.bad_from is None else _GREEN)]
    if panel.bad_from is not None:
        steps.append(Threshold(panel.bad_from, _RED))
    return build.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)
