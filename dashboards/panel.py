"""What a dashboard is made of, whoever draws it."""

from typing import Literal

import msgspec

Drawn = Literal["number", "lines", "areas", "bars"]


class Query(msgspec.Struct, frozen=True):
    """`legend` may name labels: `{{channel}}`."""

    expression: str
    legend: str = ""


class Panel(msgspec.Struct, frozen=True, kw_only=True):
    """`width` of 24 columns; `unit` as Grafana names it; from `bad_from` on a number is red."""

    title: str
    says: str
    queries: tuple[Query, ...]
    drawn: Drawn = "lines"
    unit: str = "short"
    width: int = 8
    bad_from: float | None = None


class Row(msgspec.Struct, frozen=True):
    title: str
    panels: tuple[Panel, ...]


class Dashboard(msgspec.Struct, frozen=True, kw_only=True):
    uid: str
    title: str
    says: str
    rows: tuple[Row, ...]

    @property
    def panels(self) -> list[Panel]:
        return [panel for row in self.rows for panel in row.panels]


def number(title: str, says: str, expression: str, **more: object) -> Panel:
    given: dict[str, object] = {"width": 4, **more}
    return Panel(title=title, says=says, queries=(Query(expression),), drawn="number", **given)  # type: ignore[arg-type]


def chart(title: str, says: str, *queries: tuple[str, str], **more: object) -> Panel:
    """Each query is an expression and its legend."""
    return Panel(title=title, says=says, queries=tuple([Query(*one) for one in queries]), **more)  # type: ignore[arg-type]


def seen(metric: str, by: str = "", *, of: str = "") -> str:
    """A number of the register, which several processes tell alike."""
    chosen = f"{metric}{{{of}}}" if of else metric
    return f"max by ({by}) ({chosen})" if by else f"max({chosen})"


def where(label: str, value: str) -> str:
    return f'{label}="{value}"'


def figure(name: str) -> str:
    """A figure of the report; nothing of nothing is no number."""
    one = where("figure", name)
    return f"{seen('saveline_report_numerator', of=one)} / {seen('saveline_report_denominator', of=one)}"


def rate(metric: str, by: str = "", *, of: str = "") -> str:
    chosen = f"{metric}{{{of}}}" if of else metric
    return f"sum by ({by}) (rate({chosen}[$__rate_interval]))"


def quantile(share: float, histogram: str, by: str = "") -> str:
    told = f"sum by (le{', ' if by else ''}{by}) (rate({histogram}_bucket[$__rate_interval]))"
    return f"histogram_quantile({share}, {told})"
