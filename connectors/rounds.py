"""Which piece of work of this process has begun and not ended: a loop that hangs is seen by what it is at."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

from connectors.clock import Clock

P = ParamSpec("P")
R = TypeVar("R")


class Rounds:
    """Safe from any thread.

    A loop's pauses, and its waits for more, are outside of a round. What is inside has bounds of its own, so that a
    provider or a store that is away ends no round late.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._numbers = itertools.count()
        self._begun: dict[int, tuple[str, float]] = {}

    @contextmanager
    def at(self, name: str) -> Iterator[Callable[[], None]]:
        """One round of the work of this name; several may be at the same.

        A round of many steps tells of each by what it is given here: they may be long together.
        """
        number = next(self._numbers)

        def moved() -> None:
            self._begun[number] = name, self._clock.monotonic()

        moved()
        try:
            yield moved
        finally:
            del self._begun[number]

    def watched(self, name: str, work: Callable[P, R]) -> Callable[P, R]:
        """The same work, each call a round."""

        @wraps(work)
        def round_(*given: P.args, **more: P.kwargs) -> R:
            with self.at(name):
                return work(*given, **more)

        return round_

    def standing(self, patience_s: float) -> list[str]:
        """A reason for each name of which a round has not moved for longer, the longest one's."""
        now_s = self._clock.monotonic()
        longest: dict[str, float] = {}
        for name, begun_s in list(self._begun.values()):
            longest[name] = max(longest.get(name, 0.0), now_s - begun_s)
        return [
            f"{name} has not come round for {for_s:.0f} s"
            for name, for_s in sorted(longest.items())
            if for_s > patience_s
        ]
