"""The deadline index of one partition: ordered on disk, with the next seconds in a heap."""

import struct
from collections.abc import Mapping
from heapq import heappop, heappush

from state.rocks import Store
from streams.envelope import HEAD_BYTES, NEVER

_PREFIX = struct.Struct(">QI")
_NEVER = NEVER.to_bytes(8, "big")
HORIZON_MS = 10_000
READ_MAX = 20_000


def index_key(due_ms: int, version: int, key: bytes) -> bytes:
    """Sorts by due instant, then version, then conversation."""
    return _PREFIX.pack(due_ms, version) + key


def index_keys(sealed: Mapping[bytes, bytes]) -> list[bytes]:
    """Those of the sealed values that have a deadline.

    A value's head holds due instant and version as the index does, so that a restore need not unpack them.
    """
    return [value[1:HEAD_BYTES] + key for key, value in sealed.items() if value[1:9] != _NEVER]


def split(index_key: bytes) -> tuple[int, int, bytes]:
    due_ms, version = _PREFIX.unpack_from(index_key)
    return due_ms, version, index_key[_PREFIX.size :]


class Deadlines:
    """What is due next, without touching the disk while nothing is.

    Every index key up to `_watermark` is in the heap or was taken; those beyond are only on disk. Reading on
    from the watermark never meets the tombstones of what has fired, as a seek to the first key would.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._heap: list[bytes] = []
        self._watermark = b""

    def added(self, index_key: bytes) -> None:
        """A deadline that has been applied to the store."""
        if index_key <= self._watermark:
            heappush(self._heap, index_key)

    def due(self, now_ms: int, count_max: int) -> list[bytes]:
        """Take at most `count_max` index keys due at or before `now_ms`, in order.

        Stale ones are among them: only the state tells. After a failure make this object anew.
        """
        end = _PREFIX.pack(now_ms + 1, 0)
        self._read_on(end, count_max)
        heap = self._heap
        found: list[bytes] = []
        while heap and len(found) < count_max and heap[0] < end:
            found.append(heappop(heap))
        return found

    def next_due_ms(self, now_ms: int) -> int:
        """When to ask again: the earliest deadline (perhaps stale), or the end of what is known of them."""
        self._read_on(_PREFIX.pack(now_ms + 1, 0), 1)
        return split(self._heap[0])[0] if self._heap else _PREFIX.unpack_from(self._watermark)[0]

    def _read_on(self, end: bytes, wanted: int) -> None:
        """Know every deadline before `end`, or at least the first `wanted` of them."""
        if self._watermark >= end or len(self._heap) >= wanted:
            return
        until = _PREFIX.pack(_PREFIX.unpack(end)[0] + HORIZON_MS, 0)
        keys = self._store.deadlines_after(self._watermark, until, READ_MAX)
        # All of them lie beyond what the heap holds, and in order: appending keeps it a heap.
        self._heap.extend(keys)
        self._watermark = until if len(keys) < READ_MAX else keys[-1]
