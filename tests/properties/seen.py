"""One move of the heart as it is seen from outside, and the books that are kept about an order."""

from datetime import datetime

from schemas.commands import ChannelCancel, ChannelCommand
from schemas.events import ConsentChanged, ReceiptReceived, ResponseReceived
from schemas.facts import Decision
from schemas.words import Channel, ReceiptState, Signal
from state.conversation import Case, Conversation
from state.rules import Rules
from tests.properties import oracle

SILENCED = {Channel.SMS, Channel.VOICE}
CALL_OVER = {
    ReceiptState.FAILED,
    ReceiptState.PROVIDER_DOWN,
    ReceiptState.SUPPRESSED,
    ReceiptState.CANCELLED,
    ReceiptState.NO_ANSWER,
    ReceiptState.BUSY,
    ReceiptState.VOICEMAIL,
    ReceiptState.SCREENED,
    ReceiptState.COMPLETED,
}


class LawBroken(AssertionError):
    """Something happened that never may."""


def law(holds: object, name: str, *details: object) -> None:
    if not holds:
        raise LawBroken(f"{name}: {', '.join(str(detail)[:600] for detail in details)}")


class Step:
    """One move of the heart, as seen from outside."""

    def __init__(
        self,
        before: Conversation | None,
        event: object,
        now: datetime,
        rules: Rules,
        after: Conversation | None,
        effects: list[object],
    ) -> None:
        self.before, self.event, self.now, self.rules = before, event, now, rules
        self.after, self.effects = after, effects
        self.commands = [e for e in effects if isinstance(e, ChannelCommand)]

    def case_before(self, case_id: str) -> Case | None:
        return self.before.case(case_id) if self.before is not None else None

    def case(self, case_id: str) -> Case | None:
        return self.after.case(case_id) if self.after is not None else None

    def around(self, case: Case, elsewhere_minor: int) -> oracle.Circumstances:
        return oracle.Circumstances(
            case.exception,
            self.after.facts,
            self.rules.shelf[case.policy],
            self.rules.conditions,
            self.now,
            elsewhere_minor=elsewhere_minor,
            no_increase=case.no_increase,
        )


def elsewhere_minor(record: Conversation, case: Case) -> int:
    """What the other decisions of this order have added to its total."""
    total = 0
    for other in record.cases:
        if other.case_id != case.case_id and other.decision is not None and other.decision.price_after:
            total += other.decision.price_after.minor - other.decision.price_before.minor
    return total


class Books:
    """What an order's commands and events amount to, kept by ourselves: none of the heart's own state is believed."""

    def __init__(self) -> None:
        self.commands: dict[str, object] = {}
        self.decisions: dict[str, Decision] = {}
        self.reopened: set[str] = set()
        self.invited: set[str] = set()
        self.withdrawals: set[tuple[str, Channel]] = set()
        # Opted out by word or consent; the facts' own opt-outs are read from the facts.
        self.out: set[Channel] = set()
        self.calls_alive: set[str] = set()
        self.calls_a_round = 0
        self.handed_over: set[str] = set()

    def forgets(self) -> None:
        """The record is gone: another one begins, and no command of before can still be alive."""
        self.out.clear()
        self.calls_alive.clear()
        self.calls_a_round = 0

    def hears(self, step: Step) -> None:
        """What the event tells that the heart must not forget."""
        event, before = step.event, step.before
        for cancelled in step.effects:
            if isinstance(cancelled, ChannelCancel):
                law(cancelled.cancels in self.commands, "only what was asked for is cancelled", cancelled)
        if step.after is None or before is None or not before.cases:
            if isinstance(event, ConsentChanged) and before is not None:
                self._consents(event)
            return
        match event:
            case ResponseReceived(signal=Signal.OPT_OUT_KEYWORD | Signal.OPT_OUT_SENTENCE):
                # A repeat of a response from before a renewal is no new opt-out.
                if step.after is not before:
                    self.out |= SILENCED
            case ResponseReceived(signal=Signal.OPT_IN) if step.after is not before:
                self.out -= SILENCED
            case ConsentChanged():
                self._consents(event)
            case ReceiptReceived(command_id=command_id, state=state):
                if command_id in self.calls_alive and state in CALL_OVER:
                    self.calls_alive.discard(command_id)
        if not any(case.is_open for case in before.cases):
            self.calls_a_round = 0
        if before.conversation_id != step.after.conversation_id:
            self.calls_alive.clear()

    def _consents(self, event: ConsentChanged) -> None:
        if event.opted_out:
            self.out |= set(event.channels)
        else:
            self.out -= set(event.channels)
