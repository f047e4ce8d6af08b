"""The table `cases` as Faust sees it: readable anywhere, written by the ledgers alone."""

# ruff: noqa: ARG002 -- the signatures are Faust's

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from faust import stores
from faust.stores.base import Store
from faust.types import TP

from streams.engine import LedgerEngine
from streams.envelope import RESERVED, body
from streams.lanes import Lanes

SCHEME = "ledger"
BEYOND_ANY_OFFSET = 2**62


class WrittenElsewhere(TypeError):
    """Somebody wrote to the table outside `decide`."""


class LedgerStore(Store[bytes, bytes]):
    """Keys and values are the core's bytes. Only what this process owns can be read."""

    @property
    def _engine(self) -> LedgerEngine:
        engine: LedgerEngine = self.app.engine  # type: ignore[attr-defined]
        return engine

    @property
    def _lanes(self) -> Lanes:
        return self._engine.lanes

    def persisted_offset(self, tp: TP) -> int | None:
        # The ledgers restore themselves: Faust is to find nothing left to read.
        return BEYOND_ANY_OFFSET

    async def need_active_standby_for(self, tp: TP) -> bool:
        return False

    async def on_recovery_completed(self, active_tps: set[TP], standby_tps: set[TP]) -> None:
        # Here streams are still paused, and the group is joined: heartbeats go on while we restore.
        await self._engine.take({tp.partition for tp in active_tps})

    def __getitem__(self, key: bytes) -> bytes:
        value = self._lanes.read(key)
        if value is None:
            raise KeyError(key)
        return body(value)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, bytes) and self._lanes.read(key) is not None

    def __iter__(self) -> Iterator[bytes]:
        for lane in list(self._lanes.lanes.values()):
            for key, _ in lane.ledger.all_states():
                if key[:1] != RESERVED:
                    yield key

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __setitem__(self, key: bytes, value: Any) -> None:
        raise WrittenElsewhere("the table `cases` changes only by `decide`")

    def __delitem__(self, key: bytes) -> None:
        raise WrittenElsewhere("the table `cases` changes only by `decide`")

    def set_persisted_offset(self, tp: TP, offset: int) -> None:
        """Nothing: progress is kept by the ledger."""

    def apply_changelog_batch(
        self, batch: Iterable[Any], to_key: Callable[[Any], Any], to_value: Callable[[Any], Any]
    ) -> None:
        raise WrittenElsewhere("Faust read the changelog, which is not paused")

    def reset_state(self) -> None:
        """Nothing: a folder is wiped by its ledger, for a reason."""

    async def backup_partition(
        self, tp: TP | int, flush: bool = True, purge: bool = False, keep: int = 1
    ) -> None:
        raise NotImplementedError("the changelog is the backup")

    def restore_backup(self, tp: TP | int, latest: bool = True, backup_id: int = 0) -> None:
        raise NotImplementedError("the changelog is the backup")


def register() -> None:
    """Make `ledger:` a store that Faust knows."""
    stores.STORES.aliases[SCHEME] = f"{__name__}:LedgerStore"
