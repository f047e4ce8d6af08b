"""What a turn does when it cannot go on: ask again, turn to the keys, hand over, say goodbye."""

from typing import Literal

from state.dialogue.events import HandedOff, LaterWanted, LinkWanted, OptedOut
from state.dialogue.moves import Cause
from state.dialogue.session import REFUND, Session, Stage
from state.dialogue.turn import Turn

# Two failures lead to the keys, two more to a person or a link.
FAILURES_TO_KEYS = 2
FAILURES_MAX = 4


def misunderstood(turn: Turn, sorry: str = "sorry", **values: object) -> None:
    """One more failure; `sorry` is said first."""
    turn.change(failures=turn.session.failures + 1)
    if turn.session.failures >= FAILURES_MAX:
        give_up(turn, "not_understood")
        return
    turn.say(sorry, **values)
    if turn.session.failures >= FAILURES_TO_KEYS:
        turn.say("use_keys")
    turn.move(Cause.STAY)
    prompt_again(turn)


def prompt_again(turn: Turn) -> None:
    """Say once more what this stage waits for."""
    match turn.session.stage:
        case Stage.PERSON:
            turn.say("greeting_again")
        case Stage.WHO:
            turn.say("who_else")
        case Stage.CODE:
            turn.say("code_again")
        case Stage.SCREENED:
            turn.say("screener")
        case Stage.CHOICE:
            turn.present(turn.session.shown)
            if turn.session.failures >= FAILURES_TO_KEYS:
                turn.say("keys_choice")
        case Stage.READBACK:
            turn.read_back(turn.session.pending, turn.session.quantity)
        case Stage.DIALLED | Stage.ENDED:
            raise AssertionError("Nobody is asked anything here.")


def silent(turn: Turn) -> None:
    """Nothing was heard: like a failure, but nobody is put through to staff without a word."""
    turn.change(failures=turn.session.failures + 1)
    if turn.session.failures >= FAILURES_MAX:
        turn.bring(LinkWanted("not_understood"))
        turn.say("no_answer")
        turn.end(Cause.GAVE_UP, "no_answer")
        return
    turn.say("still_there")
    turn.move(Cause.STAY)
    prompt_again(turn)


def give_up(turn: Turn, reason: Literal["not_understood", "too_long"]) -> None:
    if knows_them(turn.session) and turn.session.staff_available:
        hand_over(turn, reason, Cause.GAVE_UP)
        return
    turn.bring(LinkWanted("code" if turn.session.stage is Stage.CODE else reason))
    turn.say("code_failed" if turn.session.stage is Stage.CODE else "send_link")
    turn.end(Cause.GAVE_UP)


def hand_over(
    turn: Turn,
    reason: Literal["asked", "not_understood", "too_long", "no_choice"],
    cause: Cause = Cause.PERSON_WANTED,
) -> None:
    """A person takes over, or, where none is free, a link. The deadline goes on either way."""
    turn.bring(HandedOff(reason, summary(turn.session)))
    if turn.session.staff_available:
        turn.say("handoff")
        turn.end(cause, ending="transfer")
        return
    turn.bring(LinkWanted("no_staff"))
    turn.say("no_staff")
    turn.end(cause)


def opt_out(turn: Turn, said: str) -> None:
    turn.bring(OptedOut(said))
    stopped(turn)


def stopped(turn: Turn) -> None:
    turn.say("optout")
    turn.end(Cause.OPTED_OUT)


def later(turn: Turn, said: str) -> None:
    turn.bring(LaterWanted(said))
    turn.say("later")
    turn.end(Cause.LATER)


def knows_them(session: Session) -> bool:
    """Whether we know that we talk with somebody who may hear about the order."""
    return session.stage in (Stage.CHOICE, Stage.READBACK)


def summary(session: Session) -> str:
    """Where the call stands, for the colleague who takes over: no name, number or address."""
    told = []
    settled = {s.at: s for s in session.settled}
    for at, line in enumerate(session.lines):
        if at in settled:
            found = settled[at]
            name = "refund" if found.option == REFUND else line.options[found.option].name
            told.append(f"{line.quantity} x {line.item}: decided, {found.quantity} x {name}.")
        elif line.case_id in session.gone:
            told.append(f"{line.item}: settled elsewhere.")
        elif at == session.at and knows_them(session):
            names = ", ".join(o.name for o in session.offered) or "nothing"
            told.append(f"{line.quantity} x {line.item}: open; offered {names}.")
        else:
            told.append(f"{line.quantity} x {line.item}: open; not talked about yet.")
    return " ".join(told)
