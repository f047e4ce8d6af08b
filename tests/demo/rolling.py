"""The demo's upgrade and the way back, in the order of docs/operations.md, while exceptions come in."""

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Callable

import psycopg

from tests.world.part import PartError
from tests.world.stack import NOW, Stack

TOMORROW = "tests.demo.tomorrow"
# What a version of tomorrow brings while today's processes use the table: a revision only adds.
_TABLES = (
    "ALTER TABLE claims ADD COLUMN of_tomorrow text",
    "UPDATE alembic_version SET version_num = 'r9999_tomorrow'",
)


class Rolling(threading.Thread):
    """Topics, tables, edge, connectors, workers one by one; then back, the workers first. The tables stay new."""

    def __init__(self, stack: Stack, told: Callable[[str], None]) -> None:
        super().__init__(name="rolling", daemon=True)
        self._stack, self._told = stack, told
        self._begun, self._step = 0, threading.Condition()
        workers = sorted(name for name in stack.names if name.startswith("worker"))
        there = ["edge", "connectors", *workers]
        self._rolls = [(name, TOMORROW) for name in there] + [(name, NOW) for name in reversed(there)]
        self._failure: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            environment = self._stack.environment
            sizes = [
                f"--{name}={environment[f'SAVELINE_{name.upper()}']}"
                for name in ("partitions", "replication")
            ]
            self._saveline("topics", "plan", environment["SAVELINE_BROKER"], *sizes)
            self._saveline("topics", "apply", environment["SAVELINE_BROKER"], *sizes)
            self._saveline("migrate")
            with psycopg.connect(environment["SAVELINE_PG_DSN"]) as connection:
                for statement in _TABLES:
                    connection.execute(statement)
            for name, version in self._rolls:
                with self._step:
                    self._begun += 1
                    self._step.notify_all()
                self._stack.roll(name, version)
        except BaseException as failure:
            with self._step:
                self._failure = failure
                self._step.notify_all()

    async def turn(self, share: float) -> None:
        """Returns once this share of the orders may have come: some come during each step, the last during the last."""
        await asyncio.to_thread(self._until_begun, share)

    def _until_begun(self, share: float) -> None:
        with self._step:
            self._step.wait_for(lambda: self._failure is not None or share <= self._begun / len(self._rolls))

    def _saveline(self, *words: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", NOW, *words],
            env=os.environ | self._stack.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        said = (done.stdout + done.stderr).strip()
        self._told(f"saveline {words[0]}: {said}")
        if done.returncode:
            raise PartError(f"saveline {' '.join(words)}: {said}")

    def join(self, timeout: float | None = None) -> None:
        """Raises what went wrong in it."""
        super().join(timeout)
        if self._failure is not None:
            raise self._failure
