"""Who is on the line: the customer, somebody else, a machine, or a caller who knows the order's last characters."""

from typing import Literal

from state.dialogue.coping import misunderstood
from state.dialogue.events import LinkWanted, MessageLeft, NotThem, Screened
from state.dialogue.moves import Cause
from state.dialogue.session import Stage
from state.dialogue.turn import Turn
from state.understand import Reading, confirms
from state.understand.cues import letters, party, refuses, screens, speaking
from state.understand.words import words

_CODE_TRIES_MAX = 3
_KEYS = {"2": "abc", "3": "def", "4": "ghi", "5": "jkl", "6": "mno", "7": "pqrs", "8": "tuv", "9": "wxyz"}
_KEYPAD = {letter: digit for digit, letters in _KEYS.items() for letter in letters}


def greet(turn: Turn) -> None:
    """Who calls, that it is a machine, that it records: before anything else."""
    session = turn.session
    notice = turn.text("recording_notice") if session.recording_wanted else ""
    if session.incoming:
        turn.move(Cause.CALLED_US)
        turn.say("incoming", recording=notice)
        return
    turn.move(Cause.PICKED_UP)
    if session.called:
        turn.say("greeting", recording=notice, called=session.called)
    else:
        turn.say("greeting_unnamed", recording=notice)


def machine(turn: Turn) -> None:
    """A voicemail gets a callback and no content of the basket; a call that we were given gets nothing."""
    if turn.session.incoming:
        turn.end(Cause.MACHINE)
        return
    turn.bring(MessageLeft())
    turn.say("voicemail")
    turn.end(Cause.MACHINE)


def fax(turn: Turn) -> None:
    turn.end(Cause.MACHINE)


def person(turn: Turn, text: str, reading: Reading) -> None:
    """The answer to "am I speaking with ...?"."""
    locale = turn.session.locale
    who = party(text, locale)
    if reading.intent == "machine":
        _machine_speaks(turn, text)
    elif who == "relay":
        turn.change(relay=True)
        turn.say("relay")
        turn.move(Cause.STAY)
        turn.say("greeting_again")
    elif who is not None and reading.intent in ("wrong_person", "unclear", "decline"):
        somebody_else(turn, who)
    elif reading.intent in ("wrong_person", "decline"):
        turn.move(Cause.SOMEBODY_ELSE, failures=0)
        turn.say("who_else")
    elif confirms(text, (), locale) == "yes" or speaking(text, locale) or _says_name(turn, text):
        right_person(turn)
    else:
        misunderstood(turn, "sorry")


def _says_name(turn: Turn, text: str) -> bool:
    """ "This is Sam", where Sam was asked for."""
    called = words(turn.session.called)
    said = words(text[:200])
    named = any(said[i : i + len(called)] == called for i in range(len(said)))
    return bool(called) and named and "?" not in said and not refuses(text, turn.session.locale)


def _machine_speaks(turn: Turn, text: str) -> None:
    if not screens(text, turn.session.locale):
        machine(turn)
        return
    turn.bring(Screened())
    turn.move(Cause.SCREENER)
    turn.say("screener")
    turn.hold()


def screened(turn: Turn, text: str, reading: Reading) -> None:
    """After the screener: whoever speaks now is greeted like anybody who picks up."""
    if screens(text, turn.session.locale):
        misunderstood(turn)
        return
    if reading.intent == "machine":
        machine(turn)
        return
    turn.move(Cause.PICKED_UP, failures=0)
    turn.say("greeting_again")


def who_else(turn: Turn, text: str, reading: Reading) -> None:
    """The answer to "wrong number, or not there?"."""
    who = party(text, turn.session.locale)
    if speaking(text, turn.session.locale) and who in (None, "absent") and reading.intent != "wrong_person":
        right_person(turn)
    elif who is not None and who != "relay":
        somebody_else(turn, who)
    else:
        misunderstood(turn)


def somebody_else(turn: Turn, who: Literal["wrong_number", "absent", "household", "child", "relay"]) -> None:
    """Nobody but the customer, or a registered delegate, hears what the order holds."""
    if who == "relay":
        raise AssertionError("A relay operator speaks for the customer.")
    if who == "household" and turn.session.delegate_known:
        turn.change(actor="delegate")
        right_person(turn)
        return
    turn.bring(NotThem(who))
    if who in ("absent", "household"):
        turn.bring(LinkWanted(who))
    turn.say(who)
    turn.end(Cause.NOT_THEM)


def right_person(turn: Turn, cause: Cause = Cause.RIGHT_PERSON) -> None:
    """On to the first open line; recording starts only now, after its announcement."""
    open_lines = turn.session.open_lines
    if not open_lines:
        turn.say("nothing_open")
        turn.end(Cause.NOTHING_OPEN, "settled")
        return
    turn.move(cause, at=open_lines[0], failures=0, quantity=0)
    if turn.session.recording_wanted and turn.session.recording == "off":
        turn.change(recording="on")
        turn.record("start")
    turn.present()


def code(turn: Turn, said: str) -> None:
    """Caller id proves nothing: the order's last four characters do."""
    wanted = turn.session.order_tail.casefold()
    # Spelt out, or written in one piece as whoever types does.
    heard = {letters(said, turn.session.locale), "".join(filter(str.isalnum, said.casefold()))}
    keyed = "".join(_KEYPAD.get(c, c) for c in wanted)
    if len(wanted) == 4 and (wanted in heard or said == keyed):
        right_person(turn, Cause.CODE_RIGHT)
        return
    turn.change(failures=turn.session.failures + 1)
    if turn.session.failures >= _CODE_TRIES_MAX:
        turn.bring(LinkWanted("code"))
        turn.say("code_failed")
        turn.end(Cause.CODE_FAILED)
        return
    turn.move(Cause.STAY)
    turn.say("code_again")


def key(turn: Turn, digits: str) -> None:
    """A key at the questions about who is speaking."""
    match turn.session.stage, digits:
        case (Stage.PERSON, "1"):
            right_person(turn)
        case (Stage.PERSON, "2"):
            turn.move(Cause.SOMEBODY_ELSE, failures=0)
            turn.say("who_else")
        case (Stage.WHO, "1"):
            somebody_else(turn, "wrong_number")
        case (Stage.WHO, "2"):
            somebody_else(turn, "absent")
        case _:
            misunderstood(turn)
