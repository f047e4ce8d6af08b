"""The whole story of one order: its cases, every change of them, every command and what became of it."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from connectors import kept, kill_switches
from connectors.outbox import Connection
from connectors.register.projection import plain
from schemas.words import SwitchScope

Row = dict[str, Any]
_PARTS = ("decision", "write_back", "evidence", "trigger")
_CASE_INSTANTS = (
    "occurred_at",
    "opened_at",
    "deadline_at",
    "default_at",
    "decided_at",
    "written_at",
    "triggered_at",
)


def trace(connection: Connection, order_id: str) -> dict[str, Any]:
    """`{"order_id", "cases", "timeline", "commands", "write_backs", "evidence", "silenced"}`; no personal data.

    `silenced` are the kill switches that concern it and hold now. Everything else is empty for an unknown order. A case
    says its `state`, `resolution`, `option` (the one that was chosen; empty for none or several), `options` (all of
    them, with quantities), `actor`, `channel`, `versions` (each decision with its instants), `done`, `missing`,
    `offered`, `refused`, `responses` and `instants`.
    """
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
    evidence = _rows(
        connection,
        "SELECT request_id, case_id, filed_at, tries, problem, settled_at FROM evidence_requests"
        " WHERE order_id = %s ORDER BY filed_at, request_id",
        order_id,
    )
    rows = _rows(
        connection, "SELECT * FROM register_cases WHERE order_id = %s ORDER BY opened_at, case_id", order_id
    )
    concerned = {("store", row["store_id"]) for row in rows} | {("kind", row["kind"]) for row in rows}
    return {
        "order_id": order_id,
        "cases": [_case(row, timeline, commands, evidence) for row in rows],
        "timeline": timeline,
        "commands": commands,
        "write_backs": _rows(
            connection,
            "SELECT update_id, attempt, outcome, code, tries, filed_at, settled_at FROM write_backs"
            " WHERE order_id = %s ORDER BY seq",
            order_id,
        ),
        "evidence": evidence,
        "silenced": [
            {"scope": scope, "name": name}
            for scope, name in kill_switches.thrown(connection)
            if scope == SwitchScope.CHANNEL or (scope, name) in concerned
        ],
    }


def _rows(connection: Connection, query: str, order_id: str) -> list[Row]:
    cursor = connection.execute(query.encode(), [order_id])
    names = [column.name for column in cursor.description or ()]
    return [{name: _told(value) for name, value in zip(names, row, strict=True)} for row in cursor.fetchall()]


def _told(value: Any) -> Any:
    """As JSON has it; an instant in UTC like those of records, whatever the server's own zone is."""
    match value:
        case bytes():
            return value
        case datetime():
            return msgspec.to_builtins(value.astimezone(UTC))
        case _:
            return msgspec.to_builtins(value)


def _case(row: Row, timeline: list[Row], commands: list[Row], evidence: list[Row]) -> Row:
    """The register's row with what its history adds."""
    changes = [entry["change"] for entry in timeline if entry["case_id"] == row["case_id"]]
    versions = _versions(changes)
    standing = versions[-1] if versions else {}
    chosen = standing.get("chosen", [])
    offers = [case for one in commands for case in one.get("cases", ()) if case["case_id"] == row["case_id"]]
    missing = _missing(row)
    is_refused = [change["refused"] for change in changes if change["refused"]]
    stored = [
        one["settled_at"] for one in evidence if one["request_id"] == f"{standing.get('decision_id')}.e"
    ]
    return row | {
        "versions": versions,
        "option": chosen[0]["option_id"] if len(chosen) == 1 else "",
        "options": chosen,
        "missing": missing,
        "done": not missing,
        "offered": offers[-1]["options"] if offers else [],
        "refused": is_refused[-1] if is_refused else (offers[-1]["refused"] if offers else []),
        "responses": [
            change["response"] | {"judged_at": change["changed_at"]}
            for change in changes
            if change["response"]
        ],
        "instants": {
            **{name: row[name] for name in _CASE_INSTANTS},
            "presented_at": _first(changes, "presented"),
            "stored_at": stored[0] if stored else None,
            "stuck_at": _first(changes, "stuck"),
            "closed_at": row["closed_at"],
        },
    }


def _versions(changes: list[Row]) -> list[Row]:
    """Each decision with when it was written and triggered, in order; the last one stands."""
    found: dict[int, Row] = {}
    for change in changes:
        decision = change["decision"]
        if decision is not None:
            # The one that was told last stands, even where a newer one could not be written.
            found.pop(decision["version"], None)
            instants = {name: change[name] for name in ("written_at", "triggered_at")}
            found[decision["version"]] = decision | instants
    return list(found.values())


def _missing(row: Row) -> list[str]:
    """Of the four parts of done; a closed case says here what it closed without."""
    there = (row["decided_at"], row["written_at"], row["evidence"], row["triggered_at"])
    return [part for part, at in zip(_PARTS, there, strict=True) if not at]


def _first(changes: list[Row], name: str) -> str | None:
    return next((change["changed_at"] for change in changes if change[name]), None)


def _command(claim: Row) -> Row:
    """The claim with what the command said: what it was about, and the options offered and refused."""
    payload = claim.pop("command")
    if payload is None:
        # A cancellation that came first: nothing was ever to be sent.
        return claim
    command = kept.command(bytes(payload))
    return claim | {
        "about": list(command.about),
        "step": command.step,
        "attempt": command.attempt,
        "reason_given": command.reason,
        "issued_at": plain(command.issued_at),
        "not_after_at": plain(command.not_after_at),
        "cases": [plain(case) for case in command.cases],
    }
