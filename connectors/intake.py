"""Intake: what upstream publishes becomes facts about orders, enriched with what the vault knows, or goes back.

It makes the workers independent of upstream's partitions, keys and repeats. It is at-least-once: what it did not
finish comes again, and `decide` drops what it has seen.
"""

from datetime import timedelta
from typing import assert_never

import msgspec
from psycopg_pool import ConnectionPool

from connectors.blocks import keep
from connectors.clock import Clock
from connectors.outbox import Connection
from connectors.register import outcomes
from connectors.vault import Erased, Vault
from schemas.catalogue import RECORDS, Topic
from schemas.codec import Codec
from schemas.errors import Malformed
from schemas.events import (
    ConsentChanged,
    ContactChanged,
    CustomerConsent,
    CustomerContact,
    ExceptionAccepted,
    ExceptionAmended,
    ExceptionRaised,
    ExceptionWithdrawn,
    Fact,
    ProductBlocked,
    TriggerReceived,
)
from schemas.validity import Incoming, faults, premature, stale

# A customer's changes concern the orders that can still be open.
_ORDERS_LIVE = timedelta(days=21)


class Admitted(msgspec.Struct, frozen=True):
    """Facts for `case.events.v1`: each to its order's partition, or, without an order, once to every partition."""

    facts: tuple[Fact, ...] = ()
    everywhere: ProductBlocked | None = None


class Intake:
    """`admit` each record of the source topics, in upstream's order."""

    def __init__(
        self,
        codec: Codec,
        vault: Vault,
        pool: ConnectionPool[Connection],
        clock: Clock,
        *,
        retention: timedelta,
    ) -> None:
        self._codec, self._vault, self._pool, self._clock = codec, vault, pool, clock
        self._retention = retention

    def admit(self, topic: Topic, value: bytes | None) -> Admitted:
        """What a record means for the workers; raises `Malformed` with every reason that is known.

        An outage (of Postgres, or of the registry) passes through: then no record is at fault.
        """
        record: Incoming = self._codec.decode(value, RECORDS[topic])
        reasons = faults(record, len(value or b""))
        now = self._clock.now()
        if isinstance(record, ExceptionRaised | ExceptionAmended | ExceptionWithdrawn):
            reasons += stale(record.occurred_at, now, self._retention) + premature(record.occurred_at, now)
        if isinstance(record, CustomerConsent | ProductBlocked) and _permits(record):
            # The newest word counts: dated ahead, this one would outrank every later no.
            reasons += premature(record.occurred_at, now)
        if reasons:
            raise Malformed(reasons)
        match record:
            case ExceptionRaised():
                return Admitted((self._accepted(record),))
            case CustomerContact():
                return Admitted(self._contact_changed(record))
            case CustomerConsent():
                return Admitted(self._consent_changed(record))
            case ProductBlocked():
                # Before the workers hear of it: what they ask for meanwhile is held against it.
                with self._pool.connection() as connection:
                    keep(connection, record)
                return Admitted(everywhere=record)
            case ExceptionAmended() | ExceptionWithdrawn() | TriggerReceived():
                return Admitted((record,))
            case Fact():
                with self._pool.connection() as connection:
                    outcomes.keep(connection, record)
                return Admitted((record,))
            case _:
                assert_never(record)

    def _accepted(self, exception: ExceptionRaised) -> ExceptionAccepted:
        with self._pool.connection() as connection:
            # Before the facts are read: a change that comes in between finds the order.
            connection.execute(
                "INSERT INTO admitted_orders (customer_ref, order_id, admitted_at) VALUES (%s, %s, %s)"
                " ON CONFLICT (customer_ref, order_id) DO UPDATE SET admitted_at = excluded.admitted_at",
                [exception.customer_ref, exception.order_id, self._clock.now()],
            )
        return ExceptionAccepted(
            event_id=exception.event_id,
            order_id=exception.order_id,
            exception=exception,
            facts=self._vault.facts(exception.customer_ref),
        )

    def _contact_changed(self, contact: CustomerContact) -> tuple[Fact, ...]:
        try:
            self._vault.keep(contact)
        except Erased:
            # Whoever was erased is not stored again by a record that was on its way.
            return ()
        facts = self._vault.facts(contact.customer_ref)
        return tuple(
            [
                ContactChanged(
                    event_id=f"contact:{contact.customer_ref}:{contact.revision}",
                    order_id=order_id,
                    facts=facts,
                    occurred_at=contact.occurred_at,
                )
                for order_id in self._orders(contact.customer_ref)
            ]
        )

    def _consent_changed(self, consent: CustomerConsent) -> tuple[Fact, ...]:
        self._vault.consent(consent)
        at = consent.occurred_at.isoformat()
        return tuple(
            [
                ConsentChanged(
                    event_id=f"consent:{consent.customer_ref}:{at}",
                    order_id=order_id,
                    channels=consent.channels,
                    opted_out=consent.opted_out,
                    source=consent.source,
                    occurred_at=consent.occurred_at,
                )
                for order_id in self._orders(consent.customer_ref)
            ]
        )

    def _orders(self, customer_ref: str) -> list[str]:
        with self._pool.connection() as connection:
            rows = connection.execute(
                "SELECT order_id FROM admitted_orders WHERE customer_ref = %s AND admitted_at > %s ORDER BY order_id",
                [customer_ref, self._clock.now() - _ORDERS_LIVE],
            ).fetchall()
        return [row[0] for row in rows]


def _permits(record: CustomerConsent | ProductBlocked) -> bool:
    return not (record.opted_out if isinstance(record, CustomerConsent) else record.blocked)
