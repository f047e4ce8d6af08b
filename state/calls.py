"""The calls of a voice step: one attempt at a time, the next one spaced, or when the customer asked for it."""

from datetime import datetime

from schemas.words import Channel, Purpose
from state.asking import mark_asked, questions
from state.conversation import Call
from state.plan import last_dial_at
from state.quiet import opens_at
from state.reach import latest_dial_at, may_call, waiting_cases
from state.spans import span
from state.turn import Turn


def dial(turn: Turn) -> None:
    """One attempt, if one is left and the telephone may ring; never a second beside a call that may be alive."""
    conversation = turn.conversation
    conversation.next_call_at = None
    waiting = waiting_cases(conversation)
    if not waiting or conversation.call is not None or not conversation.running or not conversation.plan:
        return
    step = conversation.plan[0]
    policy = turn.policy_of(waiting[0])
    latest_at = latest_dial_at(turn, waiting[0], policy)
    if not step.is_voice or conversation.calls_ended or conversation.calls >= conversation.calls_max:
        return
    if turn.now > latest_at or not may_call(turn, waiting[0], policy):
        return
    if opens_at(policy, waiting[0].exception, conversation.facts, turn.now) > turn.now:
        return
    waiting, offers = questions(turn, spoken=True)
    if not waiting:
        return
    conversation.calls += 1
    sent = turn.send(
        (Channel.VOICE,),
        Purpose.CALL,
        waiting,
        step=step.name,
        attempt=conversation.calls,
        offers=offers,
        respond_by_at=turn.default_at(waiting[0]),
        not_after_at=min(latest_at, step.due_at),
    )
    mark_asked(turn, waiting)
    for send in sent:
        conversation.call = Call(send.n)


def attempt_failed(turn: Turn) -> None:
    """Busy, unanswered or failed: the next attempt, spaced, while the plan has one."""
    conversation = turn.conversation
    conversation.call = None
    waiting = waiting_cases(conversation)
    step = turn.policy_of(waiting[0]).voice_step if waiting else None
    if step is None or conversation.calls_ended or conversation.calls >= conversation.calls_max:
        return
    conversation.next_call_at = turn.now + span(step.spacing_ms)


def call_back_at(turn: Turn, at: datetime) -> bool:
    """The customer names a later moment: the next attempt then, if the plan still allows it."""
    conversation = turn.conversation
    waiting = waiting_cases(conversation)
    running = conversation.running and conversation.plan and conversation.plan[0].is_voice
    left = conversation.calls < conversation.calls_max and not conversation.calls_ended
    if not waiting or not running or not left:
        return False
    # The call has to be over before the window closes and the default is applied.
    policy = turn.policy_of(waiting[0])
    if at > last_dial_at(
        policy, conversation.plan[0].due_at + policy.write_margin, turn.rules.conditions.voice_queue_ms
    ):
        return False
    conversation.next_call_at = at
    return True
