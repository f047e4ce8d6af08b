"""The case as the register shows it."""

from datetime import datetime

from schemas.commands import CaseChanged, RefusedOption, ResponseVerdict
from schemas.facts import Money
from schemas.words import Actor, Resolution
from state.conversation import Case, Conversation


def shown(
    conversation: Conversation,
    case: Case,
    now: datetime,
    *,
    default_at: datetime | None,
    refused: tuple[RefusedOption, ...],
    verdict: ResponseVerdict | None,
) -> CaseChanged:
    """A case as it stands now; with the verdict about a response, if there was one."""
    exception, decision, line = case.exception, case.decision, case.exception.line
    running = conversation.plan[0] if conversation.running and conversation.plan and case.is_open else None
    short = case.quantity_short
    return CaseChanged(
        case_id=exception.exception_id,
        order_id=conversation.order_id,
        conversation_id=conversation.conversation_id,
        customer_ref=conversation.customer_ref,
        store_id=exception.store_id,
        kind=exception.kind,
        policy=case.policy,
        mode=case.mode,
        arm=conversation.arm,
        state=case.state,
        step=running.name if running is not None else "",
        step_due_at=running.due_at if running is not None else None,
        default_at=default_at,
        decision=decision,
        resolution=decision.resolution if decision is not None else Resolution.UNKNOWN,
        actor=decision.actor if decision is not None else Actor.UNKNOWN,
        announced=case.announced,
        missing=case.missing,
        stuck=case.stuck,
        close_reason=case.close_reason,
        closed_at=case.closed_at,
        opened_at=case.opened_at,
        occurred_at=exception.occurred_at,
        deadline_at=exception.fulfilment_deadline_at,
        presented=case.presented,
        late=case.late,
        offered=case.offered,
        refused=refused,
        response=verdict,
        would_have=case.would_have,
        outcome=case.outcome,
        rating=case.rating,
        evidence=case.evidence,
        written_at=case.written_at,
        triggered_at=case.triggered_at,
        line_id=line.line_id if line is not None else "",
        line_name=line.name if line is not None else "",
        quantity_short=short,
        value_at_risk=Money(short * line.unit_price.minor, line.unit_price.currency)
        if line is not None
        else exception.order_total,
        changed_at=now,
    )
