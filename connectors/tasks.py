"""Tasks for people: filed like every command, shown to a staff tool, and settled by what a person says.

open      → taken      one person has it; its deadline runs on
open, taken → done | declined
"""

from enum import StrEnum

import msgspec
from psycopg_pool import ConnectionPool

from connectors import kept
from connectors.claim_states import ClaimState, Move, move
from connectors.clock import Clock
from connectors.outbox import Connection, Outbox
from schemas.commands import ChannelCommand
from schemas.events import Fact, ReceiptReceived
from schemas.words import Channel, ReceiptState

_SHOWN_MAX = 500
_ROW = "command, state, claimed_by, filed_at::text"


class TaskState(StrEnum):
    OPEN = "open"
    TAKEN = "taken"
    DONE = "done"
    DECLINED = "declined"
    # Taken back before anybody settled it.
    CANCELLED = "cancelled"


# What a person may say, and the claim's state that it leads to; a taken task stays one that is to be done.
_ENDS = {TaskState.DONE: ClaimState.SENT, TaskState.DECLINED: ClaimState.REJECTED}
_SHOWN = {
    ClaimState.SENT: TaskState.DONE,
    ClaimState.REJECTED: TaskState.DECLINED,
    ClaimState.CANCELLED: TaskState.CANCELLED,
}


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """`taken_by` is what the staff tool calls its people; it enters no topic."""

    command: ChannelCommand
    state: TaskState
    taken_by: str
    filed_at: str


class Tasks:
    """Everything here is one transaction: what is said is a fact for the workers, or did not happen."""

    def __init__(self, pool: ConnectionPool[Connection], outbox: Outbox, clock: Clock) -> None:
        self._pool, self._outbox, self._clock = pool, outbox, clock

    def waiting(self, store_id: str = "") -> list[Task]:
        """What nobody has settled, most urgent first; late ones as well, since somebody still waits for them."""
        with self._pool.connection() as connection:
            rows = connection.execute(
                f"SELECT {_ROW} FROM claims WHERE channel = 'person' AND state = 'planned'"  # noqa: S608 - our own names
                " AND %s IN ('', convert_from(command, 'UTF8')::jsonb->>'store_id')"
                " ORDER BY not_after_at, command_id LIMIT %s",
                [store_id, _SHOWN_MAX],
            ).fetchall()
        return [_task(row) for row in rows]

    def find(self, command_id: str) -> Task | None:
        with self._pool.connection() as connection:
            return _find(connection, command_id)

    def says(self, command_id: str, said: TaskState, by: str, reason: str = "") -> Task | None:
        """The task as it stands afterwards; unchanged where somebody else was first. None if there is none."""
        now = self._clock.now()
        with self._pool.connection() as connection, connection.transaction():
            task = _find(connection, command_id, " FOR UPDATE")
            if task is None or task.taken_by not in ("", by):
                return task
            if said is TaskState.TAKEN and task.state is TaskState.OPEN:
                taken = ReceiptReceived(
                    event_id=f"{command_id}.{ReceiptState.TAKEN}.0",
                    order_id=task.command.order_id,
                    command_id=command_id,
                    channel=Channel.PERSON,
                    state=ReceiptState.TAKEN,
                    occurred_at=now,
                )
                self._outbox.put(connection, [taken])
            elif said in _ENDS and task.state in (TaskState.OPEN, TaskState.TAKEN):
                how = Move(to=_ENDS[said], reason=reason or str(said), receipt=ReceiptState(said))
                move(connection, self._outbox, command_id, how, now)
            else:
                return task
            connection.execute("UPDATE claims SET claimed_by = %s WHERE command_id = %s", [by, command_id])
            return _find(connection, command_id)

    def tells(self, fact: Fact) -> None:
        """A fact of a person's, durable when this returns."""
        with self._pool.connection() as connection:
            self._outbox.put(connection, [fact])


def _find(connection: Connection, command_id: str, lock: str = "") -> Task | None:
    row = connection.execute(
        f"SELECT {_ROW} FROM claims WHERE command_id = %s AND channel = 'person'"  # noqa: S608 - our own names
        f" AND command IS NOT NULL{lock}",
        [command_id],
    ).fetchone()
    return None if row is None else _task(row)


def _task(row: tuple[bytes, str, str, str]) -> Task:
    command, state, taken_by, filed_at = row
    waiting = TaskState.TAKEN if taken_by else TaskState.OPEN
    return Task(
        command=kept.command(bytes(command)),
        state=_SHOWN.get(ClaimState(state), waiting),
        taken_by=taken_by,
        filed_at=filed_at,
    )
