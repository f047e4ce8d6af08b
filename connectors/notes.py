"""What a customer leaves for the driver, such as a code: sealed here, told once, and then gone."""

from psycopg_pool import ConnectionPool

from connectors.clock import Clock
from connectors.outbox import Connection
from connectors.vault import Vault

_SEALED_AS = "note"


class Notes:
    """Everybody else, topics and logs included, only ever sees the reference."""

    def __init__(self, pool: ConnectionPool[Connection], vault: Vault, clock: Clock) -> None:
        self._pool, self._vault, self._clock = pool, vault, clock

    def keep(self, customer_ref: str, order_id: str, note_id: str, text: str) -> str:
        """The reference; the same for the same `note_id`, whose first text stays. Raises `Erased`."""
        reference = self._vault.keyed("note", note_id)[:32]
        sealed = self._vault.seal(customer_ref, text.encode(), _SEALED_AS)
        with self._pool.connection() as connection:
            connection.execute(
                "INSERT INTO driver_notes (reference, customer_ref, order_id, sealed, kept_at)"
                " VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                [reference, customer_ref, order_id, sealed, self._clock.now()],
            )
        return reference

    def known(self, reference: str) -> bool:
        with self._pool.connection() as connection:
            row = connection.execute(
                "SELECT 1 FROM driver_notes WHERE reference = %s", [reference]
            ).fetchone()
        return row is not None

    def take(self, reference: str) -> str | None:
        """The text, for whoever comes first; None for everybody after. Raises `Erased`."""
        with self._pool.connection() as connection, connection.transaction():
            row = connection.execute(
                "UPDATE driver_notes AS note SET sealed = NULL, taken_at = %s"
                " FROM (SELECT reference, sealed FROM driver_notes WHERE reference = %s FOR UPDATE) AS before"
                " WHERE note.reference = before.reference AND before.sealed IS NOT NULL"
                " RETURNING note.customer_ref, before.sealed",
                [self._clock.now(), reference],
            ).fetchone()
            # Within the transaction: what could not be opened was not taken.
            return self._vault.unseal(row[0], bytes(row[1]), _SEALED_AS).decode() if row else None
