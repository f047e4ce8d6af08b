"""The single writer of one partition's conversations: one transaction a batch, one RocksDB, one thread."""

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Generic

from connectors.clock import Clock
from state.rocks import BlockCache, Store, StoreCorrupt, wipe
from streams.core import Batch, Core, E, R, S
from streams.deadlines import Deadlines
from streams.envelope import (
    CONDITIONS,
    FENCE,
    PROGRESS,
    BatchRecord,
    Progress,
    body,
    decode_progress,
    encode_batch,
    encode_progress,
    seal,
)
from streams.failpoints import Failpoints
from streams.live import LiveStates
from streams.outcomes import ClockApart, Gap, Unreachable, Unsettled
from streams.restore import APPLIED, IDENTITY, applied, applied_note, restore
from streams.settings import LedgerSettings
from streams.step import Step
from streams.tally import Tally
from streams.traces import Traces
from streams.transactions import Transactions

_OPENING_PAUSES_S = (0.2, 0.5, 1.0, 2.0)
"""Leaders may be moving: waiting for them here is quicker than a new process, and a broker that is away is not."""
_REST_MAX_S = 0.05


class Ledger(Generic[S, E, R]):
    """`open`, then `step` with each delivery, then `close`; all from one thread at a time (L6).

    The invariants L1 to L7 are stated in `docs/engine.md`; the comments below say where each is kept.
    """

    def __init__(
        self,
        core: Core[S, E, R],
        settings: LedgerSettings,
        clock: Clock,
        cache: BlockCache,
        failpoints: Failpoints | None = None,
        tally: Tally | None = None,
    ) -> None:
        self.core = core
        self.settings = settings
        self.tally = tally or Tally()
        self.progress = Progress()
        self.moved_s = clock.monotonic()
        """When the last part of its work began, by the monotonic clock: what hangs is older."""
        self.rested_s = 0.0
        """When the broker will have completed the last transaction, by the monotonic clock, as far as one can guess.

        Its markers are written after the commit was answered, and a transaction that begins before they are is
        refused: librdkafka asks again 20 ms later (`CONCURRENT_TRANSACTIONS` in its `rdkafka_txnmgr.c`). They take
        about a third of what the transaction took.
        """
        self._clock = clock
        self._cache = cache
        self._failpoints = failpoints
        self._store: Store | None = None
        self._stopping = threading.Event()
        self._broken = True
        """Memory may not be what is committed: take over before the next step."""
        self._due_ms = 0
        self._anchor_ms = 0
        self._anchor_s = 0.0
        self._check_at_s = 0.0
        self._poisoned_in_a_row = 0

    # Opening

    def open(self) -> Progress:
        """Take the partition over and return how far its source is processed.

        Raises `Fenced`, `Unreachable`, `Unsettled`, `ClockApart`, `ForeignRecord`, `StoreFull`, `StoreTaken`.
        """
        self._broken = True
        self._settled(lambda: None, _OPENING_PAUSES_S)
        return self.progress

    def _take_over(self) -> None:
        self._go_on()
        transactions = self._transactions = Transactions(self.settings, self._failpoints)
        transactions.open()
        # L4: whoever wrote before us is fenced now, and this record comes after all that they committed.
        began_s = self._clock.monotonic()
        transactions.begin()
        written = transactions.send_last(self.settings.changelog, FENCE, seal(b""))
        transactions.commit(written)
        self._set_clock(written.appended_ms, began_s)
        started_s = self._clock.monotonic()
        store = self._fit_store(written.offset, written.appended_ms)
        self.tally.restored += restore(
            store, self.settings, written.offset, self._clock, self._go_on, self._failpoints
        )
        self.tally.restore_s = self._clock.monotonic() - started_s
        if store.note(IDENTITY) is None:
            changes = store.changes()
            changes.put_note(IDENTITY, self._identity())
            store.apply(changes)
        self._deadlines = Deadlines(store)
        self._live: LiveStates[S] = LiveStates(store, self.core, self.settings.states_in_memory_max)
        self._traces = Traces(self.settings.states_in_memory_max)
        progress = store.state(PROGRESS)
        self.progress = Progress() if progress is None else decode_progress(body(progress))
        conditions = store.state(CONDITIONS)
        self._conditions = None if conditions is None else body(conditions)
        self._broken = False

    def _go_on(self) -> bool:
        """Say that something moves; whether more is wanted."""
        self.moved_s = self._clock.monotonic()
        return not self._stopping.is_set()

    def _fit_store(self, fence_offset: int, fence_ms: int) -> Store:
        """The store as the disk has it if it can be continued, else an empty one."""
        if self._store is None:
            try:
                self._store = Store(self.settings.folder, self._cache)
                known = self._store.note(IDENTITY)
                offset, appended_ms = applied(self._store)
            except StoreCorrupt:
                return self._fresh_store()
            # A changelog shorter than the disk lost records or is another one. A disk older than tombstones
            # live would keep conversations whose removal it can no longer read.
            if (known is not None and known != self._identity()) or offset >= fence_offset:
                return self._fresh_store()
            if offset >= 0 and fence_ms - appended_ms > self.settings.disk_age_max_ms:
                return self._fresh_store()
        return self._store

    def _identity(self) -> bytes:
        return f"{self.settings.app}/{self.settings.changelog}/{self.settings.partition}".encode()

    def _fresh_store(self) -> Store:
        if self._store is not None:
            self._store.close()
        wipe(self.settings.folder)
        self.tally.wiped += 1
        self._store = Store(self.settings.folder, self._cache)
        return self._store

    # Time

    def clock_ms(self) -> int:
        """The broker's time, at most a round trip late: its last append time and what has passed since.

        A step of this machine's wall clock can therefore never fire a deadline.
        """
        return self._anchor_ms + int((self._clock.monotonic() - self._anchor_s) * 1000)

    def _set_clock(self, appended_ms: int, began_s: float) -> None:
        """By a record that was appended at some instant between `began_s` and now."""
        wall_ms, now_s = round(self._clock.now().timestamp() * 1000), self._clock.monotonic()
        ahead_ms, took_ms = wall_ms - appended_ms, round((now_s - began_s) * 1000)
        slow = took_ms > self.settings.clock_apart_max_ms
        if not slow or appended_ms > self.clock_ms():
            self._anchor_ms, self._anchor_s = appended_ms, now_s
        # A slow answer says little about the time: the next one is asked as well.
        self._check_at_s = now_s if slow else now_s + self.settings.clock_check_s
        # Nor is it a clock that is ahead.
        apart_ms = ahead_ms if ahead_ms < 0 else max(0, ahead_ms - took_ms)
        self.tally.clock_apart_ms = apart_ms
        if abs(apart_ms) > self.settings.clock_apart_max_ms:
            raise ClockApart(f"this machine's clock is {apart_ms} ms from the broker's")

    def _check_stamp(self, appended_ms: int) -> None:
        """The source's broker need not be the changelog's: a time of its own, once taken over, cannot be taken back."""
        limit_ms = self.settings.clock_apart_max_ms
        if appended_ms - self.clock_ms() > limit_ms:
            ahead_ms = appended_ms - round(self._clock.now().timestamp() * 1000)
            if ahead_ms > limit_ms:
                raise ClockApart(f"the source's broker stamped a record {ahead_ms} ms after now")

    def next_due_ms(self) -> int:
        """When to step at the latest, in `clock_ms`, if nothing arrives."""
        return self._due_ms

    def beat_due(self) -> bool:
        """Whether the clock check is due; a step with an empty batch does it."""
        return self._clock.monotonic() >= self._check_at_s

    # Stepping

    def step(self, batch: Batch) -> None:
        """Process a delivery, or nothing but deadlines when it is empty; returns once it is applied.

        An unsettled transaction is settled by taking over again, and the same records are repeated: those
        that were committed after all are then known to be done. Raises the other outcomes.
        """
        self._settled(lambda: self._step(batch), (min(0.1 * n, 2.0) for n in range(self.settings.reopen_max)))

    def _settled(self, work: Callable[[], None], pauses_s: Iterable[float]) -> None:
        """Work on what is committed: when that is not known or not on the disk, take over, and repeat it all."""
        for pause_s in (*pauses_s, None):
            self._go_on()
            try:
                if self._broken:
                    self._take_over()
                work()
                self._due_ms = self._deadlines.next_due_ms(self.progress.now_ms)
            except (Unsettled, Unreachable, StoreCorrupt) as failure:
                self._broken = True
                self._transactions.abandon()
                self.tally.reopened += 1
                if isinstance(failure, StoreCorrupt):
                    self._fresh_store()
                if pause_s is None or self._stopping.wait(pause_s):
                    raise
            except BaseException:
                self._broken = True
                raise
            else:
                return

    def _step(self, batch: Batch) -> None:
        progress, settings = self.progress, self.settings
        # L5: whatever lies between was lost on the way, and must be read again rather than passed over.
        if batch.starts_after > progress.offset:
            raise Gap(f"the delivery starts after {batch.starts_after}, processed is {progress.offset}")
        records = batch.records
        if records and records[0].offset <= progress.offset:
            records = [record for record in records if record.offset > progress.offset]
        if records:
            self._check_stamp(max(record.appended_ms for record in records))
        step = Step(
            self.core,
            settings,
            self._live,
            self._traces,
            conditions=self._conditions,
            now_ms=progress.now_ms,
            poisoned_in_a_row=self._poisoned_in_a_row,
        )
        if records:
            step.take(records)
        # Only what is certainly known: a record appended before this instant has been seen.
        input_ms = max(step.now_ms, batch.caught_up_ms)
        taken = self._deadlines.due(input_ms, settings.fires_max)
        step.fire(taken, input_ms)
        if records or step.fired or self.beat_due():
            after = Progress(records[-1].offset if records else progress.offset, step.now_ms)
            self._commit(step, after, taken)
            self.tally.events += len(records)
            self.tally.batch.add(len(records))
        elif taken:
            self._reindex(step, taken)
        self._poisoned_in_a_row = step.poisoned_in_a_row

    def _commit(self, step: Step[S, E, R], after: Progress, taken: list[bytes]) -> None:
        settings, transactions, tally = self.settings, self._transactions, self.tally
        began_s = self._clock.monotonic()
        transactions.begin()
        transactions.send_outputs(step.outputs)
        for rejected in step.rejected:
            transactions.send_one(settings.quarantine, rejected.key, rejected.value, rejected.headers)
        transactions.reach("after_outputs")
        states = [{"key": key, "value": value} for key, value in step.changed.items()]
        if step.conditions_changed and step.conditions is not None:
            states.append({"key": CONDITIONS, "value": seal(step.conditions)})
        if states:
            transactions.send(settings.changelog, states)
        transactions.reach("after_states")
        record = BatchRecord(
            self.progress.offset,
            after.offset,
            after.now_ms,
            step.fired,
            [rejected.offset for rejected in step.rejected if rejected.offset is not None],
            step.stuck,
            self.core.version,
        )
        transactions.send(
            settings.batches, [{"key": b"%d" % settings.partition, "value": encode_batch(record)}]
        )
        # L3: how far the source is processed travels with what was made of it, as the last changelog record.
        sealed = seal(encode_progress(after))
        written = transactions.send_last(settings.changelog, PROGRESS, sealed)
        transactions.reach("before_commit")
        transactions.commit(written)
        ended_s = self._clock.monotonic()
        tally.transaction_s.add(ended_s - began_s)
        self.rested_s = ended_s + min((ended_s - began_s) / 3, _REST_MAX_S)
        transactions.reach("after_commit")
        # L1: from here on the transaction is known to be committed, and only now the disk follows (L2).
        self._apply(step, taken, sealed, written.offset, written.appended_ms)
        self.progress, self._conditions = after, step.conditions
        tally.transactions += 1
        tally.outputs += len(step.outputs)
        tally.states += len(states)
        tally.fired += len(step.fired)
        committed_ms = self.clock_ms() if step.fired else 0
        for fired in step.fired:
            tally.lateness_s.add(max(0, committed_ms - fired.due_ms) / 1000)
        tally.stale += step.stale
        tally.quarantined += len(step.rejected)
        tally.stuck += len(step.stuck)
        if self.beat_due():
            self._set_clock(written.appended_ms, began_s)

    def _apply(
        self, step: Step[S, E, R], taken: list[bytes], progress: bytes, offset: int, at_ms: int
    ) -> None:
        store = self._open_store()
        changes = store.changes()
        for entry in taken:
            changes.remove_deadline(entry)
        for entry in step.index:
            changes.put_deadline(entry)
        for key, value in step.changed.items():
            if value is None:
                changes.remove_state(key)
            else:
                changes.put_state(key, value)
        if step.conditions_changed and step.conditions is not None:
            changes.put_state(CONDITIONS, seal(step.conditions))
        changes.put_state(PROGRESS, progress)
        changes.put_note(APPLIED, applied_note(offset, at_ms))
        if self._failpoints is not None:
            self._failpoints.reach("before_apply", partition=str(self.settings.partition))
        store.apply(changes)
        self._remember(step)

    def _reindex(self, step: Step[S, E, R], taken: list[bytes]) -> None:
        """Deadlines that were put off get their own entries: no state changes, so no transaction."""
        store = self._open_store()
        changes = store.changes()
        for entry in taken:
            changes.remove_deadline(entry)
        for entry in step.index:
            changes.put_deadline(entry)
        store.apply(changes)
        self._remember(step)
        self.tally.stale += step.stale

    def _remember(self, step: Step[S, E, R]) -> None:
        """After the store has it: memory follows."""
        self._live.keep(step.slots)
        for entry in step.index:
            self._deadlines.added(entry)

    def _open_store(self) -> Store:
        if self._store is None:
            raise RuntimeError("the ledger is closed")
        return self._store

    # Reading from outside, and ending

    def read(self, key: bytes) -> bytes | None:
        """What is committed and applied for a key, sealed; from any thread, None when closed."""
        store = self._store
        return None if store is None else store.state(key)

    def all_states(self) -> Iterator[tuple[bytes, bytes]]:
        """Every key and sealed value, the reserved ones included; for reports, not for the path of events."""
        store = self._store
        return iter(()) if store is None else store.all_states()

    def stop_waiting(self) -> None:
        """From any thread: do not take over again; a running step ends at its next failure."""
        self._stopping.set()

    def close(self) -> None:
        """Release the folder and the producer. Safe after any failure, and twice."""
        self._stopping.set()
        if hasattr(self, "_transactions"):
            self._transactions.abandon()
        if self._store is not None:
            self._store.close()
            self._store = None
