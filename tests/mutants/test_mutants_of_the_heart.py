"""A suite that no mutant fails proves nothing: each invariant that the heart carries, broken by hand, and caught.

Each row is a mutant with its name, how it is made, a short history and the law that catches it. The same history
holds every law without the mutant.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import NamedTuple

import pytest

from schemas.events import ProductBlocked
from schemas.words import Channel, ReceiptState, Responder, Signal, WriteBackOutcome
from state import (
    admissible,
    answers,
    asking,
    attempts,
    calls,
    decide,
    escalation,
    news,
    people,
    settlement,
    voices,
    writing,
)
from state.conversation import Conversation, Planned
from state.gate import Verdict
from state.turn import Turn
from tests.builders import NOON, a_customer, a_line, an_exception, an_option, but, pounds
from tests.properties.moves import Life
from tests.properties.seen import LawBroken
from tests.properties.vocabulary import NUTS, SHELF

Patch = Callable[[pytest.MonkeyPatch], None]
MINUTE_MS = 60_000
LOAVES = (an_option("same"), an_option("dearer", sku="bread-spelt", unit_price=pounds(450)))


class Row(NamedTuple):
    name: str
    mutant: Patch
    history: Callable[[Life], None]
    law: str


# Histories, in words.


def asked(life: Life, exception=None, facts=None, ahead_ms: int = 10 * MINUTE_MS) -> None:
    life.raises(0, exception or an_exception(options=LOAVES), facts or a_customer(), ahead_ms, 5)
    life.passes(20_000)


def nobody_answers(life: Life) -> None:
    asked(life)
    life.ends()


def called(life: Life) -> None:
    asked(life)
    life.passes(3 * MINUTE_MS)


def called_and_busy_each_time(life: Life) -> None:
    called(life)
    for _ in range(3):
        life.receipt(0, 0, ReceiptState.BUSY, "", 1, 0)
        life.passes(11_000)


def rings_on_and_on(life: Life) -> None:
    called(life)
    life.receipt(0, 0, ReceiptState.RINGING, "", 1, 0)
    life.passes(MINUTE_MS)


def taps(life: Life) -> None:
    asked(life)
    life.taps(0, 0, 0, Channel.PAGE)
    life.passes(MINUTE_MS)


def somebody_says_stop(life: Life) -> None:
    asked(life)
    says(life, Signal.OPT_OUT_KEYWORD)
    life.ends()


def says(life: Life, signal: Signal, **more) -> None:
    words = {"channel": Channel.SMS, "responder": Responder.CUSTOMER, "signal": signal}
    life.answers(0, [], None, **words | more)


def answer(**changes) -> dict:
    return {
        "which": 0,
        "bare": False,
        "letter": "",
        "key": None,
        "option": 0,
        "parts": [],
        "keep": None,
        "refund": None,
        "version": 0,
        "total": 10_000,
        "confirmed": True,
        "reference": "",
    } | changes


def answered(life: Life, **changes) -> None:
    life.answers(0, [answer(**changes)], None, channel=Channel.PAGE, responder=Responder.CUSTOMER)


def somebody_asks_for_help(life: Life) -> None:
    asked(life)
    says(life, Signal.HELP)


def answered_to_an_older_version(life: Life) -> None:
    taps(life)
    answered(life, option=None, key=0, version=-1)


def an_allergy(life: Life) -> None:
    nutty = an_option("nutty", sku="bread-nut", attributes=NUTS)
    asked(life, an_exception(options=(*LOAVES, nutty)), a_customer(allergens=("nuts",)))
    life.taps(0, 0, 2, Channel.PAGE)


def blocked_before_it_is_written(life: Life) -> None:
    taps(life)
    life.oms(0, 0, WriteBackOutcome.ORDER_BEING_MODIFIED, None)
    life.condition(ProductBlocked(event_id="", occurred_at=NOON, sku="bread-hill", blocked=True))
    life.passes(MINUTE_MS)


def takes_the_dearer_one_unconfirmed(life: Life) -> None:
    asked(life, facts=a_customer(price_cap=pounds(500)))
    answered(life, option=1, total=None, confirmed=False)


def takes_the_dearer_one_at_the_old_total(life: Life) -> None:
    asked(life, facts=a_customer(price_cap=pounds(500)))
    answered(life, option=1, total=0)


def takes_two_of_three(life: Life) -> None:
    asked(life, an_exception(line=a_line(quantity_ordered=3), options=LOAVES))
    answered(life, option=None, parts=[(0, 2)])


def refused_by_the_oms(life: Life) -> None:
    taps(life)
    life.oms(0, 0, WriteBackOutcome.REJECTED, None)
    life.ends()


def shadowed(life: Life) -> None:
    asked(life, an_exception(options=LOAVES, policy_hint="shadow"))
    life.ends()


def at_night(life: Life) -> None:
    life.passes(10 * 60 * MINUTE_MS)
    asked(life)


def a_little_time_is_left(life: Life) -> None:
    asked(life, ahead_ms=130_000)
    life.passes(2 * MINUTE_MS)


def delivered_twice(life: Life) -> None:
    taps(life)
    life.all_goes_well(0)
    for _ in range(2):
        life.outcome(0, "delivered", 0)
        life.passes(3 * 60 * MINUTE_MS)


def decided_and_another_line_joins(life: Life) -> None:
    taps(life)
    asked(life)


def long_after_the_question(life: Life) -> None:
    asked(life)
    life.passes(2 * MINUTE_MS)
    life.taps(0, 0, 0, Channel.PAGE)


def an_unknown_customer(life: Life) -> None:
    asked(life, facts=a_customer(known=False))
    life.passes(9 * MINUTE_MS)
    life.outcome(0, "credited", 2)


def held_out_and_asks_for_help(life: Life) -> None:
    asked(life, an_exception(options=LOAVES, policy_hint="holdout"), a_customer(arm_point=0))
    says(life, Signal.HELP)


# Mutants, by what they break.


def set_to(owner: object, name: str, value: object) -> Patch:
    return lambda patch: patch.setattr(owner, name, value)


def wrapped(owner: object, name: str, change: Callable) -> Patch:
    return lambda patch: patch.setattr(owner, name, change(getattr(owner, name)))


def nothing(*_: object, **__: object) -> None:
    return None


def _shifted(real):
    def mutant(conversation, rules):
        early = timedelta(minutes=1)
        return [
            (at - early if what == "limit" else at, what, case_id)
            for at, what, case_id in real(conversation, rules)
        ]

    return mutant


def _without_limits(real):
    return lambda conversation, rules: min(
        (at for at, what, _ in real(conversation, rules) if what != "limit"),
        default=conversation.opened_at + timedelta(days=1),
    )


def _open_for_ever(conversation: Conversation) -> list:
    return [case for case in conversation.cases if not case.stuck]


def _always(*_: object) -> Verdict:
    return Verdict(())


def _ringing_is_busy(real):
    def mutant(turn, event, n):
        busy = event.state is ReceiptState.RINGING
        return real(turn, but(event, state=ReceiptState.BUSY) if busy else event, n)

    return mutant


def _too_late_by_a_minute(real):
    def mutant(turn, case):
        if case.is_open and turn.now > turn.limit_at(case) - timedelta(minutes=8):
            raise answers.Refused("too_late")
        real(turn, case)

    return mutant


def _defaults_win(real):
    def mutant(turn, event):
        real(turn, event)
        for case in turn.conversation.cases:
            settlement.apply_default(turn, case)

    return mutant


def _one_more(real):
    return lambda *arguments: real(*arguments) + 1


def _keeps_one_too_many(real):
    def mutant(*arguments):
        keep, chosen, refund = real(*arguments)
        return keep, chosen, refund + 1

    return mutant


def _invites_again(real):
    def mutant(turn, delivered_at):
        turn.conversation.invited = False
        return real(turn, delivered_at)

    return mutant


def _counts_up(real):
    tally = iter(range(10_000))

    def mutant(self):
        self.conversation.commands += next(tally)
        return self.conversation.commands

    return mutant


ROWS = [
    Row(
        "dedupe off: a response that comes twice counts twice",
        set_to(decide, "_is_new", lambda *_: True),
        somebody_asks_for_help,
        "a repeat does nothing",
    ),
    Row(
        "version check off: whoever answers last wins",
        set_to(answers, "_of_this_version", nothing),
        answered_to_an_older_version,
        "an answer to another version changes nothing",
    ),
    Row(
        "command ids are not counted",
        set_to(Turn, "next_number", lambda _: 1),
        nobody_answers,
        "never two effects under one command id",
    ),
    Row(
        "I3: stuck, and no person hears of it",
        set_to(people, "hand_over", nothing),
        refused_by_the_oms,
        "who is stuck is handed to people (I3)",
    ),
    Row(
        "I3: a record that is through is never removed",
        set_to(decide, "rest", nothing),
        nobody_answers,
        "a record is looked at again",
    ),
    Row(
        "I3: nobody watches over a write-back",
        wrapped(settlement, "write_back", lambda real: lambda turn, case: _unwatched(real, turn, case)),
        taps,
        "who is decided is watched until it is done",
    ),
    Row(
        "I6: the default comes a minute early",
        wrapped(decide, "wakeups", _shifted),
        an_unknown_customer,
        "no timer fires early (I6)",
    ),
    Row(
        "I6: the default's own time is forgotten",
        lambda patch: patch.setattr(decide, "next_due", _without_limits(decide.wakeups)),
        an_unknown_customer,
        "the default's time is never slept through",
    ),
    Row(
        "I7: who said stop is texted and called",
        set_to(Turn, "has_opted_out", lambda *_: False),
        somebody_says_stop,
        "nothing leaves after an opt-out (I7)",
    ),
    Row(
        "I7: an opt-out is heard, but not believed",
        set_to(voices, "opt_out", nothing),
        somebody_says_stop,
        "nothing leaves after an opt-out (I7)",
    ),
    Row(
        "I7: who has decided is asked on",
        lambda patch: [
            patch.setattr(m, "waiting_cases", _open_for_ever) for m in (asking, calls, escalation)
        ],
        decided_and_another_line_joins,
        "only open cases are asked about (I7)",
    ),
    Row(
        "I7: two invitations",
        wrapped(news, "plan_invitation", _invites_again),
        delivered_twice,
        "one invitation (I7)",
    ),
    Row(
        "I7a: in the last minutes an answer is too late",
        wrapped(answers, "_in_time", _too_late_by_a_minute),
        long_after_the_question,
        "a good answer in time is taken (I7a)",
    ),
    Row(
        "I7a: the default goes over the answer",
        wrapped(answers, "take", _defaults_win),
        taps,
        "an answer in time never loses to the default (I7a)",
    ),
    Row(
        "I11: the gate is removed from what is offered",
        set_to(admissible, "judge", _always),
        an_allergy,
        "nothing inadmissible is offered (I11)",
    ),
    Row(
        "I11: the gate is removed from what is accepted",
        set_to(answers, "judge", _always),
        an_allergy,
        "nothing inadmissible is accepted or written (I11)",
    ),
    Row(
        "I11: the gate is removed from the write-back",
        set_to(writing, "barred", lambda *_: ()),
        blocked_before_it_is_written,
        "nothing inadmissible is accepted or written (I11)",
    ),
    Row(
        "a call that rings is dialled again",
        wrapped(attempts, "_of_call", _ringing_is_busy),
        rings_on_and_on,
        "at most one call is alive",
    ),
    Row(
        "one attempt too many",
        wrapped(escalation, "attempts_left", _one_more),
        called_and_busy_each_time,
        "no more calls than attempts",
    ),
    Row(
        "dialled when the call cannot end in time",
        lambda patch: (
            patch.setattr(escalation, "plan", _calls_at_once),
            patch.setattr(calls, "latest_dial_at", lambda turn, case, _: turn.limit_at(case)),
        ),
        a_little_time_is_left,
        "no dial after the last safe one",
    ),
    Row(
        "quiet hours are not kept",
        lambda patch: [
            patch.setattr(m, "opens_at", lambda _, __, ___, at: at) for m in (asking, calls, escalation)
        ],
        at_night,
        "nothing rings at night",
    ),
    Row(
        "quantities do not add up",
        wrapped(answers, "_quantities", _keeps_one_too_many),
        takes_two_of_three,
        "quantities add up",
    ),
    Row(
        "a higher total needs no yes",
        set_to(answers, "_total_agreed", nothing),
        takes_the_dearer_one_unconfirmed,
        "a higher total needs a yes",
    ),
    Row(
        "more is paid than was shown",
        set_to(answers, "_total_agreed", nothing),
        takes_the_dearer_one_at_the_old_total,
        "nobody pays more than was shown",
    ),
    Row(
        "a shadow acts",
        set_to(Turn, "may_contact", lambda *_: True),
        shadowed,
        "a shadow does nothing",
    ),
    Row(
        "the holdout is contacted",
        set_to(Turn, "may_contact", lambda *_: True),
        held_out_and_asks_for_help,
        "the holdout is not contacted",
    ),
    Row(
        "the stored record is moved",
        set_to(Conversation, "copied", lambda self: self),
        asked,
        "the record that goes in is not moved",
    ),
    Row(
        "the same event makes something else the second time",
        wrapped(Turn, "next_number", _counts_up),
        asked,
        "the same event makes the same of the same record",
    ),
]


def _unwatched(real, turn, case) -> None:
    real(turn, case)
    case.watch_at = None


def _calls_at_once(policy, situation):
    call = policy.voice_step
    due_at = situation.deadline_at - policy.write_margin
    return (Planned(call.name, call.channels, 1, due_at - timedelta(seconds=1), due_at),)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_each_mutant_breaks_its_law_and_the_heart_does_not(row: Row, monkeypatch: pytest.MonkeyPatch):
    row.history(Life(SHELF))
    row.mutant(monkeypatch)
    with pytest.raises(LawBroken, match=row.law.replace("(", r"\(").replace(")", r"\)")):
        row.history(Life(SHELF))
