"""From the options to a decision: choice, wishes, readback, and the one place where a line is committed."""

import msgspec

from state.dialogue.coping import misunderstood, prompt_again
from state.dialogue.events import Committed
from state.dialogue.moves import Cause
from state.dialogue.session import REFUND, Session, Settled
from state.dialogue.turn import Turn, offers
from state.dialogue.wishing import dearer_by_unit, unseen_is_better, wished_for
from state.understand import Offer, Reading, confirms, mentioned
from state.understand.cues import goes_back, quantity, refuses, topic, wish
from state.understand.records import Wish
from state.understand.second import REFUND_KEY

# A yes that the recogniser itself doubts is asked again.
CONFIDENCE_MIN = 0.45


def choice(turn: Turn, text: str, reading: Reading) -> None:
    """The answer to the options of a line. It never decides: it leads to a readback, or to a better question."""
    session = turn.session
    wished = wish(text, session.locale)
    if wished == "fewer" and session.line.quantity == 1:
        # "Just one of the brown": of one there are no fewer.
        wished = None
    if goes_back(text, session.locale) and session.settled:
        go_back(turn)
    elif wished is not None and unseen_is_better(session, wished, reading):
        _fulfil(turn, wished, text)
    elif reading.intent == "choose" and reading.option is not None and not _counts(session, text):
        turn.change(failures=0)
        read_back_key(turn, reading.option)
    elif reading.intent == "refund":
        want_refund(turn)
    elif reading.intent == "accept":
        turn.change(failures=0)
        turn.read_back(session.shown[0], session.quantity)
    elif wished is not None and reading.intent != "decline":
        _fulfil(turn, wished, text)
    elif reading.intent == "decline":
        turn.say("none_then")
        want_refund(turn)
    else:
        _narrow(turn, text, reading)


def _counts(session: Session, text: str) -> bool:
    """Whether a number in it is of pieces rather than a key: only where there are several to have fewer of."""
    return session.line.quantity > 1 and quantity(text, session.locale) is not None


def _narrow(turn: Turn, text: str, reading: Reading) -> None:
    """Something was said that names an option without deciding: ask about that one, if it was not refused."""
    session = turn.session
    pieces = quantity(text, session.locale)
    if pieces is not None and session.line.quantity > 1:
        _pieces(turn, pieces, reading)
        return
    if refuses(text, session.locale) or topic(text, session.locale) == "allergens":
        misunderstood(turn)
        return
    if reading.about == (REFUND_KEY,):
        want_refund(turn)
        return
    named = mentioned(text, _all_offers(session), session.locale)
    if len(named) == 1:
        turn.read_back(named[0] - 1, session.quantity)
        return
    if len(reading.about) == 1:
        read_back_key(turn, reading.about[0])
        return
    undecided = len(named) > 1 or confirms(text, offers(session), session.locale) == "yes"
    misunderstood(turn, "which_one" if undecided else "sorry")


def _all_offers(session: Session) -> tuple[Offer, ...]:
    """Every admissible option under its index + 1, for names of what was not read out."""
    options = session.line.options
    return tuple(
        Offer(i + 1, options[i].name, options[i].price_minor, options[i].size, options[i].brand)
        for i in session.available
    )


def _pieces(turn: Turn, pieces: int, reading: Reading) -> None:
    """Fewer pieces than were ordered: the rest is refunded. Only where the exact total is known."""
    session = turn.session
    if not 1 <= pieces <= session.line.quantity:
        misunderstood(turn, "too_many", quantity=session.line.quantity)
        return
    turn.change(quantity=0 if pieces == session.line.quantity else pieces)
    picked = reading.about[:1] or ((1,) if len(session.shown) == 1 else ())
    if picked:
        read_back_key(turn, picked[0])
        return
    turn.move(Cause.STAY)
    turn.say("which_for", quantity=pieces)
    turn.say("options_hint")


def read_back_key(turn: Turn, n: int) -> None:
    """Read back the option behind a key."""
    session = turn.session
    if not 1 <= n <= len(session.shown):
        misunderstood(turn, "not_offered")
        return
    option = session.shown[n - 1]
    if len(session.line.options[option].totals_minor) < session.wanted or (
        session.quantity and not session.line.refund_allowed
    ):
        turn.change(quantity=0)
        misunderstood(turn, "quantity_unknown", quantity=session.line.quantity)
        return
    turn.read_back(option, session.quantity)


def want_refund(turn: Turn) -> None:
    if not turn.session.line.refund_allowed:
        misunderstood(turn, "no_refund")
        return
    turn.read_back(REFUND)


def readback(turn: Turn, text: str, reading: Reading, confidence: float | None) -> None:
    """The answer to a readback. Only an explicit yes to what was heard out decides."""
    session = turn.session
    pending = None if session.pending == REFUND else _key_of(session, session.pending)
    answer = confirms(text, offers(session), session.locale)
    doubted = confidence is not None and confidence < CONFIDENCE_MIN
    if answer == "yes" and not doubted:
        confirmed(turn, text, confidence=1.0 if confidence is None else confidence, by_key=False)
    elif answer == "no" or reading.intent == "decline" or goes_back(text, session.locale):
        refused(turn)
    elif reading.intent == "choose" and reading.option is not None and reading.option != pending:
        turn.change(quantity=0)
        read_back_key(turn, reading.option)
    elif reading.intent == "refund" and session.pending != REFUND:
        want_refund(turn)
    else:
        _change_of_readback(turn, text, pending)


def _change_of_readback(turn: Turn, text: str, pending: int | None) -> None:
    session = turn.session
    others = [n for n in mentioned(text, offers(session), session.locale) if n != pending]
    if len(others) == 1:
        # "Oh no, give me the Corner Shop one" decides nothing; it is asked about, rather than the first one again.
        turn.change(quantity=0)
        read_back_key(turn, others[0])
        return
    pieces = quantity(text, session.locale)
    if pieces is not None and session.line.quantity > 1 and session.pending != REFUND:
        _pieces(turn, pieces, Reading("unclear", 0.0, about=(pending,) if pending else ()))
        return
    wished = wish(text, session.locale)
    if wished is not None and wished != "fewer":
        turn.move(Cause.REFUSED, quantity=0)
        _fulfil(turn, wished, text)
        return
    misunderstood(turn)


def _key_of(session: Session, option: int) -> int | None:
    return session.shown.index(option) + 1 if option in session.shown else None


def refused(turn: Turn) -> None:
    """Back to the choice; that is no failure."""
    turn.move(Cause.REFUSED, quantity=0, failures=0)
    turn.say("none_then")
    turn.present(turn.session.shown or None)


def confirmed(turn: Turn, said: str, *, confidence: float, by_key: bool) -> None:
    """Commit the pending line, then the next one or goodbye. The only place where a decision is made."""
    session = turn.session
    if not session.heard_out:
        # Who says yes before the total was spoken has agreed to something that nobody told them.
        prompt_again(turn)
        return
    line = session.line
    option = None if session.pending == REFUND else line.options[session.pending]
    taken = line.quantity if option is None else session.wanted
    turn.bring(
        Committed(
            case_id=line.case_id,
            replaces=line.version,
            option_id=None if option is None else option.option_id,
            quantity=taken,
            readback=session.said_back,
            said=said,
            confidence=confidence,
            by_key=by_key,
            actor=session.actor,
            offered=tuple(o.option_id for o in session.offered),
            script=session.script,
            policy=session.policy,
        )
    )
    _settle(turn, Settled(session.at, session.pending, taken))
    turn.say("noted")
    on_to_next(turn, Cause.COMMITTED, Cause.SETTLED)


def _settle(turn: Turn, settled: Settled) -> None:
    session = turn.session
    others = tuple(s for s in session.settled if s.at != settled.at)
    lines = list(session.lines)
    # A later change of mind replaces the version that this answer makes.
    lines[settled.at] = msgspec.structs.replace(line := lines[settled.at], version=line.version + 1)
    turn.change(settled=(*others, settled), lines=tuple(lines))


def on_to_next(turn: Turn, cause: Cause, last: Cause) -> None:
    """The next open line by deadline, or goodbye."""
    rest = turn.session.open_lines
    if not rest:
        turn.say("closing")
        turn.end(last, "settled")
        return
    turn.move(cause, at=rest[0], failures=0, quantity=0)
    turn.say("next_line")
    turn.present()


def go_back(turn: Turn) -> None:
    """Reopen the line that was decided last; its decision stands until another is confirmed."""
    at = turn.session.settled[-1].at
    turn.move(Cause.BACK, at=at, failures=0, quantity=0)
    turn.say("back")
    turn.present()


def _fulfil(turn: Turn, wished: Wish, text: str) -> None:
    """Offer what was wished for, among admissible options only."""
    session = turn.session
    if wished == "fewer":
        pieces = quantity(text, session.locale)
        if pieces is None:
            misunderstood(turn)
            return
        _pieces(turn, pieces, Reading("unclear", 0.0, about=mentioned(text, offers(session), session.locale)))
        return
    found = wished_for(session, wished)
    turn.move(Cause.STAY)
    if not found:
        turn.say({"usual": "usual_unknown", "more": "no_more"}.get(wished, "none_such"))
        turn.present(session.shown)
        _count(turn)
        return
    turn.change(failures=0)
    if len(found) == 1 and wished != "more":
        if wished == "cheaper" and dearer_by_unit(session, session.line.options[found[0]]):
            turn.say("cheaper_smaller")
        turn.read_back(found[0], session.quantity)
        return
    turn.present(found)


def _count(turn: Turn) -> None:
    """A wish that cannot be met is asked for only so often."""
    turn.change(failures=min(turn.session.failures + 1, 3))
