"""The vault: who a customer is and how to reach them. Everything personal is sealed under the customer's own key."""

import re
from collections.abc import Sequence
from hashlib import blake2b

import msgspec
import phonenumbers
from phonenumbers import timezone
from psycopg_pool import ConnectionPool

from connectors import vault_keys
from connectors.checks import Address
from connectors.clock import Clock
from connectors.outbox import Connection
from connectors.sealing import new_key, seal, unseal
from schemas.events import CustomerConsent, CustomerContact
from schemas.facts import CustomerFacts
from schemas.words import Channel

_CONTACT = "contact"
_NUMBERED = (Channel.SMS, Channel.VOICE)
_decoder = msgspec.msgpack.Decoder(CustomerContact)
# A mailbox as browsers let one be typed (the rule of HTML's `input type=email`), and none that reads as an encoded
# word. Others cannot be named to every SMTP server, and Python's mail library fails on some in ways of its own.
_MAILBOX = re.compile(r"(?!.*=\?)[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")


class Erased(Exception):
    """The customer's key was destroyed: nothing of theirs can be opened or sealed any more."""


class Vault:
    """Contacts and consents of every customer, over a pool of connections; safe for several threads.

    The last of `ring` (32 bytes each) wraps the customers' keys; `salt` makes the shares of pilot and holdout
    unpredictable.
    """

    def __init__(
        self, pool: ConnectionPool[Connection], ring: Sequence[bytes], salt: bytes, clock: Clock
    ) -> None:
        self._pool, self._ring, self._salt, self._clock = pool, ring, salt, clock
        self._hash_key: bytes | None = None

    def keep(self, contact: CustomerContact) -> bool:
        """Store a contact record unless a newer one is there; whether it was stored. Raises `Erased`."""
        with self._pool.connection() as connection:
            key = self._key(connection, contact.customer_ref)
            sealed = seal(key, msgspec.msgpack.encode(contact), f"{_CONTACT}:{contact.customer_ref}")
            row = connection.execute(
                "UPDATE customers SET revision = %s, sealed = %s, changed_at = %s"
                " WHERE customer_ref = %s AND revision < %s AND erased_at IS NULL RETURNING 1",
                [contact.revision, sealed, self._clock.now(), contact.customer_ref, contact.revision],
            ).fetchone()
            return row is not None

    def consent(self, consent: CustomerConsent, connection: Connection | None = None) -> None:
        """Store an opt-out or a renewal; the newest counts. An opt-out binds the number across accounts.

        With a connection it is part of the caller's transaction.
        """
        if connection is None:
            with self._pool.connection() as own, own.transaction():
                self.consent(consent, own)
            return
        for channel in consent.channels:
            _newest(connection, "consents", "customer_ref", consent.customer_ref, channel, consent)
            for subject in (
                consent.customer_ref,
                *self._number_hashes(connection, consent.customer_ref, channel),
            ):
                _newest(connection, "opt_outs", "subject", subject, channel, consent)

    def contact(self, customer_ref: str) -> CustomerContact | None:
        """The contact record; None for an unknown or an erased customer."""
        with self._pool.connection() as connection:
            return self._contact(connection, customer_ref)

    def facts(self, customer_ref: str) -> CustomerFacts:
        """What `decide` may know of a customer: no personal data. Unknown customers are `known=False`."""
        pilot_point, arm_point = self._point("pilot", customer_ref), self._point("arm", customer_ref)
        with self._pool.connection() as connection:
            contact = self._contact(connection, customer_ref)
            if contact is None:
                return CustomerFacts(pilot_point=pilot_point, arm_point=arm_point)
            opted_out = self._opted_out(connection, contact)
        number = _number(contact.phone)
        return CustomerFacts(
            known=True,
            channels=_channels(contact, has_number=number is not None),
            opted_out=opted_out,
            locale=contact.locale,
            spoken_language=contact.spoken_language,
            zones=_zones(contact, number),
            contact_mode=contact.contact_mode,
            never_substitute=contact.never_substitute,
            substitute_by_default=contact.substitute_by_default,
            allergens=contact.allergens,
            own_choices=contact.own_choices,
            price_cap=contact.price_cap,
            has_delegate=bool(contact.delegate_phone),
            recipient_differs=bool(contact.recipient_phone),
            business=contact.business,
            pilot_point=pilot_point,
            arm_point=arm_point,
        )

    def address(self, customer_ref: str, channel: Channel) -> Address | None:
        """Where a message or a call goes; None where there is no address."""
        contact = self.contact(customer_ref)
        if contact is None:
            return None
        number = _number(contact.phone)
        to = {
            Channel.PUSH: contact.push_tokens[0] if contact.push_tokens else "",
            Channel.EMAIL: _mailbox(contact.email),
            Channel.SMS: _written(number),
            Channel.VOICE: _written(number),
        }.get(channel, "")
        return Address(to, self.address_hash(to), _zones(contact, number)) if to else None

    def address_hash(self, address: str, connection: Connection | None = None) -> str:
        """Stands for an address where no address may stand: HMAC-SHA-256 under a key that only the vault has.

        There are few telephone numbers: a hash without a key would be undone by trying them all.
        """
        return self.keyed("address", address.strip().lower(), connection)

    def keyed(self, use: str, text: str, connection: Connection | None = None) -> str:
        """64 hex digits that nobody can make, or undo, without the vault's key."""
        return vault_keys.hashed(self._key_of_hashes(connection), use, text)

    def _key_of_hashes(self, connection: Connection | None) -> bytes:
        """Looked up once; with a connection on that one."""
        if self._hash_key is None:
            if connection is None:
                with self._pool.connection() as own:
                    return self._key_of_hashes(own)
            self._hash_key = vault_keys.hash_key(connection, self._ring)
        return self._hash_key

    def seal(self, customer_ref: str, plain: bytes, purpose: str) -> bytes:
        """Ciphertext under the customer's key, for what leaves this database; raises `Erased`."""
        with self._pool.connection() as connection:
            return seal(self._key(connection, customer_ref), plain, f"{purpose}:{customer_ref}")

    def unseal(self, customer_ref: str, sealed: bytes, purpose: str) -> bytes:
        """What was sealed for this purpose; raises `Erased` or `Unsealable`."""
        with self._pool.connection() as connection:
            return unseal(self._key(connection, customer_ref), sealed, f"{purpose}:{customer_ref}")

    def erase(self, customer_ref: str) -> None:
        """Destroy the customer's key, and with it everything that was ever sealed under it; for good."""
        with self._pool.connection() as connection:
            connection.execute(
                "INSERT INTO customers (customer_ref, changed_at, erased_at) VALUES (%s, %s, %s)"
                " ON CONFLICT (customer_ref) DO UPDATE SET wrapped_key = NULL, key_id = NULL,"
                " sealed = NULL, changed_at = excluded.changed_at, erased_at = excluded.erased_at",
                [customer_ref, self._clock.now(), self._clock.now()],
            )

    def _key(self, connection: Connection, customer_ref: str) -> bytes:
        """The customer's own key, made with the first thing that is sealed."""
        asked = "SELECT wrapped_key FROM customers WHERE customer_ref = %s"
        row = connection.execute(asked, [customer_ref]).fetchone()
        if row is None:
            vault_keys.enter(connection, self._ring)
            wrapped = vault_keys.wrap(self._ring, new_key(), customer_ref)
            connection.execute(
                "INSERT INTO customers (customer_ref, wrapped_key, key_id, changed_at) VALUES (%s, %s, %s, %s)"
                " ON CONFLICT (customer_ref) DO NOTHING",
                [customer_ref, wrapped, vault_keys.key_id(self._ring[-1]), self._clock.now()],
            )
            row = connection.execute(asked, [customer_ref]).fetchone()
        if row is None or row[0] is None:
            raise Erased(customer_ref)
        return vault_keys.unwrap(self._ring, bytes(row[0]), customer_ref)

    def _contact(self, connection: Connection, customer_ref: str) -> CustomerContact | None:
        row = connection.execute(
            "SELECT wrapped_key, sealed FROM customers WHERE customer_ref = %s", [customer_ref]
        ).fetchone()
        if row is None or row[0] is None or row[1] is None:
            return None
        key = vault_keys.unwrap(self._ring, bytes(row[0]), customer_ref)
        return _decoder.decode(unseal(key, bytes(row[1]), f"{_CONTACT}:{customer_ref}"))

    def _opted_out(self, connection: Connection, contact: CustomerContact) -> tuple[Channel, ...]:
        number = _number(contact.phone)
        hashes = [self.address_hash(_written(number), connection)] if number is not None else []
        rows = connection.execute(
            "SELECT channel FROM consents WHERE customer_ref = %s AND opted_out"
            " UNION SELECT channel FROM opt_outs WHERE subject = ANY(%s) AND opted_out ORDER BY 1",
            [contact.customer_ref, hashes],
        ).fetchall()
        return tuple([Channel(row[0]) for row in rows])

    def _number_hashes(self, connection: Connection, customer_ref: str, channel: Channel) -> list[str]:
        contact = self._contact(connection, customer_ref) if channel in _NUMBERED else None
        number = _number(contact.phone) if contact is not None else None
        return [self.address_hash(_written(number), connection)] if number is not None else []

    def _point(self, use: str, customer_ref: str) -> int:
        """0 to 9999, the same for ever: in which share of the customers one falls."""
        text = f"{use}:{customer_ref}".encode()
        return int.from_bytes(blake2b(text, key=self._salt, digest_size=8).digest(), "big") % 10_000


def _newest(
    connection: Connection, table: str, column: str, subject: str, channel: Channel, consent: CustomerConsent
) -> None:
    connection.execute(
        f"INSERT INTO {table} ({column}, channel, opted_out, occurred_at) VALUES (%s, %s, %s, %s)"  # noqa: S608 - our own names
        f" ON CONFLICT ({column}, channel) DO UPDATE SET opted_out = excluded.opted_out,"
        f" occurred_at = excluded.occurred_at WHERE {table}.occurred_at < excluded.occurred_at",
        [subject, channel, consent.opted_out, consent.occurred_at],
    )


def _number(text: str) -> phonenumbers.PhoneNumber | None:
    """A number that can exist, from its international form; None for anything else."""
    try:
        number = phonenumbers.parse(text, None)
    except phonenumbers.NumberParseException:
        return None
    return number if phonenumbers.is_possible_number(number) else None


def _written(number: phonenumbers.PhoneNumber | None) -> str:
    return (
        phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) if number is not None else ""
    )


def _mailbox(text: str) -> str:
    """An address that mail can go to; empty for anything else."""
    return text if _MAILBOX.fullmatch(text) else ""


def _zones(contact: CustomerContact, number: phonenumbers.PhoneNumber | None) -> tuple[str, ...]:
    """The customer's own zone, else every zone that the number may mean."""
    if contact.zone:
        return (contact.zone,)
    zones = timezone.time_zones_for_number(number) if number is not None else ()
    return tuple([zone for zone in zones if zone != timezone.UNKNOWN_TIMEZONE])


def _channels(contact: CustomerContact, *, has_number: bool) -> tuple[Channel, ...]:
    return tuple(
        [
            channel
            for channel, there in (
                (Channel.PUSH, bool(contact.push_tokens)),
                (Channel.SMS, has_number),
                (Channel.EMAIL, bool(_mailbox(contact.email))),
                (Channel.VOICE, has_number),
            )
            if there
        ]
    )
