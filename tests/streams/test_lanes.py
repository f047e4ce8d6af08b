"""A lane drives its ledger from one thread of its own, one call after the other (L6)."""

import asyncio
import math
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from connectors.clock import SystemClock
from streams.core import RECORDS_MAX, Batch, Record
from streams.ends import Ends
from streams.envelope import Progress
from streams.lanes import Lane, Lanes
from streams.outcomes import Fenced
from streams.tally import Tally


class Watched:
    """A ledger that notes which thread each call comes from, and whether two are inside at once."""

    def __init__(self) -> None:
        self.settings = SimpleNamespace(partition=3)
        self.progress, self.tally = Progress(), Tally()
        self.rested_s = 0.0
        self.threads: set[int] = set()
        self.inside = threading.Lock()
        self.overlapped = False
        self.done: list[list[int]] = []
        """The offsets of each delivery; none when only deadlines were looked at."""
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
        self.done.append([record.offset for record in batch.records])
        if self.done.count([]) == 3:
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


def delivery(first: int, count: int = 1, *, after: int | None = None) -> Batch:
    """Records from offset `first` on; it starts after the one before, unless that is said otherwise."""
    records = [Record(first + n, 0, b"key", b"value") for n in range(count)]
    return Batch(first - 1 if after is None else after, records)


async def lane_of(ledger: Any) -> tuple[Lane, asyncio.Future[None]]:
    """An opened lane, and what is done once it was looked three times what is due, or raises what ended it."""
    loop = asyncio.get_running_loop()
    looked = loop.create_future()
    ledger.looked = lambda: loop.call_soon_threadsafe(looked.set_result, None)
    lane = Lane(ledger, Empty({}, "app", "x"), SystemClock())
    await lane.open()
    lane.start(lambda _, failure: looked.set_exception(failure))
    return lane, looked


async def turn() -> None:
    """Let every task that can go on do so."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_deliveries_and_deadlines_come_one_by_one_from_a_thread_that_is_not_the_loops() -> None:
    ledger: Any = Watched()
    acknowledged: list[int] = []

    async def live() -> None:
        lane, looked = await lane_of(ledger)
        for number in range(20):
            lane.put(delivery(number), lambda number=number: acknowledged.append(number))
            await turn()
        # It is only looked for what is due once nothing waits.
        await looked
        await lane.close()

    asyncio.run(live())
    assert [offset for offsets in ledger.done for offset in offsets] == acknowledged == list(range(20))
    assert not ledger.overlapped
    assert len(ledger.threads) == 1
    assert threading.get_ident() not in ledger.threads


def stepped(*deliveries: Batch) -> list[list[int]]:
    """What steps a lane makes of deliveries that wait for it together."""
    ledger: Any = Watched()

    async def live() -> None:
        lane, looked = await lane_of(ledger)
        for each in deliveries:
            lane.put(each, lambda: None)
        await looked
        await lane.close()

    asyncio.run(live())
    return [offsets for offsets in ledger.done if offsets]


def test_deliveries_that_wait_become_one_step() -> None:
    assert stepped(delivery(0), delivery(1, 3), delivery(4)) == [[0, 1, 2, 3, 4]]


def test_a_step_holds_no_more_records_than_a_delivery_may() -> None:
    steps = stepped(delivery(0, 600), delivery(600, 600), delivery(1200, 400))
    assert [len(step) for step in steps] == [600, RECORDS_MAX]


def test_a_delivery_that_does_not_continue_is_stepped_by_itself_and_so_seen_to_be_a_gap() -> None:
    assert stepped(delivery(0), delivery(5, after=4), delivery(6)) == [[0], [5, 6]]


def test_what_comes_while_the_broker_completes_a_transaction_is_gathered_up_to_a_full_one() -> None:
    ledger: Any = Watched()
    ledger.rested_s = math.inf

    async def live() -> None:
        lane, _ = await lane_of(ledger)
        acknowledged = asyncio.Event()
        lane.put(delivery(0), lambda: None)
        await turn()
        lane.put(delivery(1, RECORDS_MAX - 1), acknowledged.set)
        await acknowledged.wait()
        await lane.close()

    asyncio.run(live())
    assert ledger.done == [list(range(RECORDS_MAX))]


def test_a_lane_that_gathers_ends_at_once_when_it_is_told_to() -> None:
    ledger: Any = Watched()
    ledger.rested_s = math.inf

    async def live() -> None:
        lane, _ = await lane_of(ledger)
        lane.put(delivery(0), lambda: None)
        await turn()
        await lane.close()

    asyncio.run(live())
    assert ledger.done == []


def test_a_partition_that_was_given_up_and_comes_back_waits_until_its_folder_is_released() -> None:
    """Being fenced and being rebalanced come together: the old ledger still holds the lock."""
    ledgers: list[Any] = []
    released, order = threading.Event(), []

    class Slow(Watched):
        def open(self) -> Progress:
            order.append("opened")
            return super().open()

        def step(self, batch: Batch) -> None:
            if batch.records:
                raise Fenced("by another")

        def close(self) -> None:
            assert released.wait(10)
            order.append("closed")

    def make(_partition: int, _owned: int, _tally: Tally) -> Any:
        ledgers.append(Slow())
        return ledgers[-1]

    async def live() -> None:
        failures: list[BaseException] = []
        lanes = Lanes(make, Empty({}, "app", "x"), SystemClock(), failures.append)
        await lanes.take([3])
        lanes.lanes[3].put(delivery(0), lambda: None)
        while not lanes.given_up:
            await turn()
        again = asyncio.create_task(lanes.take([3]))
        await turn()
        released.set()
        await again
        await lanes.release()
        assert not failures

    asyncio.run(live())
    assert order == ["opened", "closed", "opened", "closed"]
