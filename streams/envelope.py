"""The private format of the changelog: its keys and values, and the notes that travel in it."""

import struct
from collections.abc import Mapping

import msgspec

from streams.outcomes import ForeignRecord

FORMAT = 1
NEVER = 2**64 - 1
_HEAD = struct.Struct(">BQI")
HEAD_BYTES = _HEAD.size

# Order ids never start with NUL, so these keys cannot meet a conversation's.
PROGRESS = b"\x00progress"
FENCE = b"\x00fence"
CONDITIONS = b"\x00conditions"
RESERVED = b"\x00"

pack_head = _HEAD.pack
unpack_head = _HEAD.unpack_from


class Progress(msgspec.Struct, array_like=True, frozen=True):
    """How far the source is processed (inclusive offset, -1 for nothing), and the ledger's latest now."""

    offset: int = -1
    now_ms: int = 0


class Fired(msgspec.Struct, array_like=True, frozen=True):
    """A deadline that took effect: before which source offset (None: after the batch's records), and when."""

    before_offset: int | None
    key: bytes
    due_ms: int
    version: int
    now_ms: int


class BatchRecord(msgspec.Struct, array_like=True, frozen=True):
    """One transaction, as a verifier or a replay needs it; `offsets` run from after `before` to `after`."""

    before: int
    after: int
    now_ms: int
    fired: list[Fired]
    quarantined: list[int]
    """Source offsets that went to quarantine."""
    stuck: list[bytes]
    """Keys whose `decide` raised, in order."""
    version: str


encode_progress = msgspec.msgpack.Encoder().encode
decode_progress = msgspec.msgpack.Decoder(Progress).decode
encode_batch = msgspec.msgpack.Encoder().encode
decode_batch = msgspec.msgpack.Decoder(BatchRecord).decode


def seal(body: bytes, due: tuple[int, int] | None = None) -> bytes:
    """A changelog value: format, deadline and version in front of the core's own bytes."""
    if due is None:
        return pack_head(FORMAT, NEVER, 0) + body
    return pack_head(FORMAT, due[0], due[1]) + body


def head(value: bytes) -> tuple[int, int]:
    """(due_ms or `NEVER`, version). Raises `ForeignRecord` for what no ledger wrote."""
    if len(value) < HEAD_BYTES or value[0] != FORMAT:
        raise ForeignRecord(f"a value of {len(value)} bytes does not carry format {FORMAT}")
    _, due_ms, version = unpack_head(value)
    return due_ms, version


def foreign(values: Mapping[bytes, bytes]) -> list[bytes]:
    """The keys whose values no ledger wrote."""
    return [key for key, value in values.items() if len(value) < HEAD_BYTES or value[0] != FORMAT]


def body(value: bytes) -> bytes:
    return value[HEAD_BYTES:]
