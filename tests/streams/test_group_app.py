"""Apps without tables: everything is handled at least once, whatever happens to deliveries and processes."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.group_app import EXIT_STOPPED
from tests.streams.job import Event
from tests.streams.losses import LOST
from tests.streams.processes import ROOT
from tests.streams.rig import Rig, until
from tests.streams.test_worker import committed
from tests.world.part import free_port

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

    def lines(self) -> list[str]:
        """(partition, offset, process) of each record that was handled, in this order."""
        return self.handled.read_text().splitlines() if self.handled.exists() else []

    def offsets(self) -> set[int]:
        return {int(line.split()[1]) for line in self.lines()}

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


def not_live(port: int) -> list[str] | None:
    """What the app says against its life; None where nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/livez", timeout=30) as answer:
            return json.load(answer)["reasons"]
    except urllib.error.HTTPError as error:
        return json.load(error)["reasons"]
    except OSError:
        return None


@pytest.mark.parametrize("how", [{"AGENT_ENDS_AT": "1"}, {"HOLD_DELIVERIES_FROM": "2"}])
def test_an_app_of_which_nothing_takes_what_waits_is_not_live(
    rig: Rig, group: Group, how: dict[str, str]
) -> None:
    port = free_port()
    process = group.start(PORT=str(port), PATIENCE_S="3", **how)
    rig.send(Event("a", 0))
    group.wait_for({0})
    until(lambda: committed(rig) == [1], "the first acknowledgement")
    assert not_live(port) == []
    rig.send(Event("a", 1))
    [reason] = until(lambda: not_live(port), "the one that stands to say so")
    assert reason.startswith(f"1 records of {rig.topic('source')} wait, and none was handled for ")
    assert process.poll() is None
    assert group.offsets() == {0}


def test_an_app_that_lost_a_partition_does_not_wait_for_what_others_handle(
    bootstrap: str, tmp_path: Path
) -> None:
    rig = Rig(bootstrap, tmp_path, partitions=2)
    group, ports = Group(rig), (free_port(), free_port())
    patience_s = 2.0

    def owners() -> set[str]:
        """Who handled a round of records, of which each partition has some."""
        before = len(group.lines())
        rig.send(*(Event(f"case-{n}", before) for n in range(8)))
        until(lambda: len(group.lines()) >= before + 8, "all to be handled")
        return {line.split()[2] for line in group.lines()[before:]}

    try:
        group.start(PORT=str(ports[0]), PATIENCE_S=str(patience_s))
        assert len(owners()) == 1
        group.start(PORT=str(ports[1]), PATIENCE_S=str(patience_s))
        until(lambda: len(owners()) == 2, "both to own a partition")
        began_s = time.monotonic()
        while time.monotonic() < began_s + 2 * patience_s:
            assert len(owners()) == 2
            assert [not_live(port) for port in ports] == [[], []]
    finally:
        for process in group.processes:
            process.kill()
            process.wait()
