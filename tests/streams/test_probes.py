"""What a platform's probes hear from real workers: through a rebalance, a restore, and a partition that stands."""

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from msgspec import structs

from connectors.clock import SystemClock
from state.rocks import BlockCache
from streams.core import Batch
from streams.ends import Ends
from streams.envelope import Progress
from streams.lanes import Lane, Lanes
from streams.ledger import Ledger
from streams.metrics import EngineCollector
from streams.outcomes import Unreachable
from streams.settings import LedgerSettings
from streams.tally import Tally
from streams.transactions import Transactions
from tests.streams.job import Event, Job
from tests.streams.processes import Worker
from tests.streams.rig import Rig, until

real = pytest.mark.real
DELAY_MS = 5_000


class Probes:
    """Asks one worker as a platform does; every answer about its life has to be yes, unless `dies` is awaited."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker

    def live(self) -> bool:
        status, said = self.worker.ask("/livez", timeout_s=60)
        assert status == 200, said or f"no answer:\n{self.worker.last_lines()}"
        return True

    def until_ready(self) -> None:
        until(lambda: self.live() and self.worker.ready(), f"worker {self.worker.name} ready again")

    def until_not_ready(self, why: str) -> None:
        def told() -> bool:
            self.live()
            status, said = self.worker.ask("/readyz")
            return status == 503 and any(why in reason for reason in json.loads(said)["reasons"])

        until(told, f"worker {self.worker.name} not ready because: {why}")


@contextmanager
def ended_after(*workers: Worker) -> Iterator[None]:
    try:
        yield
    finally:
        for worker in workers:
            if worker.process is not None:
                worker.end()


@pytest.fixture
def rig(bootstrap: str, tmp_path: Path) -> Rig:
    return Rig(bootstrap, tmp_path, partitions=2)


@real
def test_through_a_rebalance_a_worker_lives_and_is_not_ready_until_its_partitions_are_back(rig: Rig) -> None:
    stays, comes = (Worker(rig, name, static=False) for name in ("stays", "comes"))
    with ended_after(stays, comes):
        probes = Probes(stays.start().wait_until_ready())
        stays.arm("during_restore", "delay", delay_ms=DELAY_MS)
        comes.start()
        probes.until_not_ready("partitions are taken over and restored")
        probes.until_ready()
        comes.wait_until_ready()
        rig.send(*(Event(f"case-{number}", 1) for number in range(10)))
        until(lambda: len(rig.said()) == 10, "both partitions' answers")
        stays.arm("during_restore", "delay", delay_ms=DELAY_MS)
        comes.send_signal(signal.SIGTERM)
        probes.until_not_ready("partitions are taken over and restored")
        probes.until_ready()
        rig.send(*(Event(f"case-{number}", 2) for number in range(10)))
        until(lambda: len(rig.said()) == 20, "everything by the one that stayed")


@real
def test_a_worker_with_an_empty_disk_answers_from_the_first_moment_and_is_ready_once_restored(
    rig: Rig,
) -> None:
    rig.send(*(Event(f"case-{number}", 1) for number in range(40)))
    first = Worker(rig, "first").start()
    with ended_after(first):
        until(lambda: len(rig.said()) == 40, "the states")
    delayed = json.dumps({"point": "during_restore", "then": "delay", "delay_ms": DELAY_MS})
    second = Worker(rig, "second", static=False, ARMED=delayed).start()
    with ended_after(second):
        until(lambda: second.ask("/livez")[0], "an answer")
        probes = Probes(second)
        probes.until_not_ready("partitions are taken over and restored")
        probes.until_ready()
        restored = [
            line for line in second.ask("/metrics")[1].splitlines() if "restored_records_total{" in line
        ]
        assert sum(float(line.split()[-1]) for line in restored) >= 40


@real
def test_only_the_worker_whose_step_hangs_is_not_live_and_says_where_and_what_to_do(rig: Rig) -> None:
    hangs = Worker(rig, "0", SAVELINE_STEP_PATIENCE_S="3")
    other = Worker(rig, "1")
    with ended_after(hangs, other):
        for worker in (hangs.start(), other.start()):
            worker.wait_until_ready()
        until(lambda: owned(hangs) == owned(other) == 1, "one partition each")
        hangs.arm("before_commit", "delay", delay_ms=600_000)
        rig.send(*(Event(f"case-{number}", 1) for number in range(10)))
        # On a busy machine its records may have waited for so long before the step even began.
        hung = "its step has not moved for"
        [reason] = until(
            lambda: [why for why in not_live(hangs) if hung in why], "the one that hangs to say so"
        )
        assert "To do: restart this process" in reason
        assert Probes(other).live()
        # What it says to do helps.
        hangs.end()
        hangs.start().wait_until_ready()
        until(lambda: len(rig.said()) == 10, "all answers")
        until(lambda: not_live(hangs) == [], "the one that hung to live")


@real
def test_a_worker_that_is_given_nothing_while_records_wait_is_not_live(rig: Rig) -> None:
    worker = Worker(rig, "0", HOLD_DELIVERIES_FROM="2", SAVELINE_STEP_PATIENCE_S="3").start()
    with ended_after(worker):
        worker.wait_until_ready()
        rig.send(Event("case", 1))
        until(lambda: len(rig.said()) == 1, "the first answer")
        until(lambda: worker.ask("/livez")[0] == 200, "a worker that lives")
        rig.send(Event("case", 2))
        waits = "1 records wait, and none was processed for"
        until(lambda: any(waits in why for why in not_live(worker)), "the one that stands to say so")


def owned(worker: Worker) -> int:
    lines = worker.ask("/metrics")[1].splitlines()
    return next(
        (int(float(line.split()[-1])) for line in lines if "partitions_owned " in line and line[0] != "#"), -1
    )


def not_live(worker: Worker) -> list[str]:
    status, said = worker.ask("/livez")
    return json.loads(said)["reasons"] if status == 503 else []


# What is no reason, however long it takes.


class SteppedClock(SystemClock):
    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s


class Silent(Ends):
    """A broker that is away."""

    def end(self, partition: int, timeout_s: float = 10.0) -> int:
        raise Unreachable("away")


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
def lane(clock: SteppedClock, tmp_path: Path) -> Lane:
    settings = LedgerSettings(
        **dict.fromkeys(("app", "source", "changelog", "batches", "quarantine"), "x"),
        partition=3,
        folder=tmp_path,
        client={},
    )
    return Lane(Ledger(Job(), settings, clock, BlockCache(1 << 20)), Silent({}, "app", "x"), clock)


def test_a_restore_may_take_any_time_as_long_as_it_reads_on(lane: Lane, clock: SteppedClock) -> None:
    lane.busy_since_s = 0.0
    for clock.now_s in (100.0, 200.0, 300.0):
        assert lane.stands(120) == ""
        lane.ledger._go_on()
    clock.now_s = 421.0
    assert lane.stands(120) == "its restore has not moved for 121 s"


def test_a_broker_that_is_away_is_asked_again_and_is_no_reason_to_restart(
    lane: Lane, clock: SteppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    def away() -> None:
        clock.now_s += 100.0
        told.append(lane.stands(120))
        raise Unreachable("away")

    lane.opened, lane.ledger._broken = True, True
    lane.busy_since_s = 0.0
    lane.ledger._transactions = Transactions(lane.ledger.settings)
    lane.ledger.settings = structs.replace(lane.ledger.settings, reopen_max=3)
    monkeypatch.setattr(lane.ledger, "_take_over", away)
    with pytest.raises(Unreachable):
        lane.ledger.step(Batch(-1, []))
    assert told == [""] * 4


def test_records_that_wait_count_from_when_the_last_one_was_processed(
    lane: Lane, clock: SteppedClock
) -> None:
    lane.watched(5)
    lane.opened = True
    clock.now_s = 200.0
    lane.watched(5)
    assert lane.stands(120) == "", "what waits while it is restored does not count"
    clock.now_s = 300.0
    lane.watched(6)
    lane.ledger.progress = Progress(offset=2)
    clock.now_s = 321.0
    lane.watched(4)
    assert lane.stands(120) == "", "one was processed"
    clock.now_s = 442.0
    lane.watched(4)
    assert lane.stands(120) == "4 records wait, and none was processed for 121 s"
    lane.watched(None)
    assert lane.stands(120) == "", "nobody knows while the broker does not answer"


def test_a_broker_that_does_not_answer_is_asked_about_one_partition_only(
    lane: Lane, clock: SteppedClock
) -> None:
    lanes = Lanes(lambda *_: lane.ledger, Silent({}, "app", "x"), clock, lambda _: None)
    lanes.lanes = {0: lane, 1: lane}
    assert lanes.lags() == {}
    lanes.watch()
    assert lane.stands(0) == ""


def test_a_restore_is_told_while_it_goes_on(lane: Lane, clock: SteppedClock) -> None:
    lanes = Lanes(lambda *_: lane.ledger, Silent({}, "app", "x"), clock, lambda _: None)
    lanes.lanes, lanes.tallies = {3: lane}, {3: lane.ledger.tally, 4: Tally(restore_s=5.0)}

    def told() -> dict[str, float]:
        metrics = EngineCollector(lanes, 1).collect()
        [found] = [metric for metric in metrics if metric.name == "saveline_engine_restore_seconds"]
        return {sample.labels["partition"]: sample.value for sample in found.samples}

    clock.now_s = 90.0
    assert told() == {"3": 90.0, "4": 5.0}
    lane.ledger.tally.restore_s, lane.opened = 95.0, True
    clock.now_s = 200.0
    assert told() == {"3": 95.0, "4": 5.0}
