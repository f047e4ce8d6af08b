"""The engine's metrics, filled from the ledgers' tallies when they are scraped, and the registries of our processes."""

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from connectors import metrics
from connectors.measuring import Family, Spread
from streams.lanes import Lanes


class EngineCollector(Collector):
    """One sample a partition that this process has owned; asks the broker for the lag, so not on the event loop."""

    def __init__(self, lanes: Lanes, partitions: int) -> None:
        self._lanes = lanes
        self._partitions = partitions

    def collect(self) -> Iterator[Metric]:
        tallies, lanes = list(self._lanes.tallies.items()), list(self._lanes.lanes.items())
        for field, family in metrics.ENGINE_TALLIES.items():
            yield family.sampled((partition, getattr(tally, field)) for partition, tally in tallies)
        restores = {at: tally.restore_s for at, tally in tallies} | {at: lane.restore_s for at, lane in lanes}
        yield metrics.RESTORE_S.sampled(restores.items())
        yield metrics.CLOCK_APART_S.sampled((at, tally.clock_apart_ms / 1_000) for at, tally in tallies)
        yield metrics.DEADLINE_LAG_S.sampled((at, max(0, lane.overdue_ms) / 1_000) for at, lane in lanes)
        yield metrics.LAG.sampled(self._lanes.lags().items())
        yield metrics.PARTITIONS.sampled([(self._partitions,)])
        yield metrics.OWNED.sampled([(len(lanes),)])
        yield metrics.GIVEN_UP.sampled([(len(self._lanes.given_up),)])
        told = [tally for _, tally in tallies]
        yield _together(metrics.LATENESS_S, (tally.lateness_s for tally in told))
        yield _together(metrics.BATCH, (tally.batch for tally in told))
        yield _together(metrics.TRANSACTION_S, (tally.transaction_s for tally in told))


def _together(family: Family, spreads: Iterable[Spread]) -> Metric:
    total = Spread(family)
    for spread in spreads:
        total.counts = [mine + more for mine, more in zip(total.counts, spread.counts, strict=True)]
        total.total += spread.total
    return family.spread([([], total)])


def exposed(*collectors: Collector) -> CollectorRegistry:
    """These, and what every process tells about itself."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    for collector in collectors:
        registry.register(collector)
    return registry
