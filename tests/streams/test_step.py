"""What a batch does to a partition where the core, or what it asks, does not do as it should."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from schemas.registry import RegistryRefused, RegistryUnavailable
from state.rocks import BlockCache, Store
from streams.core import Record
from streams.live import LiveStates
from streams.outcomes import PoisonStreak, Unreachable
from streams.settings import LedgerSettings
from streams.step import Step
from streams.traces import Traces
from tests.streams.job import Event, Job

Begin = Callable[[Job], Step[Any, Any, Any]]


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    store = Store(tmp_path / "db", BlockCache(1 << 20))
    names = dict.fromkeys(("app", "source", "changelog", "batches", "quarantine"), "x")
    settings = LedgerSettings(**names, partition=0, folder=tmp_path, client={})

    def step(core: Job) -> Step[Any, Any, Any]:
        live: LiveStates[Any] = LiveStates(store, core, 10)
        return Step(core, settings, live, Traces(10), conditions=None, now_ms=0, poisoned_in_a_row=0)

    yield step
    store.close()


def records(*events: Event) -> list[Record]:
    return [
        Record(
            number, 1_000, None if event.kind == "switch" else event.case.encode(), msgspec.json.encode(event)
        )
        for number, event in enumerate(events)
    ]


class Away(Job):
    """Its schema registry gives no id, which one of its methods is the first to meet."""

    def __init__(self, asks: str, failure: type[Exception] = RegistryUnavailable) -> None:
        super().__init__()
        self.failure = failure
        setattr(self, asks, self.unanswered)

    def unanswered(self, *_: Any) -> Any:
        raise self.failure("no id")


@pytest.mark.parametrize(
    ("asks", "failure"),
    [("decode", RegistryUnavailable), ("outputs", RegistryUnavailable), ("outputs", RegistryRefused)],
)
def test_a_registry_that_is_away_is_the_fault_of_no_record(
    begin: Begin, asks: str, failure: type[Exception]
) -> None:
    step = begin(Away(asks, failure))
    with pytest.raises(Unreachable, match="no id"):
        step.take(records(Event("a", 1)))
    assert (step.rejected, step.stuck) == ([], [])


def test_a_registry_that_is_away_is_the_fault_of_no_deadline(begin: Begin) -> None:
    core = Job()
    step = begin(core)
    step.take(records(Event("a", 1, wait_ms=5)))
    step._core = Away("outputs")
    with pytest.raises(Unreachable, match="no id"):
        step.fire(step.index, 1_005)
    assert (step.rejected, step.stuck) == ([], [])


def test_a_registry_that_is_away_while_a_conversation_is_handed_over_is_waited_for(begin: Begin) -> None:
    with pytest.raises(Unreachable, match="no id"):
        begin(Away("stuck")).take(records(Event("a", 1, "poison")))


class Helpless(Job):
    def stuck(self, *_: Any) -> Any:
        raise ValueError("nor can I say so")


def test_a_conversation_that_cannot_even_be_handed_to_people_is_a_named_outcome(begin: Begin) -> None:
    with pytest.raises(PoisonStreak, match="cannot even be handed to people"):
        begin(Helpless()).take(records(Event("a", 1, "poison")))


class Choosy(Job):
    """Cannot work under conditions that it folded itself."""

    def rules(self, conditions: bytes | None) -> bool:
        if conditions == b"muted":
            raise ValueError("what is that?")
        return super().rules(conditions)


def test_conditions_that_nobody_can_decide_under_are_not_taken_over(begin: Begin) -> None:
    step = begin(Choosy())
    step.take(records(Event("*", 1, "switch", wait_ms=1), Event("a", 2)))
    assert [rejected.offset for rejected in step.rejected] == [0]
    assert (step.conditions, step.conditions_changed) == (None, False)
    assert len(step.outputs) == 1
