"""Deliveries to agents: undecoded, a batch at a time, and for apps without tables checked for holes."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import faust
from faust.types import TP

from streams.core import Batch
from streams.outcomes import Gap


class PassedThrough(faust.Schema[Any, Any]):
    """The transport made a batch of the records already; Faust has nothing to decode."""

    def compile(self, app: Any, **_: Any) -> Callable[..., Awaitable[Any]]:
        create_event = app.create_event

        async def decode(message: Any, *, propagate: bool = False) -> Any:  # noqa: ARG001 -- Faust's signature
            return create_event(None, message.value, message.headers, message)

        return decode


class GroupEngine:
    """Implements `seam.Engine` for apps without tables: the group's committed offsets are their progress."""

    ready_max = 0
    """One delivery in work, one ready; what comes meanwhile gathers at the broker."""

    def __init__(self) -> None:
        self.handled: dict[TP, int] = {}
        """The last offset handled, or before which reading began."""
        self._reached: dict[TP, int] = {}

    def next_offset(self, tp: TP) -> int | None:  # noqa: ARG002 -- the protocol's signature
        return None

    def wants(self, tp: TP) -> bool:  # noqa: ARG002
        return True

    def sought(self, positions: Mapping[TP, int]) -> None:
        self.handled, self._reached = {tp: offset - 1 for tp, offset in positions.items()}, {}

    def reached(self, tp: TP, offset: int) -> None:
        self._reached[tp] = offset

    def positions(self) -> dict[tuple[str, int], int]:
        """Of each partition of this process, the offset before which everything is handled."""
        return {tp: max(last + 1, self._reached.get(tp, 0)) for tp, last in list(self.handled.items())}


async def batches(stream: Any, engine: GroupEngine) -> AsyncIterator[tuple[TP, Batch]]:
    """The deliveries of an app without tables, each acknowledged when the next one is asked for.

        async for tp, batch in batches(stream, engine): ...

    At-least-once: what the body did not finish comes again. Raises `Gap` when a delivery was lost between
    the transport and here (L5); the worker then stops, and reads again from the committed offset.
    """
    async for event in stream.noack().events():
        tp, batch = event.message.tp, event.value
        before = engine.handled.get(tp)
        if before is None or batch.starts_after > before:
            raise Gap(f"{tp.topic}-{tp.partition}: after {before} came a delivery after {batch.starts_after}")
        yield tp, batch
        # A handler that outlived a rebalance must not take back what was done meanwhile, nor the partition itself.
        if tp in engine.handled:
            engine.handled[tp] = max(engine.handled[tp], batch.records[-1].offset)
        event.ack()
