"""Handing over to people: a case that we cannot go on with, and tasks with receipts."""

from schemas.words import Channel, Purpose
from state.conversation import Case, Task
from state.turn import NEWS_VALID, Turn


def stick(turn: Turn, case: Case, reason: str) -> None:
    """We cannot go on by ourselves: the reason is shown, and a person is asked once."""
    case.stuck = reason
    case.watch_at = case.retry_at = None
    turn.touch(case)
    hand_over(turn, case, Purpose.UPDATE, reason)


def hand_over(turn: Turn, case: Case, purpose: Purpose, reason: str) -> None:
    """A task for staff, with receipts; it never stops the deadline."""
    conversation = turn.conversation
    if any(task.case_id == case.case_id and task.reason == reason for task in conversation.tasks):
        return
    n = turn.send(Channel.PERSON, purpose, [case], reason=reason, not_after_at=turn.now + NEWS_VALID)
    if n is not None:
        conversation.tasks = (*conversation.tasks, Task(n, case.case_id, reason))
