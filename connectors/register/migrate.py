"""Brings the database to the schema that this version needs; several processes may try at once."""

from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config

_MIGRATIONS = Path(__file__).parent / "migrations"
# One number for everybody who migrates this product's schema.
_LOCK = 0x5A7E11E


def upgrade(dsn: str, revision: str = "heads") -> None:
    """Applies what is missing; waits for another process that is doing the same."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS))
        config.attributes["dsn"] = dsn
        command.upgrade(config, revision)
