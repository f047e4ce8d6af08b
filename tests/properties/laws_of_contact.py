"""Who may be contacted, by what, when and how often: I7, one call at a time, one effect under one id."""

from datetime import timedelta

from msgspec.structs import replace

from schemas.commands import CaseChanged, ChannelCancel, ChannelCommand, LineHold, OrderUpdate
from schemas.events import ResponseReceived
from schemas.words import Arm, Channel, Mode, Purpose
from state.conversation import Case, Conversation
from state.turn import QuarantineRecord
from tests.properties import oracle
from tests.properties.seen import SILENCED, Books, LawBroken, Step, law

QUESTIONS = {Purpose.ASK, Purpose.UPDATE, Purpose.CALL, Purpose.LINK}
ANSWERS = {Purpose.REPLY, Purpose.HELP, Purpose.OPTOUT_ACK, Purpose.OPTIN_ACK}
NEWS = {Purpose.CONFIRM, Purpose.DEFAULT, Purpose.WITHDRAWAL}


def one_id_one_effect(books: Books, step: Step) -> None:
    """The id is the idempotency key: a second effect under it would be lost, or done twice."""
    for effect in step.effects:
        if isinstance(effect, QuarantineRecord | CaseChanged):
            continue
        # A write-back that is tried again says so by its attempt, and is otherwise the same.
        same = replace(effect, attempt=0, issued_at=None) if isinstance(effect, OrderUpdate) else effect
        law(
            books.commands.setdefault(effect.command_id, same) == same
            and (isinstance(effect, OrderUpdate) or books.commands[effect.command_id] is same),
            "never two effects under one command id",
            effect,
            books.commands[effect.command_id],
        )


def nothing_after_close(books: Books, step: Step, command: ChannelCommand) -> None:
    """I7: after close only the closing announcement, an answer to the customer, and one invitation."""
    law(command.not_after_at >= step.now, "nothing is sent that is too late already", command)
    if command.channel is Channel.PERSON:
        return
    if command.purpose in QUESTIONS:
        for case_id in command.about:
            case = step.case_before(case_id)
            law(case is not None and case.is_open, "only open cases are asked about (I7)", command)
    elif command.purpose in NEWS or (command.purpose is Purpose.REPLY and not command.reply_to):
        due = {(notice.case_id, notice.purpose) for notice in step.before.notices}
        for case_id in command.about:
            was_closed = step.before.case(case_id).is_closed
            law(
                not was_closed or (case_id, command.purpose) in due,
                "only news that was due is told (I7)",
                command,
            )
        if command.purpose is Purpose.WITHDRAWAL:
            for case_id in command.about:
                key = (case_id, command.channel)
                law(key not in books.withdrawals, "a withdrawal is told once", command)
                books.withdrawals.add(key)
    elif command.purpose is Purpose.SATISFACTION:
        law(command.conversation_id not in books.invited, "one invitation (I7)", command)
        books.invited.add(command.conversation_id)
    elif command.purpose in ANSWERS:
        law(
            isinstance(step.event, ResponseReceived) and command.reply_to == step.event.event_id,
            "an answer answers somebody (I7)",
            command,
        )
    else:
        raise LawBroken(f"a command for no known purpose: {command}")


def nothing_after_an_opt_out(books: Books, step: Step, command: ChannelCommand) -> None:
    """I7: no text and no automated call to somebody who said stop, except the answer to their own message."""
    if command.channel is Channel.PERSON or command.reply_to:
        return
    out = books.out | set(step.after.facts.opted_out)
    law(command.channel not in out, "nothing leaves after an opt-out (I7)", command)


def only_ways_that_exist(step: Step, command: ChannelCommand) -> None:
    if command.channel is Channel.PERSON or command.reply_to:
        return
    facts, conditions = step.after.facts, step.rules.conditions
    law(facts.may_use(command.channel), "there is an address, and it may be used", command, facts)
    law(command.channel not in conditions.killed_channels, "a switched-off channel is silent", command)
    law(command.store_id not in conditions.killed_stores, "a switched-off store is silent", command)
    if command.purpose is Purpose.CALL:
        law(Channel.VOICE not in conditions.unhealthy, "no call while voice is down", command)
    if command.purpose in QUESTIONS - {Purpose.LINK}:
        first = step.case(command.about[0])
        law(first.exception.kind not in conditions.killed_kinds, "a switched-off kind is silent", command)


def nothing_rings_at_night(step: Step, command: ChannelCommand) -> None:
    """Questions by SMS and calls keep the quiet hours of every zone in which the customer may be."""
    rings = command.channel in SILENCED and command.purpose in (Purpose.ASK, Purpose.UPDATE, Purpose.CALL)
    if not rings:
        return
    first = step.case(command.about[0])
    policy = step.rules.shelf[first.policy]
    law(
        not oracle.is_night(policy, first.exception, step.after.facts, step.now),
        "nothing rings at night",
        command,
    )


def one_call_at_a_time(books: Books, step: Step, command: ChannelCommand) -> None:
    policies = [step.rules.shelf[step.case(case_id).policy] for case_id in command.about]
    attempts_max = max(p.voice_step.attempts_max for p in policies if p.voice_step is not None)
    law(not books.calls_alive, "at most one call is alive", command, books.calls_alive)
    books.calls_alive.add(command.command_id)
    books.calls_a_round += 1
    law(books.calls_a_round <= attempts_max, "no more calls than attempts", command)


def no_dial_too_late(step: Step, command: ChannelCommand) -> None:
    """The last safe dial leaves room for ringing, talking, the queue and the write."""
    first = step.case(command.about[0])
    timing = step.rules.shelf[first.policy].timing
    needed_ms = timing.write_margin_ms + timing.talk_ms + timing.ring_ms
    needed_ms += step.rules.conditions.voice_queue_ms
    last_at = first.exception.fulfilment_deadline_at - timedelta(milliseconds=needed_ms)
    law(step.now <= last_at, "no dial after the last safe one", command, last_at)


def pickers_never_wait(step: Step, hold: LineHold) -> None:
    case = step.case(hold.case_id)
    if hold.until_at is not None:
        law(hold.until_at <= case.exception.fulfilment_deadline_at, "a hold ends by the deadline", hold)
        until_at = case.exception.picked_until_at
        law(until_at is None or hold.until_at <= until_at, "a hold ends before the tote closes", hold)


def shadow_contacts_nobody(step: Step) -> None:
    """A shadowed case only shows what it would have done; the holdout hears nothing from us."""
    for effect in step.effects:
        if isinstance(effect, CaseChanged | QuarantineRecord | ChannelCancel):
            continue
        about = effect.about if isinstance(effect, ChannelCommand) else (effect.case_id,)
        cases = [case for case_id in about if (case := step.case(case_id)) is not None]
        law(all(case.mode is not Mode.SHADOW for case in cases), "a shadow does nothing", effect)
        if step.after is not None and step.after.arm is Arm.HOLDOUT and isinstance(effect, ChannelCommand):
            law(effect.channel is Channel.PERSON, "the holdout is not contacted", effect)


def stuck_cases_are_handed_over(books: Books, record: Conversation, case: Case) -> None:
    if case.stuck and case.mode is not Mode.SHADOW:
        law(case.case_id in books.handed_over, "who is stuck is handed to people (I3)", case.stuck)
