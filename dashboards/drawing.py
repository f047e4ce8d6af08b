"""Draws a dashboard as a picture, from the answers of a live Prometheus to its own queries."""

import math
import re
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dashboards.panel import Dashboard, Panel

# An expression, to series of (metric, [(second, value), ...]) over the time that is drawn.
Ask = Callable[[str], list[tuple[dict[str, str], list[tuple[float, float]]]]]
_WIDTH_IN, _COLUMN, _HEIGHTS_IN = 16.0, 24, {"number": 1.25, "lines": 2.9, "areas": 2.9, "bars": 2.9}
# Of the small print below a number.
_CHARACTERS_PER_COLUMN = 11
_GAP_IN, _TITLE_IN, _ROW_IN = 0.16, 0.8, 0.42
_INK, _QUIET, _PAPER, _GROUND, _RED = "#1f2328", "#6a737d", "#ffffff", "#f2f4f7", "#d1242f"
_COLOURS = (
    *("#2f6fde", "#e8590c", "#2b8a3e", "#9c36b5", "#e0a100", "#0c8599", "#c2255c", "#5c940d"),
    *("#495057", "#6741d9", "#1098ad", "#a0522d"),
)


def draw(dashboard: Dashboard, ask: Ask, since_s: float, into: Path) -> None:
    mpl.use("Agg")
    mpl.rcParams.update({"font.family": "DejaVu Sans", "font.size": 8.5, "text.color": _INK})
    lines = _laid_out(dashboard)
    height_in = _TITLE_IN + sum(height for _, height in lines)
    figure = Figure(figsize=(_WIDTH_IN, height_in), facecolor=_GROUND)
    _words(figure, height_in, 0.28, dashboard.title, size=15, weight="bold")
    _words(figure, height_in, 0.55, dashboard.says, size=9.5, color=_QUIET)
    top_in = _TITLE_IN
    for what, line_in in lines:
        if isinstance(what, str):
            _words(figure, height_in, top_in + 0.27, what, size=11, weight="bold")
        else:
            left = 0
            for panel in what:
                box = (left, panel.width, top_in, line_in - _GAP_IN)
                _panel(figure, height_in, box, panel, ask, since_s)
                left += panel.width
        top_in += line_in
    figure.savefig(into, dpi=100, metadata={"Software": None})


def _laid_out(dashboard: Dashboard) -> list[tuple[str | list[Panel], float]]:
    lines: list[tuple[str | list[Panel], float]] = []
    for row in dashboard.rows:
        lines.append((row.title, _ROW_IN))
        waiting: list[Panel] = []
        for panel in (*row.panels, None):
            if panel is None or sum(one.width for one in waiting) + panel.width > _COLUMN:
                lines.append((waiting, max(_HEIGHTS_IN[one.drawn] for one in waiting) + _GAP_IN))
                waiting = []
            if panel is not None:
                waiting.append(panel)
    return lines


def _words(figure: Figure, height_in: float, top_in: float, text: str, **more: Any) -> None:
    figure.text(0.012, 1 - top_in / height_in, text, va="center", **more)


def _panel(
    figure: Figure,
    height_in: float,
    box: tuple[int, int, float, float],
    panel: Panel,
    ask: Ask,
    since_s: float,
) -> None:
    left, width, top_in, tall_in = box
    usable = _WIDTH_IN - 0.3
    x_in, wide_in = 0.15 + usable * left / _COLUMN, usable * width / _COLUMN - 0.12
    place = (x_in / _WIDTH_IN, 1 - (top_in + tall_in) / height_in, wide_in / _WIDTH_IN, tall_in / height_in)
    card: Axes = figure.add_axes(place, facecolor=_PAPER, xticks=[], yticks=[])
    for spine in card.spines.values():
        spine.set_color("#dfe3e8")
    card.text(0.1 / wide_in, 1 - 0.17 / tall_in, panel.title, va="center", weight="bold", size=9.5)
    series = [
        (_legend(query.legend, metric), points)
        for query in panel.queries
        for metric, points in ask(query.expression)
    ]
    if panel.drawn == "number":
        _number(card, panel, series)
        return
    long_names = panel.drawn == "bars" and max((len(name) for name, _ in series), default=0)
    inner_left = min(0.16 + 0.068 * long_names, wide_in * 0.45) if long_names else 0.55
    under = 0.22 if panel.drawn == "bars" else 0.3 + 0.16 * _legend_lines(series, wide_in)
    inside = (
        place[0] + inner_left / _WIDTH_IN,
        place[1] + under / height_in,
        (wide_in - inner_left - 0.25) / _WIDTH_IN,
        (tall_in - under - 0.42) / height_in,
    )
    axes: Axes = figure.add_axes(inside)
    if panel.drawn == "bars":
        _bars(axes, panel, series)
    else:
        _lines(axes, panel, series, since_s)
        _names(axes, series, tall_in - under - 0.42, wide_in)


def _number(card: Axes, panel: Panel, series: list[tuple[str, list[tuple[float, float]]]]) -> None:
    last = series[0][1][-1][1] if series and series[0][1] else math.nan
    bad = panel.bad_from is not None and last >= panel.bad_from
    colour = (
        _QUIET if math.isnan(last) else _RED if bad else "#2b8a3e" if panel.bad_from is not None else _INK
    )
    told = "no number yet" if math.isnan(last) else _told(last, panel.unit)
    card.text(0.5, 0.44, told, ha="center", va="center", size=13 if math.isnan(last) else 23, color=colour)
    says = textwrap.fill(panel.says, _CHARACTERS_PER_COLUMN * panel.width)
    card.text(0.5, 0.15, says, ha="center", va="center", size=6.8, color=_QUIET)


def _lines(
    axes: Axes, panel: Panel, series: list[tuple[str, list[tuple[float, float]]]], since_s: float
) -> None:
    if panel.drawn == "areas":
        instants = sorted({at for _, points in series for at, _ in points})
        heights = [[dict(points).get(at, 0.0) for at in instants] for _, points in series]
        axes.stackplot(
            [at - since_s for at in instants], heights, colors=_COLOURS[: len(series)], alpha=0.55, lw=0
        )
    else:
        for n, (_, points) in enumerate(series):
            axes.plot(
                [at - since_s for at, _ in points],
                [value for _, value in points],
                color=_COLOURS[n % len(_COLOURS)],
                lw=1.6,
            )
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    if not any(value for _, points in series for _, value in points):
        axes.set_ylim(0, 1)
    axes.yaxis.set_major_locator(mpl.ticker.MaxNLocator(4))
    axes.yaxis.set_major_formatter(lambda value, _n: _told(value, panel.unit))
    axes.xaxis.set_major_formatter(lambda value, _n: f"{int(value) // 60}:{int(value) % 60:02d}")
    axes.xaxis.set_major_locator(mpl.ticker.MultipleLocator(30))
    axes.tick_params(colors=_QUIET, length=0, labelsize=7.5)
    axes.grid(color="#e9ecef", lw=0.7)
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _legend_lines(series: list[tuple[str, list[tuple[float, float]]]], wide_in: float) -> int:
    room, lines = 0.0, 1
    for name, _ in series:
        need = 0.3 + 0.066 * len(name)
        if room + need > wide_in - 0.2 and room:
            room, lines = 0.0, lines + 1
        room += need
    return lines


def _names(
    axes: Axes,
    series: list[tuple[str, list[tuple[float, float]]]],
    tall_in: float,
    wide_in: float,
) -> None:
    """Below the axis, line by line."""
    inner_in = wide_in - 0.8
    room, line = 0.0, 0
    for n, (name, _) in enumerate(series):
        need = 0.3 + 0.066 * len(name)
        if room + need > wide_in - 0.2 and room:
            room, line = 0.0, line + 1
        x, y = (room - 0.45) / inner_in, -(0.3 + 0.16 * line) / tall_in
        axes.text(x, y, "■", color=_COLOURS[n % len(_COLOURS)], transform=axes.transAxes, va="center", size=8)
        axes.text(x + 0.14 / inner_in, y, name, transform=axes.transAxes, va="center", size=7.5)
        room += need


def _bars(axes: Axes, panel: Panel, series: list[tuple[str, list[tuple[float, float]]]]) -> None:
    last = [(name, points[-1][1] if points else math.nan) for name, points in series]
    shown = [(name, 0.0 if math.isnan(value) else value, value) for name, value in reversed(last)]
    axes.barh(
        [name for name, _, _ in shown],
        [height for _, height, _ in shown],
        color=_COLOURS[0],
        alpha=0.8,
        height=0.62,
    )
    most = max((height for _, height, _ in shown), default=0.0) or 1.0
    axes.set_xlim(0, most * 1.18)
    for n, (_, height, value) in enumerate(shown):
        told = "none yet" if math.isnan(value) else _told(value, panel.unit)
        axes.text(height + most * 0.015, n, told, va="center", size=8)
    axes.set_ylim(-0.6, max(len(shown), 3) - 0.4)
    axes.set_xticks([])
    axes.tick_params(length=0, labelsize=8)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _legend(legend: str, metric: dict[str, str]) -> str:
    return re.sub(r"\{\{(\w+)\}\}", lambda found: metric.get(found[1], ""), legend)


def _told(value: float, unit: str) -> str:
    match unit:
        case "percentunit":
            return f"{value:.0%}"
        case "s":
            return f"{value * 1000:.0f} ms" if 0 < abs(value) < 1 else f"{value:.3g} s"
        case "bytes":
            return f"{value / 2**20:.0f} MiB"
        case "reqps" | "cps":
            return f"{value:.3g}/s"
        case _:
            return f"{value:,.0f}" if value == int(value) or abs(value) >= 100 else f"{value:.2g}"
