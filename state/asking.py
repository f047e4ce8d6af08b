"""The questions: one message a channel about every open line, with the same offer in each."""

from schemas.commands import OfferedCase
from schemas.words import Channel, Purpose
from state.conversation import Case, Planned
from state.offers import letter_all, offer
from state.quiet import opens_at
from state.reach import channels_left, waiting_cases
from state.settlement import without_options
from state.turn import Turn


def ask(turn: Turn, step: Planned, purpose: Purpose) -> None:
    """One message a channel about every open line, with the same offer in each."""
    conversation = turn.conversation
    waiting, offers = questions(turn)
    if not waiting:
        return
    anchor = waiting[0]
    quiet = opens_at(turn.policy_of(anchor), anchor.exception, conversation.facts, turn.now) > turn.now
    # A switch may have been thrown since the plan was made.
    silenced = turn.rules.conditions.kills(conversation.store_id, anchor.exception.kind)
    channels = () if silenced else step.channels
    sent = turn.send(
        tuple([c for c in channels if turn.usable(c) and not (quiet and c is Channel.SMS)]),
        purpose,
        waiting,
        step=step.name,
        offers=offers,
        respond_by_at=turn.default_at(anchor),
        not_after_at=step.due_at,
        silent=quiet,
    )
    conversation.sends = (*conversation.sends, *sent)
    mark_asked(turn, waiting)


def update(turn: Turn, purpose: Purpose = Purpose.UPDATE) -> None:
    """Lines that joined a running step: one more message a channel, covering everything that is open."""
    conversation = turn.conversation
    if all(case.asked for case in waiting_cases(conversation)):
        return
    step = conversation.plan[0]
    if not step.is_voice:
        ask(turn, step, purpose)
        return
    anchor = waiting_cases(conversation)[0]
    digital = next((s for s in turn.policy_of(anchor).steps if not s.is_voice), None)
    channels = (channels_left(turn, digital) if digital is not None else None) or ()
    ask(turn, Planned(step.name, channels, 0, step.opens_at, step.due_at), purpose)


def questions(turn: Turn, *, spoken: bool = False) -> tuple[list[Case], tuple[OfferedCase, ...]]:
    """What can be asked now, worst deadline first; a case whose last option is gone is asked nothing."""
    letter_all(turn)
    asked: list[Case] = []
    offers: list[OfferedCase] = []
    for case in waiting_cases(turn.conversation):
        offered = offer(turn, case, spoken=spoken)
        if offered.options:
            asked.append(case)
            offers.append(offered)
        else:
            without_options(turn, case)
    return asked, tuple(offers)


def mark_asked(turn: Turn, cases: list[Case]) -> None:
    for case in cases:
        if not case.asked:
            case.asked, case.asked_at = True, turn.now
        turn.touch(case)
