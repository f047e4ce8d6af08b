"""A worker process that runs the tests' small job; its settings come by environment."""

import os
import resource
from functools import partial
from typing import Any, NoReturn

import msgspec

from streams import worker
from streams.assignor import CompleteAssignor
from streams.environment import read
from streams.failpoints import Failpoint, Failpoints
from streams.settings import WorkerSettings
from tests.mutants.engine import breed
from tests.streams.job import Job
from tests.streams.losses import hold, lose


def broken(*_: Any) -> NoReturn:
    raise ValueError("the assignor has a bug")


def already_armed(failpoint: Failpoint) -> Failpoints:
    failpoints = Failpoints()
    failpoints.arm(failpoint)
    return failpoints


if __name__ == "__main__":
    if mutants := os.environ.get("MUTANTS"):
        for mutant in mutants.split(","):
            breed(mutant)
    if number := os.environ.get("LOSE_DELIVERY"):
        lose(int(number))
    if number := os.environ.get("HOLD_DELIVERIES_FROM"):
        hold(int(number))
    if armed := os.environ.get("ARMED"):
        # Before anybody could ask for it over HTTP.
        worker.Failpoints = partial(already_armed, msgspec.json.decode(armed, type=Failpoint))  # type: ignore[misc,assignment]
    if size := os.environ.get("FILE_BYTES_MAX"):
        # To RocksDB it is as if the disk were full.
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(size), resource.RLIM_INFINITY))
    if os.environ.get("BREAK_COORDINATION"):
        CompleteAssignor.assign = broken  # type: ignore[method-assign]
    worker.run(Job(os.environ["COMMANDS"]), read(WorkerSettings))
