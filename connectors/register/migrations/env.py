"""How alembic connects: with the DSN that `migrate.upgrade` was given."""

from alembic import context
from sqlalchemy import create_engine, pool


def run() -> None:
    dsn: str = context.config.attributes["dsn"]
    url = dsn.replace("postgresql://", "postgresql+psycopg://", 1)
    engine = create_engine(url, poolclass=pool.NullPool)
    with engine.connect() as connection:
        # Each by itself: what is filled in afterwards holds no lock of those that made room for it.
        context.configure(connection=connection, transaction_per_migration=True)
        with context.begin_transaction():
            context.run_migrations()


run()
