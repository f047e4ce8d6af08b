"""What any OMS must be able to do for us, and the few things that it may answer."""

from typing import Protocol

import msgspec

from schemas.commands import OrderUpdate


class OrderLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line as the OMS shows it; `replaces_line_id` names the line beside which it was added."""

    line_id: str
    sku: str = ""
    ordered: int = 0
    quantity: int = 0
    fulfilled: int = 0
    unit_price_minor: int = 0
    decision_id: str = ""
    replaces_line_id: str = ""


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """A decision as the OMS has recorded it, readable with its time."""

    decision_id: str
    line_id: str
    at: str = ""
    by: str = ""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """`version` is None where the OMS has none; `refunds_minor` are by key."""

    order_id: str
    state: str
    total_minor: int
    version: int | None
    lines: tuple[OrderLine, ...] = ()
    decisions: tuple[Recorded, ...] = ()
    refunds_minor: dict[str, int] = {}

    def line(self, line_id: str) -> OrderLine | None:
        return next((line for line in self.lines if line.line_id == line_id), None)

    def last_decision_on(self, line_id: str) -> str:
        """The decision whose result a new one takes back; empty if the line is as it was ordered."""
        ids = [one.decision_id for one in self.decisions if one.line_id == line_id]
        return ids[-1] if ids else ""


class Applied(msgspec.Struct, frozen=True):
    """It says so; believed only once it was read back. `already`: an earlier request did it."""

    already: bool = False


class Conflict(msgspec.Struct, frozen=True):
    """LINE_CHANGED (with what the line holds now), LINE_FULFILLED, ORDER_NOT_MODIFIABLE, ORDER_BEING_MODIFIED."""

    reason: str
    line_quantity: int | None = None


class Rejected(msgspec.Struct, frozen=True):
    """It will never do this."""

    code: str


class Unknown(msgspec.Struct, frozen=True):
    """No usable answer: it may have been done. Read, never repeat blindly."""

    why: str


Outcome = Applied | Conflict | Rejected | Unknown


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What keeps two writers apart. Without `unique_key` exactly-once is not promised."""

    unique_key: bool
    version: bool
    preview: bool
    atomic_refund: bool


class Oms(Protocol):
    """Blocking; safe for several threads. `None` from a reading call means that nothing usable came back."""

    def capabilities(self) -> Capabilities: ...

    def read(self, order_id: str) -> Order | None: ...

    def preview(self, order: Order, updates: list[OrderUpdate]) -> int | None:
        """The order's new total, in minor units, with all these decisions together."""
        ...

    def authorise(self, order_id: str, delta_minor: int, key: str) -> Outcome:
        """Only for an increase, before it is written."""
        ...

    def apply(self, order: Order, update: OrderUpdate) -> Outcome: ...

    def fulfil(self, order_id: str, key: str) -> Outcome: ...

    def refund(self, order_id: str, amount_minor: int, key: str) -> Outcome: ...

    def redeliver(self, order_id: str, key: str, reference: str) -> Outcome: ...

    def instruct(self, order_id: str, key: str, reference: str) -> Outcome: ...
