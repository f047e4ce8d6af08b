"""The whole story of one order: its cases, every change of them, every command and what became of it."""

from typing import Any

import msgspec

from connectors.outbox import Connection
from connectors.register.projection import plain
from schemas.commands import ChannelCommand


def trace(connection: Connection, order_id: str) -> dict[str, Any]:
    """`{"order_id", "cases", "timeline", "commands"}`; all empty for an unknown order. No personal data."""
    cases = _rows(
        connection, "SELECT * FROM register_cases WHERE order_id = %s ORDER BY opened_at, case_id", order_id
    )
    timeline = _rows(
        connection,
        "SELECT case_id, changed_at, change FROM case_timeline WHERE order_id = %s"
        ' ORDER BY changed_at, partition, "offset"',
        order_id,
    )
    claims = _rows(
        connection,
        "SELECT command_id, channel, purpose, state, reason, tries, provider_id, filed_at, claimed_at, settled_at,"
        " cancel_reason, command FROM claims WHERE order_id = %s ORDER BY filed_at, command_id",
        order_id,
    )
    commands = [_command(claim) for claim in claims]
    return {"order_id": order_id, "cases": cases, "timeline": timeline, "commands": commands}


def _rows(connection: Connection, query: str, order_id: str) -> list[dict[str, Any]]:
    cursor = connection.execute(query.encode(), [order_id])
    names = [column.name for column in cursor.description or ()]
    return [
        {
            name: msgspec.to_builtins(value) if not isinstance(value, bytes) else value
            for name, value in zip(names, row, strict=True)
        }
        for row in cursor.fetchall()
    ]


def _command(claim: dict[str, Any]) -> dict[str, Any]:
    """The claim with what the command said: what it was about, and the options offered and refused."""
    payload = claim.pop("command")
    if payload is None:
        # A cancellation that came first: nothing was ever to be sent.
        return claim
    command = msgspec.json.decode(bytes(payload), type=ChannelCommand)
    return claim | {
        "about": list(command.about),
        "step": command.step,
        "attempt": command.attempt,
        "reason_given": command.reason,
        "issued_at": plain(command.issued_at),
        "not_after_at": plain(command.not_after_at),
        "cases": [plain(case) for case in command.cases],
    }
