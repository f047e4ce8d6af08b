"""Where a partition begins and ends: an offset that the broker told, or none at all."""

from collections.abc import Callable
from types import SimpleNamespace

import pytest
from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, KafkaError, KafkaException, TopicPartition

from streams.ends import Ends
from streams.outcomes import Unreachable

MOVED = KafkaError(KafkaError.NOT_LEADER_FOR_PARTITION)
OFFSETS = {OFFSET_BEGINNING: 3, OFFSET_END: 17}


class Asked:
    """A client whose answers are given in turn; the last one holds."""

    def __init__(self, *answers: Callable[[int], SimpleNamespace]) -> None:
        self.answers = list(answers)
        self.refreshed = 0

    def offsets_for_times(self, places: list[TopicPartition], timeout: float) -> list[SimpleNamespace]:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [answer(places[0].offset)]

    def list_topics(self, topic: str, timeout: float) -> None:
        self.refreshed += 1


def told(which: int) -> SimpleNamespace:
    return SimpleNamespace(offset=OFFSETS[which], error=None)


def moved(which: int) -> SimpleNamespace:
    return SimpleNamespace(offset=which, error=MOVED)


def unanswered(which: int) -> SimpleNamespace:
    return SimpleNamespace(offset=which, error=None)


def away(_which: int) -> SimpleNamespace:
    raise KafkaException(KafkaError(KafkaError._TIMED_OUT))


def ends(*answers: Callable[[int], SimpleNamespace]) -> Ends:
    found = Ends({}, "app", "source")
    found._consumer = Asked(*answers)
    return found


def test_the_first_offset_and_the_next_one_are_told() -> None:
    asked = ends(told)
    assert (asked.first(0), asked.end(0)) == (3, 17)


def test_a_leader_that_moved_is_looked_for_once() -> None:
    asked = ends(moved, told)
    assert asked.end(0) == 17
    assert asked._consumer.refreshed == 1


@pytest.mark.parametrize("answer", [moved, away, unanswered])
def test_what_is_no_answer_is_never_taken_for_an_offset(answer: Callable[[int], SimpleNamespace]) -> None:
    asked = ends(answer)
    with pytest.raises(Unreachable):
        asked.end(0)
    with pytest.raises(Unreachable):
        asked.first(0)
