"""A worker process that runs the tests' small job; its settings come by environment."""

import os

from streams.settings import WorkerSettings
from streams.worker import run
from tests.streams.job import Job

if __name__ == "__main__":
    run(Job(os.environ["COMMANDS"]), WorkerSettings())
