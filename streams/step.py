"""What one batch does to a partition, computed in memory before anything is written anywhere."""

import traceback
from collections.abc import Sequence
from typing import Any, Generic

from schemas.errors import Malformed
from schemas.registry import RegistryRefused, RegistryUnavailable
from streams.core import Core, Deadline, E, Output, R, Record, S
from streams.deadlines import index_key, split
from streams.envelope import FORMAT, NEVER, RESERVED, Fired, pack_head
from streams.live import LiveStates, Slot
from streams.outcomes import PoisonStreak, Unreachable
from streams.placement import partition_of
from streams.quarantine import Rejected, of_deadline, of_record
from streams.settings import LedgerSettings
from streams.traces import Traces

_NO_DEADLINE = (NEVER, 0)
# No record is rejected and no conversation handed over for these: everything is tried again.
_NOBODYS_FAULT = (RegistryUnavailable, RegistryRefused)


class _Unmoved(Exception):
    """A deadline fired and is due again at once."""


class _TooLarge(Exception):
    """The core made a state or an output over the limit."""


class Step(Generic[S, E, R]):
    """Collects states, outputs, quarantined records and fired deadlines; the ledger then commits them.

    Nothing here touches Kafka or changes the store, so that throwing a step away undoes it.
    """

    def __init__(
        self,
        core: Core[S, E, R],
        settings: LedgerSettings,
        live: LiveStates[S],
        traces: Traces,
        *,
        conditions: bytes | None,
        now_ms: int,
        poisoned_in_a_row: int,
    ) -> None:
        self._core = core
        self._settings = settings
        self._live = live
        self._traces = traces
        self._rules = core.rules(conditions)
        self.conditions = conditions
        self.conditions_changed = False
        self.now_ms = now_ms
        self.poisoned_in_a_row = poisoned_in_a_row
        self.slots: dict[bytes, Slot[S]] = {}
        self.changed: dict[bytes, bytes | None] = {}
        """New changelog values; None is a tombstone."""
        self.index: list[bytes] = []
        """New entries of the deadline index."""
        self.outputs: list[Output] = []
        self.rejected: list[Rejected] = []
        self.fired: list[Fired] = []
        self.stuck: list[bytes] = []
        self.stale = 0

    def take(self, records: Sequence[Record]) -> None:
        """Decide every record in order, its own conversation's deadline first if that is due by its time."""
        decoded = self._decoded(records)
        slots = self.slots = self._live.load({key for _, _, key in decoded if key is not None})
        decide, settle = self._core.decide, self._settle
        now_ms = self.now_ms
        for record, event, key in decoded:
            # A broker's clock may step back with a new leader; ours never does.
            if record.appended_ms > now_ms:
                self.now_ms = now_ms = record.appended_ms
            if key is None:
                self._fold(record, event)
                continue
            state, due_ms, _, indexed_ms = slots[key]
            if due_ms <= now_ms:
                self._fire(key, record.offset)
                state, _, _, indexed_ms = slots[key]
            if state is None and self._misplaced(record, key):
                continue
            try:
                after, effects = decide(state, event, now_ms, self._rules)
                if effects or after is not state:
                    settle(key, state, indexed_ms, after, effects, record)
                self.poisoned_in_a_row = 0
            except Malformed as malformed:
                # Well-formed by itself, but not beside what is known, such as an id used for something else.
                self._reject(record, malformed.reasons)
            except _NOBODYS_FAULT as error:
                raise Unreachable(str(error)) from error
            except Exception as error:  # noqa: BLE001 -- the poison rule: to quarantine, with its traceback
                self._reject(record, _told(error))
                self._poisoned(key, error, record)
        # What was rejected tells the time as well.
        self.now_ms = max(self.now_ms, records[-1].appended_ms)

    def fire(self, index_keys: Sequence[bytes], now_ms: int) -> None:
        """Decide the deadlines that are still what their conversations want; the others are stale.

        A deadline that was put off kept its old entry: only now, when that is used up, it gets one of its
        own. Most are put off several times, and this way write nothing each time.
        """
        self.now_ms = now_ms = max(self.now_ms, now_ms)
        wishes = [split(index_key) for index_key in index_keys]
        slots = self.slots
        slots.update(self._live.load({key for _, _, key in wishes if key not in slots}))
        for due_ms, version, key in wishes:
            state, wanted_ms, wanted_version, _ = slots[key]
            slots[key] = (state, wanted_ms, wanted_version, NEVER)
            if (wanted_ms, wanted_version) == (due_ms, version):
                self._fire(key, None)
                continue
            self.stale += 1
            if wanted_ms != NEVER:
                self.index.append(index_key(wanted_ms, wanted_version, key))
                slots[key] = (state, wanted_ms, wanted_version, wanted_ms)

    def _decoded(self, records: Sequence[Record]) -> list[tuple[Record, E, bytes | None]]:
        """Each sound record with its event and key (None: the whole partition); the others are rejected."""
        decode, key_of, limit = self._core.decode, self._core.key, self._settings.record_bytes_max
        sound: list[tuple[Record, E, bytes | None]] = []
        for record in records:
            value = record.value
            if value is None or len(value) > limit:
                size = "no" if value is None else len(value)
                self._reject(record, (f"the record has {size} bytes, and may have {limit}",))
                continue
            try:
                event = decode(record)
                key = key_of(event)
            except Malformed as malformed:
                self._reject(record, malformed.reasons)
            except _NOBODYS_FAULT as error:
                raise Unreachable(str(error)) from error
            except Exception as error:  # noqa: BLE001 -- decoding may only say Malformed; a bug must not stop us
                self._reject(record, _told(error))
            else:
                if key is not None and key != record.key:
                    self._reject(record, ("the record's key is not that of its content",))
                else:
                    sound.append((record, event, key))
        return sound

    def _reject(self, record: Record, reasons: tuple[str, ...]) -> None:
        self.rejected.append(of_record(record, self._settings, reasons, self._core.version))

    def _misplaced(self, record: Record, key: bytes) -> bool:
        """Whether an opening came to the wrong partition, where a second owner of its order would arise."""
        partitions = self._settings.partitions
        if not key or key[:1] == RESERVED:
            self._reject(record, ("the key is empty or begins with NUL",))
        elif partitions is not None and (right := partition_of(key, partitions)) != self._settings.partition:
            self._reject(record, (f"the key belongs to partition {right} of {partitions}",))
        else:
            return False
        return True

    def _fold(self, record: Record, event: E) -> None:
        try:
            conditions = self._core.fold(self.conditions, event, self.now_ms)
            self._rules = self._core.rules(conditions)
            self.conditions, self.conditions_changed = conditions, True
        except Exception as error:  # noqa: BLE001 -- as in `take`
            self._reject(record, _told(error))
            self._count_poison(error)

    def _fire(self, key: bytes, before_offset: int | None) -> None:
        state, due_ms, version, indexed_ms = self.slots[key]
        self.fired.append(Fired(before_offset, key, due_ms, version, self.now_ms))
        try:
            after, effects = self._core.decide(state, Deadline(due_ms, version), self.now_ms, self._rules)
            self._refuse_unmoved(after, (due_ms, version))
            self._settle(key, state, indexed_ms, after, effects, None)
            self.poisoned_in_a_row = 0
        except _NOBODYS_FAULT as error:
            raise Unreachable(str(error)) from error
        except Exception as error:  # noqa: BLE001 -- as in `take`
            told = _told(error)
            self.rejected.append(of_deadline(key, due_ms, version, self._settings, told, self._core.version))
            self._poisoned(key, error, None)

    def _refuse_unmoved(self, after: S | None, fired: tuple[int, int]) -> None:
        if after is not None and self._core.due(after) == fired:
            raise _Unmoved

    def _settle(
        self,
        key: bytes,
        state: S | None,
        indexed_ms: int,
        after: S | None,
        effects: Any,
        cause: Record | None,
    ) -> None:
        """Take over a decision; whatever raises here leaves the step as it was."""
        if cause is not None and cause.headers:
            self._traces.heard(key, cause)
        core, limit = self._core, self._settings.record_bytes_max
        outputs = core.outputs(effects) if effects else None
        if outputs:
            for output in outputs:
                if output.value is not None and len(output.value) > limit:
                    raise _TooLarge(output.topic)
            self._traces.carry(key, cause, outputs)
        if after is None:
            if state is not None:
                self.slots[key] = (None, NEVER, 0, indexed_ms)
                self.changed[key] = None
        elif after is not state:
            due_ms, version = core.due(after) or _NO_DEADLINE
            value = pack_head(FORMAT, due_ms, version) + core.encode_state(after)
            if len(value) > limit:
                raise _TooLarge("state")
            if due_ms < indexed_ms:
                self.index.append(index_key(due_ms, version, key))
                indexed_ms = due_ms
            self.slots[key] = (after, due_ms, version, indexed_ms)
            self.changed[key] = value
        if outputs:
            self.outputs.extend(outputs)

    def _poisoned(self, key: bytes, error: Exception, cause: Record | None) -> None:
        self._count_poison(error)
        state, _, _, indexed_ms = self.slots[key]
        try:
            after, effects = self._core.stuck(key, state, self.now_ms, type(error).__name__, self._rules)
            self._settle(key, state, indexed_ms, after, effects, cause)
        except _NOBODYS_FAULT as away:
            raise Unreachable(str(away)) from away
        except Exception as again:
            raise PoisonStreak(f"{key!r} cannot even be handed to people") from again
        self.stuck.append(key)
        if self.slots[key][1] <= self.now_ms:
            raise PoisonStreak(f"{key!r} is stuck and due again at once") from error

    def _count_poison(self, error: Exception) -> None:
        self.poisoned_in_a_row += 1
        if self.poisoned_in_a_row >= self._settings.poison_max:
            raise PoisonStreak(f"{self.poisoned_in_a_row} failures of `decide` in a row") from error


def _told(error: Exception) -> tuple[str, ...]:
    """The failure's type and place. Not its text: that may quote the record, and so personal data."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    return (f"{type(error).__name__}\n{frames}",)
