"""The conversations of one partition that moved lately, decoded: the next event need not read them."""

from collections.abc import Iterable
from typing import Any, Generic

from state.rocks import Store
from streams.core import Core, S
from streams.envelope import HEAD_BYTES, NEVER, head
from streams.outcomes import UnreadableState

Slot = tuple[S | None, int, int, int]
"""A conversation (None: there is none), its `due_ms`, that wish's version, and its `indexed_ms`.

Not later than `due_ms`, the deadline index has an entry at `indexed_ms`; `NEVER` when none is known of.
A plain tuple: one is made for each event.
"""

ABSENT: Slot[Any] = (None, NEVER, 0, NEVER)


class LiveStates(Generic[S]):
    """Two generations: what was not asked for while one filled up is forgotten with the older.

    That costs one look-up a hit, where an exact order of use would cost two writes.
    """

    def __init__(self, store: Store, core: "Core[S, Any, Any]", count_max: int) -> None:
        self._store = store
        self._core = core
        self._generation_max = max(1, count_max // 2)
        self._young: dict[bytes, Slot[S]] = {}
        self._old: dict[bytes, Slot[S]] = {}

    def load(self, keys: Iterable[bytes]) -> dict[bytes, Slot[S]]:
        """A slot for each key, `ABSENT` where there is no conversation; at most one read of the store.

        Raises `UnreadableState` for a state that this version of the core cannot decode.
        """
        young, old = self._young, self._old
        found: dict[bytes, Slot[S]] = {}
        missing: list[bytes] = []
        for key in keys:
            slot = young.get(key) or old.get(key)
            if slot is None:
                missing.append(key)
            else:
                found[key] = slot
        if missing:
            for key, value in zip(missing, self._store.states(missing), strict=True):
                found[key] = ABSENT if value is None else self._decoded(key, value)
        return found

    def keep(self, slots: dict[bytes, Slot[S]]) -> None:
        """Remember what a committed step read and changed."""
        self._young.update(slots)
        if len(self._young) >= self._generation_max:
            self._old, self._young = self._young, {}

    def _decoded(self, key: bytes, value: bytes) -> Slot[S]:
        due_ms, version = head(value)
        try:
            state = self._core.decode_state(key, value[HEAD_BYTES:])
        except Exception as error:
            raise UnreadableState(f"the state of {key!r} cannot be decoded") from error
        return state, due_ms, version, NEVER
