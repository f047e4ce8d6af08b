"""A million open cases: memory, how late their deadlines are, how long it takes to have them back."""

import itertools
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench import job
from tests.bench.broker import PARTITIONS, Broker, CommandReader
from tests.bench.clock import now_us
from tests.bench.events import FAR_AWAY_MS, Pair
from tests.bench.latency import event, probe, wait_for
from tests.bench.peer import Peer
from tests.bench.process import PeerFailedError, Running

DUE_S = 2_000
"""Deadlines that come due each second."""
AHEAD_MS = 5_000
"""All of a window's deadlines are set this long before the first is due."""
PATIENCE_S = 900
_TEXT = "milk oat bread rye butter apple pear plum " * 8


@dataclass
class Open:
    """One peer with its open cases, and what was measured of it."""

    running: Running
    broker: Broker
    count: int
    rss_mb: float = 0.0
    lateness_ms: list[list[float]] = field(default_factory=list)
    cpu_us_a_fire: list[float] = field(default_factory=list)
    warm_s: list[float] = field(default_factory=list)
    empty_s: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._numbers = itertools.count()
        self._reader = CommandReader(self.broker, self.running.commands)

    def load(self) -> None:
        """One event a case; every deadline is far away."""
        self.broker.write(self.running.source, self._openings())
        self.running.start()
        deadline_s = time.monotonic() + PATIENCE_S
        while self.running.progress.records() < self.count:
            if not self.running.alive or time.monotonic() > deadline_s:
                raise PeerFailedError(f"{self.running.app} did not load:\n{self.running.said()}")
            time.sleep(0.2)
        self.rss_mb = self.running.rss_mb()

    def fire(self, seconds: float) -> None:
        """Set deadlines of cases drawn from all over the million, and see when their commands appear."""
        fires = int(seconds * DUE_S)
        start_ms = now_us() // 1000 + AHEAD_MS
        step = max(1, self.count // fires)
        self.broker.write(
            self.running.source,
            (
                self._event(n * step % self.count, due_at_ms=start_ms + n * 1000 // DUE_S)
                for n in range(fires)
            ),
        )
        if now_us() // 1000 > start_ms:
            raise PeerFailedError("the deadlines were set too late to be measured")
        while now_us() // 1000 < start_ms - 500:
            time.sleep(0.05)
        before_us, late = self.running.cpu_us(), []
        wait_for(
            self._reader,
            self.running,
            fires,
            lambda at_us, value: late.append(at_us / 1000 - job.command_of(value).due_at_ms),
        )
        self.cpu_us_a_fire.append((self.running.cpu_us() - before_us) / fires)
        self.lateness_ms.append(late)

    def restart(self, *, wiped: bool) -> None:
        """Time from the start of the process to the answers of all partitions."""
        self.running.stop()
        if wiped:
            shutil.rmtree(self.running.folder / "state")
        probe(self.broker, self.running.source, self._numbers)
        started_s = time.monotonic()
        self.running.start()
        wait_for(self._reader, self.running, PARTITIONS, lambda _at_us, _value: None)
        (self.empty_s if wiped else self.warm_s).append(time.monotonic() - started_s)

    def close(self) -> None:
        self._reader.close()
        self.running.discard()

    def _openings(self) -> Iterator[Pair]:
        return (self._event(n, due_at_ms=FAR_AWAY_MS + n) for n in range(self.count))

    def _event(self, case: int, *, due_at_ms: int) -> Pair:
        return event(f"c{case:08d}", next(self._numbers), _TEXT[:300], due_at_ms=due_at_ms, ask=False)


def opened(peer: Peer, broker: Broker, app: str, folder: Path, count: int) -> Open:
    source = f"{app}-source"
    broker.create([source])
    cases = Open(Running(peer, broker, app, source, folder), broker, count)
    try:
        cases.load()
    except BaseException:
        cases.close()
        raise
    return cases
