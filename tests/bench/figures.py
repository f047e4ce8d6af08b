"""The figures that count: what each must reach, what it aims at, and how it came out."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec


@dataclass(frozen=True)
class Goal:
    key: str
    words: str
    must: float
    aim: float


GOALS = (
    Goal("cpu_ratio_kafka_streams_eos_20k", "CPU an event, 20k live, against Kafka Streams EOS", 1.15, 0.8),
    Goal("cpu_ratio_kafka_streams_eos_100k", "the same at 100k live", 1.15, 0.8),
    Goal("cpu_ratio_all_in", "all-in over the whole input, start-up included", 0.8, 0.5),
    Goal("cpu_ratio_stock_faust", "CPU an event, against stock Faust", 0.08, 0.05),
    Goal("latency_p50_ratio", "p50 event to command at 500/s, against Kafka Streams EOS", 0.4, 0.15),
    Goal("lateness_p50_ratio", "p50 lateness of deadlines, 2,000 due/s, against Kafka Streams", 0.6, 0.2),
    Goal("tick_ratio", "a tick with 1M open against 10k open", 1.5, 1.1),
    Goal("restore_empty_ratio", "restore from an empty disk, against Kafka Streams", 0.7, 0.4),
    Goal("restore_warm_ratio", "restore on a warm disk, against Kafka Streams", 0.3, 0.1),
    Goal("rss_mb", "RSS with 1M open, MB", 350, 220),
)


@dataclass
class Series:
    """One measured thing of one peer, a value a round."""

    workload: str
    peer: str
    unit: str
    values: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def __str__(self) -> str:
        return (
            f"{self.workload:<34} {self.peer:<22} {self.median:>10.1f} {self.unit:<8} "
            f"[{min(self.values):.1f} .. {max(self.values):.1f}] n={len(self.values)}"
        )


class Book:
    """Everything measured in one run, and the figures made of it."""

    def __init__(self) -> None:
        self.series: dict[tuple[str, str], Series] = {}

    def add(self, workload: str, peer: str, unit: str, *values: float) -> None:
        self.series.setdefault((workload, peer), Series(workload, peer, unit)).values.extend(values)

    def ratio(self, workload: str, ours: str, theirs: str) -> float | None:
        """Our median by theirs; None if either was not measured."""
        one, other = self.series.get((workload, ours)), self.series.get((workload, theirs))
        return one.median / other.median if one and other and other.median else None

    def figures(self, ours: str) -> dict[str, float]:
        """Those of the goals that this run has measured."""
        streams = "kafka_streams"
        own_rss = self.series.get(("rss with all open", ours))
        made = {
            "cpu_ratio_kafka_streams_eos_20k": self.ratio("steady 20k", ours, streams),
            "cpu_ratio_kafka_streams_eos_100k": self.ratio("steady 100k", ours, streams),
            "cpu_ratio_all_in": self.ratio("all-in 20k", ours, streams),
            "cpu_ratio_stock_faust": self.ratio("steady 20k", ours, "stock_faust"),
            "latency_p50_ratio": self.ratio("latency p50", ours, streams),
            "lateness_p50_ratio": self.ratio("lateness p50", ours, streams),
            "tick_ratio": self.ratio("tick", "many open", "few open"),
            "restore_empty_ratio": self.ratio("restore empty", ours, streams),
            "restore_warm_ratio": self.ratio("restore warm", ours, streams),
            "rss_mb": own_rss.median if own_rss else None,
        }
        return {key: round(value, 4) for key, value in made.items() if value is not None}

    def table(self, ours: str) -> str:
        figures = self.figures(ours)
        lines = [str(series) for series in self.series.values()]
        lines.append("")
        lines.append(f"{'':<64} {'must':>7} {'aim':>7} {'is':>8}")
        for goal in GOALS:
            if goal.key in figures:
                value = figures[goal.key]
                verdict = "aim" if value <= goal.aim else "must" if value <= goal.must else "MISSED"
                lines.append(f"{goal.words:<64} {goal.must:>7g} {goal.aim:>7g} {value:>8.3f} {verdict}")
        return "\n".join(lines)

    def json(self, ours: str, facts: dict[str, object]) -> str:
        goals = {goal.key: {"must": goal.must, "aim": goal.aim} for goal in GOALS}
        series = [
            {
                "workload": s.workload,
                "peer": s.peer,
                "unit": s.unit,
                "median": s.median,
                "min": min(s.values),
                "max": max(s.values),
                "n": len(s.values),
            }
            for s in self.series.values()
        ]
        return msgspec.json.encode(
            {**self.figures(ours), "goals": goals, "measured": series, "machine": facts}
        ).decode()


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
