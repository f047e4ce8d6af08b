"""What one call knows: the lines to settle, where it stands, and what has been settled. No personal data but a name."""

from datetime import datetime
from enum import StrEnum
from typing import Literal

import msgspec

# A call that has not ended by then is handed over: nothing goes on for ever.
TURNS_MAX = 40
# At most so many options are offered at once, best first.
OFFERED_MAX = 3
# The option that is no option.
REFUND = -1


class Stage(StrEnum):
    DIALLED = "dialled"
    PERSON = "person"
    WHO = "who"
    CODE = "code"
    SCREENED = "screened"
    CHOICE = "choice"
    READBACK = "readback"
    ENDED = "ended"


class Option(msgspec.Struct, frozen=True, array_like=True):
    """One admissible option. `price_minor` is what one piece costs the customer; 0 for what costs nothing.

    `totals_minor` are the new order totals for 1, 2, ... up to the line's pieces; only these quantities are
    offered, so that every readback states an exact total. They are as of the call's start;
    `Session.total_with` adds what was settled since. `allergens` None means unknown. `unit_price_minor` is
    per kilogram, litre or piece, 0 if unknown. `own`: the customer's stored own choice.
    """

    option_id: str
    name: str
    brand: str
    size: str
    price_minor: int
    totals_minor: tuple[int, ...]
    allergens: tuple[str, ...] | None = None
    note: str = ""
    unit_price_minor: int = 0
    own: bool = False


class Line(msgspec.Struct, frozen=True, array_like=True):
    """One open case: what is missing, and what may be had instead, ranked. `version` is the one the caller sees."""

    case_id: str
    version: int
    item: str
    quantity: int
    currency: str
    deadline_at: datetime
    options: tuple[Option, ...]
    refund_allowed: bool = True
    refund_total_minor: int = 0
    kind: Literal["item", "delivery"] = "item"


class Settled(msgspec.Struct, frozen=True, array_like=True):
    """A line that the caller decided: option index or REFUND, and how many pieces."""

    at: int
    option: int
    quantity: int


class Session(msgspec.Struct, frozen=True, array_like=True):
    """One call. Encodes to some 1-3 kB; append fields only, with defaults.

    `lines` are in the order of their deadlines. `shown` are the option indices behind keys 1, 2, 3.
    `pending` is the option index that is being read back. `heard_out` is false while the caller has interrupted a
    readback before its total. `essential_chars` is how much of the last words must be heard before a yes counts.
    """

    call_id: str
    script: str  # locale and version of the words
    policy: str
    locale: str
    retailer: str
    lines: tuple[Line, ...]
    incoming: bool = False
    called: str = ""  # the name as it is spoken
    order_tail: str = ""  # the last four characters of the order, for incoming calls
    delegate_known: bool = False  # the household is registered to decide
    staff_available: bool = True
    recording_wanted: bool = True
    stage: Stage = Stage.DIALLED
    at: int = 0
    shown: tuple[int, ...] = ()
    pending: int = 0
    quantity: int = 0
    failures: int = 0
    turns: int = 0
    actor: Literal["customer", "delegate"] = "customer"
    relay: bool = False
    recording: Literal["off", "on", "refused"] = "off"
    heard_out: bool = True
    essential_chars: int = 0
    last: str = ""
    settled: tuple[Settled, ...] = ()
    gone: tuple[str, ...] = ()  # case ids that were settled elsewhere
    withdrawn: tuple[str, ...] = ()  # option ids that ran out meanwhile
    said_back: str = ""  # the readback, word for word
    total_minor: int = 0  # the order's total when the call began

    @property
    def line(self) -> Line:
        return self.lines[self.at]

    @property
    def offered(self) -> tuple[Option, ...]:
        return tuple(self.line.options[i] for i in self.shown)

    @property
    def wanted(self) -> int:
        """The pieces that are being talked about: the caller's number, else the line's."""
        return self.quantity or self.line.quantity

    @property
    def available(self) -> tuple[int, ...]:
        """The options of the line that may still be offered, best first."""
        return tuple(i for i, x in enumerate(self.line.options) if x.option_id not in self.withdrawn)

    def total_with(self, option: int) -> int:
        """The order's new total if this option, or REFUND, is taken, after all that was settled in this call."""
        return self._total(self.at, option, self.wanted) + sum(
            self._total(s.at, s.option, s.quantity) - self.total_minor
            for s in self.settled
            if s.at != self.at
        )

    def _total(self, at: int, option: int, quantity: int) -> int:
        line = self.lines[at]
        if option == REFUND:
            return line.refund_total_minor
        totals = line.options[option].totals_minor
        return totals[min(quantity, len(totals)) - 1]

    @property
    def open_lines(self) -> tuple[int, ...]:
        done = {s.at for s in self.settled}
        return tuple(i for i, x in enumerate(self.lines) if i not in done and x.case_id not in self.gone)


def started(session: Session) -> Session:
    """The session with its lines by deadline, worst first."""
    return msgspec.structs.replace(
        session, lines=tuple(sorted(session.lines, key=lambda x: (x.deadline_at, x.case_id)))
    )


def encoded(session: Session) -> bytes:
    return msgspec.msgpack.encode(session)


decoded = msgspec.msgpack.Decoder(Session).decode
