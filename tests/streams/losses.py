"""Loses a delivery between the transport and the agent, as Faust does when it clears its queues; or fetches none."""

from typing import Any

from streams import seam

LOST = "a delivery was lost on its way"


def lose(number: int) -> None:
    """The delivery of that number (from 1) is taken from the transport and never seen again."""
    counted = 0
    deliver = seam.Consumer.getmany

    async def getmany(self: Any, timeout: float) -> Any:  # noqa: ASYNC109 -- Faust's signature
        nonlocal counted
        async for tp, message in deliver(self, timeout):
            counted += 1
            if counted == number:
                print(LOST, flush=True)
            else:
                yield tp, message

    seam.Consumer.getmany = getmany


def hold(number: int) -> None:
    """From the delivery of that number on nothing is fetched any more, and nothing is said."""
    counted = 0
    deliver = seam.Consumer.getmany

    async def getmany(self: Any, timeout: float) -> Any:  # noqa: ASYNC109 -- Faust's signature
        nonlocal counted
        if counted + 1 >= number:
            await self.sleep(0.1)
            return
        async for tp, message in deliver(self, timeout):
            counted += 1
            yield tp, message

    seam.Consumer.getmany = getmany
