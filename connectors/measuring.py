"""What a metric is made of: its name, the closed lists of its labels, and the three ways in which it is filled.

The client library is loaded by whoever tells them first: a worker that starts does not wait for it.
"""

from collections.abc import Iterable, Iterator
from enum import StrEnum
from functools import cached_property
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from prometheus_client import Counter, Histogram
    from prometheus_client.metrics_core import Metric

PREFIX = "saveline_"
_ZEROS_MAX = 200
OTHER, NONE = "other", "none"
Values = tuple[str, ...]


class Shape(StrEnum):
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Home(StrEnum):
    """Which process tells it. The register's figures are told by each connectors process that keeps the register,
    all with the same numbers: take `max` over them, never `sum`."""

    WORKER = "worker"
    CONNECTORS = "connectors"
    REGISTER = "connectors (register)"
    EDGE = "edge"


class Family(msgspec.Struct, frozen=True):
    """`labels` are each one's possible values; None stands for partition numbers."""

    home: Home
    shape: Shape
    name: str
    says: str
    labels: dict[str, Values | None] = {}
    buckets: tuple[float, ...] = ()

    @property
    def shown(self) -> str:
        """The name as Prometheus stores it."""
        return self.name + ("_total" if self.shape is Shape.COUNTER else "")

    def bounded(self, values: Iterable[object]) -> list[str]:
        told = []
        for value, allowed in zip(map(str, values), self.labels.values(), strict=True):
            told.append(value if allowed is None or value in allowed else OTHER)
        return told

    def zeros(self) -> Iterator[tuple[str, ...]]:
        """Every series that is known beforehand: it is there before anything happens, so that a rate has a start."""
        lists = [allowed or () for allowed in self.labels.values()]
        if 0 < prod(len(allowed) for allowed in lists) <= _ZEROS_MAX:
            yield from product(*lists)

    def sampled(self, rows: Iterable[tuple[Any, ...]]) -> "Metric":
        """A gauge or a counter from rows of label values and a number; what falls under `other` is added up."""
        sums: dict[tuple[str, ...], float] = dict.fromkeys(self.zeros(), 0.0)
        for *values, number in rows:
            key = tuple(self.bounded(values))
            sums[key] = sums.get(key, 0.0) + float(number or 0)
        from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily

        family = CounterMetricFamily if self.shape is Shape.COUNTER else GaugeMetricFamily
        metric = family(self.name, self.says, labels=list(self.labels))
        for labels, number in sums.items():
            metric.add_metric(labels, number)
        return metric

    def spread(self, rows: Iterable[tuple[list[str], "Spread"]]) -> "Metric":
        """A histogram from spreads over its buckets."""
        from prometheus_client.metrics_core import HistogramMetricFamily

        metric = HistogramMetricFamily(self.name, self.says, labels=list(self.labels))
        for labels, spread in rows:
            cumulated, bounds = 0, []
            for bound, count in zip((*self.buckets, float("inf")), spread.counts, strict=True):
                cumulated += count
                bounds.append(("+Inf" if bound == float("inf") else repr(bound), float(cumulated)))
            metric.add_metric(self.bounded(labels), bounds, spread.total)
        return metric


class Spread:
    """What a histogram holds, where one thread counts and another reads: a value that is just being added may be
    missing from one of the two, no more."""

    def __init__(self, family: Family) -> None:
        self.bounds = family.buckets
        self.counts = [0] * (len(family.buckets) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        # Few bounds, and most values are small: quicker than a bisection.
        n = 0
        for bound in self.bounds:
            if value <= bound:
                break
            n += 1
        self.counts[n] += 1
        self.total += value


class Counted:
    """A counter of this process; its known series start at 0."""

    def __init__(self, name: str, says: str, home: Home, **labels: Values) -> None:
        self.family = Family(home, Shape.COUNTER, f"{PREFIX}{name}", says, dict(labels))

    @cached_property
    def metric(self) -> "Counter":
        from prometheus_client import Counter

        family = self.family
        counter = Counter(family.name, family.says, list(family.labels), registry=None)
        for known in family.zeros() if family.labels else ():
            counter.labels(*known)
        return counter

    def add(self, *values: object, by: float = 1.0) -> None:
        labels = self.family.bounded(values)
        (self.metric.labels(*labels) if labels else self.metric).inc(by)


class Timed:
    """A histogram of seconds in this process; its known series start empty."""

    def __init__(
        self, name: str, says: str, home: Home, buckets: tuple[float, ...], **labels: Values
    ) -> None:
        self.family = Family(home, Shape.HISTOGRAM, f"{PREFIX}{name}", says, dict(labels), buckets)

    @cached_property
    def metric(self) -> "Histogram":
        from prometheus_client import Histogram

        family = self.family
        labels = list(family.labels)
        histogram = Histogram(family.name, family.says, labels, registry=None, buckets=family.buckets)
        for known in family.zeros():
            histogram.labels(*known)
        return histogram

    def add(self, *values: object, seconds: float) -> None:
        self.metric.labels(*self.family.bounded(values)).observe(seconds)
