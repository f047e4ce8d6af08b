"""The escalation clock of a conversation: gather, ask, call, and the default when nobody answered in time."""

from datetime import datetime, timedelta

import msgspec

from schemas.commands import OfferedCase
from schemas.words import Channel, HoldState, Kind, Purpose
from state.conversation import Call, Case, Conversation, Planned, Send
from state.offers import letter_all, offer
from state.plan import Digital, Situation, last_dial_at, plan
from state.policy import Policy, Step
from state.quiet import opens_at
from state.settlement import apply_default, without_options
from state.turn import Turn


def gather(turn: Turn, case: Case) -> None:
    """The gather window runs from the first exception; a later one may end it sooner, but never extends it."""
    conversation = turn.conversation
    policy = turn.policy_of(case)
    left = case.exception.fulfilment_deadline_at - turn.now
    window = min(timedelta(milliseconds=policy.gather_ms), max(left / 10, timedelta()))
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
        waiting = _waiting(conversation)
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
        for case in _waiting(conversation):
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
            _update(turn)
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
        for case in [c for c in _waiting(conversation) if _alike(c, anchor)]:
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


def dial(turn: Turn) -> None:
    """One attempt, if one is left and the telephone may ring; never a second beside a call that may be alive."""
    conversation = turn.conversation
    conversation.next_call_at = None
    waiting = _waiting(conversation)
    if not waiting or conversation.call is not None or not conversation.running or not conversation.plan:
        return
    step = conversation.plan[0]
    policy = turn.policy_of(waiting[0])
    latest_at = _last_dial_at(turn, waiting[0], policy)
    if not step.is_voice or conversation.calls_ended or conversation.calls >= conversation.calls_max:
        return
    if turn.now > latest_at or not _may_call(turn, waiting[0], policy):
        return
    if opens_at(policy, waiting[0].exception, conversation.facts, turn.now) > turn.now:
        return
    waiting, offers = _questions(turn)
    if not waiting:
        return
    conversation.calls += 1
    n = turn.send(
        Channel.VOICE,
        Purpose.CALL,
        waiting,
        step=step.name,
        attempt=conversation.calls,
        offers=offers,
        respond_by_at=turn.default_at(waiting[0]),
        not_after_at=min(latest_at, step.due_at),
    )
    _mark_asked(turn, waiting)
    if n is not None:
        conversation.call = Call(n)


def attempt_failed(turn: Turn) -> None:
    """Busy, unanswered or failed: the next attempt, spaced, while the plan has one."""
    conversation = turn.conversation
    conversation.call = None
    waiting = _waiting(conversation)
    step = turn.policy_of(waiting[0]).voice_step if waiting else None
    if step is None or conversation.calls_ended or conversation.calls >= conversation.calls_max:
        return
    conversation.next_call_at = turn.now + timedelta(milliseconds=step.spacing_ms)


def call_back_at(turn: Turn, at: datetime) -> bool:
    """The customer names a later moment: the next attempt then, if the plan still allows it."""
    conversation = turn.conversation
    waiting = _waiting(conversation)
    running = conversation.running and conversation.plan and conversation.plan[0].is_voice
    left = conversation.calls < conversation.calls_max and not conversation.calls_ended
    if not waiting or not running or not left:
        return False
    # The call has to be over before the window closes and the default is applied.
    policy = turn.policy_of(waiting[0])
    if at > last_dial_at(policy, conversation.plan[0].due_at + policy.write_margin, _queue_ms(turn)):
        return False
    conversation.next_call_at = at
    return True


def _waiting(conversation: Conversation) -> list[Case]:
    """The open cases that are still the machine's, worst deadline first."""
    return [case for case in conversation.open_cases if not case.taken and not case.stuck]


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
        digital=_digital(turn, anchor, policy, running),
        attempts=_attempts(turn, anchor, policy),
        queue_ms=_queue_ms(turn),
        rings_from=lambda at: opens_at(policy, anchor.exception, conversation.facts, at),
    )
    steps = plan(policy, situation)
    conversation.running = running is not None and bool(steps) and steps[0].name == running.name
    conversation.plan = steps
    conversation.anchor = anchor.case_id


def _last_dial_at(turn: Turn, anchor: Case, policy: Policy) -> datetime:
    deadline_at = anchor.exception.fulfilment_deadline_at
    return last_dial_at(policy, deadline_at, _queue_ms(turn))


def _queue_ms(turn: Turn) -> int:
    return turn.rules.conditions.voice_queue_ms


def _digital(turn: Turn, anchor: Case, policy: Policy, running: Planned | None) -> tuple[Digital, ...]:
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
        channels = _channels(turn, step)
        if channels is not None:
            found.append(Digital(step, channels, opened_at))
    return tuple(found)


def _goes_on(turn: Turn, anchor: Case, step: Step, asked_at: datetime) -> bool:
    """A window that was cut short for another case's deadline: this one still has the rest of it."""
    conversation = turn.conversation
    ends_at = asked_at + timedelta(milliseconds=step.window_ms or 0)
    last_opened = step.name == conversation.opened_steps[-1]
    return anchor.case_id != conversation.anchor and last_opened and ends_at > turn.now


def _channels(turn: Turn, step: Step) -> tuple[Channel, ...] | None:
    """The channels to ask on. None: the customer cannot be reached by any, so the step is left out.

    An opt-out or a switched-off channel is no undeliverability: then the clock goes on, with nothing to send.
    """
    conversation = turn.conversation
    existing = [channel for channel in step.channels if conversation.facts.may_use(channel)]
    if not existing:
        return None
    conditions = turn.rules.conditions
    silenced = conditions.kills(conversation.store_id, _kind(conversation))
    willing = [
        channel
        for channel in existing
        if not silenced and not turn.has_opted_out(channel) and channel not in conditions.killed_channels
    ]
    if not willing:
        return ()
    working = tuple([channel for channel in willing if channel not in conversation.failed])
    return working or None


def _kind(conversation: Conversation) -> Kind:
    waiting = conversation.open_cases
    return waiting[0].exception.kind if waiting else Kind.UNKNOWN


def _attempts(turn: Turn, anchor: Case, policy: Policy) -> int:
    step = policy.voice_step
    conversation = turn.conversation
    if step is None or conversation.calls_ended or not _may_call(turn, anchor, policy):
        return 0
    return max((step.attempts_max or 0) - conversation.calls, 0)


def _may_call(turn: Turn, anchor: Case, policy: Policy) -> bool:
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


def _open_step(turn: Turn) -> None:
    conversation = turn.conversation
    step = conversation.plan[0]
    if step.opens_at > turn.now:
        return
    conversation.running = True
    if step.is_voice:
        conversation.calls_max = conversation.calls + step.attempts
        dial(turn)
        _touch_open(turn)
        return
    if step.name in conversation.opened_steps and all(case.asked for case in _waiting(conversation)):
        return
    conversation.opened_steps = (*conversation.opened_steps, step.name)
    first = not any(case.asked and case.opened_at >= conversation.opened_at for case in conversation.cases)
    _ask(turn, step, Purpose.ASK if first else Purpose.UPDATE)


def _update(turn: Turn) -> None:
    """Lines that joined a running step: one more message a channel, covering everything that is open."""
    conversation = turn.conversation
    if all(case.asked for case in _waiting(conversation)):
        return
    step = conversation.plan[0]
    if not step.is_voice:
        _ask(turn, step, Purpose.UPDATE)
        return
    anchor = _waiting(conversation)[0]
    digital = next((s for s in turn.policy_of(anchor).steps if not s.is_voice), None)
    channels = (_channels(turn, digital) if digital is not None else None) or ()
    _ask(turn, Planned(step.name, channels, 0, step.opens_at, step.due_at), Purpose.UPDATE)


def _ask(turn: Turn, step: Planned, purpose: Purpose) -> None:
    """One message a channel about every open line, with the same offer in each."""
    conversation = turn.conversation
    waiting, offers = _questions(turn)
    if not waiting:
        return
    anchor = waiting[0]
    quiet = opens_at(turn.policy_of(anchor), anchor.exception, conversation.facts, turn.now) > turn.now
    # A switch may have been thrown since the plan was made.
    silenced = turn.rules.conditions.kills(conversation.store_id, anchor.exception.kind)
    for channel in step.channels:
        if silenced or not turn.usable(channel) or (channel is Channel.SMS and quiet):
            continue
        n = turn.send(
            channel,
            purpose,
            waiting,
            step=step.name,
            offers=offers,
            respond_by_at=turn.default_at(anchor),
            not_after_at=step.due_at,
            silent=quiet,
        )
        if n is not None:
            conversation.sends = (*conversation.sends, Send(n, channel))
    _mark_asked(turn, waiting)


def _questions(turn: Turn) -> tuple[list[Case], tuple[OfferedCase, ...]]:
    """What can be asked now, worst deadline first; a case whose last option is gone is asked nothing."""
    letter_all(turn)
    asked: list[Case] = []
    offers: list[OfferedCase] = []
    for case in _waiting(turn.conversation):
        offered = offer(turn, case)
        if offered.options:
            asked.append(case)
            offers.append(offered)
        else:
            without_options(turn, case)
    return asked, tuple(offers)


def _mark_asked(turn: Turn, cases: list[Case]) -> None:
    for case in cases:
        if not case.asked:
            case.asked, case.asked_at = True, turn.now
        turn.touch(case)


def _touch_open(turn: Turn) -> None:
    for case in turn.conversation.open_cases:
        turn.touch(case)
