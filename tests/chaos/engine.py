"""Engine chaos: workers are killed, frozen, wiped and rolled, brokers die; then everything is recomputed.

`python -m tests.chaos.engine [--minutes M] [--seed S]`. The last line says the counts; the exit code is 1 if
the verifier found a violation or work did not resume in time after a fault.
"""

import argparse
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from streams.failpoints import POINTS
from tests.chaos.world import SESSION_S, Commits, Supervisor, Trickle, wait
from tests.streams.rig import Rig
from tests.verifier.engine import Names, verify
from tests.world.kafka import Kafka

RESUME_S = SESSION_S + 15.0
"""Within this after a fault every partition has to commit again; starting a broker is not counted."""
TRANSACTION_POINTS = [point for point in POINTS if point != "during_restore"]


class Chaos:
    """One cluster, one app, some workers; `run` does faults until the time is over."""

    def __init__(self, kafka: Kafka, folder: Path, *, workers: int, replication: int, seed: int) -> None:
        self.kafka = kafka
        self.chance = random.Random(seed)
        folder.mkdir()
        self.rig = Rig(kafka.bootstrap, folder, partitions=4, replication=replication)
        self.supervisor = Supervisor(self.rig, [str(number) for number in range(workers)])
        self.trickle = Trickle(self.rig, per_second=60, seed=seed)
        self.commits = Commits(self.rig)
        self.faults: Counter[str] = Counter()
        self.stalls: list[str] = []
        self.slowest_s = 0.0

    def run(self, faults: dict[str, Callable[[], int]], until_s: float, each_at_least: int = 1) -> list[str]:
        """Do faults, each kind in turn and then at random; returns the violations."""
        self.supervisor.start()
        self.trickle.start()
        self.commits.start()
        try:
            # Starting is no fault, and on a busy machine takes what it takes.
            wait(lambda: None not in self.commits.resumed_ms(0).values(), 120)
            plan = list(faults) * each_at_least
            while plan or time.monotonic() < until_s:
                name = plan.pop(0) if plan else self.chance.choice(list(faults))
                # One fault at a time: whoever was struck last is back before somebody else is.
                wait(lambda: all(worker.ready() for worker in self.supervisor.workers.values()), 60)
                self.must_resume(name, faults[name]())
                self.faults[name] += 1
            self.trickle.stop()
            self.settle()
        finally:
            self.supervisor.stop()
            self.commits.stop()
        names = Names(
            *(self.rig.topic(name) for name in ("source", "batches", "commands", "changelog", "quarantine"))
        )
        self.verdict = verify(self.rig.client, names, self.rig.partitions)
        return self.verdict.violations

    def must_resume(self, fault: str, start_ms: int) -> None:
        def missing() -> list[int]:
            return [number for number, took in self.commits.resumed_ms(start_ms).items() if took is None]

        wait(lambda: not missing(), RESUME_S + 60)
        late = {
            number: took
            for number, took in self.commits.resumed_ms(start_ms).items()
            if took is None or took > RESUME_S * 1000
        }
        if late:
            self.stalls.append(f"after {fault}: partitions {late} (ms)")
            print(f"  STALL after {fault}: {late}", flush=True)
        else:
            took_s = max(took or 0 for took in self.commits.resumed_ms(start_ms).values()) / 1000
            self.slowest_s = max(self.slowest_s, took_s)
            print(f"  {fault}: all partitions again after {took_s:.1f} s", flush=True)

    def settle(self) -> None:
        """Until nothing is left to do: all records processed, every deadline fired."""
        workers = self.supervisor.workers.values()
        if wait(lambda: all(worker.quiescent() for worker in workers), 60) is None:
            self.stalls.append("the end: the workers do not come to rest")

    def any_name(self) -> str:
        return self.chance.choice(list(self.supervisor.workers))

    # Faults: each returns the instant from which resumption counts, in epoch milliseconds.

    def kill(self) -> int:
        start_ms = self.commits.now_ms()
        self.supervisor.workers[self.any_name()].send_signal(signal.SIGKILL)
        return start_ms

    def kill_at_a_failpoint(self) -> int:
        self.at_a_failpoint("kill_9")
        return self.commits.now_ms()

    def at_a_failpoint(self, then: str) -> str | None:
        """Arm one and wait until it has struck; the worker's name, None if it never came there."""
        name = self.any_name()
        worker = self.supervisor.workers[name]
        point = self.chance.choice(TRANSACTION_POINTS)
        if wait(worker.ready, RESUME_S) is None:
            return None
        process = worker.process
        worker.arm(point, then, skip=self.chance.randrange(3))
        struck = wait(lambda: worker.process is not process or not answers(worker), 10)
        return None if struck is None else name

    def kill_while_restoring(self) -> int:
        with self.supervisor.resting(self.any_name()) as worker:
            worker.end()
            shutil.rmtree(worker.folder, ignore_errors=True)
            worker.start()
            if wait(lambda: answers(worker), RESUME_S) is not None:
                worker.arm("during_restore", "kill_9")
                wait(lambda: not worker.running, 5)
        return self.commits.now_ms()

    def zombie(self) -> int:
        """Frozen anywhere until its partitions are somebody else's, then awake again."""
        start_ms = self.commits.now_ms()
        worker = self.supervisor.workers[self.any_name()]
        worker.send_signal(signal.SIGSTOP)
        time.sleep(SESSION_S + 3)
        worker.send_signal(signal.SIGCONT)
        return start_ms

    def zombie_in_a_transaction(self) -> int:
        name = self.at_a_failpoint("stop")
        start_ms = self.commits.now_ms()
        if name is not None:
            time.sleep(SESSION_S + 3)
            self.supervisor.workers[name].send_signal(signal.SIGCONT)
        return start_ms

    def wipe_a_disk(self) -> int:
        with self.supervisor.resting(self.any_name()) as worker:
            start_ms = self.commits.now_ms()
            worker.end()
            shutil.rmtree(worker.folder, ignore_errors=True)
            worker.start()
        return start_ms

    def rolling_restart(self) -> int:
        for name in list(self.supervisor.workers):
            with self.supervisor.resting(name) as worker:
                start_ms = self.commits.now_ms()
                worker.end(signal.SIGTERM)
                worker.start()
                wait(worker.ready, RESUME_S)
        return start_ms

    def restart_the_broker(self) -> int:
        self.kafka.restart(1)
        return self.commits.now_ms()

    def kill_a_node(self) -> int:
        """One of three: leaders of some partitions and of transactions move."""
        number = self.chance.randrange(3) + 1
        start_ms = self.commits.now_ms()
        self.kafka.kill(number)
        self.must_resume("a node that is down", start_ms)
        start_ms = self.commits.now_ms()
        self.kafka.start(number)
        self.kafka.wait_until_ready()
        return start_ms


def answers(worker: object) -> bool:
    return worker.ask("/livez")[0] != 0  # type: ignore[attr-defined]


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
    faults: Counter[str] = Counter()
    violations: list[str] = []
    stalls: list[str] = []
    events = transactions = 0
    slowest_s = 0.0
    for nodes, workers, share in ((1, 3, 0.7), (3, 2, 1.0)):
        if options.nodes not in {None, nodes}:
            continue
        until_s = start_s + total_s * (1.0 if options.nodes else share)
        with Kafka(folder / f"kafka-{nodes}", nodes=nodes) as kafka:
            chaos = Chaos(
                kafka, folder / f"rig-{nodes}", workers=workers, replication=nodes, seed=options.seed + nodes
            )
            kinds = ONE_NODE if nodes == 1 else THREE_NODES
            found = chaos.run({name: getattr(chaos, name) for name in kinds}, until_s)
            violations += found
            stalls += chaos.stalls
            faults += chaos.faults
            events += chaos.verdict.events
            transactions += chaos.verdict.transactions
            slowest_s = max(slowest_s, chaos.slowest_s)
            print(f"{nodes} node(s): {chaos.verdict.events} events, exit codes {chaos.supervisor.codes}")
    for words in (*violations[:20], *stalls):
        print(words)
    if not violations and not stalls:
        shutil.rmtree(folder, ignore_errors=True)
    print(", ".join(f"{count} x {name}" for name, count in sorted(faults.items())))
    print(
        f"engine chaos: {sum(faults.values())} faults, {len(violations)} violations, {len(stalls)} stalls; "
        f"{events} events in {transactions} transactions, slowest resumption {slowest_s:.1f} s, "
        f"{time.monotonic() - start_s:.0f} s, seed {options.seed}"
    )
    return 1 if violations or stalls else 0


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
