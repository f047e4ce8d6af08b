"""Keeps what upstream says became of orders; a repeat changes nothing."""

from connectors.outbox import Connection
from schemas.events import Credited, Delivered, LinePicked, OrderCancelled, OrderCompleted, RefusedAtDoor
from schemas.facts import Money

Outcome = LinePicked | Delivered | RefusedAtDoor | OrderCompleted | OrderCancelled | Credited
_WORDS = {
    LinePicked: "picked",
    Delivered: "delivered",
    RefusedAtDoor: "refused",
    OrderCompleted: "completed",
    OrderCancelled: "cancelled",
    Credited: "credited",
}


def keep(connection: Connection, outcome: Outcome) -> None:
    """One row for an event."""
    amount: Money | None = None
    match outcome:
        case Delivered(charged=amount) | Credited(amount=amount):
            pass
        case _:
            pass
    connection.execute(
        "INSERT INTO order_outcomes"
        " (event_id, order_id, outcome, line_id, quantity, amount_minor, currency, occurred_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
        [
            *(outcome.event_id, outcome.order_id, _WORDS[type(outcome)]),
            *(getattr(outcome, "line_id", ""), getattr(outcome, "quantity", 0)),
            *((amount.minor, amount.currency) if amount else (0, "")),
            outcome.occurred_at,
        ],
    )
