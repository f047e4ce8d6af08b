"""The escalation clock of a conversation: gather, ask, call, and the default when nobody answered in time."""

from datetime import timedelta

import msgspec

from schemas.words import HoldState, Purpose
from state.asking import ask, update
from state.calls import dial
from state.conversation import Case, Conversation
from state.plan import Situation, plan
from state.quiet import opens_at
from state.reach import attempts_left, digital_steps, waiting_cases
from state.settlement import apply_default
from state.spans import span
from state.turn import Turn


def gather(turn: Turn, case: Case) -> None:
    """The gather window runs from the first exception; a later one may end it sooner, but never extends it."""
    conversation = turn.conversation
    policy = turn.policy_of(case)
    left = case.exception.fulfilment_deadline_at - turn.now
    window = min(span(policy.gather_ms), max(left / 10, timedelta()))
    # Kafka's timestamps are whole milliseconds, and so are our deadlines.
    window -= timedelta(microseconds=window.microseconds % 1_000)
    standing = conversation.gather_until_at
    conversation.gather_until_at = min(standing or turn.now + window, turn.now + window)


def begin_afresh(conversation: Conversation) -> None:
    """Nothing was open: the next exception gets the whole escalation, from its first step on."""
    conversation.opened_steps = ()
    conversation.calls = conversation.calls_max = 0
    conversation.calls_ended = False
    conversation.running = False
    conversation.plan = ()
    conversation.next_call_at = None


def replanned(turn: Turn) -> None:
    """Make the plan anew from the earliest open deadline; whoever is left without a step takes the default."""
    conversation = turn.conversation
    before = conversation.plan[-1].due_at if conversation.plan else None
    while turn.replan:
        turn.replan = False
        waiting = waiting_cases(conversation)
        if not waiting:
            _stand_still(turn)
            return
        anchor = waiting[0]
        if not conversation.facts.known:
            # The customer may become known; until then only the limits count.
            conversation.plan, conversation.running = (), False
            continue
        _plan(turn, anchor)
        if not conversation.plan:
            conversation.running = False
            anchor.late = not anchor.asked
            apply_default(turn, anchor)
            turn.replan = True
    if conversation.plan and conversation.plan[-1].due_at != before:
        for case in waiting_cases(conversation):
            turn.touch(case)
            turn.hold(case, HoldState.ASKING)
    if not conversation.running and conversation.plan and conversation.gather_until_at is None:
        _open_step(turn)


def clock_fires(turn: Turn) -> None:
    """The gather window ended, a step opens, or its window closes."""
    conversation = turn.conversation
    if conversation.gather_until_at is not None and conversation.gather_until_at <= turn.now:
        conversation.gather_until_at = None
        if conversation.running:
            update(turn)
            return
        # Late arrivals and changed conditions are counted before anything is sent.
        turn.replan = True
        replanned(turn)
    elif conversation.running and conversation.plan[0].due_at <= turn.now:
        close_step(turn)
    elif not conversation.running and conversation.plan:
        _open_step(turn)


def close_step(turn: Turn) -> None:
    """A window closes, whatever receipts did; after the last, the time of the case it was planned for has come."""
    conversation = turn.conversation
    conversation.running = False
    conversation.plan = conversation.plan[1:]
    conversation.next_call_at = None
    anchor = conversation.case(conversation.anchor)
    if not conversation.plan and anchor is not None:
        for case in [c for c in waiting_cases(conversation) if _alike(c, anchor)]:
            apply_default(turn, case)
    # What comes next is planned with the conditions of now: the queue may have grown meanwhile.
    turn.replan = True
    replanned(turn)


def _alike(case: Case, anchor: Case) -> bool:
    """Asked at the same moment, with the same deadline: the plan was made for both."""
    return (case.exception.fulfilment_deadline_at, case.policy, case.asked_at) == (
        anchor.exception.fulfilment_deadline_at,
        anchor.policy,
        anchor.asked_at,
    )


def _stand_still(turn: Turn) -> None:
    """Nobody has to be asked any more."""
    conversation = turn.conversation
    turn.cancel_sends("decided")
    conversation.plan, conversation.running = (), False
    conversation.gather_until_at = None
    conversation.next_call_at = None


def _plan(turn: Turn, anchor: Case) -> None:
    conversation = turn.conversation
    policy = turn.policy_of(anchor)
    running = conversation.plan[0] if conversation.running and conversation.plan else None
    if running is not None and running.is_voice:
        # A voice window that runs stays as it is, unless an earlier deadline has joined.
        due_at = min(running.due_at, turn.limit_at(anchor))
        conversation.plan = (msgspec.structs.replace(running, due_at=due_at),)
        return
    starts_at = max(turn.now, conversation.gather_until_at or turn.now) if running is None else turn.now
    situation = Situation(
        starts_at=starts_at,
        deadline_at=anchor.exception.fulfilment_deadline_at,
        occurred_at=anchor.exception.occurred_at,
        digital=digital_steps(turn, anchor, policy, running),
        attempts=attempts_left(turn, anchor, policy),
        queue_ms=turn.rules.conditions.voice_queue_ms,
        rings_from=lambda at: opens_at(policy, anchor.exception, conversation.facts, at),
    )
    steps = plan(policy, situation)
    conversation.running = running is not None and bool(steps) and steps[0].name == running.name
    conversation.plan = steps
    conversation.anchor = anchor.case_id


def _open_step(turn: Turn) -> None:
    conversation = turn.conversation
    step = conversation.plan[0]
    if step.opens_at > turn.now:
        return
    conversation.running = True
    if step.is_voice:
        conversation.calls_max = conversation.calls + step.attempts
        if not conversation.opened_steps and _is_driver_waiting(turn):
            # Heard of so late that the first window was over: the message goes beside the call.
            update(turn, Purpose.ASK)
        dial(turn)
        _touch_open(turn)
        return
    if step.name in conversation.opened_steps and all(case.asked for case in waiting_cases(conversation)):
        return
    conversation.opened_steps = (*conversation.opened_steps, step.name)
    first = not any(case.asked and case.opened_at >= conversation.opened_at for case in conversation.cases)
    ask(turn, step, Purpose.ASK if first else Purpose.UPDATE)


def _is_driver_waiting(turn: Turn) -> bool:
    anchor = waiting_cases(turn.conversation)[0]
    return any(step.from_occurrence for step in turn.policy_of(anchor).steps)


def _touch_open(turn: Turn) -> None:
    for case in turn.conversation.open_cases:
        turn.touch(case)
