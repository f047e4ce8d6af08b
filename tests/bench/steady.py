"""CPU an event while a backlog is worked off: all-in from the start, and steady once warm."""

import time
from dataclasses import dataclass
from pathlib import Path

from tests.bench.broker import Broker
from tests.bench.events import Expected
from tests.bench.peer import Peer
from tests.bench.process import PeerFailedError, Running

PATIENCE_S = 600
LOOK_EVERY_S = 0.1
WARM_FROM = 0.5
"""The steady figure counts from the first look at or after this share of the input."""


@dataclass(frozen=True)
class Steady:
    all_in_us: float
    steady_us: float
    events_s: float
    rss_mb: float


def work_off(
    peer: Peer,
    broker: Broker,
    app: str,
    source: str,
    total: int,
    expected: Expected | None,
    folder: Path,
    *,
    states: bool,
) -> Steady:
    """Run one peer over the whole source and check what it made of it, if `expected` says what is right."""
    running = Running(peer, broker, app, source, folder)
    try:
        return _measure(running, broker, total, expected, states=states)
    finally:
        running.discard()


def _measure(
    running: Running, broker: Broker, total: int, expected: Expected | None, *, states: bool
) -> Steady:
    running.start()
    looks: list[tuple[float, float, int]] = []
    deadline = time.monotonic() + PATIENCE_S
    while not looks or looks[-1][2] < total:
        if not running.alive or time.monotonic() > deadline:
            raise PeerFailedError(f"{running.app} stopped at {looks[-1:]} of {total}:\n{running.said()}")
        time.sleep(LOOK_EVERY_S)
        looks.append((time.monotonic(), running.cpu_us(), running.progress.records()))
    rss_mb = running.rss_mb()
    running.stop()
    if expected is not None:
        verify(running, broker, expected, states=states)
    end = looks.pop()
    # Where all came within one look (only in a small run), the look before it has to do.
    warm = next((look for look in looks if look[2] >= total * WARM_FROM), looks[-1])
    events = end[2] - warm[2]
    return Steady(end[1] / total, (end[1] - warm[1]) / events, events / (end[0] - warm[0]), rss_mb)


def verify(running: Running, broker: Broker, expected: Expected | None, *, states: bool) -> None:
    """The same number of commands from everybody, and the same states from everybody that keeps some."""
    peer = running.peer
    if peer.changelog is None:
        return
    commands = sum(1 for _ in broker.read(running.commands))
    if commands != expected.commands:
        raise PeerFailedError(f"{running.app} made {commands} commands instead of {expected.commands}")
    if not states:
        return
    found = {}
    for key, value in broker.read(peer.changelog(running.app, running.source)):
        if value and (stored := peer.stored(key, value)):
            found[stored[0]] = stored[1]
    if found != expected.states:
        wrong = [name for name, state in expected.states.items() if found.get(name) != state]
        raise PeerFailedError(
            f"{running.app} ended with {len(found)} states, {len(wrong)} of {len(expected.states)} are "
            f"wrong: {[(name, found.get(name), expected.states[name]) for name in wrong[:1]]}"
        )
