"""I4: exactly one effective write into the order system for each decision, and it was read back."""

from typing import Any

from schemas.commands import OrderUpdate
from schemas.words import WriteBackOutcome as Outcome
from streams.verifier.seen import Row, Seen, Story
from streams.verifier.verdict import Finding

_WRITTEN = {Outcome.APPLIED, Outcome.ALREADY_APPLIED}
# Nothing may have been written after these; after the others nobody knows, and people look.
_NOT_WRITTEN = {
    Outcome.LINE_CHANGED,
    Outcome.LINE_FULFILLED,
    Outcome.ORDER_NOT_MODIFIABLE,
    Outcome.ORDER_BEING_MODIFIED,
    Outcome.AUTHORISATION_REFUSED,
    Outcome.REJECTED,
}


def check(seen: Seen, story: Story) -> Finding:
    finding = Finding(invariant="I4")
    writes = None if seen.books is None else seen.books.writes
    if writes is None:
        finding.skip("no order system's book")
        return finding
    for update in story.updates.values():
        finding.checked += 1
        mine = [one for one in writes.get(update.order_id, []) if one["decision_id"] == update.command_id]
        _one(seen, story, update, mine, finding)
    for order, entries in writes.items():
        for one in entries:
            if one["decision_id"] not in story.updates:
                finding.wrong(
                    order=order,
                    expected="every write to have an update on oms.updates.v1",
                    found=f"a write of {one['decision_id']}",
                    look=f"the order system's book of {order}",
                )
    return finding


def _one(seen: Seen, story: Story, update: OrderUpdate, mine: list[Row], finding: Finding) -> None:
    order, decision_id = update.order_id, update.command_id
    look = f"the order system's book of {order}, and saveline trace {order}"
    outcomes = {one.outcome for one in story.outcomes.get(decision_id, [])}
    if len(mine) > 1:
        finding.wrong(
            order=order, expected=f"one write of {decision_id}", found=f"{len(mine)} writes", look=look
        )
    elif outcomes & _WRITTEN:
        if not mine:
            finding.wrong(
                order=order, expected=f"a write of {decision_id}, which was verified", found="none", look=look
            )
        else:
            differences = _differences(update, mine[0]["decision"])
            if differences:
                finding.wrong(
                    order=order,
                    expected=f"{decision_id} as it was decided",
                    found="; ".join(differences),
                    look=look,
                )
    elif outcomes and outcomes <= _NOT_WRITTEN and mine:
        finding.wrong(
            order=order,
            expected=f"no write of {decision_id}, which was answered by {', '.join(sorted(outcomes))}",
            found="one write",
            look=look,
        )
    elif not outcomes:
        last = story.last(update.case_id)
        waited = seen.now - update.issued_at
        if not (last and last.stuck) and waited > seen.patience + seen.slack:
            finding.wrong(
                order=order, expected=f"an answer about {decision_id}", found=f"none for {waited}", look=look
            )


def _differences(update: OrderUpdate, recorded: dict[str, Any] | None) -> list[str]:
    if recorded is None:
        return []
    decision = update.decision
    wanted: dict[str, int] = {}
    for part in decision.chosen:
        for component in part.components:
            wanted[component.sku] = wanted.get(component.sku, 0) + component.pieces
    held: dict[str, int] = {}
    for component in recorded.get("components", []):
        held[component["sku"]] = held.get(component["sku"], 0) + component["quantity"]
    pairs = [
        ("kept", decision.keep_quantity, recorded.get("keep_quantity")),
        ("refunded", decision.refund_quantity, recorded.get("refund_quantity")),
        ("replaced", wanted, held),
    ]
    return [f"{name} {found} instead of {want}" for name, want, found in pairs if want != found]
