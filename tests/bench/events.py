"""The input of the benchmarks, from a seed, and what a correct peer makes of it."""

import random
from collections.abc import Iterable, Iterator

from tests.bench import job

EVENTS_PER_CASE = 10
REPEATS_IN = 100
"""One event in this many is the repeat of the one before it."""
FAR_AWAY_MS = 4_102_444_800_000
"""2100: a deadline that is set and moved, but does not fire while the throughput is measured."""

Pair = tuple[bytes, bytes]

_WORDS = ("milk", "oat", "bread", "rye", "butter", "apple", "pear", "plum", "rice", "bean", "corn", "salt")


def note(chance: random.Random) -> str:
    return " ".join(chance.choices(_WORDS, k=70))[:300]


def stream(count: int, live: int, seed: int = 1) -> Iterator[Pair]:
    """`count` events over `live` cases at a time; after ten events a case is over and a new one begins."""
    chance = random.Random(seed)
    notes = [note(chance) for _ in range(512)]
    stores = [f"store-{n:03d}" for n in range(200)]
    # At the start the cases are of every age, as they are later.
    left = [1 + n % EVENTS_PER_CASE for n in range(live)]
    names = [f"c{n:08d}" for n in range(live)]
    opened = live
    last: Pair | None = None
    for number in range(count):
        if last is not None and number % REPEATS_IN == 0:
            yield last
            continue
        slot = chance.randrange(live)
        if left[slot] == 0:
            names[slot], left[slot] = f"c{opened:08d}", EVENTS_PER_CASE
            opened += 1
        left[slot] -= 1
        about = names[slot]
        event = job.Event(
            f"{about}-{left[slot]:02d}",
            about,
            1_764_000_000_000_000 + number,
            FAR_AWAY_MS + number,
            left[slot] % 2 == 0,
            "response",
            stores[number % 200],
            notes[number % 512],
        )
        last = about.encode(), job.encode(event)
        yield last


class Expected:
    """What a correct peer ends with: the commands in their number and the states in their content."""

    def __init__(self, pairs: Iterable[Pair]) -> None:
        self.states: dict[str, job.State] = {}
        self.commands = 0
        for key, value in pairs:
            self.add(key, value)

    def add(self, key: bytes, value: bytes) -> None:
        name, event = key.decode(), job.event_of(value)
        before = self.states.get(name, job.NEW)
        after = job.advance(before, event)
        self.states[name] = after
        self.commands += after.commands - before.commands
