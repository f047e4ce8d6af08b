"""What others answered to our commands: channels, the OMS, fulfilment, the evidence store; and their silence."""

from datetime import timedelta

import msgspec

from schemas.events import EvidenceStored, ReceiptReceived, TriggerReceived, WriteBackReceived
from schemas.facts import Chosen, Decision
from schemas.ids import command_number, evidence_id, trigger_id
from schemas.words import (
    CaseState,
    Channel,
    CloseReason,
    HoldState,
    Purpose,
    ReceiptState,
    Resolution,
    TriggerState,
    WriteBackOutcome,
)
from state import escalation
from state.conversation import CallState, Case, Fulfilment, Proof, Task, Write
from state.offers import admissible, barred
from state.pricing import delta_minor, replacements, rescaled
from state.settlement import (
    Choice,
    apply_default,
    close,
    earlier_stands,
    is_executed_refund,
    own_trigger,
    patience,
    progressed,
    request_evidence,
    settle,
    stick,
    tell,
    untell,
    without_options,
    write_back,
    write_failed,
    written,
)
from state.turn import Turn, missing
from state.voices import SILENCED, opt_out

# Suppressed for these reasons, a channel is not broken: it is the customer's or our own will.
WILLED = frozenset({"cap", "quiet", "kill_switch", "too_late", "decided", "withdrawn"})
APPLIED = frozenset({WriteBackOutcome.APPLIED, WriteBackOutcome.ALREADY_APPLIED})
# What a customer is told whose later choice the OMS did not take, so that the earlier one stands.
_REFUSALS = {
    WriteBackOutcome.LINE_CHANGED: "changes_not_possible",
    WriteBackOutcome.LINE_FULFILLED: "already_picked",
    WriteBackOutcome.AUTHORISATION_REFUSED: "not_authorised",
    WriteBackOutcome.ORDER_NOT_MODIFIABLE: "changes_not_possible",
    WriteBackOutcome.MISMATCH: "changes_not_possible",
    WriteBackOutcome.REJECTED: "changes_not_possible",
}


def of_channel(turn: Turn, event: ReceiptReceived) -> bool:
    """What became of a message, a call or a task."""
    n = command_number(turn.conversation.conversation_id, event.command_id)
    if n is None or not turn.conversation.cases:
        return False
    if event.channel is Channel.PERSON:
        return _of_task(turn, event, n)
    if event.reason == "opted_out" and event.state in (ReceiptState.FAILED, ReceiptState.SUPPRESSED):
        return _of_opted_out(turn, n)
    if event.channel is Channel.VOICE:
        return _of_call(turn, event, n)
    return _of_message(turn, event, n)


def _of_opted_out(turn: Turn, n: int) -> bool:
    """The provider knows of an opt-out that we do not: it is one, and no failure."""
    conversation = turn.conversation
    conversation.sends = tuple([send for send in conversation.sends if send.n != n])
    if conversation.call is not None and conversation.call.n == n:
        conversation.call = None
    return opt_out(turn, SILENCED)


def _of_message(turn: Turn, event: ReceiptReceived, n: int) -> bool:
    conversation = turn.conversation
    before = (conversation.sends, conversation.failed)
    asked = any(send.n == n for send in conversation.sends)
    conversation.sends = tuple([send for send in conversation.sends if send.n != n])
    match event.state:
        case ReceiptState.SENT | ReceiptState.DELIVERED:
            if asked:
                _presented(turn)
            if event.state is ReceiptState.DELIVERED:
                conversation.failed = tuple([c for c in conversation.failed if c is not event.channel])
        case ReceiptState.FAILED:
            _broken(turn, event.channel)
        case ReceiptState.SUPPRESSED if event.reason not in WILLED:
            _broken(turn, event.channel)
    return before != (conversation.sends, conversation.failed)


def _broken(turn: Turn, channel: Channel) -> None:
    """No message reaches this address; once no channel is left, the escalation does not wait for its window."""
    conversation = turn.conversation
    if channel not in conversation.failed:
        conversation.failed = (*conversation.failed, channel)
        turn.replan = True


def _presented(turn: Turn) -> None:
    for case in turn.conversation.open_cases:
        if case.asked and not case.presented:
            case.presented = True
            turn.touch(case)


def _of_call(turn: Turn, event: ReceiptReceived, n: int) -> bool:
    """A call's states, ordered by their sequence; only the attempt that is under way counts."""
    conversation = turn.conversation
    call = conversation.call
    if call is None or call.n != n or event.sequence < call.sequence:
        return False
    call.sequence = event.sequence
    match event.state:
        case ReceiptState.RINGING if call.state is CallState.QUEUED:
            call.state = CallState.RINGING
        case ReceiptState.ANSWERED:
            call.state = CallState.ANSWERED
            conversation.spoke = True
            _presented(turn)
        case ReceiptState.NO_ANSWER | ReceiptState.BUSY | ReceiptState.SCREENED | ReceiptState.PROVIDER_DOWN:
            escalation.attempt_failed(turn)
        case ReceiptState.SUPPRESSED if call.told:
            # We took it back ourselves, which says nothing of the lines that came later.
            conversation.call = None
        case ReceiptState.VOICEMAIL | ReceiptState.AMBIGUOUS | ReceiptState.SUPPRESSED | ReceiptState.FAILED:
            # A message was left, or a call may be alive that we cannot see, or none may be made: no further attempt.
            conversation.calls_ended = True
            if event.state is not ReceiptState.AMBIGUOUS:
                conversation.call = None
            if event.state is ReceiptState.FAILED:
                _broken(turn, Channel.VOICE)
        case ReceiptState.COMPLETED:
            _hung_up(turn, event)
        case ReceiptState.CANCELLED:
            conversation.call = None
        case _:
            return False
    return True


def _hung_up(turn: Turn, event: ReceiptReceived) -> None:
    """The call is over: what was committed stands, the rest follows the plan; its record can be sealed now.

    Only an answered call is completed, so that its beginning need not have been heard of.
    """
    conversation = turn.conversation
    conversation.call = None
    conversation.spoke = True
    _presented(turn)
    # Somebody who has spoken to us is called again only where they asked for it.
    conversation.calls_ended = conversation.next_call_at is None
    conversation.recorded = conversation.recorded or event.recorded
    conversation.recording_refused = conversation.recording_refused or event.recording_refused
    for case in conversation.cases:
        if case.proof_at is not None:
            request_evidence(turn, case)


def _of_task(turn: Turn, event: ReceiptReceived, n: int) -> bool:
    """A person took a task, did it, or declined."""
    conversation = turn.conversation
    task = next((t for t in conversation.tasks if t.n == n), None)
    case = conversation.case(task.case_id) if task is not None else None
    if task is None or case is None:
        return False
    match event.state:
        case ReceiptState.TAKEN:
            if case.taken or not case.is_open:
                return False
            case.taken = True
            turn.replan = True
        case ReceiptState.DECLINED:
            _forget(turn, task)
            if case.taken:
                # Nobody has it any more: the clock goes on, and if the deadline has passed, its default is due.
                case.taken, case.stuck = False, ""
                turn.replan = True
        case ReceiptState.DONE:
            _forget(turn, task)
            _repaired(turn, case)
        case _:
            return False
    turn.touch(case)
    return True


def _forget(turn: Turn, task: Task) -> None:
    turn.conversation.tasks = tuple([t for t in turn.conversation.tasks if t is not task])


def _repaired(turn: Turn, case: Case) -> None:
    """A person set the order right by hand: the write-back is read again before anything is believed."""
    if case.stuck and case.state is CaseState.DECIDED and case.write is not Write.VERIFIED:
        case.stuck = ""
        write_again(turn, case)


def write_again(turn: Turn, case: Case) -> None:
    """The same update once more, unless the gate has closed meanwhile: what is unsafe is never written."""
    if not barred(turn, case, case.decision.chosen if case.decision is not None else ()):
        write_back(turn, case)
    elif not earlier_stands(turn, case, "not_available"):
        _reopen(turn, case)


def of_write_back(turn: Turn, event: WriteBackReceived) -> bool:
    """The OMS's word on an update; only the version that stands moves the case."""
    case = turn.conversation.case(event.case_id)
    if case is None or case.decision is None or case.is_closed:
        return False
    if event.update_id != case.decision.decision_id:
        return _of_earlier_version(case, event)
    applied = event.outcome in APPLIED
    if case.write is Write.VERIFIED or not (applied or (case.write is Write.SENT and case.retry_at is None)):
        # A repeat; only a late success is news for a write that was given up.
        return False
    conflict = _REFUSALS.get(event.outcome, "")
    if conflict and earlier_stands(turn, case, conflict):
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
            write_failed(turn, case, "the order can no longer be modified")
        case WriteBackOutcome.MISMATCH:
            write_failed(turn, case, f"read back differently: {', '.join(event.differences) or 'no details'}")
        case WriteBackOutcome.REJECTED:
            write_failed(turn, case, f"the OMS rejected the update: {event.code or 'no code'}")
        case _:
            # Undetermined: the connector polls on, and the watch ends its patience.
            return False
    turn.touch(case)
    return True


def _of_earlier_version(case: Case, event: WriteBackReceived) -> bool:
    before = case.before
    if before is None or event.update_id != before.decision.decision_id or event.outcome not in APPLIED:
        return False
    if before.write is Write.VERIFIED:
        return False
    case.before = msgspec.structs.replace(before, write=Write.VERIFIED, written_at=event.occurred_at)
    return True


def _retry(turn: Turn, case: Case) -> None:
    limits = turn.policy_of(case).write_back
    if case.write_attempt >= limits.attempts_max:
        write_failed(turn, case, "the order is being modified by somebody else and stays so")
        return
    wait_ms = limits.retry_ms * 2 ** min(case.write_attempt - 1, 6)
    case.retry_at = turn.now + timedelta(milliseconds=wait_ms)
    # Waiting our turn is no silence.
    case.watch_at = case.retry_at + timedelta(milliseconds=limits.stuck_ms)


def _line_changed(turn: Turn, case: Case, line_quantity: int | None) -> None:
    """Fewer pieces: the same choice for what is left, without asking. More: it is a new question."""
    line, decision = case.exception.line, case.decision
    if line is None or decision is None or line_quantity is None or line_quantity < 0:
        write_failed(turn, case, "the line has changed, and the OMS does not say to how many pieces")
        return
    if line_quantity == line.quantity_ordered:
        write_failed(turn, case, "the line is said to have changed, but to what it was")
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
        write_failed(turn, case, "the authorisation of no increase was refused")
        return
    case.no_increase = True
    _reopen(turn, case)


def silence(turn: Turn, case: Case) -> None:
    """Nobody answered for too long: the case is stuck with what is missing, and a person is asked."""
    if case.proof is Proof.NONE and case.write is Write.VERIFIED:
        request_evidence(turn, case)
    waits = patience(turn, case)
    case.watch_at = min(waits.values(), default=None)
    parts = [part for part, until_at in waits.items() if until_at <= turn.now] if waits else missing(case)
    if parts:
        stick(turn, case, f"nothing was heard of: {', '.join(parts)}")


def of_trigger(turn: Turn, event: TriggerReceived) -> bool:
    """Fulfilment accepted, refused or did what was triggered."""
    case = next((c for c in turn.conversation.cases if own_trigger(c, event.trigger_id)), None)
    if case is None:
        return _of_earlier_trigger(turn, event)
    if case.is_closed or case.trigger in (Fulfilment.NONE, Fulfilment.DONE):
        return False
    match event.state:
        case TriggerState.ACCEPTED:
            if case.trigger is not Fulfilment.SENT:
                return False
            case.trigger = Fulfilment.ACCEPTED
        case TriggerState.DONE:
            case.trigger, case.triggered_at = Fulfilment.DONE, event.occurred_at
            case.refunded_finally = case.decision is not None and is_executed_refund(case.decision)
            if not missing(case):
                case.stuck = ""
        case TriggerState.REFUSED:
            if case.trigger is Fulfilment.REFUSED:
                return False
            case.trigger = Fulfilment.REFUSED
            stick(turn, case, f"fulfilment refused: {event.reason or 'no reason given'}")
        case _:
            return False
    progressed(turn, case)
    return True


def _of_earlier_trigger(turn: Turn, event: TriggerReceived) -> bool:
    """The version before may have to stand again, so that its receipts count as well."""
    for case in turn.conversation.cases:
        before = case.before
        if before is None or case.is_closed or before.trigger is Fulfilment.DONE:
            continue
        if event.state is TriggerState.DONE and trigger_id(before.decision.decision_id) == event.trigger_id:
            case.before = msgspec.structs.replace(
                before, trigger=Fulfilment.DONE, triggered_at=event.occurred_at
            )
            case.refunded_finally = case.refunded_finally or is_executed_refund(before.decision)
            return True
    return False


def of_evidence(turn: Turn, event: EvidenceStored) -> bool:
    """Sealed, stored and read back: only what belongs to the version that stands."""
    case = turn.conversation.case(event.case_id)
    if case is None or case.decision is None or case.is_closed:
        return False
    if event.request_id != evidence_id(case.decision.decision_id):
        return _of_earlier_evidence(case, event)
    if case.proof is not Proof.REQUESTED:
        return False
    case.evidence = event.pointer
    if event.missing:
        stick(turn, case, f"the evidence lacks: {', '.join(event.missing)}")
        return True
    case.proof = Proof.STORED
    progressed(turn, case)
    return True


def _of_earlier_evidence(case: Case, event: EvidenceStored) -> bool:
    before = case.before
    if before is None or event.missing or before.proof is not Proof.REQUESTED:
        return False
    if event.request_id != evidence_id(before.decision.decision_id):
        return False
    case.before = msgspec.structs.replace(before, proof=Proof.STORED, evidence=event.pointer)
    return True
