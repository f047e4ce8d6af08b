"""What has become of a call's cases meanwhile, and whether the call may still be spoken at all."""

from datetime import datetime
from typing import Literal

from connectors import kept
from connectors.blocks import without_blocked
from connectors.checks import opted_out, switched_off
from connectors.edge.choices import Choice, choices
from connectors.outbox import Connection
from connectors.voice.lines import RESERVATION_MARGIN
from schemas.commands import ChannelCommand
from schemas.words import Actor, CaseState, CloseReason
from state.dialogue.events import OptionGone, SettledElsewhere, StoppedElsewhere
from state.dialogue.session import Session

_ALIVE = ("claimed", "sent", "ambiguous")
News = SettledElsewhere | OptionGone | StoppedElsewhere


def objection(connection: Connection, command: ChannelCommand, hashed: str) -> str:
    """Why this call must not be spoken; empty if it may. A sender that was frozen can still make a phone ring."""
    row = connection.execute(
        "SELECT state, cancel_reason, claimed_at FROM claims WHERE command_id = %s", [command.command_id]
    ).fetchone()
    if row is None or row[0] not in _ALIVE:
        return "not_current"
    if row[1]:
        return str(row[1])
    later = connection.execute(
        "SELECT 1 FROM claims WHERE conversation_id = %s AND channel = 'voice' AND claimed_at > %s LIMIT 1",
        [command.conversation_id, row[2]],
    ).fetchone()
    if later is not None:
        return "not_current"
    if switched_off(connection, command):
        return "kill_switch"
    return "opted_out" if opted_out(connection, command, hashed) else ""


def cases_of(connection: Connection, command: ChannelCommand) -> dict[str, Choice]:
    """Each case of the conversation as the register has it."""
    found = choices(connection, command.order_id, command.conversation_id, lambda _ref: "UTC")
    return {case.case_id: case for case in found.cases} if found else {}


def is_open(choice: Choice | None) -> bool:
    return choice is None or choice.state == CaseState.OPEN


def news(connection: Connection, session: Session, command: ChannelCommand, now: datetime) -> list[News]:
    """What the dialogue has to hear before anything that the caller answered."""
    if not session.incoming and _stopped(connection, command):
        return [StoppedElsewhere()]
    standing = cases_of(connection, command)
    heard: list[News] = []
    for at in session.open_lines:
        line = session.lines[at]
        choice = standing.get(line.case_id)
        if choice is not None and not is_open(choice):
            heard.append(SettledElsewhere(line.case_id, _why(connection, line.case_id)))
    barred = _refused_since(connection, command) | _running_out(command, now) | _blocked(connection, command)
    heard += [
        OptionGone(line.case_id, option.option_id)
        for line in session.lines
        for option in line.options
        if (line.case_id, option.option_id) in barred and option.option_id not in session.withdrawn
    ]
    return heard


def _stopped(connection: Connection, command: ChannelCommand) -> bool:
    """Whoever calls us may talk although they said stop; whom we call said it since."""
    row = connection.execute(
        "SELECT address_hash FROM claims WHERE command_id = %s", [command.command_id]
    ).fetchone()
    return row is not None and opted_out(connection, command, row[0])


def live_calls(connection: Connection, hashed: str) -> list[tuple[str, str]]:
    """Calls to this number that are being spoken: their ids and the provider's."""
    return connection.execute(
        "SELECT call_id, s.provider_id FROM call_sessions s JOIN claims USING (command_id)"
        " WHERE address_hash = %s AND ended_at IS NULL AND NOT incoming",
        [hashed],
    ).fetchall()


def _why(connection: Connection, case_id: str) -> Literal["decided", "withdrawn", "expired"]:
    row = connection.execute(
        "SELECT close_reason, actor FROM register_cases WHERE case_id = %s", [case_id]
    ).fetchone()
    if row is None:
        return "decided"
    if row[0] == CloseReason.WITHDRAWN:
        return "withdrawn"
    late = row[1] == Actor.DEFAULT or row[0] in (CloseReason.PICKED, CloseReason.CANCELLED)
    return "expired" if late else "decided"


def _refused_since(connection: Connection, command: ChannelCommand) -> set[tuple[str, str]]:
    """What the gate has refused since the call was asked for."""
    rows = connection.execute(
        "SELECT DISTINCT ON (case_id) case_id, change->'refused' FROM case_timeline"
        " WHERE order_id = %s AND changed_at > %s AND jsonb_array_length(change->'refused') > 0"
        " ORDER BY case_id, changed_at DESC",
        [command.order_id, command.issued_at],
    ).fetchall()
    return {(case_id, one["option_id"]) for case_id, refused in rows for one in refused}


def _blocked(connection: Connection, command: ChannelCommand) -> set[tuple[str, str]]:
    """Recalled or no longer sold since."""
    left = {
        (case.case_id, option.option_id)
        for case in without_blocked(connection, command.cases)
        for option in case.options
    }
    return {(case.case_id, o.option_id) for case in command.cases for o in case.options} - left


def _running_out(command: ChannelCommand, now: datetime) -> set[tuple[str, str]]:
    return {
        (case.case_id, option.option_id)
        for case in command.cases
        for option in case.options
        if option.spoken is not None
        and option.spoken.reserved_until_at is not None
        and option.spoken.reserved_until_at - RESERVATION_MARGIN <= now
    }


def command_of(connection: Connection, command_id: str) -> ChannelCommand | None:
    row = connection.execute("SELECT command FROM claims WHERE command_id = %s", [command_id]).fetchone()
    if row is None or row[0] is None:
        return None
    return kept.command(bytes(row[0]))


def last_contact(connection: Connection, hashed: str) -> ChannelCommand | None:
    """What this number was contacted about last; the call that was asked for, where there was one."""
    row = connection.execute(
        "SELECT conversation_id FROM claims WHERE address_hash = %s AND command IS NOT NULL"
        " AND state = ANY(%s) ORDER BY claimed_at DESC LIMIT 1",
        [hashed, [*_ALIVE, "suppressed"]],
    ).fetchone()
    if row is None:
        return None
    offering = connection.execute(
        "SELECT command FROM claims WHERE conversation_id = %s AND command IS NOT NULL"
        " AND purpose IN ('call', 'ask', 'update')"
        " ORDER BY channel = 'voice' DESC, filed_at DESC LIMIT 1",
        [row[0]],
    ).fetchone()
    return kept.command(bytes(offering[0])) if offering else None


def verdict(connection: Connection, order_id: str, response_ids: tuple[str, ...]) -> str | None:
    """Empty if all were accepted, why if one was refused, None while `decide` has not said."""
    rows = connection.execute(
        "SELECT DISTINCT change->'response'->>'response_id', (change->'response'->>'accepted')::boolean,"
        " change->'response'->>'reason' FROM case_timeline"
        " WHERE order_id = %s AND change->'response'->>'response_id' = ANY(%s)",
        [order_id, list(response_ids)],
    ).fetchall()
    if {row[0] for row in rows} != set(response_ids):
        return None
    return next((reason for _, accepted, reason in rows if not accepted), "")
