"""Engine chaos: workers are killed, frozen, wiped and rolled, brokers die; then everything is recomputed.

`python -m tests.chaos.engine [--minutes M] [--seed S]`. Every kind of fault happens at least once, then random ones
until the time is over. The last line says the counts; the exit code is 1 if the verifier found a violation, work did
not resume in time after a fault, or a kind of fault could not be brought about.
"""

import argparse
import math
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from streams.engine import EXIT_STORE_FULL, EXIT_STORE_TAKEN
from streams.failpoints import POINTS
from streams.outcomes import ForeignRecord, Gap, PoisonStreak, SourceTruncated, UnreadableState
from tests.chaos.world import RESUME_S, Commits, Pace, Supervisor, Trickle, wait
from tests.streams.processes import Worker
from tests.streams.rig import Rig
from tests.verifier.engine import Names, verify
from tests.world.kafka import Kafka

TRANSACTION_POINTS = [point for point in POINTS if point != "during_restore"]
PATIENCE_S = 180.0
"""For what comes by itself, be the machine ever so busy."""
TRIES_MAX = 5
"""How often a fault is tried that did not come about, such as a failpoint that nobody passed."""
NOT_BY_CHAOS = {
    *(outcome.exit_code for outcome in (Gap, SourceTruncated, PoisonStreak, ForeignRecord, UnreadableState)),
    *(EXIT_STORE_FULL, EXIT_STORE_TAKEN),
}
"""What no fault here brings about: a worker that ends so has one of its own, even if the next one goes on."""


@dataclass
class Outcome:
    """What was done and found, of one cluster or of all."""

    faults: Counter[str] = field(default_factory=Counter)
    missed: list[str] = field(default_factory=list)
    """Kinds of faults that never came about: nothing was shown of them."""
    violations: list[str] = field(default_factory=list)
    stalls: list[str] = field(default_factory=list)
    events: int = 0
    transactions: int = 0
    slowest_s: float = 0.0
    lenient: int = 0
    """Faults after which work resumed in time only because the machine was slow meanwhile."""

    def add(self, other: "Outcome") -> None:
        self.faults += other.faults
        self.missed += other.missed
        self.violations += other.violations
        self.stalls += other.stalls
        self.events += other.events
        self.transactions += other.transactions
        self.slowest_s = max(self.slowest_s, other.slowest_s)
        self.lenient += other.lenient

    @property
    def exit_code(self) -> int:
        return 1 if self.violations or self.stalls or self.missed else 0

    @property
    def last_line(self) -> str:
        return (
            f"engine chaos: {self.faults.total()} faults, {len(self.violations)} violations, "
            f"{len(self.stalls)} stalls, {len(self.missed)} kinds missed; "
            f"{self.events} events in {self.transactions} transactions, "
            f"slowest resumption {self.slowest_s:.1f} s ({self.lenient} over {RESUME_S:.0f} s on a slow machine)"
        )


class Chaos:
    """One cluster, one app, some workers; `run` does faults until the time is over."""

    def __init__(
        self, kafka: Kafka, folder: Path, pace: Pace, *, workers: int, replication: int, seed: int
    ) -> None:
        self.kafka = kafka
        self.pace = pace
        self.chance = random.Random(seed)
        folder.mkdir()
        self.rig = Rig(kafka.bootstrap, folder, partitions=4, replication=replication)
        self.supervisor = Supervisor(self.rig, [str(number) for number in range(workers)])
        self.trickle = Trickle(self.rig, per_second=60, seed=seed)
        self.commits = Commits(self.rig)
        self.outcome = Outcome()

    def run(self, faults: dict[str, Callable[[], int | None]], until_s: float) -> Outcome:
        """Do faults, each kind in turn and then at random; then recompute everything."""
        self.supervisor.start()
        self.trickle.start()
        self.commits.start()
        try:
            # Starting is no fault, and on a busy machine takes what it takes.
            if wait(lambda: None not in self.commits.resumed_ms(0).values(), PATIENCE_S) is None:
                self.outcome.stalls.append("the start: not every partition commits")
            plan, tries = list(faults), Counter[str]()
            while plan or time.monotonic() < until_s:
                name = plan.pop(0) if plan else self.chance.choice(list(faults))
                # One fault at a time: whoever was struck last is back before somebody else is.
                wait(lambda: all(worker.ready() for worker in self.supervisor.workers.values()), PATIENCE_S)
                tries[name] += 1
                start_ms = faults[name]()
                if start_ms is not None:
                    self.must_resume(name, start_ms)
                    self.outcome.faults[name] += 1
                elif not self.outcome.faults[name] and tries[name] < TRIES_MAX:
                    plan.append(name)
            self.outcome.missed = [name for name in faults if not self.outcome.faults[name]]
            self.trickle.stop()
            self.settle()
        finally:
            self.supervisor.stop()
            self.commits.stop()
        names = Names(
            *(self.rig.topic(name) for name in ("source", "batches", "commands", "changelog", "quarantine"))
        )
        verdict = verify(self.rig.client, names, self.rig.partitions)
        self.outcome.violations += verdict.violations + strange_ends(self.supervisor.codes)
        self.outcome.events, self.outcome.transactions = verdict.events, verdict.transactions
        return self.outcome

    def must_resume(self, fault: str, start_ms: int) -> None:
        """Every partition commits again in time; how long that is, `Pace.resume_s` says."""
        took_ms = self.commits.resumed_ms

        def resumed_or_hopeless() -> bool:
            since_s = (self.commits.now_ms() - start_ms) / 1000
            hopeless = since_s > self.pace.resume_s(start_ms) + 60
            return hopeless or None not in took_ms(start_ms).values()

        wait(resumed_or_hopeless, math.inf)
        took = took_ms(start_ms)
        allowed_s = self.pace.resume_s(start_ms)
        late = {number: ms for number, ms in took.items() if ms is None or ms > allowed_s * 1000}
        if late:
            self.outcome.stalls.append(f"after {fault}: partitions {late} (ms) instead of {allowed_s:.1f} s")
            print(f"  STALL after {fault}: {late}", flush=True)
            return
        took_s = max(ms or 0 for ms in took.values()) / 1000
        self.outcome.slowest_s = max(self.outcome.slowest_s, took_s)
        self.outcome.lenient += took_s > RESUME_S
        print(
            f"  {fault}: all partitions again after {took_s:.1f} s of {allowed_s:.1f} s allowed", flush=True
        )

    def settle(self) -> None:
        """Until nothing is left to do: all records processed, every deadline fired."""
        workers = self.supervisor.workers.values()
        if wait(lambda: all(worker.quiescent() for worker in workers), PATIENCE_S) is None:
            self.outcome.stalls.append("the end: the workers do not come to rest")

    def any_name(self) -> str:
        return self.chance.choice(list(self.supervisor.workers))

    # Faults: each returns the instant from which resumption counts, in epoch milliseconds; None if it did not happen.

    def kill(self) -> int:
        self.supervisor.workers[self.any_name()].send_signal(signal.SIGKILL)
        return self.commits.now_ms()

    def kill_at_a_failpoint(self) -> int | None:
        worker = self.at_a_failpoint("kill_9")
        return None if worker is None else self.commits.now_ms()

    def at_a_failpoint(self, then: str) -> Worker | None:
        """Arm one and wait until it has struck; None if the worker never came there."""
        worker = self.supervisor.workers[self.any_name()]
        if wait(worker.ready, PATIENCE_S) is None:
            return None
        return worker if self.strikes(worker, self.chance.choice(TRANSACTION_POINTS), then) else None

    def strikes(self, worker: Worker, point: str, then: str) -> bool:
        process = worker.process
        worker.arm(point, then, skip=0 if point == "during_restore" else self.chance.randrange(3))
        if wait(lambda: worker.process is not process or not worker.running or worker.frozen, 30) is not None:
            return True
        # It would strike some other time, when nobody expects it.
        worker.end()
        return False

    def kill_while_restoring(self) -> int | None:
        with self.supervisor.resting(self.any_name()) as worker:
            worker.end()
            shutil.rmtree(worker.folder, ignore_errors=True)
            worker.start()
            wait(lambda: worker.answers, PATIENCE_S)
            struck = self.strikes(worker, "during_restore", "kill_9")
        return self.commits.now_ms() if struck else None

    def zombie(self) -> int:
        """Frozen anywhere until its partitions are somebody else's, then awake again."""
        worker = self.supervisor.workers[self.any_name()]
        worker.send_signal(signal.SIGSTOP)
        return self.awake_too_late(worker)

    def zombie_in_a_transaction(self) -> int | None:
        worker = self.at_a_failpoint("stop")
        return None if worker is None else self.awake_too_late(worker)

    def awake_too_late(self, worker: Worker) -> int:
        frozen_ms = self.commits.now_ms()
        self.must_resume("a worker that is frozen", frozen_ms)
        worker.send_signal(signal.SIGCONT)
        return self.commits.now_ms()

    def wipe_a_disk(self) -> int:
        with self.supervisor.resting(self.any_name()) as worker:
            worker.end()
            shutil.rmtree(worker.folder, ignore_errors=True)
            worker.start()
            return self.commits.now_ms()

    def rolling_restart(self) -> int:
        """One after the other ends in good order and starts again; the last one's instant."""
        for name in self.supervisor.workers:
            with self.supervisor.resting(name) as worker:
                worker.end(signal.SIGTERM)
                start_ms = self.commits.now_ms()
                worker.start()
                self.must_resume(f"worker {name} of a roll", start_ms)
                wait(worker.ready, PATIENCE_S)
        return start_ms

    def restart_the_broker(self) -> int:
        self.kafka.restart(1)
        return self.commits.now_ms()

    def kill_a_node(self) -> int:
        """One of three: leaders of some partitions and of transactions move. It is back once it is in sync."""
        number = self.chance.randrange(3) + 1
        start_ms = self.commits.now_ms()
        self.kafka.kill(number)
        self.must_resume("a node that is down", start_ms)
        start_ms = self.commits.now_ms()
        self.kafka.start(number)
        self.kafka.wait_until_ready()
        return start_ms


def strange_ends(codes: Sequence[int]) -> list[str]:
    return [f"a worker ended with {code}" for code in codes if code in NOT_BY_CHAOS]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--nodes", type=int, choices=(1, 3), help="only with so many brokers")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    options = parser.parse_args()
    # Asked to end, end what was started as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))
    print(f"engine chaos, seed {options.seed}, {options.minutes} minutes", flush=True)
    start_s = time.monotonic()
    total_s = options.minutes * 60
    folder = Path(tempfile.mkdtemp(prefix="engine-chaos-"))
    whole = Outcome()
    with Pace() as pace:
        for nodes, workers, share in ((1, 3, 0.7), (3, 2, 1.0)):
            if options.nodes not in {None, nodes}:
                continue
            until_s = start_s + total_s * (1.0 if options.nodes else share)
            with Kafka(folder / f"kafka-{nodes}", nodes=nodes) as kafka:
                chaos = Chaos(
                    kafka,
                    folder / f"rig-{nodes}",
                    pace,
                    workers=workers,
                    replication=nodes,
                    seed=options.seed + nodes,
                )
                kinds = ONE_NODE if nodes == 1 else THREE_NODES
                found = chaos.run({name: getattr(chaos, name) for name in kinds}, until_s)
            whole.add(found)
            print(f"{nodes} node(s): {found.events} events, exit codes {chaos.supervisor.codes}", flush=True)
    for words in (
        *whole.violations[:20],
        *whole.stalls,
        *(f"never happened: {name}" for name in whole.missed),
    ):
        print(words)
    if whole.exit_code:
        print(f"what the workers wrote is in {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    print(", ".join(f"{count} x {name}" for name, count in sorted(whole.faults.items())))
    print(f"{whole.last_line}, {time.monotonic() - start_s:.0f} s, seed {options.seed}")
    return whole.exit_code


ONE_NODE = (
    "kill_at_a_failpoint",
    "zombie",
    "wipe_a_disk",
    "zombie_in_a_transaction",
    "kill",
    "kill_while_restoring",
    "rolling_restart",
    "restart_the_broker",
)
THREE_NODES = ("kill_a_node", "kill_at_a_failpoint")

if __name__ == "__main__":
    sys.exit(main())
