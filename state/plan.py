"""Planning backwards from the deadline: which steps still fit, from when to when, and when the last dial is.

Windows that do not fit are shortened, then dropped, digital first; then the attempts, one by one. A plan
without steps means: late. All arithmetic is in whole milliseconds from the plan's start.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec

from schemas.words import Channel
from state.conversation import Planned
from state.policy import Policy, Step
from state.spans import span

# When may the telephone ring, from this instant on?
RingsFrom = Callable[[datetime], datetime]
_MS = timedelta(milliseconds=1)


class Digital(msgspec.Struct, frozen=True):
    """A digital step that may still be taken, with the channels that it would use."""

    step: Step
    channels: tuple[Channel, ...]
    # When it was opened, if it runs already: then it may be cut short, but not dropped.
    opened_at: datetime | None = None


class Situation(msgspec.Struct, frozen=True):
    """What a plan is made from."""

    starts_at: datetime
    deadline_at: datetime
    occurred_at: datetime
    digital: tuple[Digital, ...]
    # Calls that may still be made; 0 where voice is no way to reach this customer.
    attempts: int
    queue_ms: int
    rings_from: RingsFrom


class _Window(msgspec.Struct):
    """A digital window while it is being fitted."""

    digital: Digital
    delay_ms: int
    want_ms: int
    least_ms: int


def last_dial_at(policy: Policy, deadline_at: datetime, queue_ms: int) -> datetime:
    """A call that is asked for later could not be over, and its decision written, before the deadline."""
    timing = policy.timing
    needed_ms = timing.write_margin_ms + timing.talk_ms + timing.ring_ms + queue_ms
    return deadline_at - span(needed_ms)


def plan(policy: Policy, situation: Situation) -> tuple[Planned, ...]:
    """The steps from `starts_at` on, in order, against the earliest deadline.

    None at all: whatever was possible no longer fits, so the default is due.
    """
    room_ms = _ms(situation.deadline_at - policy.write_margin - situation.starts_at)
    voice = policy.voice_step
    if voice is not None and situation.attempts > 0:
        steps = _with_voice(policy, voice, situation, room_ms)
        if steps is not None:
            return steps
    return _laid_out(situation, _fitted(_windows(situation), room_ms))


def _with_voice(
    policy: Policy, voice: Step, situation: Situation, room_ms: int
) -> tuple[Planned, ...] | None:
    """Digital windows, then calls. None: quiet hours keep every call out, so that digital goes alone."""
    windows = _windows(situation)
    attempts, calls_ms = _attempts(policy, voice, situation, situation.attempts, room_ms)
    if attempts == 0:
        # No call fits: the default is applied, announced and written. A running window just ends.
        return _laid_out(situation, _fitted([w for w in windows if w.digital.opened_at], room_ms))
    fitted = _fitted(windows, room_ms - calls_ms)
    digital_ms = sum([w.delay_ms + w.want_ms for w in fitted])
    opens_at = situation.rings_from(_after(situation.starts_at, digital_ms))
    opens_ms = _ms(opens_at - situation.starts_at)
    attempts, calls_ms = _attempts(policy, voice, situation, attempts, room_ms - opens_ms)
    if attempts == 0:
        return None
    if fitted and opens_ms > digital_ms:
        # The telephone may not ring yet: the question stays open until it may.
        fitted[-1].want_ms += opens_ms - digital_ms
    call = Planned(voice.name, voice.channels, attempts, opens_at, _after(opens_at, calls_ms))
    return (*_laid_out(situation, fitted), call)


def _attempts(
    policy: Policy, voice: Step, situation: Situation, attempts: int, room_ms: int
) -> tuple[int, int]:
    """As many attempts as fit, at most so many, and how long they take."""
    while attempts > 0:
        calls_ms = policy.call_ms(attempts, voice.spacing_ms) + situation.queue_ms
        if calls_ms <= room_ms:
            return attempts, calls_ms
        attempts -= 1
    return 0, 0


def _windows(situation: Situation) -> list[_Window]:
    return [w for w in (_window(digital, situation) for digital in situation.digital) if w is not None]


def _window(digital: Digital, situation: Situation) -> _Window | None:
    step = digital.step
    whole_ms = step.window_ms or 0
    if digital.opened_at is not None:
        since_at = situation.occurred_at if step.from_occurrence else digital.opened_at
        left_ms = whole_ms - _ms(situation.starts_at - since_at)
        return _Window(digital, 0, max(left_ms, 0), 0)
    if step.from_occurrence:
        left_ms = whole_ms - _ms(situation.starts_at - situation.occurred_at)
        return _Window(digital, 0, left_ms, min(step.window_min_ms, left_ms)) if left_ms > 0 else None
    delay_ms = 0
    if digital.channels == (Channel.SMS,):
        # Nothing but a text that would ring at night: it waits for the morning, if there is time.
        delay_ms = _ms(situation.rings_from(situation.starts_at) - situation.starts_at)
    return _Window(digital, delay_ms, whole_ms, step.window_min_ms)


def _fitted(windows: list[_Window], room_ms: int) -> list[_Window]:
    """Shortened, the first ones first, then dropped in the same order, until they fit."""
    kept = list(windows)
    while True:
        excess_ms = sum([w.delay_ms + w.want_ms for w in kept]) - room_ms
        if excess_ms <= 0:
            return kept
        if sum([w.delay_ms + w.least_ms for w in kept]) <= room_ms:
            for window in kept:
                cut_ms = min(excess_ms, window.want_ms - window.least_ms)
                window.want_ms -= cut_ms
                excess_ms -= cut_ms
            return kept
        droppable = next((w for w in kept if w.digital.opened_at is None), None)
        if droppable is None:
            # Only the running window is left, and the room is gone: it ends now.
            for window in kept:
                window.want_ms = max(room_ms, 0)
            return kept
        kept.remove(droppable)


def _laid_out(situation: Situation, windows: list[_Window]) -> tuple[Planned, ...]:
    steps = []
    at = situation.starts_at
    for window in windows:
        opens_at = _after(at, window.delay_ms)
        at = _after(opens_at, window.want_ms)
        began_at = window.digital.opened_at or opens_at
        steps.append(Planned(window.digital.step.name, window.digital.channels, 0, began_at, at))
    return tuple(steps)


def _after(at: datetime, ms: int) -> datetime:
    return at + _MS * ms


def _ms(length: timedelta) -> int:
    return length // _MS
