"""The four parts of done, once a decision is written: its trigger, its evidence, who watches over them, and the end."""

from datetime import datetime

from schemas.commands import EvidenceRequest, FulfilmentTrigger
from schemas.events import EvidenceStored, TriggerReceived
from schemas.facts import Decision
from schemas.ids import decision_id, evidence_id, trigger_id
from schemas.words import (
    Actor,
    Arm,
    CaseState,
    Channel,
    CloseReason,
    EvidencePart,
    EvidencePath,
    RefundForm,
    Resolution,
    TriggerKind,
    TriggerState,
)
from state.conversation import CallState, Case, Fulfilment, Proof, Write
from state.news import tell_after_all
from state.people import stick
from state.spans import span
from state.turn import Turn

TRIGGERS = {
    Resolution.REFUNDED: TriggerKind.REFUND,
    Resolution.CANCEL_ORDER: TriggerKind.CANCEL,
    Resolution.REDELIVER: TriggerKind.REDELIVER,
    Resolution.INSTRUCTIONS: TriggerKind.INSTRUCTIONS,
    Resolution.PICKUP: TriggerKind.PICKUP,
    Resolution.RETURNED: TriggerKind.RETURN,
}


def written(turn: Turn, case: Case) -> None:
    """The OMS holds the decision, read back: release or refund, and seal the evidence."""
    case.write, case.written_at = Write.VERIFIED, turn.now
    case.stuck = ""
    case.retry_at = None
    tell_after_all(turn, case)
    seek_the_rest(turn, case)


def seek_the_rest(turn: Turn, case: Case) -> None:
    """Whatever a written decision still lacks is asked for, and waited for with patience."""
    if case.trigger is Fulfilment.NONE:
        _pull_trigger(turn, case)
    call = turn.conversation.call
    if call is not None and call.state is CallState.ANSWERED:
        # The call's own record belongs into the evidence; the store keeps half of the patience for itself.
        case.proof_at = turn.now + span(turn.policy_of(case).evidence.stuck_ms // 2)
    else:
        request_evidence(turn, case)
    case.watch_at = min(_patience(turn, case).values(), default=None)
    progressed(turn, case)


def _patience(turn: Turn, case: Case) -> dict[str, datetime]:
    """Until when to wait for each part that is still missing of a written decision."""
    if case.written_at is None:
        return {}
    policy, parts = turn.policy_of(case), case.missing
    waits_ms = {"evidence": policy.evidence.stuck_ms, "trigger": policy.write_back.trigger_stuck_ms}
    return {part: case.written_at + span(ms) for part, ms in waits_ms.items() if part in parts}


def wait_again(turn: Turn, case: Case) -> None:
    """A person did what fulfilment or the store had not done: their receipts are waited for once more."""
    if case.trigger is Fulfilment.REFUSED:
        case.trigger = Fulfilment.SENT
    policy = turn.policy_of(case)
    waits_ms = max(policy.evidence.stuck_ms, policy.write_back.trigger_stuck_ms)
    case.watch_at = turn.now + span(waits_ms)


def _pull_trigger(turn: Turn, case: Case) -> None:
    decision, exception = case.decision, case.exception
    if decision is None:
        return
    supersedes = ""
    if case.triggered_version:
        supersedes = trigger_id(decision_id(case.case_id, case.triggered_version))
    case.trigger, case.triggered_version = Fulfilment.SENT, decision.version
    line = exception.line
    turn.act(
        case,
        FulfilmentTrigger(
            command_id=trigger_id(decision.decision_id),
            order_id=turn.conversation.order_id,
            case_id=case.case_id,
            store_id=exception.store_id,
            kind=TRIGGERS.get(decision.resolution, TriggerKind.RELEASE),
            decision_version=decision.version,
            supersedes=supersedes,
            line_id=line.line_id if line is not None else "",
            quantity=decision.refund_quantity,
            reference=decision.reference,
            issued_at=turn.now,
        ),
    )


def _path_of(decision: Decision) -> EvidencePath:
    """How a decision came about, which sets what must be kept of it."""
    match decision.actor:
        case Actor.DEFAULT:
            return EvidencePath.DEFAULT
        case Actor.STORED_PREFERENCE:
            return EvidencePath.STORED_PREFERENCE
        case Actor.STAFF:
            return EvidencePath.PERSON
    return EvidencePath.VOICE if decision.channel is Channel.VOICE else EvidencePath.DIGITAL


def request_evidence(turn: Turn, case: Case) -> None:
    """Ask for the parts that this path needs and that can exist."""
    decision, conversation = case.decision, turn.conversation
    if decision is None or case.proof is not Proof.NONE or case.write is not Write.VERIFIED:
        return
    path = _path_of(decision)
    parts = list(turn.policy_of(case).evidence.required[path])
    if conversation.calls == 0 and path is not EvidencePath.VOICE:
        parts = [part for part in parts if part is not EvidencePart.CALL_LOG]
    elif EvidencePart.CALL_LOG not in parts:
        parts.append(EvidencePart.CALL_LOG)
    if conversation.spoke and EvidencePart.TRANSCRIPT not in parts:
        parts.append(EvidencePart.TRANSCRIPT)
    if not conversation.recorded or conversation.recording_refused:
        parts = [part for part in parts if part is not EvidencePart.RECORDING]
    elif EvidencePart.RECORDING not in parts:
        parts.append(EvidencePart.RECORDING)
    case.proof, case.proof_at = Proof.REQUESTED, None
    turn.act(
        case,
        EvidenceRequest(
            command_id=evidence_id(decision.decision_id),
            order_id=conversation.order_id,
            conversation_id=conversation.conversation_id,
            case_id=case.case_id,
            customer_ref=conversation.customer_ref,
            path=path,
            parts=tuple(parts),
            decision=decision,
            commands=conversation.commands,
            recording_refused=conversation.recording_refused,
            policy=case.policy,
            issued_at=turn.now,
        ),
    )
    turn.touch(case)


def progressed(turn: Turn, case: Case) -> None:
    """A part of done arrived: perhaps all four are there now, and perhaps the case can close."""
    turn.touch(case)
    if case.state is CaseState.DECIDED and not case.missing:
        case.state = CaseState.DONE
        case.watch_at = None
        case.stuck = ""
    if case.state is CaseState.DONE and (case.picked or closes_at(case) <= turn.now):
        if turn.conversation.arm is Arm.HOLDOUT:
            close(turn, case, CloseReason.HOLDOUT)
        else:
            close(turn, case, CloseReason.PICKED if case.picked else CloseReason.DONE)


def closes_at(case: Case) -> datetime:
    """Until then a done case accepts changes."""
    exception = case.exception
    return exception.picked_until_at or exception.fulfilment_deadline_at


def close(turn: Turn, case: Case, reason: CloseReason) -> None:
    """Nothing moves this case any more."""
    was_open = case.is_open
    case.state, case.close_reason, case.closed_at = CaseState.CLOSED, reason, turn.now
    case.retry_at = case.watch_at = case.proof_at = None
    case.unconfirmed = None
    turn.touch(case)
    if was_open:
        turn.ended(case)


def silence(turn: Turn, case: Case) -> None:
    """Nobody answered for too long: the case is stuck with what is missing, and a person is asked."""
    if case.proof is Proof.NONE and case.write is Write.VERIFIED:
        request_evidence(turn, case)
    waits = _patience(turn, case)
    case.watch_at = min(waits.values(), default=None)
    parts = [part for part, until_at in waits.items() if until_at <= turn.now] if waits else case.missing
    if parts:
        stick(turn, case, f"nothing was heard of: {', '.join(parts)}")


def of_trigger(turn: Turn, event: TriggerReceived) -> bool:
    """Fulfilment accepted, refused or did what was triggered."""
    case = next((c for c in turn.conversation.cases if _is_own_trigger(c, event.trigger_id)), None)
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
            case.refunded_finally = case.decision is not None and _is_executed_refund(case.decision)
            if not case.missing:
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
    """An earlier version may have to stand again, so that its receipts count as well."""
    if event.state is not TriggerState.DONE:
        return False
    for case in turn.conversation.cases:
        for earlier in case.earlier if not case.is_closed else ():
            is_its = trigger_id(earlier.decision.decision_id) == event.trigger_id
            if is_its and earlier.trigger is not Fulfilment.DONE:
                case.heard_of(earlier, trigger=Fulfilment.DONE, triggered_at=event.occurred_at)
                case.refunded_finally = case.refunded_finally or _is_executed_refund(earlier.decision)
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
    for earlier in case.earlier:
        is_its = event.request_id == evidence_id(earlier.decision.decision_id)
        if is_its and not event.missing and earlier.proof is Proof.REQUESTED:
            case.heard_of(earlier, proof=Proof.STORED, evidence=event.pointer)
            return True
    return False


def _is_executed_refund(decision: Decision) -> bool:
    """Money that went back is final; what was never charged may still be changed."""
    return decision.resolution is Resolution.REFUNDED and decision.refund_form is not RefundForm.NOT_CHARGED


def _is_own_trigger(case: Case, triggered: str) -> bool:
    return case.decision is not None and trigger_id(case.decision.decision_id) == triggered
