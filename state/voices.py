"""What a response says beside a choice: stop, help, wrong number, later, a person please; and consents."""

from datetime import timedelta

from msgspec.structs import replace

from schemas.commands import ResponseVerdict
from schemas.events import ConsentChanged, ResponseReceived
from schemas.words import Channel, Purpose, Signal
from state import answers, calls
from state.offers import reply
from state.people import hand_over
from state.turn import NEWS_VALID, Turn

# Whoever says stop on any channel is neither texted nor called by a machine any more.
SILENCED = (Channel.SMS, Channel.VOICE)


def hear(turn: Turn, event: ResponseReceived) -> bool:
    """An opt-out comes first, whatever else the response says; then its answers."""
    turn.heard_on = event.channel
    match event.signal:
        case Signal.NONE:
            pass
        case Signal.OPT_OUT_KEYWORD | Signal.OPT_OUT_SENTENCE:
            news = opt_out(turn, SILENCED)
            if news and event.signal is Signal.OPT_OUT_SENTENCE:
                # The provider answers a keyword by itself; a sentence gets one answer from us.
                _answer(turn, event, Purpose.OPTOUT_ACK)
        case Signal.OPT_IN:
            _opt_in(turn, event)
        case Signal.HELP:
            _answer(turn, event, Purpose.HELP)
        case Signal.WRONG_NUMBER:
            _wrong_number(turn)
            return True
        case Signal.HOLDER_ABSENT:
            turn.conversation.calls_ended = True
            _send_link(turn)
        case Signal.PERSON_WANTED:
            for case in turn.conversation.open_cases or turn.conversation.cases[-1:]:
                hand_over(turn, case, Purpose.CALLBACK, "the customer asks for a person")
        case Signal.CALL_LATER:
            at = event.later_at or turn.now + timedelta(minutes=2)
            if not calls.call_back_at(turn, max(at, turn.now)):
                _send_link(turn)
        case Signal.UNCLEAR:
            reply(turn, event, "unclear", turn.conversation.open_cases)
        case Signal.RATING:
            _rated(turn, event)
    answers.take(turn, event)
    return True


def consent(turn: Turn, event: ConsentChanged) -> bool:
    """An opt-out or a renewal that came by another way than a response to us."""
    return (opt_out if event.opted_out else _opted_in)(turn, event.channels)


def opt_out(turn: Turn, channels: tuple[Channel, ...]) -> bool:
    """Nothing more leaves on these channels; the clock goes on. False: that was known."""
    conversation = turn.conversation
    if set(channels) <= set(conversation.opted_out):
        return False
    conversation.opted_out = tuple(sorted({*conversation.opted_out, *channels}))
    turn.cancel_sends("opted_out", channels)
    if Channel.VOICE in channels:
        conversation.next_call_at = None
    turn.replan = turn.replan or bool(conversation.cases)
    return True


def _opted_in(turn: Turn, channels: tuple[Channel, ...]) -> bool:
    """Renewed consent outranks what was known; False: nobody had opted out."""
    conversation, facts = turn.conversation, turn.conversation.facts
    if not any(turn.has_opted_out(channel) for channel in channels):
        return False
    conversation.opted_out = tuple([c for c in conversation.opted_out if c not in channels])
    conversation.facts = replace(facts, opted_out=tuple([c for c in facts.opted_out if c not in channels]))
    turn.replan = turn.replan or bool(conversation.cases)
    return True


def _opt_in(turn: Turn, event: ResponseReceived) -> None:
    """YES opts in only while opted out; otherwise it is no choice by itself."""
    if _opted_in(turn, SILENCED):
        _answer(turn, event, Purpose.OPTIN_ACK)
    elif not event.answers:
        reply(turn, event, "unclear", turn.conversation.open_cases)


def _wrong_number(turn: Turn) -> None:
    """Somebody else's telephone: it is suppressed, and heard nothing."""
    conversation = turn.conversation
    conversation.failed = tuple(sorted({*conversation.failed, *SILENCED}))
    conversation.wrong_number = conversation.calls_ended = True
    turn.cancel_sends("wrong_number", SILENCED)
    turn.replan = True


def _answer(turn: Turn, event: ResponseReceived, purpose: Purpose) -> None:
    """One text to somebody who just wrote or spoke to us; this much is allowed even after an opt-out."""
    channel = Channel.SMS if event.channel in (Channel.SMS, Channel.VOICE) else event.channel
    if channel in (Channel.PAGE, Channel.APP) or not turn.conversation.facts.may_use(channel):
        return
    about = turn.conversation.open_cases
    turn.send((channel,), purpose, about, reply_to=event.event_id, not_after_at=turn.now + NEWS_VALID)


def _send_link(turn: Turn) -> None:
    """The way to choose later, for somebody who cannot talk now."""
    channel = next((c for c in (Channel.SMS, Channel.EMAIL, Channel.PUSH) if turn.usable(c)), None)
    open_cases = turn.conversation.open_cases
    if channel is not None and open_cases:
        turn.send((channel,), Purpose.LINK, open_cases, not_after_at=turn.default_at(open_cases[0]))


def _rated(turn: Turn, event: ResponseReceived) -> None:
    if event.rating is None or not 0 <= event.rating <= 10 or not turn.conversation.invited:
        return
    for case in turn.conversation.cases[:1]:
        case.rating = event.rating
        turn.touch(case, ResponseVerdict(response_id=event.event_id, accepted=True, reason="rated"))
