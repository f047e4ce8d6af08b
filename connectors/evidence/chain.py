"""Chains of signed links: each names the objects of one decision's evidence and the link before it.

A link lies at `chain/{chain}/{seq}` and is put there only if nothing is: two writers cannot fork a chain. It
holds ids and hashes of ciphertexts and no personal data, so it outlives an erasure.
"""

import base64
import hashlib
import zlib
from datetime import datetime, timedelta

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from connectors.evidence.store import Store, StoreError
from schemas.words import EvidencePart

# The chain is kept longer than anything that it vouches for.
_KEPT = timedelta(days=3_650)
_UNREADABLE_MAX = 20


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """One object as it lies in the store; `sha256` is over its ciphertext."""

    key: str
    version: str
    sha256: str
    size_bytes: int
    parts: tuple[EvidencePart, ...]


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """`previous_sha256` is over the bytes of the link before; empty for the first."""

    chain: int
    seq: int
    previous_sha256: str
    request_id: str
    order_id: str
    case_id: str
    decision_version: int
    objects: tuple[Stored, ...]
    missing: tuple[EvidencePart, ...] = ()
    made_at: datetime


class Signed(msgspec.Struct, frozen=True, kw_only=True):
    """`signature` is Ed25519 over the exact bytes of `body`, both as they stand."""

    body: str
    signature: str
    key_id: str


link_of = msgspec.json.Decoder(Link).decode
"""The link in a signed body; raises `msgspec.DecodeError`."""
_signed = msgspec.json.Decoder(Signed).decode


class Tail(msgspec.Struct, frozen=True):
    """The last link that is known; seq 0 is the empty chain."""

    seq: int = 0
    sha256: str = ""


def chain_of(order_id: str, chains: int) -> int:
    """All evidence of an order is in one chain."""
    return zlib.crc32(order_id.encode()) % chains


def link_key(chain: int, seq: int) -> str:
    return f"chain/{chain}/{seq:012d}"


def sha256_of(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def key_id(public: Ed25519PublicKey) -> str:
    return sha256_of(public.public_bytes_raw())[:16]


def signed(key: Ed25519PrivateKey, value: msgspec.Struct) -> bytes:
    body = msgspec.json.encode(value, order="deterministic")
    signature = base64.b64encode(key.sign(body)).decode()
    return msgspec.json.encode(
        Signed(body=body.decode(), signature=signature, key_id=key_id(key.public_key()))
    )


def opened(raw: bytes, keys: dict[str, Ed25519PublicKey]) -> bytes:
    """The signed bytes; `ValueError` says why they are not to be trusted."""
    try:
        one = _signed(raw)
        keys[one.key_id].verify(base64.b64decode(one.signature), one.body.encode())
    except KeyError:
        raise ValueError("signed with an unknown key") from None
    except InvalidSignature:
        raise ValueError("its signature is wrong") from None
    except (msgspec.DecodeError, ValueError) as error:
        raise ValueError(f"it is no signed record: {error}") from error
    return one.body.encode()


def body_of(raw: bytes) -> Link:
    """A link without a look at its signature, for those who only need to find their place."""
    return link_of(_signed(raw).body)


class Chain:
    """One chain's end, for its writers."""

    def __init__(self, store: Store, number: int, key: Ed25519PrivateKey) -> None:
        self._store, self._number, self._key = store, number, key

    def append(self, link: Link, tail: Tail) -> tuple[Link, Tail]:
        """Puts the link behind the last one, wherever that is by now.

        If an earlier try of the same request got as far as this, its link counts and is returned.
        """
        unreadable, key = 0, ""
        while unreadable < _UNREADABLE_MAX:
            mine = msgspec.structs.replace(
                link, chain=self._number, seq=tail.seq + 1, previous_sha256=tail.sha256
            )
            raw = signed(self._key, mine)
            key = link_key(self._number, mine.seq)
            if self._store.put_first(key, raw, link.made_at + _KEPT):
                return mine, Tail(mine.seq, sha256_of(raw))
            there = self._store.get(key) or b""
            try:
                other = body_of(there)
            except msgspec.DecodeError:
                # Taken a moment ago and not readable yet, or no link at all: look again.
                unreadable += 1
                continue
            tail = Tail(other.seq, sha256_of(there))
            if other.request_id == link.request_id:
                return other, tail
        raise StoreError(f"{key} is taken and cannot be read")
