"""Runs ledgers over plain readers, one after the other in one thread: the engine without its shell."""

from collections.abc import Callable
from typing import Any

from streams.core import Batch
from streams.ledger import Ledger
from streams.source import Source


def run(
    pairs: list[tuple[Ledger[Any, Any, Any], Source]],
    going_on: Callable[[], bool],
    *,
    records_max: int = 1_000,
    wait_s: float = 0.02,
) -> None:
    """Deliver and step until `going_on` says no. Opening and closing is the caller's.

    With several partitions an idle one is waited for only as long as all of them are idle.
    """
    busy = False
    while going_on():
        patience_s = 0.0 if busy else wait_s / len(pairs)
        busy = False
        for ledger, source in pairs:
            batch = source.poll(records_max, patience_s)
            if not batch.records and ledger.clock_ms() >= ledger.next_due_ms():
                batch = Batch(batch.starts_after, [], source.caught_up_ms())
            if batch.records or batch.caught_up_ms or ledger.beat_due():
                ledger.step(batch)
                busy = busy or bool(batch.records)
