"""Places where a test may end, freeze or delay this process; they exist only behind the test switch."""

import os
import signal
import threading
from typing import Literal

import msgspec

POINTS = ("after_outputs", "after_states", "before_commit", "after_commit", "before_apply", "during_restore")


class Failpoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`point` acts once, after `skip` passes that match; `delay_ms` belongs to `delay`."""

    point: str
    then: Literal["kill_9", "stop", "delay"]
    match: dict[str, str] = {}
    skip: int = 0
    delay_ms: int = 0


class Failpoints:
    """The armed points of this process; safe from any thread."""

    def __init__(self, known: tuple[str, ...] = POINTS) -> None:
        self._known = known
        self._lock = threading.Lock()
        self._armed: list[Failpoint] = []

    def arm(self, failpoint: Failpoint) -> None:
        """Raises `ValueError` for a point that this process does not pass."""
        if failpoint.point not in self._known:
            raise ValueError(f"unknown point {failpoint.point!r}; there are {', '.join(self._known)}")
        with self._lock:
            self._armed.append(failpoint)

    def armed(self, point: str) -> bool:
        return any(failpoint.point == point for failpoint in self._armed)

    def reach(self, point: str, **about: str) -> None:
        """Pass a point; does not return when it kills."""
        with self._lock:
            found = next((one for one in self._armed if one.point == point and _matches(one, about)), None)
            if found is None:
                return
            self._armed.remove(found)
            if found.skip:
                self._armed.append(msgspec.structs.replace(found, skip=found.skip - 1))
                return
        if found.then == "kill_9":
            os.kill(os.getpid(), signal.SIGKILL)
        elif found.then == "stop":
            # To this thread: sent to the process, it is noticed by another one, and this one goes on meanwhile.
            signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)
        threading.Event().wait(found.delay_ms / 1000)


def _matches(failpoint: Failpoint, about: dict[str, str]) -> bool:
    return all(about.get(name) == value for name, value in failpoint.match.items())
