"""The ledgers of one process: each owned partition is a lane with a thread of its own."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from connectors.clock import Clock
from streams.core import RECORDS_MAX, Batch
from streams.ends import Ends
from streams.ledger import Ledger
from streams.outcomes import ClockApart, Fenced, SourceTruncated, Unreachable
from streams.tally import Tally

log = logging.getLogger(__name__)

AnyLedger = Ledger[Any, Any, Any]
Done = Callable[[], object]

LOOK_AGAIN_S = 0.005
"""When a deadline is due but records are still on their way to us."""
LOOK_AT_MOST_S = 1.0
_LAG_WAIT_S = 1.0


class Lane:
    """One partition: what waits for its ledger, and the task that alone drives it (L6)."""

    def __init__(self, ledger: AnyLedger, ends: Ends, clock: Clock) -> None:
        self.ledger = ledger
        self.partition = ledger.settings.partition
        self.busy_since_s: float | None = None
        """Since when a step runs, by the monotonic clock."""
        self.reached = 0
        """The next offset to be read, as of when every record before it was processed (`Engine.reached`)."""
        self.due_ms = 0
        """When the ledger wants to be stepped at the latest, by its own clock."""
        self.opened = False
        """Taken over and restored."""
        self._waiting: tuple[int, int, float] | None = None
        """The next offset to be processed, how many records wait from there on, and since when it is that one."""
        self._ends = ends
        self._clock = clock
        self._taken_s = clock.monotonic()
        self._inbox: deque[tuple[Batch, Done]] = deque()
        self._arrived = asyncio.Event()
        self.told_to_stop = False
        """Whatever fails from then on is of no interest."""
        self._thread = ThreadPoolExecutor(1, f"ledger-{self.partition}")
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Raises what `Ledger.open` raises, and `SourceTruncated`."""
        await self._in_thread(self._open)
        self.opened = True

    def _open(self) -> None:
        progress = self.ledger.open()
        first = self._ends.first(self.partition)
        if first > progress.offset + 1:
            raise SourceTruncated(
                f"partition {self.partition}: processed up to {progress.offset}, the source begins at {first}"
            )
        self.due_ms = self.ledger.next_due_ms()

    def start(self, ended: Callable[["Lane", BaseException], None]) -> None:
        """Begin to work; `ended` is told when a step fails for good."""
        self._task = asyncio.create_task(self._run(ended), name=f"lane-{self.partition}")

    def put(self, batch: Batch, done: Done) -> None:
        """Queue a delivery; `done` is called after its transaction is applied. Never blocks."""
        if not self.told_to_stop:
            self._inbox.append((batch, done))
            self._arrived.set()

    def idle(self) -> bool:
        """Whether nothing is in work, waits or is due."""
        return not self._inbox and self.busy_since_s is None and self.overdue_ms <= 0

    def at_end(self) -> bool:
        """Ask the broker whether everything in the source is processed; for tests."""
        return self._next_offset >= self._ends.end(self.partition)

    @property
    def restore_s(self) -> float:
        """How long its latest restore took, or has taken so far."""
        return self.ledger.tally.restore_s if self.opened else self._clock.monotonic() - self._taken_s

    def lag(self) -> int:
        """How many records of the source are not processed; asks the broker, and not for long."""
        end = self._ends.end(self.partition, timeout_s=_LAG_WAIT_S)
        return max(0, end - self._next_offset)

    @property
    def _next_offset(self) -> int:
        return max(self.ledger.progress.offset + 1, self.reached)

    def watched(self, lag: int | None) -> None:
        """So many records wait; None when the broker does not answer: no restart brings it back."""
        at, before, self._waiting = self._next_offset, self._waiting, None
        if self.opened and lag:
            since_s = before[2] if before and before[0] == at else self._clock.monotonic()
            self._waiting = at, lag, since_s

    def stands(self, patience_s: float) -> str:
        """What has not moved for so long although there is work; empty if nothing."""
        now_s, busy_since_s, waiting = self._clock.monotonic(), self.busy_since_s, self._waiting
        # A long restore, and a broker that is away and asked again, move.
        if (
            busy_since_s is not None
            and (for_s := now_s - max(busy_since_s, self.ledger.moved_s)) > patience_s
        ):
            return f"its {'step' if self.opened else 'restore'} has not moved for {for_s:.0f} s"
        if waiting is not None and now_s - waiting[2] > patience_s:
            return f"{waiting[1]} records wait, and none was processed for {now_s - waiting[2]:.0f} s"
        return ""

    @property
    def overdue_ms(self) -> int:
        """How long the earliest deadline has been waiting; negative while it is still to come."""
        return self.ledger.clock_ms() - self.due_ms

    def tell_to_stop(self) -> None:
        """Take nothing more; a running transaction is finished, an opening is left off."""
        self.told_to_stop = True
        self.ledger.stop_waiting()

    async def close(self) -> None:
        """Finish the running transaction, drop what waits, release the folder."""
        self.tell_to_stop()
        self._inbox.clear()
        self._arrived.set()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)
        await self._in_thread(self.ledger.close)
        self._thread.shutdown(wait=False)

    async def _run(self, ended: Callable[["Lane", BaseException], None]) -> None:
        more_due = False
        try:
            while not self.told_to_stop:
                if not more_due and (rest_s := self._rest_s()) > 0:
                    await self._something_arrives(rest_s)
                elif self._inbox:
                    batch, all_done = self._take_what_waits()
                    await self._in_thread(self._step, batch)
                    for done in all_done:
                        done()
                elif more_due or not await self._something_arrives(self._until_due_s()):
                    more_due = await self._in_thread(self._look_at_deadlines)
        except Exception as failure:  # noqa: BLE001 -- every one is an outcome that the owner names and acts on
            if not self.told_to_stop:
                ended(self, failure)

    def _rest_s(self) -> float:
        """How long to gather what comes before the next transaction; not at all when enough is there for a full one."""
        if sum(len(batch.records) for batch, _ in self._inbox) >= RECORDS_MAX:
            return 0.0
        return self.ledger.rested_s - self._clock.monotonic()

    def _take_what_waits(self) -> tuple[Batch, list[Done]]:
        """As one batch: a transaction costs nearly the same however little is in it."""
        batch, done = self._inbox.popleft()
        records, all_done = list(batch.records), [done]
        while self._inbox:
            more, done = self._inbox[0]
            # L5: one that does not continue is stepped by itself, and so seen to be a gap.
            if more.starts_after != records[-1].offset or len(records) + len(more.records) > RECORDS_MAX:
                break
            self._inbox.popleft()
            records.extend(more.records)
            all_done.append(done)
        return Batch(batch.starts_after, records), all_done

    def _until_due_s(self) -> float:
        return min(max(-self.overdue_ms / 1000, LOOK_AGAIN_S), LOOK_AT_MOST_S)

    async def _something_arrives(self, within_s: float) -> bool:
        """Wait for a delivery, or to be told to stop; whether one came."""
        self._arrived.clear()
        # Not `wait_for`, which makes a task of each wait.
        over = asyncio.get_running_loop().call_later(within_s, self._arrived.set)
        try:
            await self._arrived.wait()
        finally:
            over.cancel()
        return bool(self._inbox) or self.told_to_stop

    def _step(self, batch: Batch) -> None:
        self.ledger.step(batch)
        self.due_ms = self.ledger.next_due_ms()

    def _look_at_deadlines(self) -> bool:
        """Fire what is due, if all input up to now is processed; whether that did something and more is due."""
        ledger = self.ledger
        before_ms = ledger.clock_ms()
        if before_ms < self.due_ms and not ledger.beat_due():
            return False
        try:
            end = self._ends.end(self.partition)
        except Unreachable:
            # Not knowing only delays deadlines; the next look asks again.
            return False
        done = ledger.tally.fired + ledger.tally.stale
        next_offset = self._next_offset
        # Whatever was appended before the clock was read is before `end`: if all of that is processed, no
        # answer given in time can still be on its way.
        self._step(Batch(ledger.progress.offset, [], before_ms if next_offset >= end else 0))
        return ledger.tally.fired + ledger.tally.stale > done and self.due_ms <= before_ms

    async def _in_thread(self, function: Callable[..., Any], *arguments: Any) -> Any:
        self.busy_since_s = self._clock.monotonic()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)
        finally:
            self.busy_since_s = None


class Lanes:
    """Takes partitions over and releases them as the group decides.

    `make(partition, owned, tally)` builds one of `owned` ledgers; `stop(failure)` ends the process.
    """

    def __init__(
        self,
        make: Callable[[int, int, Tally], AnyLedger],
        ends: Ends,
        clock: Clock,
        stop: Callable[[BaseException], None],
    ) -> None:
        self.lanes: dict[int, Lane] = {}
        self.tallies: dict[int, Tally] = {}
        """What was done for each partition since the process started, whoever owns it now."""
        self.given_up: dict[int, tuple[float, BaseException]] = {}
        """Partitions that another owner took while the group still calls them ours: since when, and why."""
        self._make = make
        self._ends = ends
        self._clock = clock
        self._stop = stop
        self._one_at_a_time = asyncio.Lock()
        self._closing: set[asyncio.Task[None]] = set()
        """Those that were given up and still hold their folders."""

    async def take(self, partitions: Iterable[int]) -> None:
        """Open a lane for each, all at once; returns when all are restored or given up."""
        async with self._one_at_a_time:
            await self._close_all()
            self.given_up.clear()
            owned = list(partitions)
            for partition in owned:
                tally = self.tallies.setdefault(partition, Tally())
                ledger = self._make(partition, len(owned), tally)
                self.lanes[partition] = Lane(ledger, self._ends, self._clock)
            lanes = list(self.lanes.values())
            opened = await asyncio.gather(*(lane.open() for lane in lanes), return_exceptions=True)
            for lane, failure in zip(lanes, opened, strict=True):
                if failure is None:
                    lane.start(self._ended)
                elif not lane.told_to_stop:
                    self._ended(lane, failure)

    async def release(self) -> None:
        """Close every lane after its running transaction; nothing that waits is processed."""
        for lane in self.lanes.values():
            lane.tell_to_stop()
        async with self._one_at_a_time:
            await self._close_all()

    async def _close_all(self) -> None:
        lanes, self.lanes = list(self.lanes.values()), {}
        closes = [*self._closing, *(lane.close() for lane in lanes)]
        for result in await asyncio.gather(*closes, return_exceptions=True):
            if isinstance(result, BaseException):
                self._stop(result)

    def _ended(self, lane: Lane, failure: BaseException) -> None:
        if isinstance(failure, Fenced | ClockApart):
            log.warning("partition %s given up: %s", lane.partition, failure)
            self.given_up[lane.partition] = (self._clock.monotonic(), failure)
            self.lanes.pop(lane.partition, None)
            # The others go on; the group will say whose it is.
            self._closing.add(task := asyncio.ensure_future(lane.close()))
            task.add_done_callback(self._closed)
        else:
            self._stop(failure)

    def _closed(self, closing: asyncio.Task[None]) -> None:
        self._closing.discard(closing)
        if failure := closing.exception():
            self._stop(failure)

    def overdue(self, patience_s: float) -> BaseException | None:
        """Why a partition was given up that is still ours after `patience_s`: then somebody must look."""
        for since_s, failure in self.given_up.values():
            if self._clock.monotonic() - since_s > patience_s:
                return failure
        return None

    def next_offset(self, partition: int) -> int | None:
        """Where to read on: after what the ledger processed. None when the partition has no lane."""
        lane = self.lanes.get(partition)
        return None if lane is None else lane.ledger.progress.offset + 1

    def read(self, key: bytes) -> bytes | None:
        """What is committed for a key, sealed; None if there is nothing or it is not ours."""
        values = (lane.ledger.read(key) for lane in list(self.lanes.values()))
        return next((value for value in values if value is not None), None)

    def lags(self) -> dict[int, int]:
        """By partition; those that the broker does not tell are missing. Blocking."""
        lags: dict[int, int] = {}
        for partition, lane in list(self.lanes.items()):
            try:
                lags[partition] = lane.lag()
            except Unreachable:
                # The others would wait as long, and whoever asks does not.
                break
        return lags

    def watch(self) -> None:
        """Notice which partitions have work and do not move; blocking."""
        lags = self.lags()
        for partition, lane in list(self.lanes.items()):
            lane.watched(lags.get(partition))
