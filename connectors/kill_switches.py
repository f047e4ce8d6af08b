"""Kill switches by hand: a channel, a store or a kind is silenced at the next claim, and who did it is kept."""

from datetime import datetime

import msgspec

from connectors.outbox import Connection
from schemas.words import Channel, Kind, SwitchScope

_NAME_BYTES_MAX = 64


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One turn of a switch; `thrown` silences, else it is lifted."""

    scope: SwitchScope
    name: str
    thrown: bool
    by: str
    why: str
    at: datetime


def fault(scope: SwitchScope, name: str) -> str:
    """Why there can be no such switch; empty if there can."""
    names: list[str] = []
    if scope is SwitchScope.CHANNEL:
        names = [str(one) for one in Channel if one is not Channel.UNKNOWN]
    elif scope is SwitchScope.KIND:
        names = [str(one) for one in Kind if one is not Kind.UNKNOWN]
    if names and name not in names:
        return f"no {scope} {name}; there are {', '.join(names)}"
    if not 0 < len(name.encode()) <= _NAME_BYTES_MAX:
        return f"a {scope} has a name of 1 to {_NAME_BYTES_MAX} bytes"
    return ""


def turn(connection: Connection, change: Change) -> None:
    """In force for every claim from its commit on; a repeat is noted and changes nothing."""
    if change.thrown:
        statement = "INSERT INTO kill_switches (scope, name) VALUES (%s, %s) ON CONFLICT DO NOTHING"
    else:
        statement = "DELETE FROM kill_switches WHERE scope = %s AND name = %s"
    connection.execute(statement, [change.scope, change.name])
    connection.execute(
        "INSERT INTO kill_switch_changes (scope, name, thrown, changed_by, why, changed_at)"
        " VALUES (%s, %s, %s, %s, %s, %s)",
        [change.scope, change.name, change.thrown, change.by, change.why, change.at],
    )


def thrown(connection: Connection) -> list[tuple[str, str]]:
    """Scope and name of every switch that holds now."""
    return connection.execute("SELECT scope, name FROM kill_switches ORDER BY 1, 2").fetchall()


def changes(connection: Connection) -> list[Change]:
    """Every turn, the latest first."""
    rows = connection.execute(
        "SELECT scope, name, thrown, changed_by, why, changed_at FROM kill_switch_changes"
        " ORDER BY changed_at DESC"
    ).fetchall()
    return [
        Change(scope=SwitchScope(scope), name=name, thrown=on, by=by, why=why, at=at)
        for scope, name, on, by, why, at in rows
    ]
