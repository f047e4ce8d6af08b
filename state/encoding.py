"""A conversation's bytes in RocksDB and in the changelog: one byte of format, then msgpack arrays.

Fields are only ever appended with defaults, so the format number changes only when that is not enough.
"""

from typing import TypeVar

import msgspec

from state.conversation import Conversation
from state.rules import Conditions

FORMAT = b"\x01"

T = TypeVar("T")

_encoder = msgspec.msgpack.Encoder()
_conversations = msgspec.msgpack.Decoder(Conversation)
_conditions = msgspec.msgpack.Decoder(Conditions)


class UnreadableState(Exception):
    """Stored bytes that this version cannot read: a newer format, or damage."""


def encode(state: Conversation | Conditions) -> bytes:
    return FORMAT + _encoder.encode(state)


def decode(payload: bytes) -> Conversation:
    """The conversation; raises `UnreadableState`."""
    return _read(payload, _conversations)


def decode_conditions(payload: bytes) -> Conditions:
    """The partition's conditions; raises `UnreadableState`."""
    return _read(payload, _conditions)


def _read(payload: bytes, decoder: msgspec.msgpack.Decoder[T]) -> T:
    if payload[:1] != FORMAT:
        raise UnreadableState(
            f"state format {payload[:1].hex() or 'empty'}; this version reads {FORMAT.hex()}"
        )
    try:
        return decoder.decode(memoryview(payload)[1:])
    except (msgspec.DecodeError, ValueError) as error:
        raise UnreadableState(f"state: {error}") from error
