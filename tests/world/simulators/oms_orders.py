"""The orders of the reference OMS: what a decision does to one, and the database that survives kill -9."""

import copy
import sqlite3
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec

_Count = Annotated[int, msgspec.Meta(ge=0)]


class Conflict(Exception):
    """The order is not as the decision expects it; `quantity` is what the line holds now."""

    def __init__(self, reason: str, quantity: int | None = None) -> None:
        super().__init__(reason)
        self.reason, self.quantity = reason, quantity


class Rejected(Exception):
    """The decision can never be applied."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Component(msgspec.Struct, forbid_unknown_fields=True):
    """A product that is added beside the adjusted line; without a price, the catalogue's holds."""

    sku: str
    quantity: Annotated[int, msgspec.Meta(ge=1)]
    name: str = ""
    unit_price_minor: int | None = None


class Decision(msgspec.Struct, forbid_unknown_fields=True):
    """`replaces` names an earlier decision on the same line, whose result is taken back first.

    `discount_minor` is what the retailer absorbs of a dearer substitute.
    """

    decision_id: str
    line_id: str
    expected_quantity: _Count
    keep_quantity: _Count
    refund_quantity: _Count
    components: list[Component] = []
    replaces: str = ""
    discount_minor: _Count = 0
    refund_form: str = "not_charged"
    resolution: str = ""
    reference: str = ""
    at: str = ""
    by: str = ""
    expected_version: int | None = None


class Line(msgspec.Struct, forbid_unknown_fields=True):
    """`ordered` is what the customer bought, `quantity` what the line holds now."""

    line_id: str
    sku: str = ""
    name: str = ""
    ordered: _Count = 1
    quantity: _Count = 1
    fulfilled: _Count = 0
    unit_price_minor: int = 0
    decision_id: str = ""
    replaces_line_id: str = ""
    decided_at: str = ""
    discount_minor: _Count = 0


class Refund(msgspec.Struct, forbid_unknown_fields=True):
    key: str
    amount_minor: int
    status: str = "settled"


class Payment(msgspec.Struct, forbid_unknown_fields=True):
    payment_id: str
    captured_minor: int = 0
    method: str = "card"
    refunds: list[Refund] = []


class Order(msgspec.Struct, forbid_unknown_fields=True):
    order_id: str
    lines: list[Line] = []
    payments: list[Payment] = []
    decisions: list[Decision] = []
    catalogue: dict[str, int] = {}
    currency: str = "GBP"
    state: str = "open"
    total_minor: int = 0
    version: int = 1

    def line(self, line_id: str) -> Line:
        found = next((line for line in self.lines if line.line_id == line_id), None)
        if found is None:
            raise Rejected(f"no line {line_id}")
        return found

    def sum_minor(self) -> int:
        return sum(line.quantity * line.unit_price_minor - line.discount_minor for line in self.lines)


def applied(order: Order, decision: Decision) -> Order:
    """The order after the decision; raises `Conflict` or `Rejected` and changes nothing then."""
    if order.state != "open":
        raise Conflict("ORDER_NOT_MODIFIABLE")
    after = copy.deepcopy(order)
    if decision.expected_version is not None and decision.expected_version != order.version:
        raise Conflict("ORDER_BEING_MODIFIED")
    if not decision.line_id:
        return _whole_order(after, decision)
    line = after.line(decision.line_id)
    earlier = [one for one in after.decisions if one.line_id == decision.line_id]
    if earlier and decision.replaces != earlier[-1].decision_id:
        raise Rejected(f"the line was decided by {earlier[-1].decision_id}, which is not what this replaces")
    if decision.replaces:
        if not earlier:
            raise Rejected(f"no decision {decision.replaces} on line {decision.line_id}")
        _take_back(after, earlier[-1])
    if line.ordered != decision.expected_quantity:
        raise Conflict("LINE_CHANGED", line.ordered)
    if line.fulfilled > decision.keep_quantity:
        raise Conflict("LINE_FULFILLED", line.fulfilled)
    if decision.keep_quantity + decision.refund_quantity > line.ordered:
        raise Rejected("the quantities are more than the line has")
    line.quantity = decision.keep_quantity
    line.decision_id, line.decided_at = decision.decision_id, decision.at
    for number, part in enumerate(decision.components, start=1):
        price = part.unit_price_minor if part.unit_price_minor is not None else order.catalogue.get(part.sku)
        if price is None:
            raise Rejected(f"no price for {part.sku}")
        after.lines.append(
            Line(
                line_id=f"{decision.decision_id}.{number}",
                sku=part.sku,
                name=part.name,
                ordered=part.quantity,
                quantity=part.quantity,
                unit_price_minor=price,
                decision_id=decision.decision_id,
                replaces_line_id=decision.line_id,
                decided_at=decision.at,
                discount_minor=decision.discount_minor if number == 1 else 0,
            )
        )
    after.decisions.append(decision)
    after.total_minor = after.sum_minor()
    after.version += 1
    back = order.total_minor - after.total_minor
    if decision.refund_form == "refund" and back > 0 and after.payments:
        after.payments[0].refunds.append(Refund(key=decision.decision_id, amount_minor=back))
    return after


def _whole_order(after: Order, decision: Decision) -> Order:
    """A decision about the delivery: it is recorded, and a cancelled order is closed."""
    after.decisions.append(decision)
    after.version += 1
    if decision.resolution == "cancel_order":
        after.state, after.total_minor = "cancelled", 0
    return after


def _take_back(order: Order, earlier: Decision) -> None:
    results = [
        line for line in order.lines if line.decision_id == earlier.decision_id and line.replaces_line_id
    ]
    fulfilled = sum(line.fulfilled for line in results)
    if fulfilled:
        raise Conflict("LINE_FULFILLED", fulfilled)
    if any(refund.key == earlier.decision_id for payment in order.payments for refund in payment.refunds):
        raise Conflict("ORDER_NOT_MODIFIABLE")
    order.lines = [line for line in order.lines if line not in results]
    line = order.line(earlier.line_id)
    line.quantity = line.ordered


def preview(order: Order, decisions: list[Decision]) -> int:
    """The new total, in minor units, of all these decisions together; those already applied count once."""
    known = {one.decision_id for one in order.decisions}
    after = order
    for decision in decisions:
        if decision.decision_id not in known:
            after = applied(after, decision)
    return after.total_minor


def refunded(order: Order, amount_minor: int, key: str) -> Order | None:
    """The order after a refund to its first tender; None if this key was refunded before."""
    if any(refund.key == key for payment in order.payments for refund in payment.refunds):
        return None
    after = copy.deepcopy(order)
    if not after.payments:
        raise Rejected("the order has no payment")
    payment = after.payments[0]
    if sum(refund.amount_minor for refund in payment.refunds) + amount_minor > payment.captured_minor:
        raise Rejected("more than was captured")
    payment.refunds.append(Refund(key=key, amount_minor=amount_minor))
    after.version += 1
    return after


class Orders:
    """Orders and the book of every effective write, in one SQLite file."""

    def __init__(self, file: Path) -> None:
        self._db = sqlite3.connect(file, isolation_level=None)
        self._db.executescript(
            """
            PRAGMA journal_mode = WAL;
            PRAGMA synchronous = FULL;
            CREATE TABLE IF NOT EXISTS orders (order_id TEXT PRIMARY KEY, body BLOB NOT NULL);
            CREATE TABLE IF NOT EXISTS writes (
                seq INTEGER PRIMARY KEY, order_id TEXT NOT NULL, kind TEXT NOT NULL, key TEXT NOT NULL,
                started_at TEXT NOT NULL, ended_at TEXT NOT NULL, before BLOB, after BLOB,
                amount_minor INTEGER, reference TEXT
            );
            CREATE UNIQUE INDEX IF NOT EXISTS one_write_a_key ON writes (order_id, kind, key) WHERE key <> '';
            """
        )

    def read(self, order_id: str) -> Order | None:
        row = self._db.execute("SELECT body FROM orders WHERE order_id = ?", [order_id]).fetchone()
        return None if row is None else msgspec.json.decode(row[0], type=Order)

    def write(self, order: Order, kind: str, key: str, started_at: datetime, ended_at: datetime) -> bool:
        """Order and book entry in one transaction; False if this key was written before."""
        before = self._db.execute("SELECT body FROM orders WHERE order_id = ?", [order.order_id]).fetchone()
        body = msgspec.json.encode(order)
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute(
                "INSERT INTO writes (order_id, kind, key, started_at, ended_at, before, after)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    *(order.order_id, kind, key, started_at.isoformat(), ended_at.isoformat()),
                    *(before[0] if before else None, body),
                ],
            )
            self._db.execute("REPLACE INTO orders (order_id, body) VALUES (?, ?)", [order.order_id, body])
            self._db.execute("COMMIT")
        except sqlite3.IntegrityError:
            self._db.execute("ROLLBACK")
            return False
        return True

    def once(
        self, order_id: str, kind: str, key: str, amount_minor: int, at: datetime, reference: str = ""
    ) -> bool:
        """A write that leaves the order alone; False if this key was written before."""
        try:
            self._db.execute(
                "INSERT INTO writes (order_id, kind, key, started_at, ended_at, amount_minor, reference)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                [order_id, kind, key, at.isoformat(), at.isoformat(), amount_minor, reference],
            )
        except sqlite3.IntegrityError:
            return False
        return True

    def book(self, order_id: str) -> list[dict[str, Any]]:
        rows = self._db.execute(
            "SELECT seq, kind, key, started_at, ended_at, before, after, amount_minor, reference"
            " FROM writes WHERE order_id = ? ORDER BY seq",
            [order_id],
        )
        names = (
            "seq",
            "kind",
            "key",
            "started_at",
            "ended_at",
            "before",
            "after",
            "amount_minor",
            "reference",
        )
        entries = [dict(zip(names, row, strict=True)) for row in rows]
        for entry in entries:
            for side in ("before", "after"):
                entry[side] = None if entry[side] is None else msgspec.json.decode(entry[side])
            if entry["kind"] == "decision":
                entry["decision_id"] = entry["key"]
        return entries
