"""A worker process that runs the tests' small job; its settings come by environment."""

import os
from typing import Any, NoReturn

from streams.assignor import CompleteAssignor
from streams.settings import WorkerSettings
from streams.worker import run
from tests.mutants.engine import breed
from tests.streams.job import Job
from tests.streams.losses import lose


def broken(*_: Any) -> NoReturn:
    raise ValueError("the assignor has a bug")


if __name__ == "__main__":
    if mutants := os.environ.get("MUTANTS"):
        for mutant in mutants.split(","):
            breed(mutant)
    if number := os.environ.get("LOSE_DELIVERY"):
        lose(int(number))
    if os.environ.get("BREAK_COORDINATION"):
        CompleteAssignor.assign = broken  # type: ignore[method-assign]
    run(Job(os.environ["COMMANDS"]), WorkerSettings())
