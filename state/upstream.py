"""Upstream changes its mind, or says what became of the order: amended, withdrawn, picked, cancelled, delivered."""

import msgspec

from schemas.events import (
    ContactChanged,
    Credited,
    Delivered,
    ExceptionAmended,
    ExceptionRaised,
    ExceptionWithdrawn,
    LinePicked,
    OrderCompleted,
    RefusedAtDoor,
)
from schemas.words import Channel, CloseReason, HoldState, Kind, WithdrawalReason
from state import escalation, news
from state.admissible import admissible
from state.conversation import Case, Seen
from state.done import close, progressed
from state.news import tell, untell
from state.pricing import rescaled
from state.settlement import apply_default, without_options
from state.turn import Turn

# What is remembered of exceptions that have not arrived: amendments, and withdrawals.
EARLY_MAX = 16
WITHDRAWN_MAX = 64


def amends(turn: Turn, event: ExceptionAmended) -> bool:
    """Newer facts about an exception, remembered where it has not arrived yet."""
    conversation = turn.conversation
    case = conversation.case(event.exception_id)
    if case is None:
        known = any(s.exception_id == event.exception_id for s in conversation.seen)
        if known or event in conversation.early:
            return False
        conversation.early = (*conversation.early, event)[-EARLY_MAX:]
        return True
    if case.is_closed or event.revision <= case.exception.revision:
        return False
    amend(turn, case, event)
    return True


def amend(turn: Turn, case: Case, event: ExceptionAmended) -> None:
    """The newer facts; a decision that stands is left alone, an open question is asked anew where it changed."""
    old = case.exception
    case.exception = amended(old, event)
    turn.touch(case)
    if not case.is_open:
        return
    if is_all_there(case):
        _found(turn, case)
        return
    if case.taken or case.stuck:
        # A person has it, and sees the newer facts.
        return
    if case.exception.options != old.options or case.exception.line != old.line:
        if not admissible(turn, case)[0]:
            without_options(turn, case)
            return
        if case.asked:
            case.asked = False
            escalation.gather(turn, case)
    turn.replan = True
    escalation.replanned(turn)
    turn.hold(case, HoldState.ASKING)


def amended(old: ExceptionRaised, event: ExceptionAmended) -> ExceptionRaised:
    """The exception with its newer facts; a field that is not given stays as it was."""
    line, options = old.line, old.options
    if line is not None and event.quantity_available is not None and old.kind is not Kind.RECALLED:
        available = min(event.quantity_available, line.quantity_ordered)
        old_short = line.quantity_ordered - line.quantity_available
        options = rescaled(options, old_short, line.quantity_ordered - available)
        line = msgspec.structs.replace(line, quantity_available=available)
    return msgspec.structs.replace(
        old,
        revision=event.revision,
        line=line,
        options=options if event.options is None else event.options,
        fulfilment_deadline_at=event.fulfilment_deadline_at or old.fulfilment_deadline_at,
        picked_until_at=event.picked_until_at or old.picked_until_at,
    )


def without_recalled(exception: ExceptionRaised) -> ExceptionRaised:
    """Of what was recalled, nothing may be kept, however many pieces lie there."""
    line = exception.line
    if exception.kind is not Kind.RECALLED or line is None or line.quantity_available == 0:
        return exception
    return msgspec.structs.replace(exception, line=msgspec.structs.replace(line, quantity_available=0))


def is_all_there(case: Case) -> bool:
    """Nothing is short any more."""
    return case.exception.line is not None and case.quantity_short <= 0


def withdraws(turn: Turn, event: ExceptionWithdrawn) -> bool:
    """The exception is gone, remembered where it has not arrived yet."""
    conversation = turn.conversation
    case = conversation.case(event.exception_id)
    if case is None:
        if any(s.exception_id == event.exception_id for s in (*conversation.withdrawn, *conversation.seen)):
            return False
        gone = Seen(event.exception_id, event.revision)
        conversation.withdrawn = (*conversation.withdrawn, gone)[-WITHDRAWN_MAX:]
        return True
    if case.is_closed or event.revision < case.exception.revision:
        return False
    if event.reason is WithdrawalReason.PICKED:
        return _pick(turn, case)
    if event.reason is WithdrawalReason.CANCELLED:
        untell(turn, case)
        close(turn, case, CloseReason.CANCELLED)
        return True
    if case.is_open:
        _found(turn, case)
        return True
    # Found too late: the decision may already be written, and it is what the customer was told.
    return False


def _found(turn: Turn, case: Case) -> None:
    """The article is there after all: told once to whoever was messaged."""
    close(turn, case, CloseReason.WITHDRAWN)
    if case.asked_at is not None:
        tell(turn, case, news.WITHDRAWN)


def picked(turn: Turn, event: LinePicked) -> bool:
    """Picking what there is of a line does not answer the question about the rest."""
    concerned = [
        case
        for case in turn.conversation.cases
        if case.exception.line is not None
        and case.exception.line.line_id == event.line_id
        and not case.is_closed
        and not (case.is_open and event.quantity < case.exception.line.quantity_ordered)
    ]
    moved = [_pick(turn, case) for case in concerned]
    return any(moved)


def _pick(turn: Turn, case: Case) -> bool:
    """Picked: an open question is void, and a decision can no longer be changed."""
    if case.picked:
        return False
    case.picked = True
    if case.is_open:
        _found(turn, case)
    else:
        progressed(turn, case)
    return True


def cancelled(turn: Turn) -> bool:
    """The order is gone: so is every question about it, and the invitation."""
    conversation = turn.conversation
    living = [case for case in conversation.cases if not case.is_closed]
    invites = conversation.satisfaction_at is not None
    for case in living:
        # Nobody is told what became of a line of an order that is gone.
        untell(turn, case)
        close(turn, case, CloseReason.CANCELLED)
    conversation.satisfaction_at = None
    return bool(living) or invites


def outcome(turn: Turn, event: Delivered | RefusedAtDoor | Credited | OrderCompleted) -> bool:
    """What became of the order: shown in the register; the delivery starts the wait for one invitation."""
    conversation = turn.conversation
    changed = isinstance(event, Delivered | OrderCompleted) and news.plan_invitation(turn, event.occurred_at)
    if isinstance(event, OrderCompleted):
        # What was asked can no longer be delivered: nobody is asked or called about it any more.
        overtaken = [case for case in conversation.open_cases if not (case.taken or case.stuck)]
        for case in overtaken:
            apply_default(turn, case)
        return changed or bool(overtaken)
    word = {Delivered: "delivered", RefusedAtDoor: "refused", Credited: "credited"}[type(event)]
    for case in conversation.cases:
        line = case.exception.line
        if line is not None and line.line_id == event.line_id and case.outcome != word:
            case.outcome = word
            turn.touch(case)
            changed = True
    return changed


def contact(turn: Turn, event: ContactChanged) -> bool:
    """Other ways to reach this customer; whether they are news."""
    conversation = turn.conversation
    if not conversation.cases or conversation.is_closed or event.facts == conversation.facts:
        return False
    # A channel that was gone and is there again has another address, which may work where the old one did not.
    conversation.failed = tuple([c for c in conversation.failed if c in conversation.facts.channels])
    conversation.wrong_number = conversation.wrong_number and Channel.SMS in conversation.failed
    conversation.facts = event.facts
    turn.replan = True
    return True
