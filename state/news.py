"""What the customer is told afterwards: confirmations, defaults, withdrawals, and one invitation to rate us."""

from datetime import datetime

from schemas.words import Actor, Channel, Purpose
from state.conversation import Announcement, Case, Notice, Send, Write
from state.offers import letter_all, offer
from state.policy import DIGITAL
from state.quiet import opens_at
from state.spans import span
from state.turn import NEWS_VALID, Turn

# A stored preference was followed: told like a default, but it is the customer's own decision.
ANNOUNCED = Purpose.DEFAULT
WITHDRAWN = Purpose.WITHDRAWAL
NOT_POSSIBLE = "not_possible"
# Messages that may still turn out to be undelivered; of older ones nobody hears any more.
ANNOUNCEMENTS_MAX = 16

# Where a confirmation goes, by the channel that the answer came on; the first that can be used.
_CONFIRMED_ON: dict[Channel, tuple[Channel, ...]] = {
    Channel.SMS: (Channel.SMS, Channel.PUSH, Channel.EMAIL),
    Channel.VOICE: (Channel.SMS, Channel.EMAIL, Channel.PUSH),
    Channel.PERSON: (Channel.SMS, Channel.EMAIL, Channel.PUSH),
}
_ELSE = (Channel.PUSH, Channel.EMAIL, Channel.SMS)


def spread(turn: Turn) -> None:
    """Everything that waited to be told: one message for each purpose and channel."""
    conversation = turn.conversation
    notices, conversation.notice_at = conversation.notices, None
    # Of what the order system did not take, nobody hears before a person has set it right.
    conversation.notices = tuple([notice for notice in notices if _is_untrue(turn, notice)])
    notices = tuple([notice for notice in notices if notice not in conversation.notices])
    groups: dict[tuple[Purpose, Channel, str], list[Case]] = {}
    for notice in notices:
        case = conversation.case(notice.case_id)
        if case is not None:
            groups.setdefault((notice.purpose, notice.channel, notice.reason), []).append(case)
    for (purpose, origin, reason), cases in groups.items():
        channels = _channels(turn, purpose, origin, cases)
        letter_all(turn)
        offers = tuple([offer(turn, case) for case in cases])
        sent = turn.send(
            channels,
            purpose,
            cases,
            offers=offers,
            reason=reason,
            not_after_at=turn.now + NEWS_VALID,
            silent=_quiet(turn, cases),
        )
        if purpose is Purpose.DEFAULT:
            _announced(turn, cases, channels, sent)


def _channels(turn: Turn, purpose: Purpose, origin: Channel, cases: list[Case]) -> tuple[Channel, ...]:
    usable = turn.digital_channels(cases)
    if purpose is Purpose.WITHDRAWAL:
        # Told where it was asked; to whom nothing was ever said, nothing is taken back.
        used = turn.conversation.used
        told = tuple([channel for channel in usable if channel in used])
        usable = told or (usable[:1] if used else ())
    if purpose in (Purpose.DEFAULT, Purpose.WITHDRAWAL):
        # News that nobody asked for does not ring at night, unless nothing else would tell it.
        gentle = tuple([channel for channel in usable if channel is not Channel.SMS])
        return gentle if gentle and _quiet(turn, cases) else usable
    return tuple([channel for channel in _CONFIRMED_ON.get(origin, _ELSE) if channel in usable][:1])


def _quiet(turn: Turn, cases: list[Case]) -> bool:
    case = cases[0]
    return opens_at(turn.policy_of(case), case.exception, turn.conversation.facts, turn.now) > turn.now


def _is_untrue(turn: Turn, notice: Notice) -> bool:
    case = turn.conversation.case(notice.case_id)
    told = notice.purpose in (Purpose.CONFIRM, Purpose.DEFAULT)
    return told and case is not None and not case.is_closed and case.write is Write.FAILED


def _announced(turn: Turn, cases: list[Case], channels: tuple[Channel, ...], sent: tuple[Send, ...]) -> None:
    """How a default was announced is part of the case; not at all is said as well."""
    conversation = turn.conversation
    words = ",".join(channels) or NOT_POSSIBLE
    for case in cases:
        case.announced = "shadow" if case.is_shadow else words
        turn.touch(case)
    told = tuple([case.case_id for case in cases if not case.is_shadow])
    fresh = [Announcement(send.n, send.channel, told) for send in sent]
    conversation.announcements = (*conversation.announcements, *fresh)[-ANNOUNCEMENTS_MAX:]


def announcement_ended(turn: Turn, n: int, *, arrived: bool) -> None:
    """A message that never arrived has announced nothing."""
    conversation = turn.conversation
    ended = next((announcement for announcement in conversation.announcements if announcement.n == n), None)
    if ended is None:
        return
    conversation.announcements = tuple([a for a in conversation.announcements if a is not ended])
    for case in conversation.cases:
        if not arrived and case.case_id in ended.case_ids:
            left = [word for word in case.announced.split(",") if word != ended.channel]
            case.announced = ",".join(left) or NOT_POSSIBLE
            turn.touch(case)


def plan_invitation(turn: Turn, delivered_at: datetime) -> bool:
    """One invitation, some hours after the delivery, to customers who decided something that was carried out."""
    conversation = turn.conversation
    if conversation.invited or conversation.satisfaction_at is not None or not conversation.cases:
        return False
    policy = turn.policy_of(conversation.cases[0])
    decided = any(
        case.decision is not None
        and case.decision.actor in (Actor.CUSTOMER, Actor.DELEGATE)
        and case.write is Write.VERIFIED
        for case in conversation.cases
    )
    if not policy.satisfaction.invite or not decided:
        return False
    conversation.satisfaction_at = delivered_at + span(policy.satisfaction.after_ms)
    conversation.satisfaction_until_at = delivered_at + span(policy.satisfaction.until_ms)
    return True


def invite(turn: Turn) -> None:
    """Invite now, or after the quiet hours, or not at all."""
    conversation = turn.conversation
    case = conversation.cases[0]
    until_at = conversation.satisfaction_until_at
    may_at = opens_at(turn.policy_of(case), case.exception, conversation.facts, turn.now)
    conversation.satisfaction_at = None
    if until_at is None or may_at >= until_at:
        return
    if may_at > turn.now:
        conversation.satisfaction_at = may_at
        return
    channel = next((c for c in (*conversation.used, *DIGITAL) if c in turn.digital_channels([case])), None)
    conversation.invited = True
    if channel is not None and not conversation.opted_out:
        turn.send((channel,), Purpose.SATISFACTION, [case], not_after_at=until_at)


def tell(
    turn: Turn, case: Case, purpose: Purpose, channel: Channel = Channel.UNKNOWN, reason: str = ""
) -> None:
    """Remember to tell the customer; what falls together becomes one message."""
    conversation = turn.conversation
    notice = Notice(case.case_id, purpose, channel, reason)
    # A choice that was changed before it was confirmed is confirmed once, as it is now.
    overtaken = (case.case_id, Purpose.CONFIRM) if purpose is Purpose.CONFIRM else None
    earlier = [n for n in conversation.notices if n != notice and (n.case_id, n.purpose) != overtaken]
    conversation.notices = (*earlier, notice)
    if conversation.notice_at is None:
        gather_ms = turn.policy_of(case).timing.notice_gather_ms
        conversation.notice_at = turn.now + span(gather_ms)


def untell(turn: Turn, case: Case) -> None:
    """The decision does not stand: what nobody was told of it yet would be untrue by now."""
    conversation = turn.conversation
    conversation.notices = tuple(
        [notice for notice in conversation.notices if notice.case_id != case.case_id]
    )
    if not conversation.notices:
        conversation.notice_at = None


def tell_after_all(turn: Turn, case: Case) -> None:
    """The order system has it now: what was kept from the customer meanwhile is true."""
    conversation = turn.conversation
    if conversation.notice_at is None and any(n.case_id == case.case_id for n in conversation.notices):
        conversation.notice_at = turn.now
