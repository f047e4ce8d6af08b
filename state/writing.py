"""What the OMS said to an update: written, to be tried again, a changed line, a conflict; and what stands then."""

import msgspec

from schemas.events import WriteBackReceived
from schemas.facts import Chosen, Decision
from schemas.words import CaseState, Channel, CloseReason, HoldState, Purpose, Resolution, WriteBackOutcome
from state import escalation
from state.admissible import admissible, barred
from state.choice import Choice
from state.conversation import Case, Write
from state.done import close, progressed, seek_the_rest, written
from state.news import tell, untell
from state.people import stick
from state.pricing import delta_minor, replacements, rescaled
from state.rules import BLOCKED
from state.settlement import apply_default, settle, without_options, write_back
from state.spans import span
from state.turn import Turn

_APPLIED = frozenset({WriteBackOutcome.APPLIED, WriteBackOutcome.ALREADY_APPLIED})
# What a customer is told whose later choice the OMS did not take, so that the earlier one stands.
_REFUSALS = {
    WriteBackOutcome.LINE_CHANGED: "changes_not_possible",
    WriteBackOutcome.LINE_FULFILLED: "already_picked",
    WriteBackOutcome.AUTHORISATION_REFUSED: "not_authorised",
    WriteBackOutcome.ORDER_NOT_MODIFIABLE: "changes_not_possible",
    WriteBackOutcome.MISMATCH: "changes_not_possible",
    WriteBackOutcome.REJECTED: "changes_not_possible",
}


def of_write_back(turn: Turn, event: WriteBackReceived) -> bool:
    """The OMS's word on an update; only the version that stands moves the case."""
    case = turn.conversation.case(event.case_id)
    if case is None or case.decision is None or case.is_closed:
        return False
    if event.update_id != case.decision.decision_id:
        return _of_earlier_version(case, event)
    applied = event.outcome in _APPLIED
    if case.write is Write.VERIFIED or not (applied or (case.write is Write.SENT and case.retry_at is None)):
        # A repeat; only a late success is news for a write that was given up.
        return False
    conflict = _REFUSALS.get(event.outcome, "")
    if conflict and _earlier_stands(turn, case, conflict):
        if event.outcome is WriteBackOutcome.LINE_FULFILLED:
            case.picked = True
            progressed(turn, case)
        return True
    match event.outcome:
        case WriteBackOutcome.APPLIED | WriteBackOutcome.ALREADY_APPLIED:
            written(turn, case)
        case WriteBackOutcome.ORDER_BEING_MODIFIED:
            _retry(turn, case)
        case WriteBackOutcome.LINE_CHANGED:
            _line_changed(turn, case, event.line_quantity)
        case WriteBackOutcome.LINE_FULFILLED:
            case.picked = True
            _void(turn, case, CloseReason.PICKED, Purpose.REPLY, conflict)
        case WriteBackOutcome.AUTHORISATION_REFUSED:
            _not_authorised(turn, case)
        case WriteBackOutcome.ORDER_NOT_MODIFIABLE:
            _write_failed(turn, case, "the order can no longer be modified")
        case WriteBackOutcome.MISMATCH:
            _write_failed(
                turn, case, f"read back differently: {', '.join(event.differences) or 'no details'}"
            )
        case WriteBackOutcome.REJECTED if event.code == BLOCKED:
            _reopen(turn, case)
        case WriteBackOutcome.REJECTED:
            _write_failed(turn, case, f"the OMS rejected the update: {event.code or 'no code'}")
        case _:
            # Undetermined: the connector polls on, and the watch ends its patience.
            return False
    turn.touch(case)
    return True


def write_again(turn: Turn, case: Case) -> None:
    """The same update once more, unless the gate has closed meanwhile: what is unsafe is never written."""
    if not barred(turn, case, case.decision.chosen if case.decision is not None else ()):
        write_back(turn, case)
    elif not _earlier_stands(turn, case, "not_available"):
        _reopen(turn, case)


def _of_earlier_version(case: Case, event: WriteBackReceived) -> bool:
    for earlier in case.earlier:
        if event.update_id == earlier.decision.decision_id and event.outcome in _APPLIED:
            if earlier.write is Write.VERIFIED:
                return False
            case.heard_of(earlier, write=Write.VERIFIED, written_at=event.occurred_at, standing=None)
            return True
    return False


def _retry(turn: Turn, case: Case) -> None:
    limits = turn.policy_of(case).write_back
    if case.write_attempt >= limits.attempts_max:
        _write_failed(turn, case, "the order is being modified by somebody else and stays so")
        return
    wait_ms = limits.retry_ms * 2 ** min(case.write_attempt - 1, 6)
    case.retry_at = turn.now + span(wait_ms)
    # Waiting our turn is no silence.
    case.watch_at = case.retry_at + span(limits.stuck_ms)


def _line_changed(turn: Turn, case: Case, line_quantity: int | None) -> None:
    """Fewer pieces: the same choice for what is left, without asking. More: it is a new question."""
    line, decision = case.exception.line, case.decision
    if line is None or decision is None or line_quantity is None or line_quantity < 0:
        _write_failed(turn, case, "the line has changed, and the OMS does not say to how many pieces")
        return
    if line_quantity == line.quantity_ordered:
        _write_failed(turn, case, "the line is said to have changed, but to what it was")
        return
    if line_quantity == 0:
        _void(turn, case, CloseReason.CANCELLED, Purpose.REPLY, "line_removed")
        return
    available = min(line.quantity_available, line_quantity)
    fewer = line_quantity < line.quantity_ordered
    old_short = case.quantity_short
    fresh = msgspec.structs.replace(line, quantity_ordered=line_quantity, quantity_available=available)
    short = line_quantity - available
    options = rescaled(case.exception.options, old_short, short)
    case.exception = msgspec.structs.replace(case.exception, line=fresh, options=options)
    if short == 0:
        _void(turn, case, CloseReason.WITHDRAWN, Purpose.WITHDRAWAL)
        return
    choice = _for_fewer(case, decision, short)
    affordable = choice.absorbed_minor <= turn.policy_of(case).price.absorb_max_minor
    if fewer and affordable and not barred(turn, case, choice.chosen):
        settle(turn, case, choice)
    else:
        _reopen(turn, case)


def _void(turn: Turn, case: Case, why: CloseReason, purpose: Purpose, reason: str = "") -> None:
    """The decision was never written and never will be: the case is over without it, and the customer hears so."""
    decision = case.decision
    untell(turn, case)
    case.decision, case.write = None, Write.NONE
    close(turn, case, why)
    tell(turn, case, purpose, decision.channel if decision is not None else Channel.UNKNOWN, reason)


def _for_fewer(case: Case, decision: Decision, short: int) -> Choice:
    """The same options, as far as there are pieces left to replace, for no more than what was agreed to."""
    by_id = {option.option_id: option for option in case.exception.options}
    chosen: list[Chosen] = []
    left = short
    for part in decision.chosen:
        units = min(part.quantity, left)
        option = by_id.get(part.option_id)
        if units > 0 and option is not None:
            components = replacements(option, units, short)
            chosen.append(Chosen(option_id=part.option_id, quantity=units, components=components))
            left -= units
    line = case.exception.line
    # Part of a piece is a whole one, so that fewer may cost more apiece: the difference is ours.
    dearer_minor = delta_minor(tuple(chosen), line, left, 0)
    return Choice(
        resolution=decision.resolution if chosen else Resolution.REFUNDED,
        keep_quantity=line.quantity_available if line is not None else 0,
        chosen=tuple(chosen),
        refund_quantity=left,
        actor=decision.actor,
        channel=decision.channel,
        absorbed_minor=max(dearer_minor - _agreed_minor(decision), 0),
        readback=decision.readback,
        response_id=decision.response_id,
    )


def _agreed_minor(decision: Decision) -> int:
    """By how much a decision raised the order's total."""
    if decision.price_before is None or decision.price_after is None:
        return 0
    return max(decision.price_after.minor - decision.price_before.minor, 0)


def _reopen(turn: Turn, case: Case) -> None:
    """The decision was never written and no longer fits: ask again, if there is time, else the default."""
    if not any(other.is_open for other in turn.conversation.cases):
        escalation.begin_afresh(turn.conversation)
    untell(turn, case)
    case.state, case.decision = CaseState.OPEN, None
    case.write, case.retry_at, case.watch_at = Write.NONE, None, None
    case.asked = False
    if not admissible(turn, case)[0]:
        without_options(turn, case)
        return
    if turn.limit_at(case) <= turn.now:
        apply_default(turn, case)
        return
    escalation.gather(turn, case)
    turn.replan = True
    escalation.replanned(turn)
    turn.hold(case, HoldState.ASKING)


def _not_authorised(turn: Turn, case: Case) -> None:
    """No increase: the old price where the difference is ours to bear, else equal or cheaper, else refund."""
    if case.no_increase:
        _write_failed(turn, case, "the authorisation of no increase was refused")
        return
    case.no_increase = True
    _reopen(turn, case)


def _write_failed(turn: Turn, case: Case, reason: str) -> None:
    """The update cannot be written: an earlier version that was stands; else people."""
    if not _earlier_stands(turn, case, "changes_not_possible"):
        case.write, case.retry_at = Write.FAILED, None
        stick(turn, case, reason)


def _earlier_stands(turn: Turn, case: Case, reason: str) -> bool:
    """Go back to the version that the OMS holds, if there is one, and tell the customer why."""
    before, refused = case.last_written, case.decision
    if before is None or refused is None:
        return False
    untell(turn, case)
    case.decision, case.before = before.decision, None
    case.write, case.written_at = before.write, before.written_at
    case.trigger, case.triggered_at = before.trigger, before.triggered_at
    case.proof, case.evidence = before.proof, before.evidence
    case.state, case.stuck, case.retry_at = CaseState.DECIDED, "", None
    tell(turn, case, Purpose.REPLY, refused.channel, reason)
    turn.hold(case, HoldState.DECIDED)
    seek_the_rest(turn, case)
    return True
