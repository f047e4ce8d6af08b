"""Reads a decision back: the only thing that makes it written."""

import msgspec

from connectors.oms.door import Order
from schemas.commands import OrderUpdate
from schemas.words import RefundForm


class Verified(msgspec.Struct, frozen=True):
    """No difference is proof; `snapshot` is what was read, for the evidence."""

    differences: tuple[str, ...]
    snapshot: bytes


def verify(order: Order, update: OrderUpdate) -> Verified:
    """Compares what the OMS holds with what the update asked for, line by line."""
    decision = update.decision
    differences = []
    recorded = next((one for one in order.decisions if one.decision_id == decision.decision_id), None)
    if recorded is None:
        differences.append("the decision is not recorded")
    elif recorded.at != decision.decided_at.isoformat():
        differences.append(f"its time is {recorded.at or 'missing'}")
    if update.line_id:
        differences += _line_differences(order, update)
    if decision.refund_form is RefundForm.REFUND and decision.decision_id not in order.refunds_minor:
        owed = (decision.price_before.minor if decision.price_before else 0) - (
            decision.price_after.minor if decision.price_after else 0
        )
        if owed > 0:
            differences.append("the refund is missing")
    return Verified(tuple(differences), msgspec.json.encode(order, order="deterministic"))


def _line_differences(order: Order, update: OrderUpdate) -> list[str]:
    decision, found = update.decision, []
    line = order.line(update.line_id)
    if line is None:
        return ["the line is gone"]
    if line.quantity != decision.keep_quantity:
        found.append(f"the line holds {line.quantity} instead of {decision.keep_quantity}")
    wanted: dict[str, int] = {}
    for part in decision.chosen:
        for component in part.components:
            wanted[component.sku] = wanted.get(component.sku, 0) + component.pieces
    held: dict[str, int] = {}
    for one in order.lines:
        if one.decision_id == decision.decision_id and one.replaces_line_id == update.line_id:
            held[one.sku] = held.get(one.sku, 0) + one.quantity
    return found + [
        f"{held.get(sku, 0)} x {sku} instead of {wanted.get(sku, 0)}"
        for sku in sorted({*wanted, *held})
        if wanted.get(sku, 0) != held.get(sku, 0)
    ]
