"""What a turn brings about, as facts that `decide` knows; whatever somebody said is in them only as ciphertext."""

from collections.abc import Callable
from datetime import datetime

import msgspec

from schemas.events import Answer, Fact, ReceiptReceived, ResponseReceived
from schemas.facts import Chosen, Money
from schemas.words import Channel, ReceiptState, Responder, Signal
from state.dialogue.events import (
    Committed,
    HandedOff,
    LaterWanted,
    LinkWanted,
    MessageLeft,
    NotThem,
    OptedOut,
    Outcome,
)
from state.dialogue.session import REFUND, Session

# Where Twilio's own numbers put what happens while a call is answered.
ANSWERED_SEQUENCE = 3
# Nobody is sent a link who could not show that the order is theirs, or who was sent one for another reason.
_NO_LINK = ("code", "absent", "household", "later")
_NOT_THEM = {
    "wrong_number": (Responder.STRANGER, Signal.WRONG_NUMBER),
    "absent": (Responder.HOUSEHOLD, Signal.HOLDER_ABSENT),
    "household": (Responder.HOUSEHOLD, Signal.HOLDER_ABSENT),
    "child": (Responder.CHILD, Signal.NONE),
}


class About(msgspec.Struct, frozen=True, kw_only=True):
    """The call that the outcomes are of; `version` tells its turns apart. `seal` is under the customer's key."""

    call_id: str
    command_id: str
    order_id: str
    provider_id: str
    incoming: bool
    version: int
    now: datetime
    seal: Callable[[str], bytes]


class Happened(msgspec.Struct, frozen=True):
    """An outcome, and the session that was answered with it."""

    outcome: Outcome
    before: Session


def facts_of(about: About, happened: list[Happened]) -> list[Fact]:
    """One fact an outcome that means something outside the call; a repeat of the turn has the same ids."""
    facts: list[Fact] = []
    for n, one in enumerate(happened):
        response = _response(about, one)
        if response is not None:
            facts.append(msgspec.structs.replace(response, event_id=f"{about.call_id}.t{about.version}.{n}"))
        elif isinstance(one.outcome, MessageLeft) and not about.incoming:
            facts.append(_voicemail(about))
    return facts


def _response(about: About, one: Happened) -> ResponseReceived | None:
    match one.outcome:
        case Committed(said=said, confidence=confidence) as committed:
            answers = (_answer(committed, one.before),)
            who = Responder.DELEGATE if committed.actor == "delegate" else Responder.CUSTOMER
            if one.before.relay:
                who = Responder.RELAY_OPERATOR
            return _said(about, Signal.NONE, said, who=who, answers=answers, confidence=confidence)
        case OptedOut(said=said):
            return _said(about, Signal.OPT_OUT_SENTENCE, said)
        case NotThem(who=found):
            who, signal = _NOT_THEM[found]
            return _said(about, signal, "", who=who)
        case HandedOff(summary=summary):
            return _said(about, Signal.PERSON_WANTED, summary)
        case LaterWanted(said=said):
            return _said(about, Signal.CALL_LATER, said)
        case LinkWanted(reason=reason) if reason not in _NO_LINK:
            return _said(about, Signal.HELP, "")
        case _:
            return None


def _said(
    about: About,
    signal: Signal,
    said: str,
    *,
    who: Responder = Responder.CUSTOMER,
    answers: tuple[Answer, ...] = (),
    confidence: float = 1.0,
) -> ResponseReceived:
    return ResponseReceived(
        event_id="",
        order_id=about.order_id,
        channel=Channel.VOICE,
        command_id=about.command_id,
        responder=who,
        signal=signal,
        answers=answers,
        spoken=True,
        sealed=about.seal(said) if said else b"",
        confidence_percent=round(100 * confidence),
        received_at=about.now,
    )


def _answer(committed: Committed, before: Session) -> Answer:
    """The line as it was read back: an option for all or some of its pieces, or the refund."""
    option = REFUND if committed.option_id is None else before.pending
    some = committed.option_id is not None and committed.quantity < before.line.quantity
    return Answer(
        case_id=committed.case_id,
        key=0 if committed.option_id is None else None,
        option_id="" if some else committed.option_id or "",
        chosen=(Chosen(option_id=committed.option_id or "", quantity=committed.quantity),) if some else (),
        decision_version=committed.replaces,
        total_shown=Money(before.total_with(option), before.line.currency),
        confirmed=True,
        readback=committed.readback,
    )


def _voicemail(about: About) -> ReceiptReceived:
    return ReceiptReceived(
        event_id=f"{about.command_id}.{ReceiptState.VOICEMAIL}.s{ANSWERED_SEQUENCE}",
        order_id=about.order_id,
        command_id=about.command_id,
        channel=Channel.VOICE,
        state=ReceiptState.VOICEMAIL,
        sequence=ANSWERED_SEQUENCE,
        provider_id=about.provider_id,
        occurred_at=about.now,
    )
