"""What engine chaos happens to: supervised workers, a steady trickle of events, and a note of every commit."""

import contextlib
import hashlib
import random
import statistics
import threading
import time
from collections.abc import Callable
from typing import Any, Self

import msgspec
from confluent_kafka import Consumer, Producer, TopicPartition

from connectors.clock import SystemClock
from tests.streams.job import Event
from tests.streams.processes import Worker
from tests.streams.rig import Rig

SESSION_S = 6.0
WORK_S = 15.0
RESUME_S = SESSION_S + WORK_S
"""Within this after a fault every partition has to commit again; starting a broker is not counted."""
SLOWER_MAX = 4.0
"""A machine that is slower still excuses no more: whoever needs longer is called stalled."""
IN_FLIGHT_MS = 100


class Pace:
    """How fast this machine is just now, by a fixed piece of work that is done twice a second.

    The session's timeout is time; what follows it (starting, joining, restoring) is work, and a machine that others
    keep busy takes longer over it. The yardstick is the same run's quickest piece, so that nothing is allowed for an
    engine that waits: only for a machine that did not let anybody go on.
    """

    PIECE = bytes(16 << 20)

    def __init__(self) -> None:
        self.pieces: list[tuple[int, float]] = []
        """When each one ended, in epoch milliseconds, and the seconds it took."""
        self._clock = SystemClock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        for _ in range(10):
            self._work()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(0.5):
            self._work()

    def _work(self) -> None:
        # Hashing lets other threads go on meanwhile, so that it waits for a processor and for nothing else.
        began_s = time.monotonic()
        hashlib.sha256(self.PIECE).digest()
        self.pieces.append((round(self._clock.now().timestamp() * 1000), time.monotonic() - began_s))

    def resume_s(self, start_ms: int) -> float:
        """How long all may take to commit again after an instant; never less than `RESUME_S`."""
        pieces = list(self.pieces)
        since = [took_s for at_ms, took_s in pieces if at_ms > start_ms] or [pieces[-1][1]]
        quickest_s = min(took_s for _, took_s in pieces)
        return SESSION_S + WORK_S * min(statistics.median(since) / quickest_s, SLOWER_MAX)


class Supervisor:
    """Starts a worker again whenever it ends, as a cluster would, unless it is told to let it rest."""

    def __init__(self, rig: Rig, names: list[str]) -> None:
        self.workers = {name: Worker(rig, name, session_s=SESSION_S) for name in names}
        self.codes: list[int] = []
        """The exit codes of workers that ended."""
        self._stopped = threading.Event()
        self._resting: set[str] = set()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def start(self) -> None:
        for worker in self.workers.values():
            worker.start()
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()
        for worker in self.workers.values():
            worker.end()

    @contextlib.contextmanager
    def resting(self, name: str) -> Any:
        """Whatever happens to this worker inside, it is started only afterwards."""
        with self._lock:
            self._resting.add(name)
        try:
            yield self.workers[name]
        finally:
            with self._lock:
                self._resting.discard(name)

    def _watch(self) -> None:
        while not self._stopped.wait(0.1):
            with self._lock:
                for name, worker in self.workers.items():
                    if not worker.running and name not in self._resting and worker.process is not None:
                        self.codes.append(worker.process.returncode)
                        worker.start()


class Trickle:
    """Sends events to every partition all the time, from a seed: steps, waits, ends, poison and garbage."""

    def __init__(self, rig: Rig, per_second: int, seed: int) -> None:
        self.sent = 0
        self._rig = rig
        self._pause_s = 1 / per_second
        self._chance = random.Random(seed)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._producer = Producer(
            {
                **rig.client,
                "partitioner": "murmur2_random",
                "enable.idempotence": True,
                "linger.ms": 0,
                "delivery.timeout.ms": 120_000,
            }
        )

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Returns when the broker has everything."""
        self._stopped.set()
        self._thread.join()
        assert self._producer.flush(120) == 0

    def _run(self) -> None:
        while not self._stopped.wait(self._pause_s):
            key, value = self._next()
            self._producer.produce(self._rig.topic("source"), value, key)
            self._producer.poll(0)
            self.sent += 1

    def _next(self) -> tuple[bytes, bytes]:
        chance, number = self._chance, self.sent
        name = f"case-{chance.randrange(200)}"
        draw = chance.random()
        if draw < 0.01:
            return name.encode(), b"\xffgarbage %d" % number
        kind, wait_ms = "step", chance.choice((0, 0, 200, 1_000, 3_000, 8_000))
        if draw < 0.02:
            kind = "poison"
        elif draw < 0.03:
            kind, wait_ms = "bomb", 300
        elif draw < 0.08:
            kind, wait_ms = "finish", 500
        elif draw < 0.09:
            return b"*%d" % number, msgspec.json.encode(Event("*", number, "switch", chance.randrange(2)))
        elif draw < 0.12:
            # A repeat of something recent, if that case has seen it.
            number = max(0, number - chance.randrange(300))
        return name.encode(), msgspec.json.encode(Event(name, number, kind, wait_ms))


class Commits:
    """Notes when each partition committed, by the broker's append time in epoch milliseconds."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self.at_ms: dict[int, list[int]] = {partition: [] for partition in range(rig.partitions)}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def now_ms(self) -> int:
        return round(self._rig.clock.now().timestamp() * 1000)

    def _run(self) -> None:
        properties = {"group.id": "commits", "isolation.level": "read_committed", "enable.auto.commit": False}
        consumer = Consumer({**self._rig.client, **properties})
        topic = self._rig.topic("batches")
        consumer.assign([TopicPartition(topic, partition, 0) for partition in self.at_ms])
        while not self._stopped.is_set():
            message = consumer.poll(0.2)
            if message is not None and message.error() is None:
                self.at_ms[message.partition()].append(message.timestamp()[1])
        consumer.close()

    def resumed_ms(self, start_ms: int) -> dict[int, int | None]:
        """For each partition, how long after an instant its next commit came; None when it did not yet.

        What was on its way at the instant itself does not count.
        """
        return {
            partition: next((at_ms - start_ms for at_ms in known if at_ms > start_ms + IN_FLIGHT_MS), None)
            for partition, known in self.at_ms.items()
        }


def wait(condition: Callable[[], Any], patience_s: float) -> float | None:
    """How long it took, in seconds; None when it did not come in time."""
    start = time.monotonic()
    while not condition():
        if time.monotonic() - start > patience_s:
            return None
        time.sleep(0.05)
    return time.monotonic() - start
