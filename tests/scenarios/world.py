"""A small world in one process: a virtual clock, the real `decide`, and obedient others who can be told to fail.

It moves a conversation exactly as the ledger does: before an event, its order's deadline if that was due; between
events, every deadline in the order of time. Nothing reads the time but from here, so that the same world can later
carry whole-system simulations.
"""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import count

from schemas.commands import (
    CaseChanged,
    ChannelCancel,
    ChannelCommand,
    EvidenceRequest,
    FulfilmentTrigger,
    LineHold,
    OfferedCase,
    OrderUpdate,
)
from schemas.events import (
    Answer,
    ChannelHealthChanged,
    ConditionEvent,
    ConsentChanged,
    ContactChanged,
    Delivered,
    EvidenceStored,
    ExceptionAccepted,
    ExceptionAmended,
    ExceptionRaised,
    ExceptionWithdrawn,
    KillSwitchChanged,
    LinePicked,
    ProductBlocked,
    ReceiptReceived,
    ResponseReceived,
    TriggerReceived,
    VoiceQueueChanged,
    WriteBackReceived,
)
from schemas.facts import CustomerFacts, EvidencePointer
from schemas.words import (
    CaseState,
    Channel,
    Purpose,
    ReceiptState,
    Responder,
    Signal,
    SwitchScope,
    TriggerState,
    WithdrawalReason,
    WriteBackOutcome,
)
from state import shelf
from state.conversation import Case, Conversation
from state.decide import Deadline, decide
from state.encoding import decode, encode
from state.rules import Conditions, Rules, fold
from tests.builders import NOON, a_customer, pounds

SHELF = shelf.load()


class World:
    """Orders, their customers, and everything that was asked of others so far."""

    def __init__(
        self,
        *,
        now: datetime = NOON,
        policies: shelf.Shelf = SHELF,
        customer: CustomerFacts | None = None,
    ) -> None:
        self.now = now
        self.rules = Rules(policies, Conditions())
        self.records: dict[str, Conversation] = {}
        self.effects: list[object] = []
        self.customer = customer or a_customer()
        # What the others answer by themselves; set to None for silence.
        self.oms: WriteBackOutcome | None = WriteBackOutcome.APPLIED
        self.fulfilment: TriggerState | None = TriggerState.DONE
        self.store_works = True
        self._ids = count(1)

    # What happens.

    def happens(self, event: object) -> list[object]:
        """One event, now; what it made us ask for. Its order's own deadline goes first, if it was due."""
        before = len(self.effects)
        if isinstance(event, ConditionEvent):
            self.rules = Rules(self.rules.shelf, fold(self.rules.conditions, event))
            return []
        self._fire_if_due(event.order_id)
        self._step(event.order_id, event)
        return self.effects[before:]

    def exception(self, raised: ExceptionRaised, facts: CustomerFacts | None = None) -> list[object]:
        """Upstream reports an exception, and intake accepts it."""
        accepted = ExceptionAccepted(
            event_id=raised.event_id,
            order_id=raised.order_id,
            exception=raised,
            facts=facts if facts is not None else self.customer,
        )
        return self.happens(accepted)

    def amended(self, exception_id: str = "x1", *, revision: int, order_id: str = "order-1", **changes):
        return self.happens(
            ExceptionAmended(
                event_id=self.new_id(),
                order_id=order_id,
                exception_id=exception_id,
                revision=revision,
                occurred_at=self.now,
                **changes,
            )
        )

    def withdrawn(
        self,
        exception_id: str = "x1",
        reason: WithdrawalReason = WithdrawalReason.FOUND,
        order_id: str = "order-1",
    ):
        return self.happens(
            ExceptionWithdrawn(
                event_id=self.new_id(),
                order_id=order_id,
                exception_id=exception_id,
                reason=reason,
                occurred_at=self.now,
            )
        )

    def answers(
        self,
        *answers: Answer,
        channel: Channel = Channel.PAGE,
        responder: Responder = Responder.CUSTOMER,
        signal: Signal = Signal.NONE,
        event_id: str | None = None,
        order_id: str = "order-1",
        **more,
    ):
        """Somebody answers on a channel."""
        return self.happens(
            ResponseReceived(
                event_id=event_id or self.new_id(),
                order_id=order_id,
                channel=channel,
                responder=responder,
                signal=signal,
                answers=answers,
                received_at=self.now,
                **more,
            )
        )

    def taps(self, option_id: str, *, case_id: str = "x1", version: int = 0, **more):
        """The customer taps an option on the page, which shows the version that stands."""
        answer = Answer(case_id=case_id, option_id=option_id, decision_version=version, **more)
        return self.answers(answer)

    def texts(self, text: str, **more):
        """The customer answers by SMS with keys, such as `1` or `A1 B0`."""
        keys = []
        for word in text.split():
            letter, key = (word[:-1], word[-1]) if len(word) > 1 else ("", word)
            keys.append(Answer(letter=letter, key=int(key)))
        return self.answers(*keys, channel=Channel.SMS, **more)

    def says(self, option_id: str, *, case_id: str = "x1", version: int = 0, **more):
        """The customer chooses on the phone and says yes to the readback."""
        yes = {"confirmed": True, "readback": "read back and confirmed"}
        answer = Answer(case_id=case_id, option_id=option_id, decision_version=version, **(yes | more))
        return self.answers(answer, channel=Channel.VOICE, spoken=True)

    def receipt(self, command: ChannelCommand, state: ReceiptState, **more):
        """A connector reports what became of a command."""
        return self.happens(
            ReceiptReceived(
                event_id=self.new_id(),
                order_id=command.order_id,
                command_id=command.command_id,
                channel=command.channel,
                state=state,
                occurred_at=self.now,
                **more,
            )
        )

    def oms_says(self, update: OrderUpdate, outcome: WriteBackOutcome, **more):
        return self.happens(
            WriteBackReceived(
                event_id=self.new_id(),
                order_id=update.order_id,
                case_id=update.case_id,
                update_id=update.command_id,
                outcome=outcome,
                occurred_at=self.now,
                **more,
            )
        )

    def fulfilment_says(self, trigger: FulfilmentTrigger, state: TriggerState, reason: str = ""):
        return self.happens(
            TriggerReceived(
                event_id=self.new_id(),
                order_id=trigger.order_id,
                trigger_id=trigger.command_id,
                state=state,
                reason=reason,
                occurred_at=self.now,
            )
        )

    def evidence_stored(self, request: EvidenceRequest, **more):
        pointer = EvidencePointer(
            bucket="evidence", key=request.command_id, version="1", sha256="00" * 32, parts=request.parts
        )
        return self.happens(
            EvidenceStored(
                event_id=self.new_id(),
                order_id=request.order_id,
                case_id=request.case_id,
                request_id=request.command_id,
                pointer=pointer,
                occurred_at=self.now,
                **more,
            )
        )

    def blocked(self, sku: str) -> None:
        """A recall or a sales stop: the product may no longer be handed out."""
        self.happens(ProductBlocked(event_id=self.new_id(), sku=sku, blocked=True, occurred_at=self.now))

    def messages_leave(self) -> None:
        """The providers report every question as sent."""
        for command in self.sent():
            if command.channel is not Channel.VOICE:
                self.receipt(command, ReceiptState.SENT)

    def picks_up(self, call: ChannelCommand) -> None:
        """The telephone rings, and somebody answers it."""
        self.receipt(call, ReceiptState.RINGING, sequence=1)
        self.receipt(call, ReceiptState.ANSWERED, sequence=2)

    def hangs_up(self, call: ChannelCommand, **more) -> list[object]:
        return self.receipt(call, ReceiptState.COMPLETED, sequence=9, **more)

    def contact_changes(self, facts: CustomerFacts, order_id: str = "order-1") -> list[object]:
        """Intake learns who the customer is, or how to reach them."""
        self.customer = facts
        return self.happens(
            ContactChanged(event_id=self.new_id(), order_id=order_id, facts=facts, occurred_at=self.now)
        )

    def consent_changes(self, *channels: Channel, opted_out: bool, order_id: str = "order-1"):
        """An opt-out or a renewal that did not come as an answer to us."""
        return self.happens(
            ConsentChanged(
                event_id=self.new_id(),
                order_id=order_id,
                channels=channels,
                opted_out=opted_out,
                occurred_at=self.now,
            )
        )

    def picked(self, line_id: str = "L1", order_id: str = "order-1") -> list[object]:
        return self.happens(
            LinePicked(
                event_id=self.new_id(), order_id=order_id, line_id=line_id, quantity=1, occurred_at=self.now
            )
        )

    def delivered(self, line_id: str = "L1", order_id: str = "order-1") -> list[object]:
        return self.happens(
            Delivered(
                event_id=self.new_id(),
                order_id=order_id,
                line_id=line_id,
                quantity=1,
                charged=pounds(200),
                occurred_at=self.now,
            )
        )

    def switch(self, scope: SwitchScope, name: str, *, on: bool = True) -> None:
        """Operations throws a kill switch."""
        self.happens(
            KillSwitchChanged(event_id=self.new_id(), occurred_at=self.now, scope=scope, name=name, on=on)
        )

    def provider(self, channel: Channel, *, healthy: bool) -> None:
        """The health of a channel's provider, as its connector reports it."""
        self.happens(
            ChannelHealthChanged(
                event_id=self.new_id(), occurred_at=self.now, channel=channel, healthy=healthy
            )
        )

    def voice_queue(self, **span: float) -> None:
        """How long a call waits at the provider now, in `timedelta` words."""
        delay_ms = int(timedelta(**span) / timedelta(milliseconds=1))
        self.happens(VoiceQueueChanged(event_id=self.new_id(), occurred_at=self.now, delay_ms=delay_ms))

    def new_id(self) -> str:
        return f"event-{next(self._ids)}"

    # How time passes.

    def fast_forward(self, **span: float) -> list[object]:
        """Let time pass, in `timedelta` words; every deadline fires at its instant, in order."""
        return self.fast_forward_to(self.now + timedelta(**span))

    def fast_forward_to(self, until: datetime) -> list[object]:
        before = len(self.effects)
        while True:
            due = [r for r in self.records.values() if r.due_at is not None and r.due_at <= until]
            if not due:
                break
            record = min(due, key=lambda r: (r.due_at, r.order_id))
            self.now = max(self.now, record.due_at)
            self._fire_if_due(record.order_id)
        self.now = max(self.now, until)
        return self.effects[before:]

    def sleeps(self, **span: float) -> None:
        """We are down: time passes, and nothing fires until the next event or `wakes`."""
        self.now += timedelta(**span)

    def wakes(self) -> list[object]:
        """We are back: what fell due meanwhile fires now."""
        return self.fast_forward_to(self.now)

    @contextmanager
    def appended_at(self, at: datetime) -> Iterator[None]:
        """What happens in here was in the broker's log at that earlier instant, and we read it only now.

        The ledger's order: input by its append time first, then the deadlines.
        """
        wall, self.now = self.now, at
        yield
        self.now = wall

    def _fire_if_due(self, order_id: str) -> None:
        record = self.records.get(order_id)
        while record is not None and record.due_at is not None and record.due_at <= self.now:
            before = (record.due_at, record.due_version)
            self._step(order_id, Deadline(record.due_at, record.due_version))
            record = self.records.get(order_id)
            assert record is None or (record.due_at, record.due_version) != before, (
                "a deadline that fires for ever"
            )

    def _step(self, order_id: str, event: object) -> None:
        waiting = deque([event])
        while waiting:
            record, effects = decide(self.records.get(order_id), waiting.popleft(), self.now, self.rules)
            if record is None:
                self.records.pop(order_id, None)
            else:
                # Through the codec each time, as RocksDB would hand it back.
                self.records[order_id] = decode(encode(record))
            self.effects += effects
            waiting += [
                answer for effect in effects if (answer := self._answer_of_others(effect)) is not None
            ]

    def _answer_of_others(self, effect: object) -> object | None:
        match effect:
            case OrderUpdate() if self.oms is not None:
                return WriteBackReceived(
                    event_id=self.new_id(),
                    order_id=effect.order_id,
                    case_id=effect.case_id,
                    update_id=effect.command_id,
                    outcome=self.oms,
                    occurred_at=self.now,
                )
            case FulfilmentTrigger() if self.fulfilment is not None:
                return TriggerReceived(
                    event_id=self.new_id(),
                    order_id=effect.order_id,
                    trigger_id=effect.command_id,
                    state=self.fulfilment,
                    occurred_at=self.now,
                )
            case EvidenceRequest() if self.store_works:
                pointer = EvidencePointer(
                    bucket="evidence",
                    key=effect.command_id,
                    version="1",
                    sha256="00" * 32,
                    parts=effect.parts,
                )
                return EvidenceStored(
                    event_id=self.new_id(),
                    order_id=effect.order_id,
                    case_id=effect.case_id,
                    request_id=effect.command_id,
                    pointer=pointer,
                    occurred_at=self.now,
                )
        return None

    # What can be seen.

    def record(self, order_id: str = "order-1") -> Conversation:
        return self.records[order_id]

    def case(self, case_id: str = "x1", order_id: str = "order-1") -> Case:
        found = self.records[order_id].case(case_id)
        assert found is not None, f"no case {case_id}"
        return found

    def sent(self, channel: Channel | None = None, purpose: Purpose | None = None) -> list[ChannelCommand]:
        """Every message, call and task so far, or those of one channel or purpose."""
        return [
            e
            for e in self.effects
            if isinstance(e, ChannelCommand)
            and (channel is None or e.channel is channel)
            and (purpose is None or e.purpose is purpose)
        ]

    def of(self, kind: type) -> list:
        """Every effect of one kind so far."""
        return [e for e in self.effects if isinstance(e, kind)]

    def last_change(self, case_id: str = "x1") -> CaseChanged:
        return [e for e in self.of(CaseChanged) if e.case_id == case_id][-1]

    def last_verdict(self, case_id: str = "x1"):
        """Whether the last response about a case was accepted, and why not."""
        return [e.response for e in self.of(CaseChanged) if e.case_id == case_id and e.response is not None][
            -1
        ]

    # What is expected, in words.

    def expect_sent(self, purpose: Purpose, *channels: Channel) -> list[ChannelCommand]:
        """Exactly one message of this purpose on each of these channels, and on no other."""
        found = self.sent(purpose=purpose)
        assert sorted(c.channel for c in found) == sorted(channels), [
            (c.channel, c.purpose) for c in self.sent()
        ]
        return found

    def expect_call(self, attempts: int = 1) -> ChannelCommand:
        """So many calls were asked for so far; the last one."""
        calls = self.sent(Channel.VOICE, Purpose.CALL)
        assert len(calls) == attempts, f"{len(calls)} calls, not {attempts}"
        return calls[-1]

    def expect_no_call(self) -> None:
        assert self.sent(Channel.VOICE) == []

    def expect_decision(self, resolution, case_id: str = "x1", **fields):
        """The decision that stands, with these fields."""
        decision = self.case(case_id).decision
        assert decision is not None, "nothing is decided"
        assert decision.resolution is resolution, decision
        for name, value in fields.items():
            assert getattr(decision, name) == value, (name, getattr(decision, name))
        return decision

    def expect_open(self, case_id: str = "x1") -> None:
        assert self.case(case_id).state is CaseState.OPEN, self.case(case_id).state

    def expect_done(self, case_id: str = "x1") -> None:
        """All four parts of done are there."""
        case = self.case(case_id)
        assert case.state in (CaseState.DONE, CaseState.CLOSED), (
            case.state,
            self.last_change(case_id).missing,
        )
        assert self.last_change(case_id).missing == ()

    def holds(self, case_id: str = "x1") -> list[LineHold]:
        return [hold for hold in self.of(LineHold) if hold.case_id == case_id]

    def shown(self, case_id: str = "x1") -> OfferedCase:
        """The case as it was last put before the customer."""
        return [case for c in self.sent() for case in c.cases if case.case_id == case_id][-1]

    def options(self, case_id: str = "x1") -> list[str]:
        """The options as they were last put before the customer, in the order of their keys."""
        return [option.option_id for option in self.shown(case_id).options]

    def refused(self, option_id: str, case_id: str = "x1") -> str:
        """Why an option was not offered, in words; empty where it was."""
        reasons = [o.reasons for o in self.last_change(case_id).refused if o.option_id == option_id]
        return "; ".join(reasons[0]) if reasons else ""

    def cancelled(self) -> list[str]:
        return [cancel.cancels for cancel in self.of(ChannelCancel)]
