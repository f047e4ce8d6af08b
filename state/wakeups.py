"""When a conversation must be looked at again: read from its state, never scheduled and never cancelled."""

from datetime import datetime

from schemas.words import CaseState
from state.conversation import Conversation
from state.done import closes_at
from state.rules import Rules

# What is due when, and for which case; plain tuples, since every event makes a handful.
Wakeup = tuple[datetime, str, str]


def wakeups(conversation: Conversation, rules: Rules) -> list[Wakeup]:
    """Everything that is still to come, in no order."""
    found: list[Wakeup] = []
    plan = conversation.plan
    if conversation.gather_until_at is not None:
        found.append((conversation.gather_until_at, "clock", ""))
    if plan and conversation.running:
        found.append((plan[0].due_at, "clock", ""))
    elif plan and conversation.gather_until_at is None:
        found.append((plan[0].opens_at, "clock", ""))
    if conversation.next_call_at is not None:
        found.append((conversation.next_call_at, "call", ""))
    if conversation.notice_at is not None:
        found.append((conversation.notice_at, "notice", ""))
    if conversation.satisfaction_at is not None:
        found.append((conversation.satisfaction_at, "invite", ""))
    if conversation.remove_at is not None:
        found.append((conversation.remove_at, "remove", ""))
    policies = rules.shelf.by_key
    for case in conversation.cases:
        state, exception = case.state, case.exception
        if state is CaseState.CLOSED:
            continue
        case_id = exception.exception_id
        if state is CaseState.OPEN and not case.stuck:
            limit_at = exception.fulfilment_deadline_at - policies[case.policy].write_margin
            found.append((limit_at, "limit", case_id))
        if state is CaseState.DONE:
            found.append((closes_at(case), "close", case_id))
        if case.retry_at is not None:
            found.append((case.retry_at, "retry", case_id))
        if case.proof_at is not None:
            found.append((case.proof_at, "proof", case_id))
        if case.watch_at is not None:
            found.append((case.watch_at, "watch", case_id))
    return found


def next_due(conversation: Conversation, rules: Rules) -> datetime | None:
    """The earliest of them: the conversation's one live deadline."""
    found = wakeups(conversation, rules)
    return min(found)[0] if found else None
