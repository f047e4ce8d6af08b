"""From a decision to done: hold, write-back, trigger, evidence; and what happens when one of them fails."""

from datetime import datetime, timedelta

import msgspec

from schemas.commands import EvidenceRequest, FulfilmentTrigger, OrderUpdate
from schemas.facts import Chosen, Decision, Money
from schemas.ids import decision_id, evidence_id, trigger_id
from schemas.words import (
    Actor,
    CaseState,
    Channel,
    CloseReason,
    EvidencePart,
    EvidencePath,
    HoldState,
    Kind,
    OptionKind,
    Purpose,
    RefundForm,
    Resolution,
    TriggerKind,
    UpstreamDefault,
)
from state.conversation import CallState, Case, Fulfilment, Notice, Proof, Settled, Task, Write
from state.gate import Pricing, may_be_default
from state.offers import Candidate, admissible, question
from state.pricing import delta_minor, replacements
from state.turn import NEWS_VALID, Turn, missing

BY_OPTION_KIND = {
    OptionKind.REDELIVER: Resolution.REDELIVER,
    OptionKind.SAFE_PLACE: Resolution.INSTRUCTIONS,
    OptionKind.NEIGHBOUR: Resolution.INSTRUCTIONS,
    OptionKind.LOCKER: Resolution.INSTRUCTIONS,
    OptionKind.INSTRUCTIONS: Resolution.INSTRUCTIONS,
    OptionKind.ADDRESS_CHANGE: Resolution.INSTRUCTIONS,
    OptionKind.PICKUP: Resolution.PICKUP,
    OptionKind.RETURN: Resolution.RETURNED,
    OptionKind.REFUND: Resolution.REFUNDED,
}
BY_UPSTREAM = {
    UpstreamDefault.CANCEL_LINE: Resolution.REFUNDED,
    UpstreamDefault.AUTO_SUBSTITUTE: Resolution.SUBSTITUTED,
    UpstreamDefault.CANCEL_ORDER: Resolution.CANCEL_ORDER,
    UpstreamDefault.RETURN_TO_DEPOT: Resolution.RETURNED,
    UpstreamDefault.UNKNOWN: Resolution.REFUNDED,
}
TRIGGERS = {
    Resolution.REFUNDED: TriggerKind.REFUND,
    Resolution.CANCEL_ORDER: TriggerKind.CANCEL,
    Resolution.REDELIVER: TriggerKind.REDELIVER,
    Resolution.INSTRUCTIONS: TriggerKind.INSTRUCTIONS,
    Resolution.PICKUP: TriggerKind.PICKUP,
    Resolution.RETURNED: TriggerKind.RETURN,
}
# After an attempt at the door the money has been taken; before it, the line is just not charged.
PAID_KINDS = frozenset({Kind.REFUSED_AT_DOOR})


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """What was chosen for a case, before it is made a decision; quantities already add up."""

    resolution: Resolution
    keep_quantity: int = 0
    chosen: tuple[Chosen, ...] = ()
    refund_quantity: int = 0
    actor: Actor
    channel: Channel = Channel.UNKNOWN
    absorbed_minor: int = 0
    fee_minor: int = 0
    readback: str = ""
    response_id: str = ""
    reference: str = ""


def refund(case: Case, actor: Actor, resolution: Resolution = Resolution.REFUNDED) -> Choice:
    """What cannot be had is not charged; what there is, is kept."""
    line = case.exception.line
    if line is None:
        return Choice(resolution=resolution, actor=actor)
    return Choice(
        resolution=resolution,
        keep_quantity=line.quantity_available,
        refund_quantity=case.quantity_short,
        actor=actor,
    )


def substitute(case: Case, candidate: Candidate, actor: Actor) -> Choice:
    """All that is missing is replaced by one option, without asking."""
    line, option, verdict = case.exception.line, candidate.option, candidate.verdict
    short = case.quantity_short
    chosen = Chosen(option_id=option.option_id, quantity=short, components=replacements(option, short, short))
    return Choice(
        resolution=Resolution.SUBSTITUTED,
        keep_quantity=line.quantity_available if line is not None else 0,
        chosen=(chosen,),
        actor=actor,
        absorbed_minor=verdict.dearer_minor if verdict.pricing is Pricing.OLD_PRICE else 0,
    )


def apply_default(turn: Turn, case: Case) -> None:
    """Nobody answered in time: the policy's default, marked as such and announced; people where none is allowed."""
    choice = _default(turn, case)
    if choice is None:
        stick(turn, case, "nobody answered, and neither a substitute nor a refund is allowed")
        return
    settle(turn, case, choice)
    tell(turn, case, Purpose.DEFAULT)


def without_options(turn: Turn, case: Case) -> None:
    """Nothing is left to choose from: the default needs no question; where no refund is allowed, people decide."""
    if case.exception.refund_allowed:
        apply_default(turn, case)
    else:
        stick(turn, case, "no option is admissible, and no refund is allowed")


def apply_upstream_default(turn: Turn, case: Case) -> None:
    """Holdout: what would have happened without us, and nobody is told by us."""
    case.announced = "holdout"
    wanted = BY_UPSTREAM[case.exception.upstream_default]
    if wanted is Resolution.SUBSTITUTED:
        for candidate in admissible(turn, case)[0]:
            if (
                candidate.verdict.pricing is Pricing.NOT_DEARER
                and candidate.option.kind is OptionKind.SUBSTITUTE
            ):
                settle(turn, case, substitute(case, candidate, Actor.DEFAULT))
                return
        wanted = Resolution.REFUNDED
    settle(turn, case, refund(case, Actor.DEFAULT, wanted))


def _default(turn: Turn, case: Case) -> Choice | None:
    exception, policy = case.exception, turn.policy_of(case)
    permitted = turn.conversation.facts.substitute_by_default and case.round <= policy.options.rounds_max
    if permitted and exception.kind is not Kind.RECALLED:
        asked = question(turn, case, case.quantity_short)
        for candidate in admissible(turn, case)[0]:
            if may_be_default(candidate.option, asked):
                return substitute(case, candidate, Actor.DEFAULT)
    wanted = policy.default.resolution
    if wanted is Resolution.REFUNDED and not exception.refund_allowed:
        # Then only what upstream would do by itself, and never a substitute that nobody permitted.
        if exception.upstream_default in (UpstreamDefault.AUTO_SUBSTITUTE, UpstreamDefault.UNKNOWN):
            return None
        wanted = BY_UPSTREAM[exception.upstream_default]
    return refund(case, Actor.DEFAULT, wanted)


def settle(turn: Turn, case: Case, choice: Choice) -> None:
    """A decision stands: version + 1 with its own update, trigger and evidence."""
    was_open = case.is_open
    if case.decision is not None:
        case.before = Settled(
            decision=case.decision,
            write=case.write,
            trigger=case.trigger,
            proof=case.proof,
            evidence=case.evidence,
            written_at=case.written_at,
            triggered_at=case.triggered_at,
        )
    case.versions += 1
    case.decision = _decision(turn, case, choice)
    case.state = CaseState.DECIDED
    case.unconfirmed = None
    case.write, case.written_at = Write.NONE, None
    case.trigger, case.triggered_at = Fulfilment.NONE, None
    case.proof, case.evidence, case.proof_at = Proof.NONE, None, None
    case.stuck = ""
    if case.is_shadow:
        close(turn, case, CloseReason.SHADOW)
    else:
        defaulted = case.decision.actor is Actor.DEFAULT
        turn.hold(case, HoldState.MOVE_ON if defaulted else HoldState.DECIDED)
        case.write_attempt = 0
        write_back(turn, case)
    turn.touch(case)
    if was_open:
        turn.ended(case)


def _decision(turn: Turn, case: Case, choice: Choice) -> Decision:
    exception, line = case.exception, case.exception.line
    currency = exception.order_total.currency
    before_minor = line.quantity_ordered * line.unit_price.minor if line is not None else 0
    added_minor = (
        delta_minor(choice.chosen, line, choice.refund_quantity, choice.absorbed_minor) + choice.fee_minor
    )
    paid = exception.kind in PAID_KINDS
    return Decision(
        decision_id=decision_id(case.case_id, case.versions),
        case_id=case.case_id,
        version=case.versions,
        replaces_version=case.version,
        resolution=choice.resolution,
        keep_quantity=choice.keep_quantity,
        chosen=choice.chosen,
        refund_quantity=choice.refund_quantity,
        refund_form=RefundForm.REFUND if paid else RefundForm.NOT_CHARGED,
        actor=choice.actor,
        channel=choice.channel,
        policy=case.policy,
        price_before=Money(before_minor, currency),
        price_after=Money(before_minor + added_minor, currency),
        absorbed=Money(choice.absorbed_minor, currency) if choice.absorbed_minor else None,
        readback=choice.readback,
        response_id=choice.response_id,
        reference=choice.reference,
        decided_at=turn.now,
    )


def write_back(turn: Turn, case: Case) -> None:
    """Put the decision into the OMS; the same id again, so that a repeat is recognised there."""
    decision, exception = case.decision, case.exception
    if decision is None:
        return
    line = exception.line
    policy = turn.policy_of(case)
    case.write = Write.SENT
    case.write_attempt += 1
    case.retry_at = None
    case.watch_at = turn.now + timedelta(milliseconds=policy.write_back.stuck_ms)
    turn.act(
        case,
        OrderUpdate(
            command_id=decision.decision_id,
            order_id=turn.conversation.order_id,
            case_id=case.case_id,
            customer_ref=turn.conversation.customer_ref,
            store_id=exception.store_id,
            line_id=line.line_id if line is not None else "",
            attempt=case.write_attempt,
            expected_quantity=line.quantity_ordered if line is not None else 0,
            decision=decision,
            issued_at=turn.now,
        ),
    )


def tell(
    turn: Turn, case: Case, purpose: Purpose, channel: Channel = Channel.UNKNOWN, reason: str = ""
) -> None:
    """Remember to tell the customer; what falls together becomes one message."""
    conversation = turn.conversation
    notice = Notice(case.case_id, purpose, channel, reason)
    if notice not in conversation.notices:
        conversation.notices = (*conversation.notices, notice)
    if conversation.notice_at is None:
        gather_ms = turn.policy_of(case).timing.notice_gather_ms
        conversation.notice_at = turn.now + timedelta(milliseconds=gather_ms)


def untell(turn: Turn, case: Case) -> None:
    """The decision does not stand: what nobody was told of it yet would be untrue by now."""
    conversation = turn.conversation
    conversation.notices = tuple(
        [notice for notice in conversation.notices if notice.case_id != case.case_id]
    )
    if not conversation.notices:
        conversation.notice_at = None


def written(turn: Turn, case: Case) -> None:
    """The OMS holds the decision, read back: release or refund, and seal the evidence."""
    case.write, case.written_at = Write.VERIFIED, turn.now
    case.stuck = ""
    case.retry_at = None
    _seek_the_rest(turn, case)


def _seek_the_rest(turn: Turn, case: Case) -> None:
    if case.trigger is Fulfilment.NONE:
        _pull_trigger(turn, case)
    call = turn.conversation.call
    if call is not None and call.state is CallState.ANSWERED:
        # The call's own record belongs into the evidence; the store keeps half of the patience for itself.
        case.proof_at = turn.now + timedelta(milliseconds=turn.policy_of(case).evidence.stuck_ms // 2)
    else:
        request_evidence(turn, case)
    case.watch_at = min(patience(turn, case).values(), default=None)
    progressed(turn, case)


def patience(turn: Turn, case: Case) -> dict[str, datetime]:
    """Until when to wait for each part that is still missing of a written decision."""
    if case.written_at is None:
        return {}
    policy, parts = turn.policy_of(case), missing(case)
    waits_ms = {"evidence": policy.evidence.stuck_ms, "trigger": policy.write_back.trigger_stuck_ms}
    return {
        part: case.written_at + timedelta(milliseconds=ms) for part, ms in waits_ms.items() if part in parts
    }


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


def path_of(decision: Decision) -> EvidencePath:
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
    path = path_of(decision)
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
    if case.state is CaseState.DECIDED and not missing(case):
        case.state = CaseState.DONE
        case.watch_at = None
        case.stuck = ""
    if case.state is CaseState.DONE and (case.picked or closes_at(case) <= turn.now):
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


def stick(turn: Turn, case: Case, reason: str) -> None:
    """We cannot go on by ourselves: the reason is shown, and a person is asked once."""
    case.stuck = reason
    case.watch_at = case.retry_at = None
    turn.touch(case)
    hand_over(turn, case, Purpose.UPDATE, reason)


def rest(turn: Turn) -> None:
    """Once every case is closed, or stuck with people, the record waits for its removal."""
    conversation = turn.conversation
    if not conversation.cases:
        return
    if not all(case.is_closed or case.stuck for case in conversation.cases):
        conversation.remove_at = None
    elif conversation.remove_at is None:
        days = max(turn.policy_of(case).retention.closed_days for case in conversation.cases)
        conversation.remove_at = turn.now + timedelta(days=days)


def hand_over(turn: Turn, case: Case, purpose: Purpose, reason: str) -> None:
    """A task for staff, with receipts; it never stops the deadline."""
    conversation = turn.conversation
    if any(task.case_id == case.case_id and task.reason == reason for task in conversation.tasks):
        return
    n = turn.send(Channel.PERSON, purpose, [case], reason=reason, not_after_at=turn.now + NEWS_VALID)
    if n is not None:
        conversation.tasks = (*conversation.tasks, Task(n, case.case_id, reason))


def write_failed(turn: Turn, case: Case, reason: str) -> None:
    """The update cannot be written: an earlier version that was stands; else people."""
    if not earlier_stands(turn, case, "changes_not_possible"):
        case.write, case.retry_at = Write.FAILED, None
        stick(turn, case, reason)


def earlier_stands(turn: Turn, case: Case, reason: str) -> bool:
    """Go back to the version that the OMS holds, if there is one, and tell the customer why."""
    before, refused = case.before, case.decision
    if before is None or refused is None or before.write is not Write.VERIFIED:
        return False
    untell(turn, case)
    case.decision, case.before = before.decision, None
    case.write, case.written_at = before.write, before.written_at
    case.trigger, case.triggered_at = before.trigger, before.triggered_at
    case.proof, case.evidence = before.proof, before.evidence
    case.state, case.stuck, case.retry_at = CaseState.DECIDED, "", None
    tell(turn, case, Purpose.REPLY, refused.channel, reason)
    turn.hold(case, HoldState.DECIDED)
    _seek_the_rest(turn, case)
    return True


def is_executed_refund(decision: Decision) -> bool:
    """Money that went back is final; what was never charged may still be changed."""
    return decision.resolution is Resolution.REFUNDED and decision.refund_form is not RefundForm.NOT_CHARGED


def own_trigger(case: Case, triggered: str) -> bool:
    return case.decision is not None and trigger_id(case.decision.decision_id) == triggered
