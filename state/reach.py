"""Which ways to this customer are left: digital steps with their channels, and calls; what a plan is made from."""

from datetime import datetime

from schemas.words import CaseState, Channel, Kind
from state.conversation import Case, Conversation, Planned, worst_first
from state.plan import Digital, last_dial_at
from state.policy import Policy, Step
from state.spans import span
from state.turn import Turn


def waiting_cases(conversation: Conversation) -> list[Case]:
    """The open cases that are still the machine's, worst deadline first."""
    cases = conversation.cases
    return worst_first([c for c in cases if c.state is CaseState.OPEN and not (c.taken or c.stuck)])


def digital_steps(turn: Turn, anchor: Case, policy: Policy, running: Planned | None) -> tuple[Digital, ...]:
    """The digital steps that are still to come or run, each with the channels that are left to it."""
    found = []
    for step in policy.steps:
        if step.is_voice:
            continue
        opened_at = None
        if running is not None and step.name == running.name:
            opened_at = running.opens_at
        elif step.name in turn.conversation.opened_steps and anchor.asked_at is not None:
            opened_at = anchor.asked_at
            if not _goes_on(turn, anchor, step, opened_at):
                continue
        channels = channels_left(turn, step)
        if channels is not None:
            found.append(Digital(step, channels, opened_at))
    return tuple(found)


def _goes_on(turn: Turn, anchor: Case, step: Step, asked_at: datetime) -> bool:
    """A window that was cut short for another case's deadline: this one still has the rest of it."""
    conversation = turn.conversation
    ends_at = asked_at + span(step.window_ms or 0)
    last_opened = step.name == conversation.opened_steps[-1]
    return anchor.case_id != conversation.anchor and last_opened and ends_at > turn.now


def channels_left(turn: Turn, step: Step) -> tuple[Channel, ...] | None:
    """The channels to ask on. None: the customer cannot be reached by any, so the step is left out.

    An opt-out or a switched-off channel is no undeliverability: then the clock goes on, with nothing to send.
    """
    conversation = turn.conversation
    existing = [channel for channel in step.channels if conversation.facts.may_use(channel)]
    if not existing:
        return None
    if _is_silenced(turn):
        return ()
    killed = turn.rules.conditions.killed_channels
    willing = [c for c in existing if c not in killed and not turn.has_opted_out(c)]
    if not willing:
        return ()
    working = tuple([channel for channel in willing if channel not in conversation.failed])
    return working or None


def _is_silenced(turn: Turn) -> bool:
    """Nobody may be contacted from this store, or about the kind of the most urgent case."""
    conversation, conditions = turn.conversation, turn.rules.conditions
    if not conditions.killed_kinds:
        return conversation.store_id in conditions.killed_stores
    open_cases = conversation.open_cases
    kind = open_cases[0].exception.kind if open_cases else Kind.UNKNOWN
    return conditions.kills(conversation.store_id, kind)


def attempts_left(turn: Turn, anchor: Case, policy: Policy) -> int:
    step = policy.voice_step
    conversation = turn.conversation
    if step is None or conversation.calls_ended or not may_call(turn, anchor, policy):
        return 0
    return max((step.attempts_max or 0) - conversation.calls, 0)


def may_call(turn: Turn, anchor: Case, policy: Policy) -> bool:
    """Whether voice is a way to reach this customer at all; quiet hours are the plan's business."""
    exception = anchor.exception
    country = policy.countries.get(exception.delivery.country)
    conditions = turn.rules.conditions
    return (
        country is not None
        and country.voice
        and turn.usable(Channel.VOICE)
        and Channel.VOICE not in conditions.unhealthy
        and exception.kind not in conditions.killed_kinds
    )


def latest_dial_at(turn: Turn, anchor: Case, policy: Policy) -> datetime:
    deadline_at = anchor.exception.fulfilment_deadline_at
    return last_dial_at(policy, deadline_at, turn.rules.conditions.voice_queue_ms)
