"""What may be offered, decided and written, and at what price: I7a, I11, quantities, totals."""

from schemas.commands import CaseChanged, ChannelCommand, OrderUpdate
from schemas.events import Answer, ResponseReceived, WriteBackReceived
from schemas.words import Actor, Channel, Responder, Signal
from state.conversation import Case, Conversation
from tests.properties import oracle
from tests.properties.seen import Books, Step, elsewhere_minor, law


def nothing_inadmissible_is_offered(step: Step, command: ChannelCommand) -> None:
    """I11, first part."""
    for offered in command.cases:
        case = step.case(offered.case_id)
        elsewhere = elsewhere_minor(step.after, case)
        for shown in offered.options:
            option = next(o for o in case.exception.options if o.option_id == shown.option_id)
            law(
                oracle.may_be_had(option, case.quantity_short, step.around(case, elsewhere)),
                "nothing inadmissible is offered (I11)",
                shown,
                option,
            )
            law(
                shown.total.minor >= case.exception.order_total.minor + elsewhere or shown.dearer is None,
                "a dearer option shows a higher total",
                shown,
            )


def only_admissible_decisions(books: Books, step: Step, update: OrderUpdate) -> None:
    """I11, second part: nothing inadmissible is accepted, and nothing is written."""
    case, decision = step.case(update.case_id), update.decision
    if not decision.chosen or case is None:
        return
    policy = step.rules.shelf[case.policy]
    fresh = books.decisions.get(update.case_id) != decision
    by_id = {option.option_id: option for option in case.exception.options}
    around = step.around(case, elsewhere_minor(step.after, case))
    if not fresh:
        # It was decided when it could be had; only what became unsafe since forbids to write it.
        around = for_safety_alone(around)
    line = case.exception.line
    dearer = 0
    for part in decision.chosen:
        law(part.option_id in by_id, "only known options are decided", update)
        option = by_id[part.option_id]
        if line is None:
            law(
                oracle.may_be_had(option, 1, around),
                "nothing inadmissible is accepted or written (I11)",
                update,
            )
            continue
        law(
            oracle.may_be_had(option, part.quantity, around),
            "nothing inadmissible is accepted or written (I11)",
            update,
        )
        extra = max(oracle.dearer_minor(option, part.quantity, around), 0)
        dearer += extra
        if extra + around.absorbed_minor <= policy.price.absorb_max_minor:
            around.absorbed_minor += extra
        else:
            around.elsewhere_minor = max(around.elsewhere_minor, 0) + extra
    if decision.absorbed is not None:
        law(
            decision.absorbed.minor <= policy.price.absorb_max_minor,
            "no more is absorbed than the policy allows",
            update,
        )
    if decision.actor is Actor.DEFAULT:
        law(dearer <= 0, "nothing dearer without asking", update)


def for_safety_alone(around: oracle.Circumstances) -> oracle.Circumstances:
    """The same circumstances, looking at safety alone."""
    dearest = around.policy.price.model_copy(update={"absorb_max_minor": 10**15})
    timing = around.policy.timing.model_copy(update={"reservation_margin_ms": -(10**12)})
    around.policy = around.policy.model_copy(update={"price": dearest, "timing": timing})
    return around


def nobody_pays_more_than_shown(books: Books, step: Step, update: OrderUpdate) -> None:
    decision = update.decision
    if books.decisions.get(update.case_id) == decision:
        return
    case = step.case(update.case_id)
    rises = decision.price_after.minor - decision.price_before.minor
    event = step.event
    answered = isinstance(event, ResponseReceived) and decision.response_id == event.event_id
    if not answered or event.responder is Responder.STAFF:
        if decision.actor in (Actor.DEFAULT, Actor.STORED_PREFERENCE):
            law(rises <= 0, "nobody pays more unasked", update)
        return
    shown = [a.total_shown for a in event.answers if a.total_shown and _about(a, case)]
    total = case.exception.order_total.minor + elsewhere_minor(step.after, case) + rises
    if len(event.answers) == 1 and shown:
        law(total <= shown[0].minor, "nobody pays more than was shown", update, shown, total)
    if rises > 0 and event.channel is not Channel.SMS:
        law(
            any(a.confirmed and a.total_shown for a in event.answers if _about(a, case)),
            "a higher total needs a yes",
            update,
        )


def _about(answer: Answer, case: Case) -> bool:
    return answer.case_id in ("", case.case_id)


def an_answer_in_time_never_loses(books: Books, step: Step, update: OrderUpdate) -> None:
    """I7a: what a customer decided in time is not replaced by the default, unless it became another question.

    That is so when the OMS holds another line, or when what was chosen may not be written any more.
    """
    earlier = books.decisions.get(update.case_id)
    if earlier is None or earlier.actor is Actor.DEFAULT or update.decision.actor is not Actor.DEFAULT:
        return
    asked_again = update.case_id in books.reopened or is_another_question(
        books, step, step.case(update.case_id)
    )
    law(asked_again, "an answer in time never loses to the default (I7a)", earlier, update)
    books.reopened.discard(update.case_id)


def is_another_question(books: Books, step: Step, case: Case) -> bool:
    """The OMS speaks of another line, or what was chosen became unsafe before it could be written."""
    if isinstance(step.event, WriteBackReceived):
        return True
    earlier = books.decisions.get(case.case_id)
    if earlier is None or case.exception.line is None:
        return False
    around = for_safety_alone(step.around(case, 0))
    by_id = {option.option_id: option for option in case.exception.options}
    return not all(
        part.option_id in by_id and oracle.may_be_had(by_id[part.option_id], part.quantity, around)
        for part in earlier.chosen
    )


def good_answers_are_taken(step: Step) -> None:
    """I7a, the other side: an answer that is in time, clear, safe and paid for is accepted, whenever it comes."""
    event = step.event
    if not isinstance(event, ResponseReceived) or len(event.answers) != 1 or step.after is step.before:
        return
    answer = event.answers[0]
    case = step.case_before(answer.case_id)
    plain = (
        case is not None
        and case.is_open
        and event.signal is Signal.NONE
        and event.responder is Responder.CUSTOMER
        and answer.option_id
        and answer.key is None
        and not answer.chosen
        and answer.keep_quantity is None
        and answer.refund_quantity is None
        and answer.confirmed
        and answer.total_shown is not None
        and answer.total_shown.minor >= 10**6
        and answer.total_shown.currency == case.exception.order_total.currency
        and (event.logged_in or case.exception.line is None)
        and case.quantity_short > 0
    )
    if not plain:
        return
    option = next((o for o in case.exception.options if o.option_id == answer.option_id), None)
    elsewhere = elsewhere_minor(step.before, case)
    around = step.around(case, elsewhere)
    if option is None or not oracle.may_be_had(option, case.quantity_short, around):
        return
    decision = step.case(case.case_id).decision
    law(
        decision is not None
        and decision.response_id == event.event_id
        and [c.option_id for c in decision.chosen] == [option.option_id],
        "a good answer in time is taken (I7a)",
        event,
        decision,
    )


def older_answers_change_nothing(step: Step) -> None:
    """First decision wins among answers to one version: who saw another one than stands is told so."""
    event = step.event
    if not isinstance(event, ResponseReceived) or len(event.answers) != 1 or step.after is step.before:
        return
    answer = event.answers[0]
    before, after = step.case_before(answer.case_id), step.case(answer.case_id)
    if before is None or before.decision is None or after is None or answer.decision_version is None:
        return
    if answer.decision_version != before.decision.version:
        law(after.decision == before.decision, "an answer to another version changes nothing", answer)


def every_answer_is_judged(step: Step) -> None:
    """Who answered learns whether it was accepted, and why not."""
    event = step.event
    if not isinstance(event, ResponseReceived) or step.after is step.before or step.after is None:
        return
    if event.signal in (Signal.OPT_OUT_KEYWORD, Signal.OPT_OUT_SENTENCE, Signal.WRONG_NUMBER):
        return
    verdicts = {e.case_id: e.response for e in step.effects if isinstance(e, CaseChanged) and e.response}
    for answer in event.answers:
        if answer.case_id and step.case(answer.case_id) is not None:
            verdict = verdicts.get(answer.case_id)
            law(verdict is not None, "every answer is judged", answer)
            law(verdict.response_id == event.event_id, "a verdict names its response", verdict)
            law(verdict.accepted or verdict.reason, "a refusal says why", verdict)


def quantities_add_up(record: Conversation) -> None:
    for case in record.cases:
        line, decision = case.exception.line, case.decision
        if line is None or decision is None or case.is_closed:
            continue
        parts = [chosen.quantity for chosen in decision.chosen]
        total = decision.keep_quantity + sum(parts) + decision.refund_quantity
        replaced = [c.pieces for chosen in decision.chosen for c in chosen.components]
        law(
            min([decision.keep_quantity, decision.refund_quantity, *parts, *replaced], default=0) >= 0,
            "no quantity is negative",
            decision,
        )
        law(all(units > 0 for units in (*parts, *replaced)), "what is chosen is some of it", decision)
        law(decision.keep_quantity <= line.quantity_ordered, "no more is kept than ordered", decision)
        ordered = decision.price_before.minor // line.unit_price.minor
        law(total == ordered, "quantities add up", decision, total, ordered)
