"""A worker process that runs the tests' small job; its settings come by environment."""

import os

from streams.settings import WorkerSettings
from streams.worker import run
from tests.mutants.engine import breed
from tests.streams.job import Job
from tests.streams.losses import lose

if __name__ == "__main__":
    if mutants := os.environ.get("MUTANTS"):
        for mutant in mutants.split(","):
            breed(mutant)
    if number := os.environ.get("LOSE_DELIVERY"):
        lose(int(number))
    run(Job(os.environ["COMMANDS"]), WorkerSettings())
