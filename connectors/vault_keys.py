"""The vault's own keys: the last one wraps the customers' keys; older ones only read, until `rekey` is through.

The table `vault_keys` names each key under which something is wrapped, and holds the key of the hashes under it. That
one is never renewed: the numbers that opted out are found by it, and nobody has them in clear to hash them anew.
"""

import base64
import hmac
from collections.abc import Sequence
from hashlib import sha256

import psycopg

from connectors.outbox import Connection
from connectors.sealing import KEY_BYTES, Unsealable, seal, unseal

_ID, _HASHES = b"saveline key id", b"saveline hashes"
_OF_CUSTOMER, _OF_HASHES = "key", "hashes"
_AT_ONCE = 500
_FORM = "32 bytes in base64, or several of them separated by commas, the one that seals last"


class KeyMissing(Exception):
    """Something is wrapped under a key that the ring lacks; says what to do, in one line."""


def ring_of(text: str) -> tuple[bytes, ...]:
    """The keys of a setting; raises `ValueError`."""
    try:
        ring = tuple([base64.b64decode(one, validate=True) for one in text.split(",")])
    except ValueError:
        raise ValueError(_FORM) from None
    if any(len(key) != KEY_BYTES for key in ring) or len(set(ring)) < len(ring):
        raise ValueError(_FORM)
    return ring


def key_id(master: bytes) -> str:
    """By what people tell keys apart; it says nothing about the key."""
    return hmac.digest(master, _ID, sha256).hex()[:16]


def derived(master: bytes) -> bytes:
    """The key of the hashes as the vault's first key makes it."""
    return hmac.digest(master, _HASHES, sha256)


def hashed(hashes: bytes, use: str, text: str) -> str:
    return hmac.digest(hashes, f"{use}\0{text}".encode(), sha256).hex()


def wrap(ring: Sequence[bytes], key: bytes, customer_ref: str) -> bytes:
    return seal(ring[-1], key, f"{_OF_CUSTOMER}:{customer_ref}")


def unwrap(ring: Sequence[bytes], wrapped: bytes, customer_ref: str) -> bytes:
    """A customer's key, whichever of the ring it is wrapped under; raises `Unsealable`."""
    for master in reversed(ring[1:]):
        try:
            return unseal(master, wrapped, f"{_OF_CUSTOMER}:{customer_ref}")
        except Unsealable:
            continue
    return unseal(ring[0], wrapped, f"{_OF_CUSTOMER}:{customer_ref}")


def hash_key(connection: Connection, ring: Sequence[bytes]) -> bytes:
    """The key of the hashes; raises `KeyMissing` where the ring lacks a key that is in use."""
    in_use = {
        row[0]: bytes(row[1])
        for row in connection.execute("SELECT key_id, hash_key FROM vault_keys").fetchall()
    }
    by_id = {key_id(master): master for master in ring}
    if lacking := sorted(in_use.keys() - by_id.keys()):
        raise KeyMissing(
            f"vault: something is wrapped under the key {', '.join(lacking)}, which SAVELINE_VAULT_KEY lacks."
            " To do: put it back, before the last one, and take it away after `saveline vault rekey`"
        )
    for name, wrapped in in_use.items():
        return unseal(by_id[name], wrapped, _OF_HASHES)
    return derived(_first(connection, ring))


def _first(connection: Connection, ring: Sequence[bytes]) -> bytes:
    """With which of the ring the vault began, before it kept a list."""
    row = connection.execute(
        "SELECT customer_ref, wrapped_key FROM customers WHERE wrapped_key IS NOT NULL LIMIT 1"
    ).fetchone()
    if row is None:
        return ring[0]
    for master in ring:
        try:
            unwrap([master], bytes(row[1]), row[0])
        except Unsealable:
            continue
        return master
    raise KeyMissing(
        "vault: no key of SAVELINE_VAULT_KEY opens what is kept. To do: put back the one that it was made with"
    )


def enter(connection: Connection, ring: Sequence[bytes]) -> None:
    """Look whether the ring has every key that is in use, and list its last one; raises `KeyMissing`."""
    hashes = hash_key(connection, ring)
    connection.execute(
        "INSERT INTO vault_keys (key_id, hash_key) VALUES (%s, %s) ON CONFLICT DO NOTHING",
        [key_id(ring[-1]), seal(ring[-1], hashes, _OF_HASHES)],
    )


def missing(dsn: str, text: str) -> list[str]:
    """What keeps a process from starting with the keys of this setting, one line each; lists its last one."""
    try:
        with psycopg.connect(dsn, connect_timeout=5) as connection:
            enter(connection, ring_of(text))
    except KeyMissing as error:
        return [str(error)]
    return []


def rekey(connection: Connection, ring: Sequence[bytes]) -> int:
    """Wrap every customer's key under the last one, in small bites beside the running system; returns how many.

    Afterwards nothing needs an older key. Broken off, it goes on where it was. Raises `KeyMissing`, `Unsealable`, and
    psycopg's `ForeignKeyViolation` where a process wraps under an older key meanwhile.
    """
    with connection.transaction():
        enter(connection, ring)
        connection.execute(
            "UPDATE customers SET key_id = NULL WHERE wrapped_key IS NULL AND key_id IS NOT NULL"
        )
    newest, after, done = key_id(ring[-1]), "", 0
    while rows := _bite(connection, ring, newest, after):
        after, done = rows[-1], done + len(rows)
    with connection.transaction():
        connection.execute("DELETE FROM vault_keys WHERE key_id <> %s", [newest])
    return done


def _bite(connection: Connection, ring: Sequence[bytes], newest: str, after: str) -> list[str]:
    with connection.transaction(), connection.cursor() as cursor:
        rows = cursor.execute(
            "SELECT customer_ref, wrapped_key FROM customers WHERE customer_ref > %s"
            " AND wrapped_key IS NOT NULL AND key_id IS DISTINCT FROM %s"
            " ORDER BY customer_ref LIMIT %s FOR UPDATE",
            [after, newest, _AT_ONCE],
        ).fetchall()
        cursor.executemany(
            "UPDATE customers SET wrapped_key = %s, key_id = %s WHERE customer_ref = %s",
            [(wrap(ring, unwrap(ring, bytes(key), ref), ref), newest, ref) for ref, key in rows],
        )
    return [ref for ref, _ in rows]
