"""One turn: what was heard, by the stage of the call, to what is said next."""

from typing import assert_never

from state.dialogue import answering, choosing, coping, persons
from state.dialogue.events import (
    Answered,
    AnyHeard,
    Detected,
    Hangup,
    Interruption,
    Keys,
    OptionGone,
    RecordingRefused,
    Say,
    SettledElsewhere,
    Silence,
    StoppedElsewhere,
    Utterance,
)
from state.dialogue.moves import Cause
from state.dialogue.script import Script
from state.dialogue.session import REFUND, TURNS_MAX, Session, Stage
from state.dialogue.turn import Turn, offers
from state.understand import Offer, Reading, confirms, understand
from state.understand.cues import goes_back, holds_on, party, refuses_recording, seeks
from state.understand.second import disposed, wants_second

# What ends a call has to be heard more clearly than what only asks again.
_ENDING_MIN = 0.45


def hear(session: Session, heard: AnyHeard, script: Script) -> tuple[Session, Say]:
    """The session after one event, and what to say: empty words mean to go on listening.

    `script` has to be the one that the session names. A call that is over answers nothing more.
    """
    if script.key != session.script:
        raise ValueError(f"The call speaks by {session.script}, not by {script.key}.")
    turn = Turn(session, script)
    if session.stage is Stage.ENDED:
        return session, Say("", session.script, (), ending="hang_up")
    if isinstance(heard, Utterance | Keys | Silence) and session.stage is not Stage.DIALLED:
        turn.change(turns=session.turns + 1)
        if turn.session.turns > TURNS_MAX:
            coping.give_up(turn, "too_long")
            return turn.done()
    _hear(turn, heard)
    if _stranded(turn.session):
        coping.hand_over(turn, "no_choice")
    return turn.done()


def second_wanted(session: Session, text: str) -> tuple[Offer, ...] | None:
    """The offers about which a second understanding should be asked for this text, or None if it need not be."""
    if not coping.knows_them(session):
        return None
    choosable = offers(session)
    if session.stage is Stage.READBACK and confirms(text, choosable, session.locale) != "unsure":
        # A bare yes says nothing about several offers, and everything to the question that was asked.
        return None
    return choosable if wants_second(understand(text, choosable, session.locale)) else None


def _stranded(session: Session) -> bool:
    """Whether a line has neither an option nor a refund left: nobody can answer that."""
    return session.stage is Stage.CHOICE and not session.shown and not session.line.refund_allowed


def _hear(turn: Turn, heard: AnyHeard) -> None:
    match heard:
        case Answered():
            if turn.session.stage is Stage.DIALLED:
                persons.greet(turn)
        case Detected(what):
            _detected(turn, what)
        case Hangup():
            turn.end(Cause.HUNG_UP, "hung_up")
        case Interruption(spoken):
            _interrupted(turn, spoken)
        case SettledElsewhere(case_id, why):
            _settled_elsewhere(turn, case_id, why)
        case StoppedElsewhere():
            coping.stopped(turn)
        case OptionGone(case_id, option_id):
            _option_gone(turn, case_id, option_id)
        case Utterance() | Keys() | Silence():
            if turn.session.stage is Stage.DIALLED:
                # Whoever speaks first has picked up; what they said is only a hello.
                persons.greet(turn)
            elif isinstance(heard, Silence):
                coping.silent(turn)
            elif isinstance(heard, Keys):
                _keyed(turn, heard.digits)
            else:
                _said(turn, heard)
        case _:
            assert_never(heard)


def _detected(turn: Turn, what: str) -> None:
    """Asynchronous detection may come late: once somebody has answered like a person, they are one.

    Silence, or what made no sense, is no such answer.
    """
    waiting = (Stage.DIALLED, Stage.PERSON, Stage.SCREENED, Stage.CODE)
    early = turn.session.stage in waiting and turn.session.turns == turn.session.failures
    if what == "machine" and early:
        persons.machine(turn)
    elif what == "fax" and early:
        persons.fax(turn)


def _interrupted(turn: Turn, spoken: str) -> None:
    if turn.session.stage is Stage.READBACK and len(spoken) < turn.session.essential_chars:
        turn.change(heard_out=False)


def _said(turn: Turn, heard: Utterance) -> None:
    session, text = turn.session, heard.text
    if not text.strip():
        coping.silent(turn)
        return
    if session.stage is Stage.CODE:
        _said_instead_of_code(turn, text)
        return
    choosable = offers(session) if coping.knows_them(session) else ()
    reading = disposed(understand(text, choosable, session.locale), heard.second)
    if not _common(turn, text, reading):
        _by_stage(turn, text, reading, heard.confidence)


def _said_instead_of_code(turn: Turn, text: str) -> None:
    reading = understand(text, (), turn.session.locale)
    if reading.intent == "optout":
        coping.opt_out(turn, text)
    elif reading.intent in ("repeat", "question"):
        _asked(turn, text, reading)
    else:
        persons.code(turn, text)


def _common(turn: Turn, text: str, reading: Reading) -> bool:
    """What means the same at every moment; false if the stage has to make sense of it."""
    locale = turn.session.locale
    sure = reading.confidence >= _ENDING_MIN
    if reading.intent == "optout":
        coping.opt_out(turn, text)
    elif refuses_recording(text, locale):
        _refuse_recording(turn)
    elif turn.session.stage is Stage.PERSON and party(text, locale) == "relay":
        return False
    elif reading.intent == "handoff" and sure:
        coping.hand_over(turn, "asked")
    elif reading.intent == "call_later" and sure:
        coping.later(turn, text)
    elif reading.intent == "question" and turn.session.stage is Stage.SCREENED:
        # "Hello?" or "who is this?" is somebody who was put through, and they are greeted.
        return False
    elif reading.intent == "question" and coping.knows_them(turn.session) and seeks(text, locale):
        # "Have you got anything cheaper" asks for an offer, and not for a figure.
        return False
    elif reading.intent in ("repeat", "question"):
        _asked(turn, text, reading)
    elif not reading.commits and holds_on(text, locale) and not goes_back(text, locale):
        turn.move(Cause.STAY)
        turn.say("take_your_time")
        turn.hold()
    else:
        return False
    return True


def _asked(turn: Turn, text: str, reading: Reading) -> None:
    if reading.intent == "question":
        answering.question(turn, text)
        return
    turn.move(Cause.STAY, heard_out=True)
    if turn.session.stage is Stage.READBACK:
        coping.prompt_again(turn)
    else:
        turn.say_again()


def _refuse_recording(turn: Turn) -> None:
    turn.move(Cause.STAY)
    if turn.session.recording != "refused":
        turn.bring(RecordingRefused())
    turn.change(recording="refused")
    turn.record("stop")
    turn.say("recording_off")
    coping.prompt_again(turn)


def _by_stage(turn: Turn, text: str, reading: Reading, confidence: float | None) -> None:
    match turn.session.stage:
        case Stage.PERSON:
            persons.person(turn, text, reading)
        case Stage.WHO:
            persons.who_else(turn, text, reading)
        case Stage.SCREENED:
            persons.screened(turn, text, reading)
        case Stage.CHOICE | Stage.READBACK if _denies(turn.session, text, reading):
            turn.move(Cause.SOMEBODY_ELSE)
            turn.say("who_else")
        case Stage.CHOICE:
            choosing.choice(turn, text, reading)
        case Stage.READBACK:
            choosing.readback(turn, text, reading, confidence)
        case Stage.DIALLED | Stage.CODE | Stage.ENDED:
            raise AssertionError("These stages have been answered before.")
        case _:
            assert_never(turn.session.stage)


def _denies(session: Session, text: str, reading: Reading) -> bool:
    """Whether somebody who was taken for the customer says that they are not. Asked once more, not believed at once."""
    denied = reading.intent == "wrong_person" or party(text, session.locale) == "wrong_number"
    return denied and not reading.commits and not session.settled


def _keyed(turn: Turn, digits: str) -> None:
    """Keys work at every moment: 9 is a person, * says it again."""
    stage = turn.session.stage
    if digits == "9" and stage is not Stage.CODE:
        coping.hand_over(turn, "asked")
    elif digits == "*":
        _asked(turn, "", Reading("repeat", 1.0))
    elif stage is Stage.CODE:
        persons.code(turn, digits.rstrip("#"))
    elif stage is Stage.CHOICE:
        _key_chooses(turn, digits)
    elif stage is Stage.READBACK:
        _key_confirms(turn, digits)
    else:
        persons.key(turn, digits)


def _key_chooses(turn: Turn, digits: str) -> None:
    if digits == "0":
        choosing.want_refund(turn)
    elif len(digits) == 1 and digits.isascii() and digits.isdigit():
        choosing.read_back_key(turn, int(digits))
    else:
        coping.misunderstood(turn)


def _key_confirms(turn: Turn, digits: str) -> None:
    match digits:
        case "1":
            choosing.confirmed(turn, digits, confidence=1.0, by_key=True)
        case "2":
            choosing.refused(turn)
        case "0" if turn.session.pending != REFUND:
            choosing.want_refund(turn)
        case _:
            coping.misunderstood(turn)


def _settled_elsewhere(turn: Turn, case_id: str, why: str) -> None:
    session = turn.session
    at = next((i for i in session.open_lines if session.lines[i].case_id == case_id), None)
    if at is None:
        return
    turn.change(gone=(*session.gone, case_id))
    if not coping.knows_them(session) or at != session.at:
        return
    turn.say(f"line_{why}", item=session.lines[at].item)
    if session.stage is Stage.READBACK:
        turn.move(Cause.REFUSED)
    choosing.on_to_next(turn, Cause.STAY, Cause.NOTHING_OPEN)


def _option_gone(turn: Turn, case_id: str, option_id: str) -> None:
    session = turn.session
    known = any(
        x.case_id == case_id and any(o.option_id == option_id for o in x.options) for x in session.lines
    )
    if not known or option_id in session.withdrawn:
        return
    turn.change(withdrawn=(*session.withdrawn, option_id))
    if not coping.knows_them(session) or session.line.case_id != case_id:
        return
    offered = any(o.option_id == option_id for o in session.offered)
    if session.stage is Stage.READBACK and (
        session.pending == REFUND or session.line.options[session.pending].option_id != option_id
    ):
        turn.change(shown=tuple(i for i in session.shown if session.line.options[i].option_id != option_id))
        return
    if offered or session.stage is Stage.READBACK:
        turn.say("option_gone")
        turn.move(Cause.REFUSED if session.stage is Stage.READBACK else Cause.STAY, quantity=0)
        turn.present()
