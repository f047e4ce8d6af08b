"""Apps without tables: everything is handled at least once, whatever happens to deliveries and processes."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.group_app import EXIT_STOPPED
from tests.streams.job import Event
from tests.streams.losses import LOST
from tests.streams.processes import ROOT
from tests.streams.rig import Rig, until
from tests.streams.test_worker import committed

pytestmark = pytest.mark.real


@pytest.fixture
def rig(bootstrap: str, tmp_path: Path) -> Rig:
    return Rig(bootstrap, tmp_path)


class Group:
    """Starts the app's process, time and again; ends what still runs."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.handled = rig.folder / "handled"
        self.log = rig.folder / "group.log"
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, **more: str) -> subprocess.Popen[bytes]:
        environment = {
            **os.environ,
            "APP": self.rig.app,
            "BROKER": self.rig.client["bootstrap.servers"],
            "TOPIC": self.rig.topic("source"),
            "HANDLED": str(self.handled),
            **more,
        }
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.streams.run_group"],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.processes.append(process)
        return process

    def offsets(self) -> set[int]:
        if not self.handled.exists():
            return set()
        return {int(line.split()[1]) for line in self.handled.read_text().splitlines()}

    def wait_for(self, offsets: set[int]) -> None:
        until(lambda: self.offsets() >= offsets, f"{offsets} to be handled, see {self.log}")


@pytest.fixture
def group(rig: Rig) -> Iterator[Group]:
    group = Group(rig)
    yield group
    for process in group.processes:
        process.kill()
        process.wait()


def test_a_lost_delivery_stops_the_app_and_comes_again(rig: Rig, group: Group) -> None:
    first = group.start(LOSE_DELIVERY="2")
    rig.send(Event("a", 0))
    group.wait_for({0})
    rig.send(Event("a", 1))
    until(lambda: LOST in group.log.read_text(errors="replace"), "the loss")
    rig.send(Event("a", 2))
    assert first.wait(60) == EXIT_STOPPED
    assert group.offsets() == {0}
    group.start()
    group.wait_for({0, 1, 2})


def test_an_app_whose_topic_the_broker_does_not_know_ends_rather_than_stands_idle(
    rig: Rig, group: Group
) -> None:
    process = group.start(TOPIC="nobody-made-this")
    assert process.wait(120) == EXIT_STOPPED
    assert "the broker does not know nobody-made-this" in group.log.read_text()


def test_what_was_not_acknowledged_comes_again_after_a_kill(rig: Rig, group: Group) -> None:
    first = group.start()
    rig.send(*(Event("a", number) for number in range(5)))
    group.wait_for(set(range(5)))
    first.kill()
    first.wait()
    rig.send(*(Event("a", number) for number in range(5, 10)))
    second = group.start()
    group.wait_for(set(range(10)))
    until(lambda: committed(rig) == [10], "the acknowledgement")
    second.send_signal(signal.SIGTERM)
    assert second.wait(60) == 0
