"""The heart: `decide(conversation, event, now, rules) -> (conversation, effects)`.

Everything that moves a conversation is here or called from here. An event that no longer applies changes nothing:
redelivery and late timers are normal, so they are answers, not errors. Timers are never cancelled: the next wake-up
is read from the state, and a late one names a version already left. Nothing is read but the arguments.
"""

from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import assert_never

import msgspec

from schemas.commands import Effect
from schemas.events import (
    CaseEvent,
    ConsentChanged,
    ContactChanged,
    Credited,
    Delivered,
    EvidenceStored,
    ExceptionAccepted,
    ExceptionAmended,
    ExceptionWithdrawn,
    LinePicked,
    OrderCancelled,
    OrderCompleted,
    ReceiptReceived,
    RefusedAtDoor,
    ResponseReceived,
    TriggerReceived,
    WriteBackReceived,
)
from schemas.facts import CustomerFacts
from schemas.words import CaseState, CloseReason
from state import attempts, calls, done, escalation, news, opening, upstream, voices, writing
from state.conversation import RESPONSES_KEPT_MAX, Case, Conversation
from state.done import close, progressed, request_evidence
from state.people import assign, stick
from state.rules import Rules
from state.settlement import apply_default
from state.turn import QuarantineRecord, Turn
from state.wakeups import Wakeup, next_due, wakeups

# Remembered withdrawals and amendments of orders that never got an exception.
FORGOTTEN_AFTER = timedelta(days=7)
FIRED_MAX = 200
_NEVER: Wakeup = (datetime.max.replace(tzinfo=UTC), "", "")


class Deadline(msgspec.Struct, frozen=True, array_like=True):
    """The one live deadline of a conversation fell due; `version` tells whether it still is that one."""

    due_at: datetime
    version: int


Result = tuple[Conversation | None, list[Effect | QuarantineRecord]]


def decide(
    conversation: Conversation | None, event: CaseEvent | Deadline, now: datetime, rules: Rules
) -> Result:
    """Move a conversation by one event, and say what is asked of others.

    `conversation` is None for an order without a record, and in the result where the record is to be removed; it is
    returned as the same object where nothing changed. `now` is the event's instant on the broker's clock, aware UTC,
    and never earlier than before. Raises nothing for any event in any order.
    """
    record = _record_for(event, now) if conversation is None else conversation
    if record is None or (isinstance(event, Deadline) and event.version != record.due_version):
        return conversation, []
    turn = Turn(record.copied(), now, rules)
    if isinstance(event, Deadline):
        if _wake(turn):
            return None, turn.effects
    elif not _apply(turn, event):
        return conversation, turn.effects
    escalation.replanned(turn)
    rest(turn)
    assign(turn)
    moved, effects = turn.finish()
    due_at = next_due(moved, rules)
    if due_at != moved.due_at:
        moved.due_at = due_at
        moved.due_version += 1
    return moved, effects


def hand_to_people(conversation: Conversation, now: datetime, reason: str, rules: Rules) -> Result:
    """We failed on this conversation: its timers stop, and each case that is not closed becomes a person's task."""
    turn = Turn(conversation.copied(), now, rules)
    moved = turn.conversation
    turn.cancel_sends("handed_over")
    moved.plan, moved.running, moved.gather_until_at, moved.next_call_at = (), False, None, None
    moved.notices, moved.notice_at, moved.satisfaction_at = (), None, None
    for case in moved.cases:
        if case.state is CaseState.DONE:
            close(turn, case, CloseReason.DONE)
        elif not case.is_closed:
            case.proof_at = None
            stick(turn, case, reason)
    rest(turn)
    assign(turn)
    moved.due_at = next_due(moved, rules)
    moved.due_version += 1
    return turn.finish()


def rest(turn: Turn) -> None:
    """Once every case is closed, or stuck with people, the record waits for its removal."""
    conversation = turn.conversation
    if not conversation.cases:
        return
    for case in conversation.cases:
        if case.state is not CaseState.CLOSED and not case.stuck:
            conversation.remove_at = None
            return
    if conversation.remove_at is None:
        days = max(turn.policy_of(case).retention.closed_days for case in conversation.cases)
        conversation.remove_at = turn.now + timedelta(days=days)


def _record_for(event: CaseEvent | Deadline, now: datetime) -> Conversation | None:
    """A record begins with an exception, or with what must be remembered until its exception arrives."""
    match event:
        case ExceptionAccepted():
            facts = event.facts
        case ExceptionWithdrawn() | ExceptionAmended():
            facts = CustomerFacts()
        case _:
            return None
    return Conversation(
        order_id=event.order_id,
        conversation_id="",
        customer_ref="",
        store_id="",
        opened_at=now,
        facts=facts,
        remove_at=now + FORGOTTEN_AFTER,
    )


def _apply(turn: Turn, event: CaseEvent) -> bool:
    """Whether the event changed anything."""
    match event:
        case ExceptionAccepted():
            return opening.opens(turn, event)
        case ExceptionAmended():
            return upstream.amends(turn, event)
        case ExceptionWithdrawn():
            return upstream.withdraws(turn, event)
        case ResponseReceived():
            return _is_new(turn, event.event_id) and voices.hear(turn, event)
        case ReceiptReceived():
            return attempts.of_channel(turn, event)
        case WriteBackReceived():
            return writing.of_write_back(turn, event)
        case TriggerReceived():
            return done.of_trigger(turn, event)
        case EvidenceStored():
            return done.of_evidence(turn, event)
        case ContactChanged():
            return upstream.contact(turn, event)
        case ConsentChanged():
            return voices.consent(turn, event)
        case LinePicked():
            return upstream.picked(turn, event)
        case OrderCancelled():
            return upstream.cancelled(turn)
        case Delivered() | RefusedAtDoor() | Credited() | OrderCompleted():
            return upstream.outcome(turn, event)
        case _:
            assert_never(event)


def _is_new(turn: Turn, event_id: str) -> bool:
    """Responses are told apart by their id; the last 64 are remembered."""
    mark = int.from_bytes(blake2b(event_id.encode(), digest_size=8).digest(), "big") >> 1
    conversation = turn.conversation
    if not conversation.cases or mark in conversation.responses:
        return False
    conversation.responses = (*conversation.responses[1 - RESPONSES_KEPT_MAX :], mark)
    return True


def _wake(turn: Turn) -> bool:
    """Fire everything that is due, in the order of time; whether the record is to be removed."""
    conversation = turn.conversation
    for _ in range(FIRED_MAX):
        at, what, case_id = min(wakeups(conversation, turn.rules), default=_NEVER)
        if at > turn.now:
            return False
        if what == "remove":
            _removed(turn)
            return True
        _fire(turn, what, conversation.case(case_id) if case_id else None)
    raise RuntimeError(f"{conversation.order_id}: the clock does not come to rest")


def _fire(turn: Turn, what: str, case: Case | None) -> None:
    conversation = turn.conversation
    match what:
        case "clock":
            escalation.clock_fires(turn)
        case "call":
            calls.dial(turn)
        case "notice":
            news.spread(turn)
        case "invite":
            news.invite(turn)
        case "limit" if case is not None and case.taken:
            stick(turn, case, "a person took the case and let its deadline pass")
        case "limit" if case is not None:
            case.late = not case.asked
            apply_default(turn, case)
            escalation.replanned(turn)
        case "retry" if case is not None:
            writing.write_again(turn, case)
        case "proof" if case is not None:
            request_evidence(turn, case)
        case "watch" if case is not None:
            done.silence(turn, case)
        case "close" if case is not None:
            progressed(turn, case)
        case _:
            raise RuntimeError(f"{conversation.order_id}: nothing is known of a wake-up {what}")


def _removed(turn: Turn) -> None:
    """After the retention: the record goes; what was stuck all the while is closed as that."""
    for case in turn.conversation.cases:
        if not case.is_closed:
            close(turn, case, CloseReason.STUCK)
    turn.finish()


__all__ = ["Deadline", "QuarantineRecord", "decide"]
