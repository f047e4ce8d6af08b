"""What a conversation is: the record of one order, as RocksDB keeps it.

A conversation and its cases are the only mutable records: `decide` works on a copy, which nobody else holds.
Fields are only ever appended, with defaults, so that an old state is read by a new worker and the other way round.
"""

from datetime import datetime
from enum import StrEnum
from operator import attrgetter

import msgspec
from msgspec.structs import replace

from schemas.events import Answer, ExceptionAmended, ExceptionRaised
from schemas.facts import CustomerFacts, Decision, EvidencePointer
from schemas.words import Arm, CaseState, Channel, CloseReason, Mode, Purpose

RESPONSES_KEPT_MAX = 64
_UNDONE = frozenset({CaseState.OPEN, CaseState.DECIDED})
_urgency = attrgetter("exception.fulfilment_deadline_at", "exception.exception_id")


class Write(StrEnum):
    """The write-back of the current decision version: part two of done."""

    NONE = "none"
    SENT = "sent"
    VERIFIED = "verified"
    FAILED = "failed"


class Fulfilment(StrEnum):
    """The trigger of the current decision version: part four of done."""

    NONE = "none"
    SENT = "sent"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    DONE = "done"


class Proof(StrEnum):
    """The evidence of the current decision version: part three of done."""

    NONE = "none"
    REQUESTED = "requested"
    STORED = "stored"


class CallState(StrEnum):
    QUEUED = "queued"
    RINGING = "ringing"
    ANSWERED = "answered"


class Settled(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """An earlier decision version, and how far it had come."""

    decision: Decision
    write: Write
    trigger: Fulfilment
    proof: Proof
    evidence: EvidencePointer | None
    written_at: datetime | None
    triggered_at: datetime | None
    # The last version that the OMS was known to hold when this one was made, and not known to be written.
    standing: "Settled | None" = None


class Case(msgspec.Struct, array_like=True, kw_only=True):
    """Our unit of work for one exception."""

    exception: ExceptionRaised
    policy: str
    opened_at: datetime
    # Shadow or live: what the policy's mode, and its pilot, make of this store and customer.
    mode: Mode = Mode.LIVE
    state: CaseState = CaseState.OPEN
    round: int = 1
    decision: Decision | None = None
    # The version before, which stands if the newer one cannot be written.
    before: "Settled | None" = None
    versions: int = 0
    # What the customer was shown last, best first, and under which letter.
    offered: tuple[str, ...] = ()
    letter: str = ""
    # The facts as they are now were put to the customer; and when something was last.
    asked: bool = False
    asked_at: datetime | None = None
    presented: bool = False
    late: bool = False
    # An SMS answer that raises the total waits for one more yes.
    unconfirmed: Answer | None = None
    # Authorisation was refused: nothing dearer is offered any more.
    no_increase: bool = False
    write: Write = Write.NONE
    write_attempt: int = 0
    retry_at: datetime | None = None
    written_at: datetime | None = None
    trigger: Fulfilment = Fulfilment.NONE
    triggered_at: datetime | None = None
    proof: Proof = Proof.NONE
    evidence: EvidencePointer | None = None
    # While a call goes on, the evidence waits for its end, but not for ever.
    proof_at: datetime | None = None
    # When silence about the write-back, the trigger or the evidence makes the case stuck.
    watch_at: datetime | None = None
    stuck: str = ""
    # A person took the case: no default is applied meanwhile.
    taken: bool = False
    picked: bool = False
    announced: str = ""
    refunded_finally: bool = False
    close_reason: CloseReason = CloseReason.NONE
    closed_at: datetime | None = None
    would_have: tuple[str, ...] = ()
    outcome: str = ""
    rating: int | None = None
    # The last version whose trigger was pulled: the next one supersedes it.
    triggered_version: int = 0
    # The options in the order in which they got their keys: a key, once given, stays with its option.
    keys: tuple[str, ...] = ()

    @property
    def case_id(self) -> str:
        return self.exception.exception_id

    @property
    def version(self) -> int:
        """The version that stands; 0 while nothing is decided."""
        return self.decision.version if self.decision is not None else 0

    @property
    def earlier(self) -> tuple[Settled, ...]:
        """The versions that may have to stand again: the one before, and the one that was written before that."""
        if self.before is None:
            return ()
        return (self.before,) if self.before.standing is None else (self.before, self.before.standing)

    @property
    def last_written(self) -> Settled | None:
        """Of the earlier versions, the one that the OMS is known to hold."""
        return next((earlier for earlier in self.earlier if earlier.write is Write.VERIFIED), None)

    def heard_of(self, earlier: Settled, **news: object) -> None:
        """Something became of one of the earlier versions."""
        fresh = replace(earlier, **news)
        if self.before is not None and earlier is not self.before:
            fresh = replace(self.before, standing=fresh)
        self.before = fresh

    @property
    def is_open(self) -> bool:
        return self.state is CaseState.OPEN

    @property
    def is_closed(self) -> bool:
        return self.state is CaseState.CLOSED

    @property
    def is_shadow(self) -> bool:
        """Everything is planned, and nobody is contacted."""
        return self.mode is Mode.SHADOW

    @property
    def delta_minor(self) -> int:
        """What the decision that stands adds to the order's total."""
        decision = self.decision
        if decision is None or decision.price_before is None or decision.price_after is None:
            return 0
        return decision.price_after.minor - decision.price_before.minor

    @property
    def missing(self) -> tuple[str, ...]:
        """Which of the four parts of done are missing, in their order; none of a case that ended another way."""
        if self.state not in _UNDONE and self.close_reason is not CloseReason.STUCK:
            return ()
        parts = []
        if self.decision is None:
            parts.append("decision")
        if self.write is not Write.VERIFIED:
            parts.append("write_back")
        if self.proof is not Proof.STORED:
            parts.append("evidence")
        if self.trigger is not Fulfilment.DONE:
            parts.append("trigger")
        return tuple(parts)

    @property
    def quantity_short(self) -> int:
        line = self.exception.line
        return line.quantity_ordered - line.quantity_available if line is not None else 0


def worst_first(cases: list[Case]) -> list[Case]:
    """The given list, sorted by deadline."""
    if len(cases) > 1:
        cases.sort(key=_urgency)
    return cases


class Planned(msgspec.Struct, frozen=True, array_like=True):
    """A step that is still to come, or runs: `channels`, or `attempts` calls, between two instants."""

    name: str
    channels: tuple[Channel, ...]
    attempts: int
    opens_at: datetime
    due_at: datetime

    @property
    def is_voice(self) -> bool:
        return self.attempts > 0


class Call(msgspec.Struct, array_like=True):
    """The attempt that is under way; `n` is its command's number."""

    n: int
    state: CallState = CallState.QUEUED
    sequence: int = -1
    # It was taken back, or told that others have decided.
    told: bool = False


class Send(msgspec.Struct, frozen=True, array_like=True):
    """A question that may still be queued somewhere, so that it can be taken back."""

    n: int
    channel: Channel


class Task(msgspec.Struct, frozen=True, array_like=True):
    """A person was asked to act, for one reason; about one case or several."""

    n: int
    case_id: str
    reason: str
    # The other cases that it names.
    others: tuple[str, ...] = ()

    @property
    def about(self) -> tuple[str, ...]:
        return (self.case_id, *self.others)


class Announcement(msgspec.Struct, frozen=True, array_like=True):
    """A message that announces defaults and may still turn out to be undelivered."""

    n: int
    channel: Channel
    case_ids: tuple[str, ...]


class Notice(msgspec.Struct, frozen=True, array_like=True):
    """Something to tell about a case; those that fall together become one message."""

    case_id: str
    purpose: Purpose
    channel: Channel
    reason: str = ""


class Seen(msgspec.Struct, frozen=True, array_like=True):
    """An exception id that was seen: a repeat is dropped, the same id with other content is not."""

    exception_id: str
    revision: int
    fingerprint: int = 0


class Conversation(msgspec.Struct, array_like=True, kw_only=True):
    """All that is said to one customer about one order; one record an order in the table `cases`."""

    order_id: str
    conversation_id: str
    customer_ref: str
    store_id: str
    opened_at: datetime
    facts: CustomerFacts
    arm: Arm = Arm.TREATMENT
    # Commands counted: the last part of every command id.
    commands: int = 0
    cases: list[Case] = []
    # The escalation clock. The plan's first step runs once `running` is set.
    gather_until_at: datetime | None = None
    plan: tuple[Planned, ...] = ()
    running: bool = False
    # The case for whose deadline the plan was made.
    anchor: str = ""
    # Digital steps that were opened, by name, and what became of the calls.
    opened_steps: tuple[str, ...] = ()
    calls: int = 0
    calls_max: int = 0
    calls_ended: bool = False
    call: Call | None = None
    next_call_at: datetime | None = None
    sends: tuple[Send, ...] = ()
    tasks: tuple[Task, ...] = ()
    # Own knowledge that outranks a contact snapshot made before it.
    opted_out: tuple[Channel, ...] = ()
    failed: tuple[Channel, ...] = ()
    # Channels on which something was sent: whoever was messaged is told of a withdrawal.
    used: tuple[Channel, ...] = ()
    notices: tuple[Notice, ...] = ()
    notice_at: datetime | None = None
    satisfaction_at: datetime | None = None
    satisfaction_until_at: datetime | None = None
    invited: bool = False
    spoke: bool = False
    recorded: bool = False
    recording_refused: bool = False
    # Across the order's conversations: what repeats are told apart by. `seen` has one for each exception that opened
    # a case, and the opening bounds how many of those an order may have.
    seen: tuple[Seen, ...] = ()
    responses: tuple[int, ...] = ()
    withdrawn: tuple[Seen, ...] = ()
    early: tuple[ExceptionAmended, ...] = ()
    remove_at: datetime | None = None
    # The one live deadline, read from the state after every event; one of another version does nothing.
    due_at: datetime | None = None
    due_version: int = 0
    announcements: tuple[Announcement, ...] = ()
    # The telephone is somebody else's, so that nothing is proved by what arrives there.
    wrong_number: bool = False

    def copied(self) -> "Conversation":
        """A copy that may be moved: everything below the cases is frozen."""
        fresh = replace(self, cases=[replace(case) for case in self.cases])
        if self.call is not None:
            fresh.call = replace(self.call)
        return fresh

    @property
    def open_cases(self) -> list[Case]:
        """The undecided ones, worst deadline first."""
        return worst_first([case for case in self.cases if case.state is CaseState.OPEN])

    @property
    def is_closed(self) -> bool:
        return all(case.state is CaseState.CLOSED for case in self.cases)

    def case(self, case_id: str) -> Case | None:
        for case in self.cases:
            if case.exception.exception_id == case_id:
                return case
        return None
