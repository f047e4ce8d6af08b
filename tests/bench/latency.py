"""From an event to its command as a `read_committed` reader sees it, at a steady 500 events a second."""

import itertools
import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from streams.placement import partition_of
from tests.bench import job
from tests.bench.broker import PARTITIONS, Broker, CommandReader
from tests.bench.clock import now_us
from tests.bench.events import FAR_AWAY_MS, Pair, note
from tests.bench.peer import Peer
from tests.bench.process import PeerFailedError, Running

RATE_S = 500
LIVE = 20_000
PATIENCE_S = 120
_AT_US = re.compile(rb'"at_us":(\d+)')


def event(about: str, number: int, text: str, *, due_at_ms: int = FAR_AWAY_MS, ask: bool = True) -> Pair:
    """An event that happens now."""
    happened = job.Event(f"{about}-{number}", about, now_us(), due_at_ms, ask, "response", "store-001", text)
    return about.encode(), job.encode(happened)


def paced(seconds: float, numbers: Iterator[int]) -> Iterator[Pair]:
    """Events at the instants at which they are due, whatever the reader of this iterator does between."""
    chance = random.Random(7)
    texts = [note(chance) for _ in range(64)]
    start_s = time.monotonic()
    for sent in range(int(seconds * RATE_S)):
        while (wait_s := start_s + sent / RATE_S - time.monotonic()) > 0:
            time.sleep(wait_s)
        number = next(numbers)
        yield event(f"c{number % LIVE:08d}", number, texts[number % 64], ask=number % 2 == 0)


def wait_for(
    reader: CommandReader, running: Running, wanted: int, take: Callable[[int, bytes], None]
) -> None:
    """Hand over commands and when each was seen, until `wanted` came. Raises `PeerFailedError`."""
    seen, deadline_s = 0, time.monotonic() + PATIENCE_S
    while seen < wanted:
        if not running.alive or time.monotonic() > deadline_s:
            raise PeerFailedError(f"{running.app} gave {seen} of {wanted} commands:\n{running.said()}")
        for at_us, value in reader.take(0.05):
            seen += 1
            take(at_us, value)


def sent_at_us(command: bytes) -> int:
    """Without decoding: what the limit gives back is not whole."""
    found = _AT_US.search(command)
    assert found
    return int(found.group(1))


def probe(broker: Broker, source: str, numbers: Iterator[int]) -> None:
    """One event for every partition, each answered by a command."""
    producer = broker.producer()
    for partition in range(PARTITIONS):
        names = (f"probe{n:08d}" for n in itertools.count())
        about = next(name for name in names if partition_of(name.encode(), PARTITIONS) == partition)
        key, value = event(about, next(numbers), "is anybody there?")
        producer.produce(source, value, key)
    assert producer.flush(30) == 0


def measure(
    peer: Peer, broker: Broker, app: str, folder: Path, *, warm_s: float, seconds: float
) -> tuple[list[float], float]:
    """Milliseconds from each event to its command, and CPU µs an event at that rate."""
    source = f"{app}-source"
    broker.create([source])
    running = Running(peer, broker, app, source, folder)
    reader = CommandReader(broker, running.commands)
    numbers = itertools.count()
    found: list[float] = []
    try:
        running.start()
        probe(broker, source, numbers)
        wait_for(reader, running, PARTITIONS, lambda _at_us, _value: None)
        for length_s in (warm_s, seconds):
            found.clear()
            before_us = running.cpu_us()
            wanted = int(length_s * RATE_S) // 2
            writer = threading.Thread(target=_write, args=(broker, source, paced(length_s, numbers)))
            writer.start()
            wait_for(
                reader, running, wanted, lambda at_us, value: found.append((at_us - sent_at_us(value)) / 1000)
            )
            writer.join()
        cpu_us = (running.cpu_us() - before_us) / (seconds * RATE_S)
    finally:
        reader.close()
        running.discard()
    return found, cpu_us


def _write(broker: Broker, source: str, pairs: Iterator[Pair]) -> None:
    producer = broker.producer()
    for key, value in pairs:
        producer.produce(source, value, key)
        producer.poll(0)
    assert producer.flush(30) == 0
