"""A partition's life for properties: its clock, its records, and every law checked after every event.

The history that results is plain data, which `replayed` runs again.
"""

from collections import defaultdict
from datetime import datetime, timedelta
from itertools import count
from typing import NamedTuple

from schemas.events import ConditionEvent, ExceptionAccepted
from state.conversation import Conversation
from state.decide import Deadline, decide
from state.encoding import decode, encode
from state.rules import Conditions, Rules, fold
from state.shelf import Shelf
from tests.builders import NOON
from tests.properties.laws_of_time import early_timers_do_nothing, repeats_do_nothing
from tests.properties.seen import Books, Step, law
from tests.properties.watch import check

# An instant may have many steps of its own, but comes to rest.
FIRED_AT_ONCE_MAX = 40
ENDED_WITHIN = timedelta(days=400)


class Happened(NamedTuple):
    """One move of the heart, enough to make it again."""

    order_id: str
    event: object
    now: datetime
    conditions: Conditions


class Timeline:
    """Some orders of one partition."""

    def __init__(self, shelf: Shelf, now: datetime = NOON, *, lawful: bool = True) -> None:
        self.now = now
        # Without laws only what holds of nonsense as well is asked: nothing raises, moves its input, or differs.
        self.lawful = lawful
        self.rules = Rules(shelf, Conditions())
        self.records: dict[str, Conversation] = {}
        self.books: dict[str, Books] = defaultdict(Books)
        self.history: list[Happened] = []
        self.effects: list[tuple[str, object]] = []
        self.raised: dict[str, list[ExceptionAccepted]] = {}
        self.removed = 0
        self._ids = count(1)

    # One event.

    def happens(self, event: object) -> None:
        """What the ledger does with an event: its order's own deadline first, if that was due."""
        if isinstance(event, ConditionEvent):
            self.rules = Rules(self.rules.shelf, fold(self.rules.conditions, event))
            return
        self.fire(event.order_id)
        self.step(event.order_id, event)

    def fire(self, order_id: str) -> None:
        for _ in range(FIRED_AT_ONCE_MAX):
            record = self.records.get(order_id)
            if record is None or record.due_at is None or record.due_at > self.now:
                return
            self.step(order_id, Deadline(record.due_at, record.due_version))
        law(False, "the clock comes to rest", order_id)

    def step(self, order_id: str, event: object) -> None:
        before = self.records.get(order_id)
        bytes_before = encode(before) if before is not None else b""
        after, effects = decide(before, event, self.now, self.rules)
        law(before is None or encode(before) == bytes_before, "the record that goes in is not moved", event)
        again = decode(bytes_before) if before is not None else None
        after_again, effects_again = decide(again, event, self.now, self.rules)
        law(
            (after_again, effects_again) == (after, effects),
            "the same event makes the same of the same record, stored or not",
            event,
        )
        if after is not None:
            law(decode(encode(after)) == after, "a stored record is the same when it comes back", event)
        self.history.append(Happened(order_id, event, self.now, self.rules.conditions))
        if self.lawful:
            check(self.books[order_id], Step(before, event, self.now, self.rules, after, effects))
        self.effects += [(order_id, effect) for effect in effects]
        if after is not None:
            self.records[order_id] = after
            if not isinstance(event, Deadline):
                repeats_do_nothing(after, event, *decide(after, event, self.now, self.rules))
            if after.due_at is not None and after.due_at > self.now:
                early = decide(after, Deadline(after.due_at, after.due_version), self.now, self.rules)
                early_timers_do_nothing(after, *early)
        elif before is not None:
            self._remove(order_id)

    def _remove(self, order_id: str) -> None:
        """The record is gone; what comes later has fresh exception ids, and opt-outs come with the facts."""
        self.books[order_id].forgets()
        del self.records[order_id]
        self.raised.pop(order_id, None)
        self.removed += 1

    # Time.

    def passes(self, ms: int) -> None:
        """Every deadline fires at its instant."""
        until = self.now + timedelta(milliseconds=ms)
        while True:
            due = [(r.due_at, order) for order, r in self.records.items() if r.due_at and r.due_at <= until]
            if not due:
                break
            at, order_id = min(due)
            self.now = max(self.now, at)
            self.fire(order_id)
        self.now = until

    def lags(self, ms: int) -> None:
        """Nobody is there: deadlines fall due and fire late."""
        self.now += timedelta(milliseconds=ms)

    def nears_the_deadline(self, which: int, off_ms: int) -> None:
        """To the next wake-up of an order, or just before or behind it."""
        record = self.records.get(order_named(which))
        if record is not None and record.due_at is not None:
            target = record.due_at + timedelta(milliseconds=off_ms)
            self.passes(max(0, int((target - self.now) / timedelta(milliseconds=1))))

    def stale_deadline(self, which: int, back: int) -> None:
        record = self.records.get(order_named(which))
        version = record.due_version - back if record is not None else back
        self.step(order_named(which), Deadline(self.now, version))

    def ends(self) -> None:
        """All the time that there is: every record comes to its end."""
        until = self.now + ENDED_WITHIN
        for _ in range(1_000):
            due = [(r.due_at, order) for order, r in self.records.items() if r.due_at is not None]
            if not due or min(due)[0] > until:
                break
            at, order_id = min(due)
            self.now = max(self.now, at)
            self.fire(order_id)
        law(not self.records, "every record is removed in the end (I3)", list(self.records.values()))


def replayed(history: list[Happened], shelf: Shelf, *, stored: bool) -> tuple[list[object], dict[str, bytes]]:
    """All effects and the records' bytes of the same history once more, from nothing."""
    records: dict[str, Conversation] = {}
    effects: list[object] = []
    for happened in history:
        record = records.get(happened.order_id)
        if stored and record is not None:
            record = decode(encode(record))
        moved, asked = decide(record, happened.event, happened.now, Rules(shelf, happened.conditions))
        effects += [(happened.order_id, effect) for effect in asked]
        if moved is None:
            records.pop(happened.order_id, None)
        else:
            records[happened.order_id] = moved
    return effects, {order_id: encode(record) for order_id, record in records.items()}


def order_named(n: int) -> str:
    return f"o{n}"
