"""Every law, after every event of an order."""

from schemas.commands import LineHold, OrderUpdate
from schemas.words import Channel, Purpose
from tests.properties import laws_of_contact as contact
from tests.properties import laws_of_decisions as decisions
from tests.properties import laws_of_time as time
from tests.properties.seen import Books, Step


def check(books: Books, step: Step) -> None:
    """Raises `LawBroken` with the law's name; keeps the order's books."""
    contact.one_id_one_effect(books, step)
    books.hears(step)
    for command in step.commands:
        contact.nothing_after_close(books, step, command)
        contact.nothing_after_an_opt_out(books, step, command)
        contact.only_ways_that_exist(step, command)
        contact.nothing_rings_at_night(step, command)
        decisions.nothing_inadmissible_is_offered(step, command)
        if command.purpose is Purpose.CALL:
            contact.one_call_at_a_time(books, step, command)
            contact.no_dial_too_late(step, command)
        if command.channel is Channel.PERSON:
            books.handed_over.update(command.about)
    for effect in step.effects:
        if isinstance(effect, OrderUpdate):
            decisions.only_admissible_decisions(books, step, effect)
            decisions.nobody_pays_more_than_shown(books, step, effect)
            decisions.an_answer_in_time_never_loses(books, step, effect)
            books.decisions[effect.case_id] = effect.decision
        if isinstance(effect, LineHold):
            contact.pickers_never_wait(step, effect)
    contact.shadow_contacts_nobody(step)
    decisions.good_answers_are_taken(step)
    decisions.every_answer_is_judged(step)
    decisions.older_answers_change_nothing(step)
    if step.after is None:
        return
    decisions.quantities_add_up(step.after)
    time.a_deadline_lives(step.after, step.rules)
    time.fits(step.after)
    for case in step.after.cases:
        contact.stuck_cases_are_handed_over(books, step.after, case)
        if case.decision is None and decisions.is_another_question(books, step, case):
            books.reopened.add(case.case_id)
