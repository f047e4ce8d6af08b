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
    """A task for staff, with receipts; it never stops the deadline. What falls together becomes one task."""
    if any(case.case_id in task.about and task.reason == reason for task in turn.conversation.tasks):
        return
    turn.handed.setdefault((purpose, reason), {})[case.case_id] = case


def assign(turn: Turn) -> None:
    """At the end of a turn: one task for each reason, about every case that was handed over for it."""
    conversation = turn.conversation
    for (purpose, reason), cases in turn.handed.items():
        about = list(cases.values())
        sent = turn.send((Channel.PERSON,), purpose, about, reason=reason, not_after_at=turn.now + NEWS_VALID)
        told = [case.case_id for case in about if turn.may_contact(Channel.PERSON, case)]
        tasks = [Task(send.n, told[0], reason, tuple(told[1:])) for send in sent]
        conversation.tasks = (*conversation.tasks, *tasks)
    turn.handed = {}
