"""Products that may not be sold any more: recalls and sales stops outrank whatever was offered before them."""

from collections.abc import Iterable

from msgspec.structs import replace
from psycopg_pool import ConnectionPool

from connectors.outbox import Connection
from schemas.commands import ChannelCommand, OfferedCase, OrderUpdate
from schemas.events import ProductBlocked
from state.rules import BLOCKED


def keep(connection: Connection, block: ProductBlocked) -> None:
    """The newest word on a product counts, in whatever order they come."""
    connection.execute(
        "INSERT INTO product_blocks AS known (sku, blocked, occurred_at) VALUES (%s, %s, %s)"
        " ON CONFLICT (sku) DO UPDATE SET blocked = excluded.blocked, occurred_at = excluded.occurred_at"
        " WHERE known.occurred_at < excluded.occurred_at",
        [block.sku, block.blocked, block.occurred_at],
    )


def blocked_among(connection: Connection, skus: Iterable[str]) -> frozenset[str]:
    wanted = sorted(set(skus))
    if not wanted:
        return frozenset()
    rows = connection.execute(
        "SELECT sku FROM product_blocks WHERE blocked AND sku = ANY(%s)", [wanted]
    ).fetchall()
    return frozenset(row[0] for row in rows)


def offers_blocked(connection: Connection, cases: Iterable[OfferedCase]) -> bool:
    return bool(blocked_among(connection, _skus(cases)))


def without_blocked(connection: Connection, cases: tuple[OfferedCase, ...]) -> tuple[OfferedCase, ...]:
    """The cases as they may be shown: what is blocked is offered no more."""
    blocked = blocked_among(connection, _skus(cases))
    if not blocked:
        return cases
    return tuple(
        replace(case, options=tuple(one for one in case.options if blocked.isdisjoint(one.skus)))
        for case in cases
    )


def _skus(cases: Iterable[OfferedCase]) -> list[str]:
    return [sku for case in cases for option in case.options for sku in option.skus]


class Blocks:
    """The same over a pool, for whoever has no connection in hand."""

    def __init__(self, pool: ConnectionPool[Connection]) -> None:
        self._pool = pool

    def shown(self, command: ChannelCommand) -> ChannelCommand:
        """The command as it may be put into words."""
        if not _skus(command.cases):
            return command
        with self._pool.connection() as connection:
            return replace(command, cases=without_blocked(connection, command.cases))

    def against(self, update: OrderUpdate) -> str:
        """Why an update may not be written any more; empty if it may."""
        skus = {part.sku for one in update.decision.chosen for part in one.components}
        with self._pool.connection() as connection:
            return BLOCKED if blocked_among(connection, skus) else ""
