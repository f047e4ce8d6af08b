"""An exception arrives: the first of an order, one that joins, a repeat; and what a second conversation forgets."""

from hashlib import blake2b

import msgspec

from schemas.events import ExceptionAccepted, ExceptionAmended, ExceptionRaised
from schemas.facts import CustomerFacts
from schemas.ids import conversation_id
from schemas.words import LINE_KINDS, Actor, Arm, CloseReason, HoldState, Mode
from state import escalation, news
from state.admissible import admissible
from state.choice import substitute
from state.conversation import Case, Conversation, Seen
from state.done import close
from state.gate import Pricing
from state.news import tell
from state.policy import Policy
from state.promises import NEVER_HOLDOUT
from state.settlement import apply_default, apply_upstream_default, settle, without_options
from state.turn import QuarantineRecord, Turn
from state.upstream import amend, amended, is_all_there, without_recalled

# What was seen is never forgotten before its order's record is: a late repeat would open its case a second time. So
# the number of an order's exceptions is bounded instead; a weekly shop of a hundred lines may fail twice over.
EXCEPTIONS_MAX = 256


def _fingerprint(exception: ExceptionRaised) -> int:
    """What an exception says, whatever event carried it."""
    content = msgspec.msgpack.encode(msgspec.structs.replace(exception, event_id=""))
    return int.from_bytes(blake2b(content, digest_size=8).digest(), "big") >> 1


def opens(turn: Turn, event: ExceptionAccepted) -> bool:
    """A case opens, in this conversation or in a new one; whether the exception was news."""
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
    if len(conversation.seen) >= EXCEPTIONS_MAX:
        turn.effects.append(
            QuarantineRecord((f"order_full: {EXCEPTIONS_MAX} exceptions were seen of {exception.order_id}",))
        )
        return False
    try:
        policy = turn.rules.shelf.choose(exception)
    except LookupError as error:
        turn.effects.append(QuarantineRecord((f"no_policy: {error}",)))
        return False
    if not conversation.cases or conversation.is_closed:
        _begin(turn, event, policy)
    conversation.seen = (*conversation.seen, Seen(exception.exception_id, exception.revision, mark))
    conversation.facts = event.facts
    if not any(case.is_open for case in conversation.cases):
        escalation.begin_afresh(conversation)
    case = Case(
        exception=without_recalled(_caught_up(conversation, exception)),
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


def _begin(turn: Turn, event: ExceptionAccepted, policy: Policy) -> None:
    """A conversation opens: its id, its customer and its arm; repeats of older ones stay remembered."""
    conversation, exception, facts = turn.conversation, event.exception, event.facts
    conversation.conversation_id = conversation_id(exception.order_id, exception.exception_id)
    conversation.customer_ref = exception.customer_ref
    conversation.store_id = exception.store_id
    conversation.opened_at = turn.now
    conversation.commands = 0
    conversation.satisfaction_at = conversation.satisfaction_until_at = None
    conversation.spoke = conversation.recorded = conversation.recording_refused = False
    conversation.used, conversation.failed, conversation.sends, conversation.tasks = (), (), (), ()
    conversation.announcements, conversation.wrong_number = (), False
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
            exception = amended(exception, early)
    return exception


def _is_gone(conversation: Conversation, case: Case) -> bool:
    """Whether it was withdrawn before it arrived, or nothing is short any more."""
    revision = case.exception.revision
    withdrawn = any(
        gone.exception_id == case.case_id and gone.revision >= revision for gone in conversation.withdrawn
    )
    return withdrawn or is_all_there(case)


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
    if case is None or case.is_closed or fresh.revision <= case.exception.revision:
        # Over, or an amendment has brought something newer meanwhile.
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
    amend(turn, case, amended)
    return True
