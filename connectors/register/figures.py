"""Shares and quantiles with their 95 % interval, clustered: one customer's lines are not independent.

Shares are ratios of sums over customers, with the linearised variance of a ratio estimator; where nobody or
everybody counts, Wilson's interval over the customers. Quantiles are inverted from the interval of the share
below them (Woodruff).
"""

from array import array
from collections.abc import Iterator
from fractions import Fraction
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


class Ratio:
    """What stands above and below a line, added row by row; the rows of a customer come one after another.

    Only sums are kept, in whole numbers: however many customers there are, it is as large and as exact.
    """

    __slots__ = ("_above", "_below", "_customer", "above", "below", "customers", "is_share", "products")

    def __init__(self) -> None:
        self.above = self.below = self.customers = 0
        self.products = (0, 0, 0)
        """Over customers: above times above, above times below, below times below."""
        self.is_share = True
        """No customer has more above than below, or less than nothing."""
        self._customer, self._above, self._below = "", 0, 0

    def add(self, customer: str, above: int, below: int = 1) -> None:
        if customer != self._customer:
            self.settle()
            self._customer = customer
        self._above += above
        self._below += below

    def settle(self) -> "Ratio":
        """The customer who came last is complete."""
        above, below = self._above, self._below
        if above or below:
            aa, ab, bb = self.products
            self.products = aa + above * above, ab + above * below, bb + below * below
            self.above, self.below, self.customers = (
                self.above + above,
                self.below + below,
                self.customers + 1,
            )
            self.is_share = self.is_share and 0 <= above <= below
            self._above = self._below = 0
        return self


class Times:
    """Durations in seconds, eight bytes each; those of a customer come one after another."""

    def __init__(self) -> None:
        self.values, self._begins = array("d"), array("L")
        self._customer: str | None = None
        self._ordered = array("d")

    def add(self, customer: str, seconds: float) -> None:
        if customer != self._customer:
            self._customer = customer
            self._begins.append(len(self.values))
        self.values.append(seconds)

    def ordered(self) -> "array[float]":
        if len(self._ordered) != len(self.values):
            self._ordered = array("d", sorted(self.values))
        return self._ordered

    def by_customer(self) -> Iterator[tuple[int, float]]:
        """Each value, and which customer's it is."""
        ends = [*self._begins[1:], len(self.values)]
        for customer, (begin, end) in enumerate(zip(self._begins, ends, strict=True)):
            for at in range(begin, end):
                yield customer, self.values[at]


def share(name: str, says: str, ratio: Ratio, *, unit: str = "share", note: str = "") -> Figure:
    """The sum above over the sum below, over customers."""
    ratio.settle()
    figure = Figure(
        name=name,
        says=says,
        unit=unit,
        numerator=float(ratio.above),
        denominator=float(ratio.below),
        customers=ratio.customers,
        note=note,
    )
    if not ratio.below:
        return msgspec.structs.replace(figure, reason="there is nothing to count yet")
    value = Fraction(ratio.above, ratio.below)
    low, high = _interval(ratio, value)
    return msgspec.structs.replace(figure, value=float(value), low=low, high=high)


def quantile(name: str, says: str, times: Times, at: float, *, note: str = "") -> Figure:
    """The duration below which the share `at` of all lies."""
    ordered = times.ordered()
    figure = Figure(name=name, says=says, unit="s", denominator=len(ordered), note=note)
    if not ordered:
        return msgspec.structs.replace(figure, reason="there is nothing to count yet")
    value, below = _quantile(ordered, at), Ratio()
    for customer, one in times.by_customer():
        below.add(str(customer), one <= value)
    low, high = _interval(below.settle(), Fraction(at))
    return msgspec.structs.replace(
        figure,
        value=value,
        low=_quantile(ordered, low),
        high=_quantile(ordered, high),
        customers=below.customers,
    )


def difference(name: str, says: str, treated: Ratio, held: Ratio, *, unit: str = "share") -> Figure:
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


def _interval(ratio: Ratio, share: Fraction) -> tuple[float, float]:
    """Around `share`, by how far the customers of `ratio` are from it."""
    n, value = ratio.customers, float(share)
    aa, ab, bb = ratio.products
    spread = (aa - 2 * share * ab + share * share * bb) / ratio.below**2
    variance = float(spread) * n / (n - 1) if n > 1 else 0.0
    if ratio.is_share and (n == 1 or not variance):
        # One customer, or all alike, tell no spread.
        centre = (value + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
        half = _Z / (1 + _Z**2 / n) * sqrt(value * (1 - value) / n + _Z**2 / (4 * n * n))
        return max(0.0, centre - half), min(1.0, centre + half)
    half = _Z * sqrt(variance)
    if ratio.is_share:
        return max(0.0, value - half), min(1.0, value + half)
    return value - half, value + half


def _quantile(ordered: "array[float]", at: float) -> float:
    return ordered[min(len(ordered) - 1, max(0, int(at * len(ordered) - 1e-9)))]
