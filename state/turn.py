"""One event's turn: the copy of a conversation that is being moved, and what is asked of others meanwhile."""

from datetime import datetime, timedelta

import msgspec

from schemas.commands import (
    ChannelCancel,
    ChannelCommand,
    Effect,
    LineHold,
    OfferedCase,
    RefusedOption,
    ResponseVerdict,
)
from schemas.facts import Line
from schemas.ids import command_id
from schemas.words import Arm, CaseState, Channel, HoldState, Mode, Purpose
from state.conversation import Case, Conversation, Send
from state.policy import DIGITAL, Policy
from state.quiet import exempt_span, zones_of
from state.rules import Rules
from state.shown import shown

# How long news stays worth telling.
NEWS_VALID = timedelta(hours=6)


class QuarantineRecord(msgspec.Struct, frozen=True):
    """The record that is being decided belongs into quarantine; the ledger keeps its bytes."""

    reasons: tuple[str, ...]


class Turn:
    """Moves one conversation for one event; everything that leaves goes through here."""

    __slots__ = (
        "asking",
        "conversation",
        "effects",
        "handed",
        "heard_on",
        "now",
        "refused",
        "replan",
        "rules",
        "touched",
    )

    def __init__(self, conversation: Conversation, now: datetime, rules: Rules) -> None:
        self.conversation = conversation
        self.now = now
        self.rules = rules
        self.effects: list[Effect | QuarantineRecord] = []
        self.touched: dict[str, ResponseVerdict | None] = {}
        # Where the response came from that is being taken.
        self.heard_on = Channel.UNKNOWN
        # Pickers to be told, at the end of the turn, until when they may wait.
        self.asking: dict[str, None] = {}
        # Cases that become a person's task at the end of the turn, one for each purpose and reason.
        self.handed: dict[tuple[Purpose, str], dict[str, Case]] = {}
        # Options that the gate refused in this turn, for the register.
        self.refused: dict[str, tuple[RefusedOption, ...]] = {}
        # Cases ended, joined or became unreachable: the plan is made anew before the turn ends.
        self.replan = False

    def policy_of(self, case: Case) -> Policy:
        return self.rules.shelf.by_key[case.policy]

    def limit_at(self, case: Case) -> datetime:
        """The last instant at which a default can still be written."""
        return case.exception.fulfilment_deadline_at - self.policy_of(case).write_margin

    def default_at(self, case: Case) -> datetime:
        """When the default applies: the last window's close, or the limit, whichever is earlier."""
        limit_at = self.limit_at(case)
        plan = self.conversation.plan
        if not plan or case.taken or plan[-1].due_at > limit_at:
            return limit_at
        return plan[-1].due_at

    def ended(self, case: Case) -> None:
        """An open case is open no more. Only a plan that was made for its deadline must be made anew."""
        mine = (case.exception.fulfilment_deadline_at, case.policy)
        for other in self.conversation.cases:
            waits = other.state is CaseState.OPEN and not other.taken and not other.stuck
            if waits and (other.exception.fulfilment_deadline_at, other.policy) == mine:
                return
        self.replan = True

    def may_contact(self, channel: Channel, case: Case) -> bool:
        """A shadow contacts nobody; the holdout's customers are left alone, but not its trouble."""
        if case.mode is Mode.SHADOW:
            return False
        return self.conversation.arm is not Arm.HOLDOUT or channel is Channel.PERSON

    def touch(self, case: Case, verdict: ResponseVerdict | None = None) -> None:
        """The case changed, or a response about it was judged: the register will hear of it."""
        if verdict is not None or case.case_id not in self.touched:
            self.touched[case.case_id] = verdict

    def act(self, case: Case, effect: Effect) -> None:
        """Ask for something to be done for a case, unless only the shadow of it is wanted."""
        if not case.is_shadow:
            self.effects.append(effect)

    def next_number(self) -> int:
        self.conversation.commands += 1
        return self.conversation.commands

    def next_command_id(self) -> str:
        return command_id(self.conversation.conversation_id, self.next_number())

    def send(
        self,
        channels: tuple[Channel, ...],
        purpose: Purpose,
        about: list[Case],
        *,
        not_after_at: datetime,
        offers: tuple[OfferedCase, ...] = (),
        step: str = "",
        attempt: int = 1,
        reason: str = "",
        respond_by_at: datetime | None = None,
        silent: bool = False,
        reply_to: str = "",
    ) -> tuple[Send, ...]:
        """Ask connectors to send or dial, the same on each channel; empty where nobody is contacted."""
        conversation = self.conversation
        concerned = about or conversation.cases
        # A task for staff stands alone, and every other channel is alike in whom it may reach.
        untold = (
            {case.case_id for case in concerned if not self.may_contact(channels[0], case)}
            if channels
            else ()
        )
        if untold:
            would_have = [f"{purpose} by {channel}" for channel in channels]
            for case in about:
                if case.case_id in untold:
                    case.would_have = (*case.would_have, *would_have)[-16:]
                    self.touch(case)
            if len(untold) == len(concerned):
                return ()
            about = [case for case in about if case.case_id not in untold]
            offers = tuple([offered for offered in offers if offered.case_id not in untold])
        sent = tuple([Send(self.next_number(), channel) for channel in channels])
        if not sent:
            return ()
        anchor = (about or conversation.cases)[0]
        policy = self.policy_of(anchor)
        exempt_from_at, exempt_until_at = exempt_span(policy, anchor.exception) or (None, None)
        command = ChannelCommand(
            command_id=command_id(conversation.conversation_id, sent[0].n),
            order_id=conversation.order_id,
            conversation_id=conversation.conversation_id,
            customer_ref=conversation.customer_ref,
            store_id=conversation.store_id,
            channel=channels[0],
            purpose=purpose,
            about=tuple([case.case_id for case in about]),
            step=step,
            attempt=attempt,
            reason=reason,
            cases=offers,
            respond_by_at=respond_by_at,
            not_after_at=not_after_at,
            silent=silent,
            locale=conversation.facts.locale,
            script=policy.script_for(conversation.facts.locale),
            policy=policy.key,
            reply_to=reply_to,
            issued_at=self.now,
            zones=tuple([zone.key for zone in zones_of(anchor.exception, conversation.facts)]),
            quiet_exempt_from_at=exempt_from_at,
            quiet_exempt_until_at=exempt_until_at,
        )
        self.effects.append(command)
        for send in sent[1:]:
            again = command_id(conversation.conversation_id, send.n)
            self.effects.append(msgspec.structs.replace(command, command_id=again, channel=send.channel))
        fresh = [c for c in channels if c not in conversation.used and c is not Channel.PERSON]
        conversation.used = (*conversation.used, *fresh)
        return sent

    def cancel_sends(self, reason: str, channels: tuple[Channel, ...] | None = None) -> None:
        """Take back what may still be queued, a ringing call included; a call in progress is told."""
        conversation = self.conversation
        kept = []
        for send in conversation.sends:
            if channels is None or send.channel in channels:
                self._cancel(send, reason)
            else:
                kept.append(send)
        conversation.sends = tuple(kept)
        call = conversation.call
        if call is not None and not call.told and (channels is None or Channel.VOICE in channels):
            call.told = True
            # Whoever speaks with the customer at this moment has heard it first.
            if self.heard_on is not Channel.VOICE:
                self._cancel(Send(call.n, Channel.VOICE), reason)

    def _cancel(self, send: Send, reason: str) -> None:
        conversation = self.conversation
        self.effects.append(
            ChannelCancel(
                command_id=self.next_command_id(),
                order_id=conversation.order_id,
                cancels=command_id(conversation.conversation_id, send.n),
                channel=send.channel,
                reason=reason,
                issued_at=self.now,
            )
        )

    def hold(self, case: Case, state: HoldState) -> None:
        """Tell the picker whether to wait, to move on, or what was decided."""
        line = case.exception.line
        if line is None:
            return
        if state is HoldState.ASKING:
            self.asking[case.case_id] = None
        else:
            self._hold(case, line, state)

    def _hold(self, case: Case, line: Line, state: HoldState) -> None:
        until_at = None
        if state is HoldState.ASKING:
            until_at = self.default_at(case)
            if case.exception.picked_until_at is not None:
                until_at = min(until_at, case.exception.picked_until_at)
        self.act(
            case,
            LineHold(
                command_id=self.next_command_id(),
                order_id=self.conversation.order_id,
                case_id=case.case_id,
                store_id=case.exception.store_id,
                line_id=line.line_id,
                state=state,
                until_at=until_at,
                default=self.policy_of(case).default.resolution,
                decision=case.decision,
                issued_at=self.now,
            ),
        )

    def usable(self, channel: Channel) -> bool:
        """Whether something may be sent on a channel at all: address, consent, wishes, switches."""
        conversation, conditions = self.conversation, self.rules.conditions
        return (
            conversation.facts.may_use(channel)
            and channel not in conversation.failed
            and not self.has_opted_out(channel)
            and channel not in conditions.killed_channels
            and conversation.store_id not in conditions.killed_stores
        )

    def has_opted_out(self, channel: Channel) -> bool:
        return channel in self.conversation.opted_out or channel in self.conversation.facts.opted_out

    def digital_channels(self, about: list[Case]) -> tuple[Channel, ...]:
        """Where these cases may be told of; nowhere, while their kind is switched off."""
        killed = self.rules.conditions.killed_kinds
        if killed and all(case.exception.kind in killed for case in about):
            return ()
        return tuple([channel for channel in DIGITAL if self.usable(channel)])

    def order_delta_minor(self, without: Case | None = None) -> int:
        """What the order's decisions add to its total, all of them or those of the other cases."""
        cases = self.conversation.cases
        return sum([case.delta_minor for case in cases if case.decision is not None and case is not without])

    def finish(self) -> tuple[Conversation, list[Effect | QuarantineRecord]]:
        """The moved conversation, and all effects with what the register is to show at the end."""
        for case_id in self.asking:
            case = self.conversation.case(case_id)
            if case is not None and case.is_open and case.exception.line is not None:
                self._hold(case, case.exception.line, HoldState.ASKING)
        for case_id, verdict in self.touched.items():
            case = self.conversation.case(case_id)
            if case is not None:
                changed = shown(
                    self.conversation,
                    case,
                    self.now,
                    default_at=self.default_at(case) if case.state is CaseState.OPEN else None,
                    refused=self.refused.get(case_id, ()),
                    verdict=verdict,
                )
                self.effects.append(changed)
        return self.conversation, self.effects
