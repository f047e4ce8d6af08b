"""Every metric of the engine, with what it is for; filled from the ledgers' tallies when it is scraped."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from streams.lanes import Lanes

_COUNTERS = {
    # name: (field of `Tally`, what a person reads in the alert or the dashboard)
    "saveline_engine_events": ("events", "Source records processed, those in quarantine included."),
    "saveline_engine_transactions": ("transactions", "Transactions committed and applied."),
    "saveline_engine_outputs": ("outputs", "Records published in those transactions."),
    "saveline_engine_states": ("states", "Conversations written to the changelog."),
    "saveline_engine_deadlines_fired": ("fired", "Deadlines that took effect."),
    "saveline_engine_deadlines_stale": ("stale", "Index entries of deadlines that had been moved."),
    "saveline_engine_quarantined": ("quarantined", "Records and deadlines that went to quarantine."),
    "saveline_engine_stuck": ("stuck", "Conversations handed to people because `decide` failed on them."),
    "saveline_engine_reopened": ("reopened", "Transactions thrown away and repeated after taking over anew."),
    "saveline_engine_wiped": ("wiped", "Databases thrown away and restored from the changelog."),
    "saveline_engine_restored_records": ("restored", "Changelog records read while restoring."),
}
_GAUGES = {
    "saveline_engine_restore_seconds": (
        "restore_s",
        1.0,
        "How long the partition's latest restore took.",
    ),
    "saveline_engine_clock_apart_seconds": (
        "clock_apart_ms",
        1_000.0,
        "This machine's clock less the broker's, as of the latest check.",
    ),
}


class EngineCollector(Collector):
    """One sample a partition that this process has owned."""

    def __init__(self, lanes: Lanes) -> None:
        self._lanes = lanes

    def collect(self) -> Iterator[Metric]:
        tallies = list(self._lanes.tallies.items())
        for name, (field, text) in _COUNTERS.items():
            counter = CounterMetricFamily(name, text, labels=["partition"])
            for partition, tally in tallies:
                counter.add_metric([str(partition)], getattr(tally, field))
            yield counter
        for name, (field, unit, text) in _GAUGES.items():
            gauge = GaugeMetricFamily(name, text, labels=["partition"])
            for partition, tally in tallies:
                gauge.add_metric([str(partition)], getattr(tally, field) / unit)
            yield gauge
        owned = GaugeMetricFamily("saveline_engine_partitions_owned", "Partitions this process works on.")
        owned.add_metric([], len(self._lanes.lanes))
        yield owned
        given_up = GaugeMetricFamily(
            "saveline_engine_partitions_given_up", "Partitions lost to another owner and not yet reassigned."
        )
        given_up.add_metric([], len(self._lanes.given_up))
        yield given_up
        lag = GaugeMetricFamily(
            "saveline_engine_deadline_lag_seconds",
            "How long the earliest waiting deadline has been due; the alert for a partition that stands.",
            labels=["partition"],
        )
        for partition, lane in list(self._lanes.lanes.items()):
            lag.add_metric([str(partition)], max(0.0, lane.overdue_ms / 1_000))
        yield lag
