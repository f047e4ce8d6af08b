"""Ended at the worst instants, the ledger leaves a whole transaction behind or none; the verifier says so."""

from pathlib import Path
from typing import Any

import pytest

from streams.failpoints import Failpoints
from streams.outcomes import Fenced
from tests.streams.job import Event
from tests.streams.rig import Rig, Run
from tests.verifier.engine import Names, verify

pytestmark = pytest.mark.real

POINTS = ("after_outputs", "after_states", "before_commit", "after_commit", "before_apply")


@pytest.fixture
def rig(bootstrap: str, tmp_path: Path) -> Rig:
    return Rig(bootstrap, tmp_path)


class Crashed(BaseException):
    """In place of `kill -9`, which ends the test as well; `tests/chaos` does it to processes."""


class Crashing(Failpoints):
    """Raises at one point, after everything before it has reached the broker."""

    def __init__(self, point: str, does: Any = None) -> None:
        super().__init__()
        self.point: str | None = point
        self.does = does

    def armed(self, point: str) -> bool:
        return point == self.point

    def reach(self, point: str, **about: str) -> None:
        if point != self.point:
            return
        self.point = None
        if self.does is None:
            raise Crashed(point)
        self.does()


def assert_sound(rig: Rig) -> None:
    names = Names(*(rig.topic(name) for name in ("source", "batches", "commands", "changelog", "quarantine")))
    assert verify(rig.client, names, rig.partitions).violations == []


def crash_and_go_on(rig: Rig, point: str, folder: Path | None) -> None:
    rig.send(Event("a", 1, wait_ms=30), Event("b", 1))
    first = Run(rig)
    first.processed(1)
    first.ledger.close()
    crashing = Run(rig, failpoints=Crashing(point))
    rig.send(Event("a", 2, wait_ms=40), Event("c", 1), Event("b", 2, "poison"), Event("d", 1, "finish", 10))
    with pytest.raises(Crashed):
        crashing.processed(5)
    crashing.close()
    after = Run(rig, **({} if folder is None else {"folder": folder}))
    after.processed(5)
    after.until(lambda: after.ledger.next_due_ms() > after.ledger.clock_ms() + 5_000, "no deadline left")
    after.close()
    assert_sound(rig)


@pytest.mark.parametrize("point", POINTS)
def test_a_crash_on_a_warm_disk_loses_and_doubles_nothing(rig: Rig, point: str) -> None:
    crash_and_go_on(rig, point, None)


@pytest.mark.parametrize("point", POINTS)
def test_a_crash_with_an_empty_disk_after_it_loses_and_doubles_nothing(
    rig: Rig, point: str, tmp_path: Path
) -> None:
    crash_and_go_on(rig, point, tmp_path / "fresh")


def test_a_crash_while_restoring_is_restored_again(rig: Rig, tmp_path: Path) -> None:
    rig.send(*(Event(f"case-{number}", 1, wait_ms=100_000) for number in range(100)))
    run = Run(rig)
    run.processed(99)
    run.close()
    with pytest.raises(Crashed):
        Run(rig, folder=tmp_path / "fresh", failpoints=Crashing("during_restore"))
    again = Run(rig, folder=tmp_path / "elsewhere")
    assert len(again.states()) == 100
    again.close()
    assert_sound(rig)


@pytest.mark.parametrize("point", ["after_outputs", "after_states", "before_commit"])
def test_an_owner_that_is_replaced_inside_its_transaction_commits_nothing(
    rig: Rig, point: str, tmp_path: Path
) -> None:
    """The zombie: it stood still within a transaction, and wakes when another has done its work."""
    others: list[Run] = []

    def replace() -> None:
        newer = Run(rig, folder=tmp_path / "newer")
        newer.processed(1)
        others.append(newer)

    zombie = Run(rig, failpoints=Crashing(point, replace))
    rig.send(Event("a", 1), Event("b", 1))
    with pytest.raises(Fenced):
        zombie.processed(1)
    zombie.close()
    others[0].close()
    assert len(rig.said()) == 2
    assert_sound(rig)
