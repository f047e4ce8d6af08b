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
    ExceptionRaised,
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
from schemas.ids import conversation_id
from schemas.words import (
    LINE_KINDS,
    Actor,
    Arm,
    CaseState,
    CloseReason,
    HoldState,
    Kind,
    Mode,
    WithdrawalReason,
)
from state import escalation, news, receipts, voices
from state.conversation import RESPONSES_KEPT_MAX, Case, Conversation, Seen
from state.gate import Pricing
from state.offers import admissible
from state.policy import Policy
from state.pricing import rescaled
from state.promises import NEVER_HOLDOUT
from state.rules import Rules
from state.settlement import (
    apply_default,
    apply_upstream_default,
    close,
    progressed,
    request_evidence,
    rest,
    settle,
    stick,
    substitute,
    tell,
    without_options,
)
from state.turn import QuarantineRecord, Turn
from state.wakeups import Wakeup, next_due, wakeups

# Remembered withdrawals and amendments of orders that never got an exception.
FORGOTTEN_AFTER = timedelta(days=7)
EARLY_MAX = 16
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
    moved.due_at = next_due(moved, rules)
    moved.due_version += 1
    return turn.finish()


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
            return _opens(turn, event)
        case ExceptionAmended():
            return _amends(turn, event)
        case ExceptionWithdrawn():
            return _withdraws(turn, event)
        case ResponseReceived():
            return _is_new(turn, event.event_id) and voices.hear(turn, event)
        case ReceiptReceived():
            return receipts.of_channel(turn, event)
        case WriteBackReceived():
            return receipts.of_write_back(turn, event)
        case TriggerReceived():
            return receipts.of_trigger(turn, event)
        case EvidenceStored():
            return receipts.of_evidence(turn, event)
        case ContactChanged():
            return _contact(turn, event)
        case ConsentChanged():
            return voices.consent(turn, event)
        case LinePicked():
            return _picked(turn, event)
        case OrderCancelled():
            return _cancelled(turn)
        case Delivered() | RefusedAtDoor() | Credited() | OrderCompleted():
            return _outcome(turn, event)
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


def _fingerprint(exception: ExceptionRaised) -> int:
    """What an exception says, whatever event carried it."""
    content = msgspec.msgpack.encode(msgspec.structs.replace(exception, event_id=""))
    return int.from_bytes(blake2b(content, digest_size=8).digest(), "big") >> 1


def _opens(turn: Turn, event: ExceptionAccepted) -> bool:
    conversation, exception = turn.conversation, event.exception
    mark = _fingerprint(exception)
    seen = next((s for s in conversation.seen if s.exception_id == exception.exception_id), None)
    if seen is not None:
        if exception.revision > seen.revision:
            return _raised_again(turn, event, mark)
        if exception.revision == seen.revision and mark != seen.fingerprint:
            turn.effects.append(
                QuarantineRecord((f"id_reused: {exception.exception_id} was seen with other content",))
            )
        return False
    try:
        policy = turn.rules.shelf.choose(exception)
    except LookupError as error:
        turn.effects.append(QuarantineRecord((f"no_policy: {error}",)))
        return False
    if not conversation.cases or conversation.is_closed:
        _begin(turn, event)
    conversation.seen = (*conversation.seen, Seen(exception.exception_id, exception.revision, mark))
    conversation.facts = event.facts
    if not any(case.is_open for case in conversation.cases):
        escalation.begin_afresh(conversation)
    case = Case(
        exception=_without_recalled(_caught_up(conversation, exception)),
        policy=policy.key,
        opened_at=turn.now,
        mode=_mode(policy, exception, event.facts),
        round=_round(conversation, exception),
    )
    conversation.cases = [*conversation.cases, case]
    conversation.remove_at = None
    if exception.kind in NEVER_HOLDOUT or event.facts.allergens:
        conversation.arm = Arm.TREATMENT
    turn.touch(case)
    if _is_gone(conversation, case):
        close(turn, case, CloseReason.WITHDRAWN)
    else:
        _first_move(turn, case)
    return True


def _begin(turn: Turn, event: ExceptionAccepted) -> None:
    """A conversation opens: its id, its customer and its arm; repeats of older ones stay remembered."""
    conversation, exception, facts = turn.conversation, event.exception, event.facts
    policy = turn.rules.shelf.choose(exception)
    conversation.conversation_id = conversation_id(exception.order_id, exception.exception_id)
    conversation.customer_ref = exception.customer_ref
    conversation.store_id = exception.store_id
    conversation.opened_at = turn.now
    conversation.commands = 0
    conversation.satisfaction_at = conversation.satisfaction_until_at = None
    conversation.spoke = conversation.recorded = conversation.recording_refused = False
    conversation.used, conversation.failed, conversation.sends, conversation.tasks = (), (), (), ()
    conversation.call = None
    held_out = facts.arm_point < policy.holdout_share_per_10000
    conversation.arm = Arm.HOLDOUT if held_out else Arm.TREATMENT


def _mode(policy: Policy, exception: ExceptionRaised, facts: CustomerFacts) -> Mode:
    """A pilot is live for its stores and its share of their customers, and a shadow for all others."""
    if policy.mode is not Mode.PILOT:
        return policy.mode
    piloted = exception.store_id in policy.pilot.stores and facts.pilot_point < policy.pilot.share_per_10000
    return Mode.PILOT if piloted else Mode.SHADOW


def _round(conversation: Conversation, exception: ExceptionRaised) -> int:
    """A substitute that failed in turn is the next round of the same wish."""
    earlier = conversation.case(exception.supersedes) if exception.supersedes else None
    return earlier.round + 1 if earlier is not None else 1


def _caught_up(conversation: Conversation, exception: ExceptionRaised) -> ExceptionRaised:
    """The exception as a case takes it up: with the amendments that arrived before it."""
    if exception.kind not in LINE_KINDS:
        # What failed at the door is the delivery, whichever line upstream names beside it.
        exception = msgspec.structs.replace(exception, line=None)
    mine = [early for early in conversation.early if early.exception_id == exception.exception_id]
    conversation.early = tuple([early for early in conversation.early if early not in mine])
    for early in mine:
        if early.revision > exception.revision:
            exception = _amended(exception, early)
    return exception


def _is_gone(conversation: Conversation, case: Case) -> bool:
    """Whether it was withdrawn before it arrived, or nothing is short any more."""
    revision = case.exception.revision
    withdrawn = any(
        gone.exception_id == case.case_id and gone.revision >= revision for gone in conversation.withdrawn
    )
    return withdrawn or _is_all_there(case)


def _is_all_there(case: Case) -> bool:
    return case.exception.line is not None and case.quantity_short <= 0


def _first_move(turn: Turn, case: Case) -> None:
    """Decide at once where there is nothing to ask; else start the clock."""
    policy = turn.policy_of(case)
    if turn.conversation.arm is Arm.HOLDOUT:
        apply_upstream_default(turn, case)
        return
    options, _ = admissible(turn, case)
    given_up = case.round > policy.options.rounds_max
    first = options[0] if options and not given_up else None
    # A wish that was stored is not asked for again, unless it would cost more than what was ordered.
    if first is not None and first.is_own_choice and first.verdict.pricing is not Pricing.NEW_PRICE:
        settle(turn, case, substitute(case, first, Actor.STORED_PREFERENCE))
        tell(turn, case, news.ANNOUNCED)
    elif not options:
        without_options(turn, case)
    elif policy.default.at_once or given_up:
        apply_default(turn, case)
    elif turn.limit_at(case) <= turn.now:
        case.late = True
        apply_default(turn, case)
    else:
        escalation.gather(turn, case)
        turn.replan = True
        escalation.replanned(turn)
        turn.hold(case, HoldState.ASKING)


def _raised_again(turn: Turn, event: ExceptionAccepted, mark: int) -> bool:
    """The whole exception once more with a higher revision: an amendment in full."""
    conversation, fresh = turn.conversation, event.exception
    conversation.seen = tuple(
        [
            Seen(s.exception_id, fresh.revision, mark) if s.exception_id == fresh.exception_id else s
            for s in conversation.seen
        ]
    )
    case = conversation.case(fresh.exception_id)
    if case is None or case.is_closed:
        return True
    available = fresh.line.quantity_available if fresh.line is not None else None
    amended = ExceptionAmended(
        event_id=event.event_id,
        order_id=event.order_id,
        exception_id=fresh.exception_id,
        revision=fresh.revision,
        fulfilment_deadline_at=fresh.fulfilment_deadline_at,
        picked_until_at=fresh.picked_until_at,
        quantity_available=available,
        options=fresh.options,
        occurred_at=fresh.occurred_at,
    )
    _amend(turn, case, amended)
    return True


def _amends(turn: Turn, event: ExceptionAmended) -> bool:
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
    _amend(turn, case, event)
    return True


def _without_recalled(exception: ExceptionRaised) -> ExceptionRaised:
    """Of what was recalled, nothing may be kept, however many pieces lie there."""
    line = exception.line
    if exception.kind is not Kind.RECALLED or line is None or line.quantity_available == 0:
        return exception
    return msgspec.structs.replace(exception, line=msgspec.structs.replace(line, quantity_available=0))


def _amended(old: ExceptionRaised, event: ExceptionAmended) -> ExceptionRaised:
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


def _amend(turn: Turn, case: Case, event: ExceptionAmended) -> None:
    """The newer facts; a decision that stands is left alone, an open question is asked anew where it changed."""
    old = case.exception
    case.exception = _amended(old, event)
    turn.touch(case)
    if not case.is_open:
        return
    if _is_all_there(case):
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


def _withdraws(turn: Turn, event: ExceptionWithdrawn) -> bool:
    conversation = turn.conversation
    case = conversation.case(event.exception_id)
    if case is None:
        if any(s.exception_id == event.exception_id for s in (*conversation.withdrawn, *conversation.seen)):
            return False
        conversation.withdrawn = (*conversation.withdrawn, Seen(event.exception_id, event.revision))
        return True
    if case.is_closed or event.revision < case.exception.revision:
        return False
    if event.reason is WithdrawalReason.PICKED:
        return _pick(turn, case)
    if event.reason is WithdrawalReason.CANCELLED:
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


def _picked(turn: Turn, event: LinePicked) -> bool:
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


def _cancelled(turn: Turn) -> bool:
    conversation = turn.conversation
    living = [case for case in conversation.cases if not case.is_closed]
    invites = conversation.satisfaction_at is not None
    for case in living:
        close(turn, case, CloseReason.CANCELLED)
    conversation.satisfaction_at = None
    return bool(living) or invites


def _outcome(turn: Turn, event: Delivered | RefusedAtDoor | Credited | OrderCompleted) -> bool:
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


def _contact(turn: Turn, event: ContactChanged) -> bool:
    conversation = turn.conversation
    if not conversation.cases or conversation.is_closed or event.facts == conversation.facts:
        return False
    # A channel that was gone and is there again has another address, which may work where the old one did not.
    conversation.failed = tuple([c for c in conversation.failed if c in conversation.facts.channels])
    conversation.facts = event.facts
    turn.replan = True
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
            escalation.dial(turn)
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
            receipts.write_again(turn, case)
        case "proof" if case is not None:
            request_evidence(turn, case)
        case "watch" if case is not None:
            receipts.silence(turn, case)
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
