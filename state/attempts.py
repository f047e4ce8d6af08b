"""What became of our attempts to reach somebody: messages, calls, and tasks for people."""

import msgspec

from schemas.events import ReceiptReceived
from schemas.ids import command_number
from schemas.words import CaseState, Channel, Purpose, ReceiptState
from state import asking, calls, news
from state.conversation import CallState, Case, Task, Write
from state.done import request_evidence, wait_again
from state.reach import waiting_cases
from state.rules import BLOCKED
from state.turn import Turn
from state.voices import SILENCED, opt_out
from state.writing import write_again

# Suppressed for these reasons, a channel is not broken: it is the customer's or our own will.
_WILLED = frozenset({"cap", "quiet", "kill_switch", "too_late", "decided", "withdrawn", BLOCKED})
_UNDELIVERED = frozenset(
    {ReceiptState.FAILED, ReceiptState.SUPPRESSED, ReceiptState.PROVIDER_DOWN, ReceiptState.CANCELLED}
)


def of_channel(turn: Turn, event: ReceiptReceived) -> bool:
    """What became of a message, a call or a task."""
    n = command_number(turn.conversation.conversation_id, event.command_id)
    if n is None or not turn.conversation.cases:
        return False
    if event.channel is Channel.PERSON:
        return _of_task(turn, event, n)
    if event.reason == "opted_out" and event.state in (ReceiptState.FAILED, ReceiptState.SUPPRESSED):
        return _of_opted_out(turn, n)
    if event.channel is Channel.VOICE:
        return _of_call(turn, event, n)
    return _of_message(turn, event, n)


def _of_opted_out(turn: Turn, n: int) -> bool:
    """The provider knows of an opt-out, perhaps before us: it is one, and no failure."""
    conversation = turn.conversation
    before = (conversation.sends, conversation.announcements, conversation.call)
    conversation.sends = tuple([send for send in conversation.sends if send.n != n])
    news.announcement_ended(turn, n, arrived=False)
    if conversation.call is not None and conversation.call.n == n:
        conversation.call = None
    ended = before != (conversation.sends, conversation.announcements, conversation.call)
    return opt_out(turn, SILENCED) or ended


def _of_message(turn: Turn, event: ReceiptReceived, n: int) -> bool:
    conversation = turn.conversation
    before = (conversation.sends, conversation.failed, conversation.announcements)
    asked = any(send.n == n for send in conversation.sends)
    conversation.sends = tuple([send for send in conversation.sends if send.n != n])
    match event.state:
        case ReceiptState.SENT | ReceiptState.DELIVERED:
            if asked:
                _presented(turn)
            if event.state is ReceiptState.DELIVERED and not (
                event.channel is Channel.SMS and conversation.wrong_number
            ):
                conversation.failed = tuple([c for c in conversation.failed if c is not event.channel])
        case ReceiptState.FAILED:
            _broken(turn, event.channel)
        case ReceiptState.SUPPRESSED if event.reason == BLOCKED and asked:
            _ask_without_the_blocked(turn, event.channel)
        case ReceiptState.SUPPRESSED if event.reason not in _WILLED:
            _broken(turn, event.channel)
    if event.state is ReceiptState.DELIVERED or event.state in _UNDELIVERED:
        news.announcement_ended(turn, n, arrived=event.state is ReceiptState.DELIVERED)
    return before != (conversation.sends, conversation.failed, conversation.announcements)


def _ask_without_the_blocked(turn: Turn, channel: Channel) -> None:
    """Between the question and its sending a product that it offers was blocked: another question may go."""
    conversation = turn.conversation
    if _knows_of_the_block(turn) and conversation.running and conversation.plan:
        step = msgspec.structs.replace(conversation.plan[0], channels=(channel,))
        asking.ask(turn, step, Purpose.ASK)


def _knows_of_the_block(turn: Turn) -> bool:
    """Else the same question would be suppressed again: the plan goes on without it."""
    return any(
        component.sku in turn.rules.conditions.blocked_skus
        for case in waiting_cases(turn.conversation)
        for option in case.exception.options
        for component in option.components
    )


def _broken(turn: Turn, channel: Channel) -> None:
    """No message reaches this address; once no channel is left, the escalation does not wait for its window."""
    conversation = turn.conversation
    if channel not in conversation.failed:
        conversation.failed = (*conversation.failed, channel)
        turn.replan = True


def _presented(turn: Turn) -> None:
    for case in turn.conversation.open_cases:
        if case.asked and not case.presented:
            case.presented = True
            turn.touch(case)


def _of_call(turn: Turn, event: ReceiptReceived, n: int) -> bool:
    """A call's states, ordered by their sequence; only the attempt that is under way counts."""
    conversation = turn.conversation
    call = conversation.call
    if call is None or call.n != n or event.sequence < call.sequence:
        return False
    call.sequence = event.sequence
    match event.state:
        case ReceiptState.RINGING if call.state is CallState.QUEUED:
            call.state = CallState.RINGING
        case ReceiptState.ANSWERED:
            call.state = CallState.ANSWERED
            conversation.spoke = True
            _presented(turn)
        case ReceiptState.NO_ANSWER | ReceiptState.BUSY | ReceiptState.SCREENED | ReceiptState.PROVIDER_DOWN:
            calls.attempt_failed(turn)
        case ReceiptState.SUPPRESSED if call.told:
            # We took it back ourselves, which says nothing of the lines that came later.
            conversation.call = None
        case ReceiptState.SUPPRESSED if event.reason == BLOCKED and _knows_of_the_block(turn):
            # Nobody was rung, so the attempt does not count.
            conversation.call = None
            conversation.calls -= 1
            calls.dial(turn)
        case ReceiptState.VOICEMAIL | ReceiptState.AMBIGUOUS | ReceiptState.SUPPRESSED | ReceiptState.FAILED:
            # A message was left, or a call may be alive that we cannot see, or none may be made: no further attempt.
            conversation.calls_ended = True
            if event.state is not ReceiptState.AMBIGUOUS:
                conversation.call = None
            if event.state is ReceiptState.FAILED:
                _broken(turn, Channel.VOICE)
        case ReceiptState.COMPLETED:
            _hung_up(turn, event)
        case ReceiptState.CANCELLED:
            conversation.call = None
        case _:
            return False
    return True


def _hung_up(turn: Turn, event: ReceiptReceived) -> None:
    """The call is over: what was committed stands, the rest follows the plan; its record can be sealed now.

    Only an answered call is completed, so that its beginning need not have been heard of.
    """
    conversation = turn.conversation
    conversation.call = None
    conversation.spoke = True
    _presented(turn)
    # Somebody who has spoken to us is called again only where they asked for it.
    conversation.calls_ended = conversation.next_call_at is None
    conversation.recorded = conversation.recorded or event.recorded
    conversation.recording_refused = conversation.recording_refused or event.recording_refused
    for case in conversation.cases:
        if case.proof_at is not None:
            request_evidence(turn, case)


def _of_task(turn: Turn, event: ReceiptReceived, n: int) -> bool:
    """A person took a task, did it, or declined."""
    conversation = turn.conversation
    task = next((t for t in conversation.tasks if t.n == n), None)
    if task is None:
        return False
    about = [case for case in conversation.cases if case.case_id in task.about]
    match event.state:
        case ReceiptState.TAKEN:
            about = [case for case in about if case.is_open and not case.taken]
            for case in about:
                case.taken = True
                turn.replan = True
        case ReceiptState.DECLINED:
            _forget(turn, task)
            for case in about:
                if case.taken:
                    # Nobody has it any more: the clock goes on, and if the deadline has passed, its default is due.
                    case.taken, case.stuck = False, ""
                    turn.replan = True
        case ReceiptState.DONE:
            _forget(turn, task)
            for case in about:
                _repaired(turn, case)
        case _:
            return False
    for case in about:
        turn.touch(case)
    return bool(about)


def _forget(turn: Turn, task: Task) -> None:
    turn.conversation.tasks = tuple([t for t in turn.conversation.tasks if t is not task])


def _repaired(turn: Turn, case: Case) -> None:
    """A person set the order right by hand: it is read again, or heard of again, before anything is believed."""
    if not case.stuck or case.state is not CaseState.DECIDED:
        return
    case.stuck = ""
    if case.write is Write.VERIFIED:
        wait_again(turn, case)
    else:
        write_again(turn, case)
