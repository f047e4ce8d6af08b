"""What the choice page of an order shows: each case as it stands, and what may be chosen instead."""

from collections.abc import Callable
from datetime import datetime

import msgspec

from connectors import kept
from connectors.blocks import without_blocked
from connectors.outbox import Connection
from schemas.commands import OfferedCase
from schemas.words import LINE_KINDS, CaseState, Purpose

_OFFERING = [str(p) for p in (Purpose.ASK, Purpose.UPDATE, Purpose.CALL, Purpose.DEFAULT, Purpose.CONFIRM)]


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """One case. `changeable` until it is picked or closed; `version` is what an answer must name."""

    case_id: str
    offered: OfferedCase
    state: CaseState
    version: int
    resolution: str
    until_at: datetime | None
    changeable: bool


class Choices(msgspec.Struct, frozen=True, kw_only=True):
    """The whole order's page."""

    order_id: str
    conversation_id: str
    locale: str
    zone: str
    cases: tuple[Choice, ...]


def takes_note(case: Choice) -> bool:
    """Whether a driver will be helped by a word from the customer: at the door, not at the shelf."""
    return case.offered.kind not in LINE_KINDS and bool(case.offered.options)


def choices(
    connection: Connection, order_id: str, conversation_id: str, zone_of: Callable[[str], str]
) -> Choices | None:
    """The latest offer of each case beside what the register says of it; None before anything was offered."""
    rows = connection.execute(
        "SELECT command FROM claims WHERE order_id = %s AND conversation_id = %s AND command IS NOT NULL"
        " AND purpose = ANY(%s) ORDER BY filed_at, command_id",
        [order_id, conversation_id, _OFFERING],
    ).fetchall()
    commands = [kept.command(bytes(row[0])) for row in rows]
    latest = {
        case.case_id: case
        for command in sorted(commands, key=lambda c: c.issued_at)
        for case in command.cases
    }
    if not latest:
        return None
    shown = without_blocked(connection, tuple(latest.values()))
    standing = {
        row[0]: row[1:]
        for row in connection.execute(
            "SELECT case_id, state, version, resolution, default_at, deadline_at FROM register_cases"
            " WHERE order_id = %s",
            [order_id],
        ).fetchall()
    }
    return Choices(
        order_id=order_id,
        conversation_id=conversation_id,
        locale=commands[-1].locale,
        zone=zone_of(commands[-1].customer_ref),
        cases=tuple([_choice(case, standing.get(case.case_id)) for case in shown]),
    )


def _choice(offered: OfferedCase, row: tuple[str, int, str, datetime | None, datetime] | None) -> Choice:
    if row is None:
        # The register is a moment behind: what was offered is what stands.
        return Choice(
            case_id=offered.case_id,
            offered=offered,
            state=CaseState.OPEN,
            version=offered.decision_version,
            resolution="",
            until_at=None,
            changeable=True,
        )
    state, version, resolution, default_at, deadline_at = row
    return Choice(
        case_id=offered.case_id,
        offered=offered,
        state=CaseState(state),
        version=version,
        resolution=resolution if version else "",
        until_at=default_at or deadline_at,
        changeable=state != CaseState.CLOSED,
    )
