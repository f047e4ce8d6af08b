"""A lane drives its ledger from one thread of its own, one call after the other (L6)."""

import asyncio
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from connectors.clock import SystemClock
from streams.core import Batch
from streams.ends import Ends
from streams.envelope import Progress
from streams.lanes import Lane
from streams.tally import Tally


class Watched:
    """A ledger that notes which thread each call comes from, and whether two are inside at once."""

    def __init__(self) -> None:
        self.settings = SimpleNamespace(partition=3)
        self.progress, self.tally = Progress(), Tally()
        self.threads: set[int] = set()
        self.inside = threading.Lock()
        self.overlapped = False
        self.done: list[int] = []
        self.looked: Callable[[], object]
        """Called when it was looked three times, without a delivery, at what is due."""

    def _entered(self) -> None:
        self.threads.add(threading.get_ident())
        if not self.inside.acquire(blocking=False):
            self.overlapped = True
            return
        # Whoever else would come may do so now.
        threading.Event().wait(0.001)
        self.inside.release()

    def open(self) -> Progress:
        self._entered()
        return self.progress

    def step(self, batch: Batch) -> None:
        self._entered()
        self.done.append(batch.starts_after)
        if self.done.count(-1) == 3:
            self.looked()

    def close(self) -> None:
        self._entered()

    def next_due_ms(self) -> int:
        return 0

    def clock_ms(self) -> int:
        # Something is due whenever nobody delivers.
        return 1

    def beat_due(self) -> bool:
        return False

    def stop_waiting(self) -> None:
        pass


class Empty(Ends):
    """A source with nothing in it."""

    def first(self, partition: int) -> int:
        return 0

    def end(self, partition: int, timeout_s: float = 10.0) -> int:
        return 0


def test_deliveries_and_deadlines_come_one_by_one_from_a_thread_that_is_not_the_loops() -> None:
    ledger: Any = Watched()
    acknowledged: list[int] = []

    async def live() -> None:
        loop = asyncio.get_running_loop()
        looked = loop.create_future()
        ledger.looked = lambda: loop.call_soon_threadsafe(looked.set_result, None)
        lane = Lane(ledger, Empty({}, "app", "x"), SystemClock())
        await lane.open()
        lane.start(lambda _, failure: looked.set_exception(failure))
        for number in range(20):
            lane.put(Batch(number, []), lambda number=number: acknowledged.append(number))
        # It is only looked for what is due once nothing waits.
        await looked
        await lane.close()

    asyncio.run(live())
    assert [number for number in ledger.done if number >= 0] == acknowledged == list(range(20))
    assert not ledger.overlapped
    assert len(ledger.threads) == 1
    assert threading.get_ident() not in ledger.threads
