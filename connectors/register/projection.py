"""Turns `case.changes.v1` into the register's rows; a repeat or an older change alters nothing."""

from collections.abc import Sequence
from typing import Any

import msgspec
from psycopg.types.json import Jsonb

from connectors.outbox import Connection
from schemas.commands import CaseChanged


class Placed(msgspec.Struct, frozen=True):
    """A change and where it stands in its topic."""

    partition: int
    offset: int
    change: CaseChanged


_COLUMNS = (
    "case_id",
    "order_id",
    "conversation_id",
    "customer_ref",
    "store_id",
    "kind",
    "policy",
    "mode",
    "arm",
    "state",
    "resolution",
    "actor",
    "channel",
    "version",
    "missing",
    "stuck",
    "close_reason",
    "announced",
    "presented",
    "late",
    "outcome",
    "rating",
    "line_id",
    "line_name",
    "quantity_short",
    "units_replaced",
    "value_minor",
    "currency",
    "price_before",
    "price_after",
    "occurred_at",
    "opened_at",
    "deadline_at",
    "default_at",
    "decided_at",
    "written_at",
    "triggered_at",
    "closed_at",
    "changed_at",
    "evidence",
)
_UPSERT = (
    f"INSERT INTO register_cases ({', '.join(_COLUMNS)}) VALUES ({', '.join(['%s'] * len(_COLUMNS))})"  # noqa: S608 - our own names
    f" ON CONFLICT (case_id) DO UPDATE SET {', '.join(f'{c} = excluded.{c}' for c in _COLUMNS[1:])}"
    " WHERE register_cases.changed_at <= excluded.changed_at"
)
_TIMELINE = (
    'INSERT INTO case_timeline (partition, "offset", case_id, order_id, changed_at, change)'
    " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"
)


def project(connection: Connection, changes: Sequence[Placed]) -> None:
    """A batch of changes, in the order of their topic; part of the caller's transaction."""
    if not changes:
        return
    with connection.cursor() as cursor:
        cursor.executemany(_UPSERT, [_row(placed.change) for placed in changes])
        cursor.executemany(
            _TIMELINE,
            [
                (
                    p.partition,
                    p.offset,
                    p.change.case_id,
                    p.change.order_id,
                    p.change.changed_at,
                    _json(p.change),
                )
                for p in changes
            ],
        )


def _row(change: CaseChanged) -> tuple[Any, ...]:
    decision = change.decision
    value = change.value_at_risk
    derived: dict[str, Any] = {
        "channel": decision.channel if decision else "",
        "version": decision.version if decision else 0,
        "missing": list(change.missing),
        "units_replaced": sum(part.quantity for part in decision.chosen) if decision else 0,
        "value_minor": value.minor if value else 0,
        "currency": value.currency if value else "",
        "price_before": decision.price_before.minor if decision and decision.price_before else None,
        "price_after": decision.price_after.minor if decision and decision.price_after else None,
        "decided_at": decision.decided_at if decision else None,
        "evidence": Jsonb(plain(change.evidence)) if change.evidence else None,
    }
    return tuple([derived[c] if c in derived else getattr(change, c) for c in _COLUMNS])


def _json(change: CaseChanged) -> Jsonb:
    return Jsonb(plain(change))


def plain(value: Any) -> Any:
    """A record as JSON with its field names; values without identity are arrays only inside states."""
    if isinstance(value, msgspec.Struct):
        return {name: plain(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return msgspec.to_builtins(value)
