"""Wakes who found nothing to do: at once when something is filed here, else after a pause that grows."""

import threading
from collections.abc import Callable

import psycopg
import structlog

log = structlog.get_logger()

FIRST_S, LONGEST_S = 0.05, 0.5
_DATABASE_DOWN_S = 1.0


class Bell:
    """Rung after a commit. What another process files, or what falls due, is found by the next look."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._rung = 0

    @property
    def rung(self) -> int:
        """How often; taken before a look, so that what is filed during it is not slept through."""
        return self._rung

    def ring(self) -> None:
        with self._changed:
            self._rung += 1
            self._changed.notify_all()

    def wait(self, since: int, longest_s: float) -> bool:
        """Whether it rang after `since`, within this time."""
        with self._changed:
            return self._changed.wait_for(lambda: self._rung != since, longest_s)


class Pauses:
    """One looker's pauses: each twice the last, up to `longest_s`, from the first again once it found something."""

    def __init__(self, bell: Bell, longest_s: float = LONGEST_S) -> None:
        self._bell, self._longest_s = bell, longest_s
        self._next_s, self._since = FIRST_S, bell.rung

    def looks(self) -> None:
        self._since = self._bell.rung

    def found(self) -> None:
        self._next_s = FIRST_S

    def wait(self) -> None:
        """After a look that found nothing."""
        if self._bell.wait(self._since, self._next_s):
            self.found()
        else:
            self._next_s = min(2 * self._next_s, self._longest_s)


def keep_looking(
    look: Callable[[], object], ended: threading.Event, bell: Bell, longest_s: float = LONGEST_S
) -> None:
    """Calls `look` until `ended`, again at once where it found something; a database that is away is waited for."""
    pauses = Pauses(bell, longest_s)
    while not ended.is_set():
        pauses.looks()
        try:
            if look():
                pauses.found()
            else:
                pauses.wait()
        except psycopg.OperationalError as error:
            log.warning("database_unreachable", error=type(error).__name__)
            ended.wait(_DATABASE_DOWN_S)
