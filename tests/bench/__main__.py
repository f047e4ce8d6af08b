"""`make bench-engine`: the reference job on every peer, the same broker, interleaved, in one run.

BENCH=steady,... selects parts; QUICK=1 is a small run that shows that everything works and measures nothing;
ROUNDS, BENCH_PEERS=... and BENCH_JSON=1 are for those who look closer.
"""

import contextlib
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import psutil

from connectors.clock import SystemClock
from schemas.catalogue import Topic
from streams.topics import wanted_topics
from tests.bench import events, heart_events, latency, million, steady, tick
from tests.bench.broker import Broker
from tests.bench.figures import Book, percentile
from tests.bench.peer import PEERS, NotHereError, Peer
from tests.bench.process import PeerFailedError
from tests.world.kafka import Kafka

T = TypeVar("T")
PARTS = ("tick", "million", "latency", "steady", "heart")
OURS = "worker"


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much is measured."""

    rounds: int
    events: int
    live: tuple[int, ...]
    slow_events: dict[str, int]
    """Input of the peers that take far longer: enough to be warm, short enough to be waited for."""
    latency_warm_s: float
    latency_s: float
    open: int
    fire_s: float
    tick_open: tuple[int, int]
    heart_events: int
    heart_live: int


FULL = Size(
    rounds=int(os.environ.get("ROUNDS", "5")),
    events=1_000_000,
    live=(20_000, 100_000),
    slow_events={"quix": 100_000, "stock_faust": 40_000},
    latency_warm_s=3,
    latency_s=10,
    open=1_000_000,
    fire_s=10,
    tick_open=(10_000, 1_000_000),
    heart_events=50_000,
    heart_live=2_500,
)
QUICK = Size(
    rounds=1,
    events=20_000,
    live=(2_000, 5_000),
    slow_events={"quix": 3_000, "stock_faust": 3_000},
    latency_warm_s=1,
    latency_s=2,
    open=5_000,
    fire_s=0.5,
    tick_open=(1_000, 50_000),
    heart_events=4_000,
    heart_live=200,
)
ALL_PEERS = ("raw", "kafka_streams", "kafka_streams_linger5", "quix", "stock_faust", "ledger_loop", OURS)
STATES_PEERS = ("kafka_streams", OURS)
BESIDE = ("raw", "kafka_streams_linger5", "ledger_loop")
"""Shown for orientation, in the first round only: no figure is made of them."""


class Bench:
    """One run: a broker, a folder, a book."""

    def __init__(self, broker: Broker, folder: Path, size: Size, chosen: set[str] | None) -> None:
        self.book = Book()
        self._broker = broker
        self._folder = folder
        self._size = size
        self._chosen = chosen
        self._runs = 0

    def run(self, part: str) -> None:
        match part:
            case "steady":
                self._steady()
            case "latency":
                self._latency()
            case "million":
                self._million()
            case "tick":
                self._tick()
            case "heart":
                self._heart()
            case _:
                raise SystemExit(f"BENCH knows {', '.join(PARTS)}, not {part}")

    def _steady(self) -> None:
        size = self._size
        first = size.live[0]
        slow = {
            name: self._input(f"input-{name}", count, first)
            for name, count in size.slow_events.items()
            if self._chosen is None or name in self._chosen
        }
        for live in size.live:
            full = self._input(f"live-{live}", size.events, live)
            label = f"{live // 1000}k"
            # The peers that never come near are compared once, at the first number of live cases.
            names = ALL_PEERS if live == first else STATES_PEERS
            for number in range(size.rounds):
                for peer in self._peers(names, number):
                    topic, total, right = slow.get(peer.name, full)
                    found = steady.work_off(
                        peer,
                        self._broker,
                        self._app(peer),
                        topic,
                        total,
                        right,
                        self._folder,
                        states=number == 0,
                    )
                    self.book.add(f"steady {label}", peer.name, "us/event", found.steady_us)
                    self.book.add(f"all-in {label}", peer.name, "us/event", found.all_in_us)
                    self.book.add(f"rate {label}", peer.name, "events/s", found.events_s)
                    _say(f"steady {label}, round {number + 1}: {peer.name} {found}")
            self._broker.delete(full[0])

    def _latency(self) -> None:
        size = self._size
        for number in range(size.rounds):
            for peer in self._peers(ALL_PEERS, number):
                found, cpu_us = latency.measure(
                    peer,
                    self._broker,
                    self._app(peer),
                    self._folder,
                    warm_s=size.latency_warm_s,
                    seconds=size.latency_s,
                )
                self.book.add("latency p50", peer.name, "ms", percentile(found, 0.5))
                self.book.add("latency p99", peer.name, "ms", percentile(found, 0.99))
                self.book.add(f"CPU at {latency.RATE_S}/s", peer.name, "us/event", cpu_us)
                _say(f"latency, round {number + 1}: {peer.name} p50 {percentile(found, 0.5):.1f} ms")

    def _million(self) -> None:
        size = self._size
        with contextlib.ExitStack() as stack:
            all_open = []
            for peer in self._peers(STATES_PEERS, 0):
                cases = million.opened(peer, self._broker, self._app(peer), self._folder, size.open)
                stack.callback(cases.close)
                all_open.append((peer.name, cases))
                self.book.add("rss with all open", peer.name, "MB", cases.rss_mb)
                _say(f"{size.open} open: {peer.name} {cases.rss_mb:.0f} MB")
            for number in range(size.rounds):
                for name, cases in _turned(all_open, number):
                    cases.fire(size.fire_s)
                    late = cases.lateness_ms[-1]
                    self.book.add("lateness p50", name, "ms", percentile(late, 0.5))
                    self.book.add("lateness p99", name, "ms", percentile(late, 0.99))
                    self.book.add("CPU a fire", name, "us", cases.cpu_us_a_fire[-1])
                    _say(f"lateness, round {number + 1}: {name} p50 {percentile(late, 0.5):.1f} ms")
            for number in range(size.rounds):
                for name, cases in _turned(all_open, number):
                    cases.restart(wiped=False)
                    cases.restart(wiped=True)
                    self.book.add("restore warm", name, "s", cases.warm_s[-1])
                    self.book.add("restore empty", name, "s", cases.empty_s[-1])
                    _say(
                        f"restore, round {number + 1}: {name} warm {cases.warm_s[-1]:.2f} s, "
                        f"empty {cases.empty_s[-1]:.2f} s"
                    )

    def _tick(self) -> None:
        few, many = self._size.tick_open
        for number in range(self._size.rounds):
            for name, count in (("few open", few), ("many open", many)):
                cost = tick.cost_us(self._folder / f"tick-{number}-{count}", count)
                self.book.add("tick", name, "us", cost)
                _say(f"tick, round {number + 1}: {count} open {cost:.2f} us")

    def _heart(self) -> None:
        """Beside the reference job: what the product's own core costs in the same worker."""
        size, peer = self._size, PEERS["heart"]
        outputs = {topic.name for topic in wanted_topics(app="heart") if not topic.name.startswith("heart")}
        self._broker.create(outputs)
        self._broker.create(["heart-input"])
        pairs = heart_events.stream(size.heart_events, size.heart_live, SystemClock().now())
        total = sum(self._broker.write("heart-input", pairs))
        answers = total - total // events.EVENTS_PER_CASE
        for number in range(size.rounds):
            found = steady.work_off(
                peer, self._broker, self._app(peer), "heart-input", total, None, self._folder, states=False
            )
            # Each answer is a decision of its own, and each decision is told to the OMS once.
            updates = sum(1 for _ in self._broker.read(Topic.UPDATES))
            if updates != answers * (number + 1):
                raise PeerFailedError(f"{updates} updates instead of {answers * (number + 1)}")
            self.book.add("steady real core", peer.name, "us/event", found.steady_us)
            self.book.add("rate real core", peer.name, "events/s", found.events_s)
            _say(f"heart, round {number + 1}: {found}")

    def _input(self, topic: str, count: int, live: int) -> tuple[str, int, events.Expected]:
        self._broker.create([topic])
        pairs = list(events.stream(count, live))
        self._broker.write(topic, pairs)
        return topic, count, events.Expected(pairs)

    def _peers(self, names: tuple[str, ...], turn: int) -> list[Peer]:
        """Those asked for, beginning with another one each round."""
        chosen = [
            PEERS[name]
            for name in names
            if (self._chosen is None or name in self._chosen) and (turn == 0 or name not in BESIDE)
        ]
        return _turned(chosen, turn)

    def _app(self, peer: Peer) -> str:
        self._runs += 1
        return f"run{self._runs:03d}-{peer.name.replace('_', '-')}"


def _turned(items: list[T], turn: int) -> list[T]:
    first = turn % len(items) if items else 0
    return items[first:] + items[:first]


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def facts() -> dict[str, object]:
    return {
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / (1 << 30)),
        "system": platform.platform(),
        "python": platform.python_version(),
        "date": SystemClock().now().date().isoformat(),
        "load_at_start": os.getloadavg()[0],
    }


@contextlib.contextmanager
def _a_broker() -> Iterator[tuple[Broker, Path]]:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        with Kafka(folder / "kafka", heap_mb=1024) as kafka:
            yield Broker(kafka.bootstrap), folder


def main() -> int:
    quick = os.environ.get("QUICK") == "1"
    size = QUICK if quick else FULL
    chosen = os.environ.get("BENCH_PEERS")
    machine = facts()
    with _a_broker() as (broker, folder):
        bench = Bench(broker, folder, size, set(chosen.split(",")) if chosen else None)
        try:
            for part in os.environ.get("BENCH", ",".join(PARTS)).split(","):
                bench.run(part)
        except NotHereError as missing:
            _say(f"not measured: {missing}")
            return 1
    print(bench.book.table(OURS))
    if quick:
        print("QUICK=1: everything ran and was verified; the figures mean nothing")
    if os.environ.get("BENCH_JSON") == "1":
        print(bench.book.json(OURS, machine))
    return 0


if __name__ == "__main__":
    sys.exit(main())
