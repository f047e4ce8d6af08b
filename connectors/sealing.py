"""Sealing: AES-256-GCM under one key a customer, each wrapped by the vault's master key.

A sealed value is `format (1 byte) | nonce (12) | ciphertext and tag`. What it belongs to is authenticated with it, so
that a value moved to another customer or purpose does not open.
"""

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_FORMAT = b"\x01"
_NONCE_BYTES = 12
KEY_BYTES = 32


class Unsealable(Exception):
    """The bytes were not sealed with this key for this purpose, or were changed since."""


def new_key() -> bytes:
    return os.urandom(KEY_BYTES)


def seal(key: bytes, plain: bytes, belongs_to: str) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    return _FORMAT + nonce + AESGCM(key).encrypt(nonce, plain, belongs_to.encode())


def unseal(key: bytes, sealed: bytes, belongs_to: str) -> bytes:
    """The plain bytes; raises `Unsealable`."""
    if sealed[:1] != _FORMAT or len(sealed) <= 1 + _NONCE_BYTES:
        raise Unsealable("no sealed value of a known format")
    nonce, ciphertext = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
    try:
        return AESGCM(key).decrypt(nonce, ciphertext, belongs_to.encode())
    except InvalidTag:
        raise Unsealable(f"not sealed with this key for {belongs_to}, or changed since") from None
