"""When a worker calls itself ready, and how it ends."""

import asyncio
import re
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from connectors.clock import SystemClock
from state import rocks
from streams import outcomes
from streams.engine import LedgerEngine, exit_code
from streams.envelope import Progress
from streams.outcomes import Unreachable
from streams.settings import WorkerSettings
from streams.tally import Tally
from tests.streams.job import Job


class Opening:
    """A ledger whose restore takes until it is told to leave off."""

    def __init__(self) -> None:
        self.settings, self.progress, self.tally = SimpleNamespace(partition=0), Progress(), Tally()
        self.begun, self.told = threading.Event(), threading.Event()

    def open(self) -> Progress:
        self.begun.set()
        self.told.wait(60)
        raise Unreachable("told to stop while restoring")

    def stop_waiting(self) -> None:
        self.told.set()

    def close(self) -> None:
        pass


def test_an_opening_that_a_rebalance_leaves_off_makes_nobody_ready() -> None:
    async def live() -> None:
        engine, ledger = LedgerEngine(Job(), WorkerSettings(), SystemClock(), None), Opening()
        given: Any = ledger
        engine.lanes._make = lambda *_: given
        taking = asyncio.create_task(engine.take([0]))
        await asyncio.to_thread(ledger.begun.wait, 60)
        await engine.release()
        await taking
        assert not engine.ready
        assert not engine.quiescent()

    asyncio.run(live())


def test_every_outcome_has_the_code_that_the_docs_say() -> None:
    page = (Path(__file__).parents[2] / "docs" / "engine.md").read_text()
    said = {name: int(code) for name, code in re.findall(r"^\| `(\w+)` \| (\d+) \|", page, re.MULTILINE)}
    failures = [*outcomes.LedgerFailure.__subclasses__(), rocks.StoreFull, rocks.StoreTaken]
    assert said == {failure.__name__: exit_code(failure()) for failure in failures}
