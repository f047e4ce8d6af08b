"""The worker process on a real broker: Faust around the ledgers."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.streams.job import Event
from tests.streams.processes import Worker
from tests.streams.rig import Rig, until

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("kafka")]


@pytest.fixture
def rig(bootstrap: str, tmp_path: Path) -> Rig:
    return Rig(bootstrap, tmp_path, partitions=2)


@pytest.fixture
def worker(rig: Rig) -> Iterator[Worker]:
    worker = Worker(rig, "0").start().wait_until_ready()
    yield worker
    worker.end()


def test_a_worker_decides_fires_deadlines_and_becomes_quiescent(rig: Rig, worker: Worker) -> None:
    rig.send(*(Event(f"case-{number}", number, wait_ms=200) for number in range(40)))
    until(lambda: len(rig.said()) == 80, "every step and every deadline")
    until(worker.quiescent, "quiescent")
    status, metrics = worker.ask("/metrics")
    assert status == 200
    assert "saveline_engine_deadlines_fired_total" in metrics
    assert worker.ask("/livez")[0] == 200
    assert worker.end(signal.SIGTERM) == 0
