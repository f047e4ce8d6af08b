"""What the demo kills, and when."""

import random
import threading
from collections.abc import Callable, Sequence

from tests.world.stack import Stack


class Killer(threading.Thread):
    """`kill -9` at a moment between 0 (our processes are being started) and 1 (it is being verified)."""

    def __init__(
        self, stack: Stack, name: str, moment: float, whole_s: float, told: Callable[[str], None]
    ) -> None:
        super().__init__(name=f"kills {name}", daemon=True)
        self._stack, self._target, self._moment, self._whole_s = stack, name, moment, whole_s
        self._told, self._due = told, threading.Event()
        self._failure: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self._stack.launching.wait()
            self._due.wait(None if self._moment >= 1 else self._moment * self._whole_s)
            self._told(f"kill -9 for the {self._target}, as --kill-at {self._moment:.3f} says")
            self._stack.kill(self._target)
        except BaseException as failure:
            self._failure = failure

    def now_or_never(self) -> None:
        """All else is over: who has not killed yet does so while it is verified."""
        self._due.set()

    def join(self, timeout: float | None = None) -> None:
        """Raises what went wrong in it."""
        super().join(timeout)
        if self._failure is not None:
            raise self._failure


def moments(victims: Sequence[str], given: Sequence[float], seed: int) -> list[tuple[str, float]]:
    """Each victim with its moment: the given ones first, the others as the seed says."""
    drawn = random.Random(f"kills of {seed}")
    said = [round(drawn.random(), 3) for _ in victims]
    return list(zip(victims, [*given, *said[len(given) :]], strict=True))
