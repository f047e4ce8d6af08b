"""How every process comes to its connections to Postgres."""

from psycopg_pool import ConnectionPool

from connectors.outbox import Connection


def open_pool(
    dsn: str, *, min_size: int = 1, max_size: int, wait_s: float = 30.0
) -> ConnectionPool[Connection]:
    """A statement stands for itself; what belongs together says so with `connection.transaction()`.

    Most of what is asked is one statement, and a transaction around it would be two round trips more. Whoever finds
    all `max_size` taken waits `wait_s` for one, and then raises `PoolTimeout`.

    A server that only reads is none: while another takes over it is waited for as if it were away.
    """
    return ConnectionPool(
        dsn,
        min_size=min_size,
        max_size=max_size,
        timeout=wait_s,
        kwargs={"autocommit": True, "target_session_attrs": "read-write"},
        open=True,
    )
