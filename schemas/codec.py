"""Records to bytes and back, in Confluent wire format: 0x00, the schema's id in 4 bytes, Avro."""

import struct
from typing import Any

import msgspec

from schemas.avro import NAMESPACE, Schema
from schemas.catalogue import record_types
from schemas.errors import Malformed
from schemas.reading import Read, reader
from schemas.registry import Registry, UnknownSchema
from schemas.writing import Write, writer

RECORD_BYTES_MAX = 1_048_576
_HEADER = struct.Struct(">bI")

Record = msgspec.Struct


class Codec:
    """Encodes and decodes every record of the catalogue with one registry's ids."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._types = {f"{NAMESPACE}.{name}": kind for name, kind in record_types().items()}
        self._writers: dict[type, tuple[bytes, Write]] = {}
        self._readers: dict[int, tuple[type[Record], Read]] = {}

    def encode(self, record: Record) -> bytes:
        """The record's bytes with our current schema; `ValueError` where a value does not fit its schema."""
        kind = type(record)
        header, write = self._writers.get(kind) or self._writer(kind)
        payload = bytearray(header)
        try:
            write(record, payload)
        except (TypeError, AttributeError, LookupError, ArithmeticError, ValueError) as error:
            raise ValueError(f"{kind.__name__} cannot be written as Avro: {error}") from error
        if len(payload) > RECORD_BYTES_MAX:
            raise ValueError(f"{kind.__name__} is {len(payload)} bytes; the limit is {RECORD_BYTES_MAX}")
        return bytes(payload)

    def decode(self, payload: bytes | None, expected: tuple[type[Record], ...] | None = None) -> Any:
        """The record in `payload`, of one of the expected types; raises `Malformed` for anything else.

        `RegistryUnavailable` passes through: then the record is not at fault and must not be quarantined.
        """
        if payload is None:
            raise Malformed(["the record has no value"])
        if len(payload) > RECORD_BYTES_MAX:
            raise Malformed([f"the record has {len(payload)} bytes; the limit is {RECORD_BYTES_MAX}"])
        if len(payload) < _HEADER.size or payload[0] != 0:
            raise Malformed(["the record is not in Confluent wire format (0x00, schema id, Avro)"])
        schema_id = _HEADER.unpack_from(payload)[1]
        kind, read = self._readers.get(schema_id) or self._reader(schema_id)
        if expected is not None and kind not in expected:
            raise Malformed([f"a record of type {kind.__name__} does not belong on this topic"])
        try:
            record, end = read(payload, _HEADER.size)
        except IndexError:
            end = len(payload) + 1
        except Exception as error:
            # Foreign bytes may break any step of the reader; all of it means the same.
            raise Malformed([f"the bytes are no {kind.__name__} of schema {schema_id}: {error}"]) from error
        if end > len(payload):
            raise Malformed([f"the bytes end in the middle of the {kind.__name__}"])
        if end < len(payload):
            raise Malformed([f"{len(payload) - end} bytes are left over after the {kind.__name__}"])
        return record

    def _writer(self, kind: type[Record]) -> tuple[bytes, Write]:
        schema_id = self._registry.id_of(kind.__name__)
        # The schema that the id stands for, so that bytes and id agree whatever is being edited.
        schema = self._registry.schema(schema_id)
        self._writers[kind] = _HEADER.pack(0, schema_id), writer(schema, kind)
        return self._writers[kind]

    def _reader(self, schema_id: int) -> tuple[type[Record], Read]:
        try:
            schema = self._registry.schema(schema_id)
        except UnknownSchema as error:
            raise Malformed([str(error)]) from error
        name = _full_name(schema)
        kind = self._types.get(name)
        if kind is None:
            raise Malformed([f"schema {schema_id} is of {name or 'no record'}, which is none of ours"])
        try:
            self._readers[schema_id] = kind, reader(schema, kind)
        except Exception as error:
            # Somebody registered under our name what is no Avro, or is not compatible with ours.
            raise Malformed([f"schema {schema_id} cannot be read as {name}: {error}"]) from error
        return self._readers[schema_id]


def _full_name(schema: Schema) -> str:
    match schema:
        case {"type": "record", "name": str() as name} if "." in name:
            return name
        case {"type": "record", "name": str() as name, "namespace": str() as namespace}:
            return f"{namespace}.{name}"
        case _:
            return ""
