"""Reads the database: the register, the claims, the opt-outs, and every table's bytes for a search."""

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from streams.verifier.seen import Register


def read(dsn: str) -> Register:
    """One consistent snapshot; raises `psycopg.Error`."""
    with psycopg.connect(dsn, row_factory=dict_row, connect_timeout=10) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        return Register(
            now=connection.execute("SELECT now() AS now").fetchall()[0]["now"],
            cases=connection.execute("SELECT * FROM register_cases").fetchall(),
            claims=connection.execute(
                "SELECT command_id, order_id, customer_ref, channel, purpose, state, reason, claimed_at,"
                " ambiguous_at, address_hash, provider_id FROM claims"
            ).fetchall(),
            opt_outs=connection.execute("SELECT * FROM opt_outs").fetchall(),
            raw=_raw(connection),
        )


def _raw(connection: psycopg.Connection[dict[str, object]]) -> dict[str, bytes]:
    """Texts and bytes as they are stored: the binary format shows both without an escape."""
    tables = connection.execute(
        "SELECT table_name FROM information_schema.tables"
        " WHERE table_schema = current_schema() AND table_type = 'BASE TABLE' ORDER BY table_name"
    ).fetchall()
    found = {}
    for row in tables:
        name = str(row["table_name"])
        query = sql.SQL("COPY {} TO STDOUT (FORMAT binary)").format(sql.Identifier(name))
        with connection.cursor() as cursor, cursor.copy(query) as copy:
            found[name] = b"".join(bytes(part) for part in copy)
    return found
