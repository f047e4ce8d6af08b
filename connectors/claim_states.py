"""The durable row without which nothing is dialled or sent, and every state that it may move through.

    PLANNED   → CLAIMED      it is ours to send, and this is known to Postgres before any socket opens
              | SUPPRESSED   consent, caps, hours, switches or time say no
              | CANCELLED    taken back before it left
    CLAIMED   → SENT         the provider has it
              | REJECTED     the provider will not have it
              | AMBIGUOUS    it may have it: timeout, reset, 5xx, or its sender died
              | PLANNED      it provably has not: tried again later
    AMBIGUOUS → SENT         a webhook or the provider's list shows it
              | REJECTED
              | SUPPRESSED   never known: not repeated
              | PLANNED      a message whose policy allows a repeat after the list does not show it

Every move is one conditional UPDATE together with its receipt, so that of two who try only one succeeds.
"""

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from schemas.events import ReceiptReceived
from schemas.words import Channel, ReceiptState

if TYPE_CHECKING:
    # Whoever only wants the words, as the metrics of a worker do, starts without Postgres' client.
    from connectors.outbox import Connection, Outbox


class ClaimState(StrEnum):
    PLANNED = "planned"
    CLAIMED = "claimed"
    SUPPRESSED = "suppressed"
    CANCELLED = "cancelled"
    SENT = "sent"
    REJECTED = "rejected"
    AMBIGUOUS = "ambiguous"


_P, _C, _A = ClaimState.PLANNED, ClaimState.CLAIMED, ClaimState.AMBIGUOUS
_FROM = {
    ClaimState.PLANNED: (_C, _A),
    ClaimState.CLAIMED: (_P,),
    # PLANNED as well: a message about to be repeated turns out to have been accepted the first time.
    ClaimState.SENT: (_C, _A, _P),
    # PLANNED as well: a person declines a task, which no dispatcher ever claims.
    ClaimState.REJECTED: (_C, _A, _P),
    ClaimState.AMBIGUOUS: (_C,),
    # CLAIMED as well: what was taken back or too late before any socket opened provably was not sent.
    ClaimState.SUPPRESSED: (_P, _C, _A),
    ClaimState.CANCELLED: (_P, _C),
}
# A call in these states may be on the line.
_ON_THE_LINE = {ClaimState.CLAIMED, ClaimState.SENT, ClaimState.AMBIGUOUS}


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """To which state, why, and the receipt that says so.

    `tries` is the send whose outcome it is: what came of one that is over by now moves no later one. None is for
    whatever is true of the command as such.
    """

    to: ClaimState
    tries: int | None = None
    reason: str = ""
    provider_id: str = ""
    receipt: ReceiptState | None = None


def move(connection: "Connection", outbox: "Outbox", command_id: str, how: Move, now: datetime) -> bool:
    """The one place where a state changes; False if it was settled otherwise meanwhile."""
    row = connection.execute(
        "UPDATE claims SET state = %s, reason = %s, live = live AND %s,"
        " provider_id = CASE WHEN %s = '' THEN provider_id ELSE %s END, settled_at = %s"
        " WHERE command_id = %s AND state = ANY(%s) AND tries = coalesce(%s, tries)"
        " RETURNING order_id, channel, tries",
        [
            *(how.to, how.reason, how.to in _ON_THE_LINE, how.provider_id, how.provider_id, now),
            *(command_id, list(_FROM[how.to]), how.tries),
        ],
    ).fetchone()
    if row is None:
        return False
    if how.receipt is not None:
        order_id, channel, tries = row
        fact = ReceiptReceived(
            event_id=f"{command_id}.{how.receipt}.{tries}",
            order_id=order_id,
            command_id=command_id,
            channel=Channel(channel),
            state=how.receipt,
            reason=how.reason,
            provider_id=how.provider_id,
            occurred_at=now,
        )
        outbox.put(connection, [fact])
    return True
