"""Whoever finds nothing to do looks ever less often, and at once when something is filed."""

import threading

import psycopg

from connectors import bell
from connectors.bell import Bell, Pauses, keep_looking


class Listened(Bell):
    """Notes each pause, and is over at once."""

    def __init__(self) -> None:
        super().__init__()
        self.waited_s: list[float] = []

    def wait(self, since: int, longest_s: float) -> bool:
        self.waited_s.append(longest_s)
        return super().wait(since, 0.0)


def test_what_is_filed_during_a_look_is_not_slept_through() -> None:
    door = Bell()
    before = door.rung
    door.ring()
    assert door.wait(before, 0.0)
    assert not door.wait(door.rung, 0.0)


def test_who_waits_is_woken() -> None:
    door, woken = Bell(), threading.Event()
    before = door.rung
    waiter = threading.Thread(target=lambda: door.wait(before, 600.0) and woken.set(), daemon=True)
    waiter.start()
    door.ring()
    waiter.join(60)
    assert woken.is_set()


def test_pauses_grow_until_something_is_found_or_filed() -> None:
    door = Listened()
    pauses = Pauses(door, longest_s=0.3)
    for _ in range(5):
        pauses.looks()
        pauses.wait()
    assert door.waited_s == [0.05, 0.1, 0.2, 0.3, 0.3]
    pauses.found()
    pauses.looks()
    door.ring()
    pauses.wait()
    pauses.wait()
    assert door.waited_s[5:] == [0.05, 0.05]


def test_a_database_that_is_away_is_waited_for(monkeypatch) -> None:
    monkeypatch.setattr(bell, "_DATABASE_DOWN_S", 0.0)
    ended, looks = threading.Event(), []

    def look() -> bool:
        looks.append(1)
        if len(looks) == 1:
            raise psycopg.OperationalError
        ended.set()
        return True

    keep_looking(look, ended, Bell())
    assert len(looks) == 2
