"""The callers' stories: nearly all end as they were meant to, every one of them safely."""

import pytest

from tests.dialogue.callers import CALLERS, played, report

STORIES = [played(caller) for caller in CALLERS]


@pytest.mark.parametrize("story", STORIES, ids=[s.caller.name for s in STORIES])
def test_every_caller_is_safe(story):
    assert story.safe, story.said


def test_nearly_all_callers_end_where_they_meant_to():
    assert sum(s.reached for s in STORIES) / len(STORIES) >= 0.95, report(STORIES)


def test_there_are_many_callers_and_many_difficult_ones():
    assert len(STORIES) >= 40
    assert sum(s.caller.difficult for s in STORIES) >= 20


def test_a_decision_takes_few_turns():
    turns = sorted(s.turns for s in STORIES if s.caller.wants)
    assert turns[len(turns) // 2] <= 6
