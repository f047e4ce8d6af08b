"""Every move of a timeline, named by small numbers that are resolved against what is there.

So any sequence of moves makes sense, shrinks well, and can be pasted into a regression.
"""

from datetime import datetime, timedelta

from msgspec.structs import replace

from schemas.commands import ChannelCommand, EvidenceRequest, FulfilmentTrigger, OrderUpdate
from schemas.events import (
    Answer,
    ConditionEvent,
    ConsentChanged,
    ContactChanged,
    Credited,
    Delivered,
    EvidenceStored,
    ExceptionAccepted,
    ExceptionAmended,
    ExceptionRaised,
    ExceptionWithdrawn,
    LinePicked,
    OrderCancelled,
    OrderCompleted,
    ReceiptReceived,
    RefusedAtDoor,
    ResponseReceived,
    TriggerReceived,
    WriteBackReceived,
)
from schemas.facts import Chosen, CustomerFacts, EvidencePointer, Money, Option
from schemas.ids import command_id, decision_id, evidence_id, trigger_id
from schemas.words import Channel, TriggerState, WriteBackOutcome
from state.conversation import Case
from state.decide import Deadline
from tests.builders import NOON
from tests.properties.timeline import Timeline, order_named


class Life(Timeline):
    """What upstream, the customer and all the others may say about some orders, in any order."""

    # What upstream says.

    def raises(
        self, order: int, draft: ExceptionRaised, facts: CustomerFacts, ahead_ms: int, tote: int
    ) -> None:
        order_id = order_named(order)
        raised = self.raised.setdefault(order_id, [])
        exception_id = f"{order_id}-x{self.removed}-{len(raised)}"
        deadline_at = self.now + timedelta(milliseconds=ahead_ms)
        line = draft.line
        if line is not None:
            line = replace(line, line_id=f"L{len(raised) % 3}")
        exception = replace(
            draft,
            event_id=self._new_id(),
            order_id=order_id,
            exception_id=exception_id,
            supersedes=raised[-1].exception.exception_id if draft.supersedes and raised else "",
            line=line,
            options=tuple([_timed(option, self.now) for option in draft.options]),
            fulfilment_deadline_at=deadline_at,
            picked_until_at=None if tote == 0 else deadline_at + timedelta(minutes=tote),
            occurred_at=self.now,
        )
        accepted = ExceptionAccepted(
            event_id=exception.event_id, order_id=order_id, exception=exception, facts=facts
        )
        raised.append(accepted)
        self.happens(accepted)

    def raises_again(self, order: int, which: int, revision: int, quantity: int, tampered: bool) -> None:
        """A repeat, a repeat with other content, or the whole exception in a later revision."""
        self.fire(order_named(order))
        raised = self.raised.get(order_named(order), [])
        if not raised:
            return
        earlier = raised[which % len(raised)]
        exception = replace(earlier.exception, event_id=self._new_id(), revision=revision)
        if tampered:
            exception = replace(exception, order_total=Money(exception.order_total.minor + 1, "GBP"))
        if exception.line is not None and revision:
            available = min(quantity, exception.line.quantity_ordered)
            exception = replace(exception, line=replace(exception.line, quantity_available=available))
        self.happens(replace(earlier, event_id=exception.event_id, exception=exception))

    def amends(
        self, order: int, which: int, revision: int, ahead_ms: int | None, quantity: int | None, options
    ) -> None:
        order_id = order_named(order)
        self.happens(
            ExceptionAmended(
                event_id=self._new_id(),
                order_id=order_id,
                exception_id=self._exception_id(order_id, which),
                revision=revision,
                fulfilment_deadline_at=None
                if ahead_ms is None
                else self.now + timedelta(milliseconds=ahead_ms),
                quantity_available=quantity,
                options=None if options is None else tuple([_timed(o, self.now) for o in options]),
                occurred_at=self.now,
            )
        )

    def withdraws(self, order: int, which: int, reason, revision: int) -> None:
        order_id = order_named(order)
        self.happens(
            ExceptionWithdrawn(
                event_id=self._new_id(),
                order_id=order_id,
                exception_id=self._exception_id(order_id, which),
                revision=revision,
                reason=reason,
                occurred_at=self.now,
            )
        )

    def outcome(self, order: int, kind: str, line: int) -> None:
        fact = {"event_id": self._new_id(), "order_id": order_named(order), "occurred_at": self.now}
        line_id = f"L{line}"
        paid = Money(100, "GBP")
        self.happens(
            {
                "picked": lambda: LinePicked(**fact, line_id=line_id, quantity=1),
                "delivered": lambda: Delivered(**fact, line_id=line_id, quantity=1, charged=paid),
                "refused": lambda: RefusedAtDoor(**fact, line_id=line_id, quantity=1),
                "completed": lambda: OrderCompleted(**fact),
                "cancelled": lambda: OrderCancelled(**fact),
                "credited": lambda: Credited(**fact, line_id=line_id, amount=paid),
            }[kind]()
        )

    def contact(self, order: int, facts: CustomerFacts) -> None:
        self.happens(
            ContactChanged(
                event_id=self._new_id(), order_id=order_named(order), facts=facts, occurred_at=self.now
            )
        )

    def consent(self, order: int, channels, opted_out: bool) -> None:
        self.happens(
            ConsentChanged(
                event_id=self._new_id(),
                order_id=order_named(order),
                channels=tuple(channels),
                opted_out=opted_out,
                occurred_at=self.now,
            )
        )

    def condition(self, event: ConditionEvent) -> None:
        self.happens(replace(event, event_id=self._new_id(), occurred_at=self.now))

    # What the customer says.

    def taps(self, order: int, which: int, option: int, channel: Channel) -> None:
        """A clear answer beside the total: whatever it costs is agreed to."""
        case = self._case(order_named(order), which)
        if case is None or not case.exception.options:
            return
        chosen = case.exception.options[option % len(case.exception.options)]
        currency = case.exception.order_total.currency
        answer = Answer(
            case_id=case.case_id,
            option_id=chosen.option_id,
            decision_version=case.version,
            total_shown=Money(10**9, currency),
            confirmed=True,
        )
        self._respond(order_named(order), (answer,), channel=channel, logged_in=True)

    def answers(self, order: int, drafts, event_id: int | None, **more) -> None:
        """Anything at all: keys, letters, parts, wrong versions, wrong people, signals."""
        order_id = order_named(order)
        answers = tuple([self._answer(order_id, draft) for draft in drafts])
        later_ms = more.pop("later_ms", None)
        if later_ms is not None:
            more["later_at"] = self.now + timedelta(milliseconds=later_ms)
        self._respond(order_id, answers, event_id=event_id, **more)

    def _answer(self, order_id: str, draft: dict) -> Answer:
        case = self._case(order_id, draft["which"])
        options = case.exception.options if case is not None else ()

        def option_id(n: int) -> str:
            return options[n % len(options)].option_id if options and n < 6 else "none-such"

        shown = draft["total"]
        return Answer(
            case_id="" if draft["bare"] else (case.case_id if case is not None else "none-such"),
            letter=draft["letter"],
            key=draft["key"],
            option_id=option_id(draft["option"]) if draft["option"] is not None else "",
            chosen=tuple([Chosen(option_id=option_id(n), quantity=q) for n, q in draft["parts"]]),
            keep_quantity=draft["keep"],
            refund_quantity=draft["refund"],
            decision_version=None
            if draft["version"] is None
            else (case.version if case is not None else 0) + draft["version"],
            total_shown=None if shown is None else Money(6_000 + shown, "GBP"),
            confirmed=draft["confirmed"],
            reference=draft["reference"],
        )

    def _respond(
        self, order_id: str, answers: tuple[Answer, ...], event_id: int | None = None, **more
    ) -> None:
        self.happens(
            ResponseReceived(
                event_id=self._new_id() if event_id is None else f"response-{event_id}",
                order_id=order_id,
                answers=answers,
                received_at=self.now,
                **more,
            )
        )

    # What the others say.

    def receipt(self, order: int, which: int, state, reason: str, sequence: int, recorded: int) -> None:
        """Of one of the last commands, or of one that never was."""
        commands = self._of(order, ChannelCommand)
        known = commands[-1 - which] if which < len(commands) else None
        record = self.records.get(order_named(order))
        conversation = record.conversation_id if record is not None else "none"
        self.happens(
            ReceiptReceived(
                event_id=self._new_id(),
                order_id=order_named(order),
                command_id=known.command_id
                if known is not None
                else command_id(conversation, 10_000 + which),
                channel=known.channel if known is not None else Channel.SMS,
                state=state,
                reason=reason,
                sequence=sequence,
                recorded=recorded == 1,
                recording_refused=recorded == 2,
                occurred_at=self.now,
            )
        )

    def oms(self, order: int, which: int, outcome, quantity: int | None) -> None:
        updates = self._of(order, OrderUpdate)
        known = updates[-1 - which] if which < len(updates) else None
        case_id = known.case_id if known is not None else self._exception_id(order_named(order), which)
        self.happens(
            WriteBackReceived(
                event_id=self._new_id(),
                order_id=order_named(order),
                case_id=case_id,
                update_id=known.command_id if known is not None else decision_id(case_id, 90),
                outcome=outcome,
                line_quantity=quantity,
                occurred_at=self.now,
            )
        )

    def fulfilment(self, order: int, which: int, state, reason: str) -> None:
        triggers = self._of(order, FulfilmentTrigger)
        known = triggers[-1 - which].command_id if which < len(triggers) else None
        self.happens(
            TriggerReceived(
                event_id=self._new_id(),
                order_id=order_named(order),
                trigger_id=known or trigger_id(decision_id(self._exception_id(order_named(order), which), 1)),
                state=state,
                reason=reason,
                occurred_at=self.now,
            )
        )

    def evidence(self, order: int, which: int, missing) -> None:
        requests = self._of(order, EvidenceRequest)
        known = requests[-1 - which] if which < len(requests) else None
        case_id = known.case_id if known is not None else self._exception_id(order_named(order), which)
        request_id = known.command_id if known is not None else evidence_id(decision_id(case_id, 1))
        self.happens(
            EvidenceStored(
                event_id=self._new_id(),
                order_id=order_named(order),
                case_id=case_id,
                request_id=request_id,
                pointer=EvidencePointer(bucket="e", key=request_id, version="1", sha256="00" * 32),
                missing=tuple(missing),
                occurred_at=self.now,
            )
        )

    def all_goes_well(self, order: int) -> None:
        """The others answer the newest updates, triggers and requests as one wishes."""
        for which in range(3):
            self.oms(order, which, WriteBackOutcome.APPLIED, None)
        for which in range(3):
            self.fulfilment(order, which, TriggerState.DONE, "")
            self.evidence(order, which, ())

    def repeats(self, back: int) -> None:
        """An event comes once more, word for word; what is older than a removed record, intake drops."""
        events = [h for h in self.history if not isinstance(h.event, Deadline)]
        if back < len(events):
            event = events[-1 - back].event
            self.fire(event.order_id)
            if not isinstance(event, ExceptionAccepted) or event in self.raised.get(event.order_id, []):
                self.happens(event)

    # What is there.

    def _new_id(self) -> str:
        return f"event-{next(self._ids)}"

    def _exception_id(self, order_id: str, which: int) -> str:
        """One that was raised, or the one that will be next."""
        raised = self.raised.get(order_id, [])
        n = which % (len(raised) + 1)
        return f"{order_id}-x{self.removed}-{n}"

    def _case(self, order_id: str, which: int) -> Case | None:
        record = self.records.get(order_id)
        return record.cases[-1 - which % len(record.cases)] if record is not None and record.cases else None

    def _of(self, order: int, kind: type) -> list:
        return [e for order_id, e in self.effects if order_id == order_named(order) and isinstance(e, kind)]


def _timed(option: Option, now: datetime) -> Option:
    """Options are drafted in offsets from noon; here they come to stand around this instant."""
    shift = now - NOON

    def moved(at: datetime | None) -> datetime | None:
        return None if at is None else at + shift

    return replace(
        option,
        reserved_until_at=moved(option.reserved_until_at),
        slot_from_at=moved(option.slot_from_at),
        slot_until_at=moved(option.slot_until_at),
    )
