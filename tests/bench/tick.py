"""What it costs to ask whether a deadline is due when none is, with few and with many open."""

import time
from pathlib import Path

from state.rocks import BlockCache, Store
from streams.deadlines import Deadlines, index_key

TICK_MS = 20
TICKS = 30_000
HOUR_MS = 3_600_000
CHUNK = 10_000


def cost_us(folder: Path, count: int) -> float:
    """CPU µs a tick with `count` deadlines on disk, spread over a day that begins in an hour."""
    now_ms = 1_764_000_000_000
    store = Store(folder, BlockCache(16 << 20))
    for first in range(0, count, CHUNK):
        changes = store.changes()
        for number in range(first, min(first + CHUNK, count)):
            due_ms = now_ms + HOUR_MS + 24 * HOUR_MS * number // count
            changes.put_deadline(index_key(due_ms, 1, b"c%08d" % number))
            changes.put_state(b"c%08d" % number, b"x" * 300)
        store.apply(changes)
    deadlines = Deadlines(store)
    deadlines.due(now_ms, 1_000)
    started_s = time.process_time()
    for tick in range(TICKS):
        at_ms = now_ms + tick * TICK_MS
        deadlines.next_due_ms(at_ms)
        deadlines.due(at_ms, 1_000)
    spent_s = time.process_time() - started_s
    store.close()
    return 1e6 * spent_s / TICKS
