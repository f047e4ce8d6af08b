"""When a conversation must be looked at again: read from its state, never scheduled and never cancelled."""

from datetime import datetime, timedelta
from typing import NamedTuple

from schemas.words import CaseState
from state.conversation import Conversation
from state.rules import Rules
from state.settlement import closes_at


class Wakeup(NamedTuple):
    """What is due when, and for which case."""

    at: datetime
    what: str
    case_id: str = ""


def wakeups(conversation: Conversation, rules: Rules) -> list[Wakeup]:
    """Everything that is still to come, in no order."""
    found: list[Wakeup] = []
    if conversation.gather_until_at is not None:
        found.append(Wakeup(conversation.gather_until_at, "clock"))
    elif conversation.plan and not conversation.running:
        found.append(Wakeup(conversation.plan[0].opens_at, "clock"))
    if conversation.plan and conversation.running:
        found.append(Wakeup(conversation.plan[0].due_at, "clock"))
    if conversation.next_call_at is not None:
        found.append(Wakeup(conversation.next_call_at, "call"))
    if conversation.notice_at is not None:
        found.append(Wakeup(conversation.notice_at, "notice"))
    if conversation.satisfaction_at is not None:
        found.append(Wakeup(conversation.satisfaction_at, "invite"))
    if conversation.remove_at is not None:
        found.append(Wakeup(conversation.remove_at, "remove"))
    for case in conversation.cases:
        if case.state is CaseState.CLOSED:
            continue
        case_id = case.case_id
        if case.state is CaseState.OPEN and not case.stuck:
            margin_ms = rules.shelf[case.policy].timing.write_margin_ms
            limit_at = case.exception.fulfilment_deadline_at - timedelta(milliseconds=margin_ms)
            found.append(Wakeup(limit_at, "limit", case_id))
        if case.state is CaseState.DONE:
            found.append(Wakeup(closes_at(case), "close", case_id))
        if case.retry_at is not None:
            found.append(Wakeup(case.retry_at, "retry", case_id))
        if case.proof_at is not None:
            found.append(Wakeup(case.proof_at, "proof", case_id))
        if case.watch_at is not None:
            found.append(Wakeup(case.watch_at, "watch", case_id))
    return found


def next_due(conversation: Conversation, rules: Rules) -> datetime | None:
    """The earliest of them: the conversation's one live deadline."""
    return min([wakeup.at for wakeup in wakeups(conversation, rules)], default=None)
