"""Brings the database to the schema that this version needs; several processes may try at once."""

from pathlib import Path

import psycopg

_MIGRATIONS = Path(__file__).parent / "migrations"
# One number for everybody who migrates this product's schema.
_LOCK = 0x5A7E11E
REACH = "start Postgres, or set SAVELINE_PG_DSN"


def lacking(dsn: str) -> list[str]:
    """The revisions that the database has not had; all of them where it is empty.

    None where its revision is one that we do not know: revisions follow one another, so it is newer, and they only add.
    """
    with psycopg.connect(dsn, connect_timeout=5) as connection:
        exists = connection.execute("SELECT to_regclass('alembic_version')").fetchone() != (None,)
        rows = connection.execute("SELECT version_num FROM alembic_version").fetchall() if exists else []
    return [one for one in revisions() if not rows or one > rows[0][0]]


def revisions() -> list[str]:
    """Oldest first: they are one line, each in the file of its name."""
    return sorted(file.stem[1:5] for file in (_MIGRATIONS / "versions").glob("r[0-9]*.py"))


def in_a_line(error: psycopg.Error) -> str:
    """The server's words, which may come on many lines."""
    return " ".join(str(error).split())


def upgrade(dsn: str, revision: str = "head") -> None:
    """Applies what is missing; waits for another process that is doing the same. Newer tables stay as they are."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
        if not lacking(dsn):
            # As at nearly every start, which then goes without Alembic and what it loads.
            return
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS))
        config.attributes["dsn"] = dsn
        command.upgrade(config, revision)
