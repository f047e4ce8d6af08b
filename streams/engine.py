"""What a worker process is made of, apart from Faust: lanes, health, and how it ends."""

import logging
import os
from collections.abc import Iterable, Mapping
from typing import Any

from faust.types import TP

from connectors.clock import Clock
from state.rocks import BlockCache, StoreFull, StoreTaken
from streams.core import RECORDS_MAX, Core
from streams.ends import Ends
from streams.failpoints import Failpoints
from streams.lanes import Lanes
from streams.ledger import Ledger
from streams.outcomes import LedgerFailure
from streams.settings import WorkerSettings
from streams.tally import Tally

log = logging.getLogger(__name__)

EXIT_BUG = 70
EXIT_STORE_FULL = 80
EXIT_STORE_TAKEN = 81


def exit_code(failure: BaseException) -> int:
    """A code for each outcome, so that a supervisor's log tells them apart (`docs/engine.md`)."""
    if isinstance(failure, LedgerFailure):
        return failure.exit_code
    if isinstance(failure, StoreFull):
        return EXIT_STORE_FULL
    if isinstance(failure, StoreTaken):
        return EXIT_STORE_TAKEN
    return EXIT_BUG


class LedgerEngine:
    """Implements `seam.Engine` and `surface.Health` over the lanes."""

    ready_max = RECORDS_MAX - 1
    """What waits for a lane becomes one transaction, so read on until it is a full one."""

    def __init__(
        self, core: Core[Any, Any, Any], settings: WorkerSettings, clock: Clock, failpoints: Failpoints | None
    ) -> None:
        self.settings = settings
        self.ready = False
        """Assigned and restored, as Faust says."""
        cache = BlockCache(settings.block_cache_mb << 20)

        def make(partition: int, owned: int, tally: Tally) -> Ledger[Any, Any, Any]:
            return Ledger(core, settings.ledger(partition, owned), clock, cache, failpoints, tally)

        self.lanes = Lanes(make, Ends(settings.client, settings.app, settings.source), clock, self.stop)

    async def take(self, partitions: Iterable[int]) -> None:
        """Own these partitions, and no others, from now on."""
        self.ready = False
        await self.lanes.take(partitions)
        self.ready = True

    async def release(self) -> None:
        self.ready = False
        await self.lanes.release()
        # Again, since an opening that was left off said meanwhile that it was over.
        self.ready = False

    def next_offset(self, tp: TP) -> int | None:
        return self.lanes.next_offset(tp.partition)

    def sought(self, positions: Mapping[TP, int]) -> None:
        """Nothing to remember: each ledger knows its progress."""

    def wants(self, tp: TP) -> bool:
        return tp.partition in self.lanes.lanes

    def reached(self, tp: TP, offset: int) -> None:
        if lane := self.lanes.lanes.get(tp.partition):
            lane.reached = offset

    def stop(self, failure: BaseException) -> None:
        """End the process now, with the outcome's code.

        The engine survives `kill -9` at any instant, so the shortest way is also the safest; an orderly
        stop might hang on the very thing that failed.
        """
        log.critical("stopping: %s: %s", type(failure).__name__, failure, exc_info=failure)
        logging.shutdown()
        os._exit(exit_code(failure))

    def check_given_up(self) -> None:
        failure = self.lanes.overdue(2 * self.settings.session_timeout_s)
        if failure is not None:
            self.stop(failure)

    def not_live(self) -> list[str]:
        limit_s = self.settings.step_patience_s
        stand = {partition: lane.stands(limit_s) for partition, lane in list(self.lanes.lanes.items())}
        return [
            f"partition {partition} stands: {why} (SAVELINE_STEP_PATIENCE_S={limit_s:g}). To do: restart this process;"
            " the partition goes on from what is committed"
            for partition, why in stand.items()
            if why
        ]

    def not_ready(self) -> list[str]:
        reasons = [] if self.ready else [self._not_yet()]
        return reasons + [f"partition {partition} was given up" for partition in self.lanes.given_up]

    def _not_yet(self) -> str:
        restoring = [str(lane.partition) for lane in list(self.lanes.lanes.values()) if not lane.opened]
        if restoring:
            return f"partitions are taken over and restored: {', '.join(restoring)}"
        return "the group is assigning its partitions anew"

    def quiescent(self) -> bool:
        return self.ready and all(lane.idle() and lane.at_end() for lane in list(self.lanes.lanes.values()))
