"""Shares and quantiles with their 95 % interval, clustered: one customer's lines are not independent.

Shares are ratios of sums over customers, with the linearised variance of a ratio estimator; where nobody or
everybody counts, Wilson's interval over the customers. Quantiles are inverted from the interval of the share
below them (Woodruff).
"""

from collections import defaultdict
from collections.abc import Sequence
from math import sqrt

import msgspec

_Z = 1.96


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One number of the report. `reason` takes its place where the data for it do not exist."""

    name: str
    says: str
    unit: str = "share"
    numerator: float | None = None
    denominator: float | None = None
    value: float | None = None
    low: float | None = None
    high: float | None = None
    customers: int | None = None
    note: str = ""
    reason: str = ""


class Part(msgspec.Struct, frozen=True):
    """What one row adds above and below the line."""

    customer: str
    above: float
    below: float = 1.0


def share(name: str, says: str, parts: Sequence[Part], *, unit: str = "share", note: str = "") -> Figure:
    """The sum above over the sum below, over customers."""
    sums = _by_customer(parts)
    above, below = sum(a for a, _ in sums), sum(b for _, b in sums)
    figure = Figure(
        name=name, says=says, unit=unit, numerator=above, denominator=below, customers=len(sums), note=note
    )
    if not below:
        return msgspec.structs.replace(figure, reason="there is nothing to count yet")
    value = above / below
    low, high = _interval(sums, value, below)
    return msgspec.structs.replace(figure, value=value, low=low, high=high)


def quantile(
    name: str, says: str, values: Sequence[tuple[str, float]], at: float, *, note: str = ""
) -> Figure:
    """The value below which the share `at` of all lies; `values` are (customer, value), in seconds."""
    figure = Figure(name=name, says=says, unit="s", denominator=len(values), note=note)
    if not values:
        return msgspec.structs.replace(figure, reason="there is nothing to count yet")
    ordered = sorted(value for _, value in values)
    value = _quantile(ordered, at)
    sums = _by_customer([Part(customer, float(one <= value)) for customer, one in values])
    low, high = _interval(sums, at, len(values))
    return msgspec.structs.replace(
        figure,
        value=value,
        low=_quantile(ordered, low),
        high=_quantile(ordered, high),
        customers=len(sums),
    )


def difference(
    name: str, says: str, treated: Sequence[Part], held: Sequence[Part], *, unit: str = "share"
) -> Figure:
    """(treatment - holdout) times all that is below the line in treatment."""
    ours, theirs = share("", "", treated), share("", "", held)
    figure = Figure(name=name, says=says, unit=unit, denominator=ours.denominator, customers=ours.customers)
    if ours.value is None or theirs.value is None or ours.denominator is None:
        return msgspec.structs.replace(figure, reason="no holdout: nothing to compare with")
    spread = sqrt(sum(_error(one) ** 2 for one in (ours, theirs)))
    apart = ours.value - theirs.value
    times = ours.denominator
    return msgspec.structs.replace(
        figure,
        value=apart * times,
        low=(apart - _Z * spread) * times,
        high=(apart + _Z * spread) * times,
        note=f"treatment {ours.value:.4g}, holdout {theirs.value:.4g} of {theirs.denominator:g}",
    )


def _error(one: Figure) -> float:
    return ((one.high or 0.0) - (one.low or 0.0)) / (2 * _Z)


def _by_customer(parts: Sequence[Part]) -> list[tuple[float, float]]:
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for part in parts:
        sums[part.customer][0] += part.above
        sums[part.customer][1] += part.below
    return [(above, below) for above, below in sums.values() if above or below]


def _interval(sums: list[tuple[float, float]], value: float, below: float) -> tuple[float, float]:
    n = len(sums)
    is_share = all(0 <= a <= b for a, b in sums)
    spread = sum((a - value * b) ** 2 for a, b in sums) / below**2
    variance = spread * n / (n - 1) if n > 1 else 0.0
    if is_share and (n == 1 or not variance):
        # One customer, or all alike, tell no spread.
        centre = (value + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
        half = _Z / (1 + _Z**2 / n) * sqrt(value * (1 - value) / n + _Z**2 / (4 * n * n))
        return max(0.0, centre - half), min(1.0, centre + half)
    half = _Z * sqrt(variance)
    if is_share:
        return max(0.0, value - half), min(1.0, value + half)
    return value - half, value + half


def _quantile(ordered: list[float], at: float) -> float:
    return ordered[min(len(ordered) - 1, max(0, int(at * len(ordered) - 1e-9)))]
