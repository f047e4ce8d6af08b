"""A decision is made: the default where nobody answered, the version that it becomes, and its update to the OMS."""

from schemas.commands import OrderUpdate
from schemas.facts import Decision, Money
from schemas.ids import decision_id
from schemas.words import Actor, CaseState, CloseReason, HoldState, Purpose, RefundForm
from state.choice import PAID_KINDS, Choice, by_default, by_upstream
from state.conversation import Case, Fulfilment, Proof, Settled, Write
from state.done import close
from state.news import tell
from state.people import stick
from state.pricing import delta_minor
from state.spans import span
from state.turn import Turn


def apply_default(turn: Turn, case: Case) -> None:
    """Nobody answered in time: the policy's default, marked as such and announced; people where none is allowed."""
    choice = by_default(turn, case)
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
    settle(turn, case, by_upstream(turn, case))


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
            standing=case.last_written if case.write is not Write.VERIFIED else None,
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
    case.watch_at = turn.now + span(policy.write_back.stuck_ms)
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
