"""What an app without tables takes note of while it hands on its deliveries."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

from faust.types import TP

from streams.core import Batch, Record
from streams.delivery import GroupEngine, batches

AT = TP("source", 0)


class Stream:
    """One delivery."""

    def noack(self) -> "Stream":
        return self

    async def events(self) -> AsyncIterator[Any]:
        batch = Batch(4, [Record(5, 1, b"k", b"v")])
        yield SimpleNamespace(message=SimpleNamespace(tp=AT), value=batch, ack=lambda: None)


def positions(*, lost_meanwhile: bool) -> dict[tuple[str, int], int]:
    engine = GroupEngine()
    engine.sought({AT: 5})

    async def handle() -> None:
        async for _ in batches(Stream(), engine):
            if lost_meanwhile:
                engine.sought({})

    asyncio.run(handle())
    return engine.positions()


def test_what_is_handled_moves_the_position() -> None:
    assert positions(lost_meanwhile=False) == {AT: 6}


def test_a_handler_that_outlives_the_loss_of_its_partition_does_not_bring_it_back() -> None:
    assert positions(lost_meanwhile=True) == {}
