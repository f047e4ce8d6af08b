"""From what a customer answered to a decision, or to the truth why not.

First decision wins among answers to one version; an answer that names the version that stands is a change.
"""

import msgspec

from schemas.commands import ResponseVerdict
from schemas.events import Answer, ResponseReceived
from schemas.facts import Chosen, Money, Option
from schemas.words import Actor, Channel, OptionKind, Purpose, Resolution, Responder
from state.admissible import question
from state.choice import BY_OPTION_KIND, Choice
from state.conversation import Case
from state.gate import Pricing, judge
from state.news import tell
from state.offers import reply
from state.pricing import delta_minor, replacements
from state.settlement import settle
from state.spans import span
from state.turn import Turn

# Why an answer was not taken; the words for the customer are the connector's, by these reasons.
UNCHANGED = "unchanged"

_ACTORS = {
    Responder.STAFF: Actor.STAFF,
    Responder.DELEGATE: Actor.DELEGATE,
    Responder.HOUSEHOLD: Actor.DELEGATE,
}


class Refused(Exception):
    """The answer cannot be taken; `reason` is one of a few words, then what it is about."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


def take(turn: Turn, event: ResponseReceived) -> None:
    """Every answer of a response, each by itself; whoever writes by SMS is told what was not taken."""
    refusals: list[tuple[str, Case | None]] = []
    for answer in event.answers:
        case: Case | None = None
        try:
            case = _meant(turn, answer)
            _entitled(turn, event)
            _accept(turn, case, answer, event)
        except Refused as refused:
            refusals.append((refused.reason, case))
            if case is not None:
                verdict = ResponseVerdict(response_id=event.event_id, accepted=False, reason=refused.reason)
                turn.touch(case, verdict)
    if refusals:
        reason = "; ".join(dict.fromkeys(reason for reason, _ in refusals))
        about = list({case.case_id: case for _, case in refusals if case is not None}.values())
        # Where nobody can tell which line was meant, all that are open are shown once more.
        reply(turn, event, reason, about or turn.conversation.open_cases)


def _meant(turn: Turn, answer: Answer) -> Case:
    """The case that an answer is about; a bare key means the only open one."""
    conversation = turn.conversation
    if answer.case_id:
        case = conversation.case(answer.case_id)
        if case is None:
            raise Refused("unknown_case")
        return case
    if answer.letter:
        lettered = [case for case in conversation.cases if case.letter == answer.letter.upper()]
        if not lettered:
            raise Refused("unknown_letter")
        # A letter is given once a conversation; the newest bearer is the one that was shown last.
        return lettered[-1]
    open_cases = [case for case in conversation.open_cases if case.asked] or conversation.open_cases
    if len(open_cases) == 1:
        return open_cases[0]
    if open_cases:
        raise Refused("which_one")
    changeable = [case for case in conversation.cases if not case.is_closed]
    if len(changeable) > 1:
        raise Refused("which_one")
    return changeable[0] if changeable else conversation.cases[-1]


def _entitled(turn: Turn, event: ResponseReceived) -> None:
    match event.responder:
        case Responder.CUSTOMER | Responder.RELAY_OPERATOR:
            return
        case Responder.DELEGATE | Responder.HOUSEHOLD if turn.conversation.facts.has_delegate:
            return
        case Responder.STAFF if event.channel is Channel.PERSON:
            return
    raise Refused("not_entitled")


def _accept(turn: Turn, case: Case, answer: Answer, event: ResponseReceived) -> None:
    _in_time(turn, case)
    _of_this_version(turn, case, answer, event)
    if event.spoken and not answer.confirmed:
        raise Refused("not_confirmed")
    choice = _chosen(turn, case, answer, event)
    if _is_the_same(case, choice):
        turn.touch(case, ResponseVerdict(response_id=event.event_id, accepted=True, reason=UNCHANGED))
        return
    if event.responder is not Responder.STAFF:
        # Who chooses for themselves has seen the case, also where the answer overtakes the receipt of its question.
        case.presented = True
    settle(turn, case, choice)
    turn.touch(case, ResponseVerdict(response_id=event.event_id, accepted=True))
    tell(turn, case, Purpose.CONFIRM, event.channel)


def _in_time(turn: Turn, case: Case) -> None:
    if case.picked:
        raise Refused("already_picked")
    if case.is_closed:
        raise Refused("already_closed")
    if case.refunded_finally:
        raise Refused("refund_is_final")
    if not case.is_open and not turn.policy_of(case).changes_until_picked:
        raise Refused("changes_not_possible")
    until_at = case.exception.picked_until_at or case.exception.fulfilment_deadline_at
    if not case.is_open and turn.now > until_at:
        raise Refused("too_late")


def _of_this_version(turn: Turn, case: Case, answer: Answer, event: ResponseReceived) -> None:
    decision = case.decision
    if decision is None:
        return
    if answer.decision_version is not None:
        if answer.decision_version != case.version:
            raise Refused("older_version")
        return
    crossing = span(turn.policy_of(case).timing.sms_crossing_ms)
    elsewhere = decision.channel not in (event.channel, Channel.UNKNOWN)
    if elsewhere and turn.now - decision.decided_at <= crossing:
        # Written without knowing of the decision that was just made elsewhere.
        raise Refused("older_version")


def _chosen(turn: Turn, case: Case, answer: Answer, event: ResponseReceived) -> Choice:
    """The answer as quantities that add up, every part of it admissible now."""
    parts = _parts(case, answer)
    line = case.exception.line
    if line is None:
        return _delivery_choice(turn, case, parts, answer, event)
    keep = line.quantity_available if answer.keep_quantity is None else answer.keep_quantity
    keep, chosen, refund_quantity = _quantities(case, parts, answer, keep)
    if refund_quantity and not case.exception.refund_allowed and event.responder is not Responder.STAFF:
        raise Refused("refund_not_possible")
    taken: list[Chosen] = []
    absorbed_minor = 0
    dearer_minor = 0
    for option, units in chosen:
        asked = question(turn, case, units, added_minor=dearer_minor, absorbed_minor=absorbed_minor)
        verdict = judge(option, asked)
        if verdict.reasons:
            raise Refused(f"not_available: {', '.join(verdict.reasons)}")
        absorbed_minor += verdict.dearer_minor if verdict.pricing is Pricing.OLD_PRICE else 0
        dearer_minor += verdict.dearer_minor if verdict.pricing is Pricing.NEW_PRICE else 0
        components = replacements(option, units, case.quantity_short)
        taken.append(Chosen(option_id=option.option_id, quantity=units, components=components))
    added_minor = delta_minor(tuple(taken), line, refund_quantity, absorbed_minor)
    _total_agreed(turn, case, answer, event, added_minor=added_minor, rises=dearer_minor > 0)
    return Choice(
        resolution=_resolution(case, taken),
        keep_quantity=keep,
        chosen=tuple(taken),
        refund_quantity=refund_quantity,
        absorbed_minor=absorbed_minor,
        actor=_ACTORS.get(event.responder, Actor.CUSTOMER),
        channel=event.channel,
        readback=answer.readback,
        response_id=event.event_id,
        reference=answer.reference,
    )


def _parts(case: Case, answer: Answer) -> list[tuple[Option | None, int]]:
    """What was named: options with their quantities (0: all that is left), or None for the refund."""
    by_id = {option.option_id: option for option in case.exception.options}

    def named(option_id: str) -> Option | None:
        if option_id not in by_id:
            raise Refused("unknown_option")
        option = by_id[option_id]
        return None if option.kind is OptionKind.REFUND else option

    if answer.chosen:
        return [(named(part.option_id), part.quantity) for part in answer.chosen]
    if answer.option_id:
        return [(named(answer.option_id), 0)]
    if answer.key == 0 or (answer.key is None and answer.refund_quantity):
        return [(None, 0)]
    if answer.key is not None:
        if not 1 <= answer.key <= len(case.keys):
            raise Refused("unknown_key")
        return [(named(case.keys[answer.key - 1]), 0)]
    raise Refused("nothing_chosen")


def _quantities(
    case: Case, parts: list[tuple[Option | None, int]], answer: Answer, keep: int
) -> tuple[int, list[tuple[Option, int]], int]:
    """Kept, chosen and refunded pieces; together exactly what was ordered, else refused."""
    line = case.exception.line
    if line is None or not 0 <= keep <= line.quantity_available:
        raise Refused("quantities")
    rest = line.quantity_ordered - keep
    options = [(option, units) for option, units in parts if option is not None]
    wanted = [units for _, units in options]
    refund = answer.refund_quantity or 0
    spoken_for = sum(wanted) + refund
    if min([refund, *wanted]) < 0 or wanted.count(0) > 1:
        raise Refused("quantities")
    if len({option.option_id for option, _ in options}) < len(options):
        raise Refused("quantities")
    if 0 in wanted:
        options = [(option, units or rest - spoken_for) for option, units in options]
    elif answer.refund_quantity is None:
        # Whatever nobody wants instead is not charged.
        refund = rest - spoken_for
    wanted = [units for _, units in options]
    if min(wanted, default=1) <= 0 or refund < 0 or keep + sum(wanted) + refund != line.quantity_ordered:
        raise Refused("quantities")
    return keep, options, refund


def _delivery_choice(
    turn: Turn,
    case: Case,
    parts: list[tuple[Option | None, int]],
    answer: Answer,
    event: ResponseReceived,
) -> Choice:
    """One way for the whole delivery."""
    if len(parts) != 1:
        raise Refused("quantities")
    option = parts[0][0]
    resolution, reference, fee_minor = Resolution.REFUNDED, answer.reference, 0
    chosen: tuple[Chosen, ...] = ()
    if option is not None:
        verdict = judge(option, question(turn, case, 1))
        if verdict.reasons:
            raise Refused(f"not_available: {', '.join(verdict.reasons)}")
        if option.kind is OptionKind.ADDRESS_CHANGE and not event.logged_in:
            raise Refused("login_needed")
        rises = verdict.pricing is Pricing.NEW_PRICE
        fee_minor = verdict.dearer_minor if rises else 0
        _total_agreed(turn, case, answer, event, added_minor=fee_minor, rises=rises)
        resolution = BY_OPTION_KIND.get(option.kind, Resolution.ALTERNATIVE)
        reference = answer.reference or option.reference
        chosen = (Chosen(option_id=option.option_id, quantity=1),)
    elif not case.exception.refund_allowed and event.responder is not Responder.STAFF:
        raise Refused("refund_not_possible")
    return Choice(
        resolution=resolution,
        chosen=chosen,
        fee_minor=fee_minor,
        actor=_ACTORS.get(event.responder, Actor.CUSTOMER),
        channel=event.channel,
        readback=answer.readback,
        response_id=event.event_id,
        reference=reference,
    )


def _total_agreed(
    turn: Turn, case: Case, answer: Answer, event: ResponseReceived, *, added_minor: int, rises: bool
) -> None:
    """Nobody pays more than the total that was shown; where it rises, a yes to the new total is needed."""
    order_total = case.exception.order_total
    total = Money(order_total.minor + turn.order_delta_minor(case) + added_minor, order_total.currency)
    shown = answer.total_shown
    if shown is not None and (shown.currency != total.currency or shown.minor < total.minor):
        raise Refused("total_changed")
    if not rises or event.responder is Responder.STAFF:
        return
    if answer.confirmed and shown is not None:
        return
    if event.channel is Channel.SMS:
        asked = msgspec.structs.replace(answer, readback="", confirmed=False, total_shown=total)
        if case.unconfirmed == asked:
            # The same key once more is the yes to the total that was just named.
            return
        case.unconfirmed = asked
        raise Refused(f"confirm_total: {total.minor} {total.currency}")
    raise Refused("total_not_confirmed")


def _resolution(case: Case, taken: list[Chosen]) -> Resolution:
    """Approved is the first-ranked option, alternative any other; without options it is the refund."""
    if not taken:
        return Resolution.REFUNDED
    first = case.offered[0] if case.offered else ""
    return Resolution.SUBSTITUTED if [part.option_id for part in taken] == [first] else Resolution.ALTERNATIVE


def _is_the_same(case: Case, choice: Choice) -> bool:
    decision = case.decision
    return decision is not None and (
        (
            decision.resolution,
            decision.keep_quantity,
            decision.chosen,
            decision.refund_quantity,
            decision.reference,
        )
        == (choice.resolution, choice.keep_quantity, choice.chosen, choice.refund_quantity, choice.reference)
    )
