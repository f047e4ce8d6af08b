"""Records to bytes and back, in Confluent wire format: 0x00, the schema's id in 4 bytes, Avro."""

import io
import struct
import types
import typing
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from functools import cache
from typing import Any

import msgspec
from fastavro import parse_schema, schemaless_reader, schemaless_writer

from schemas import avro
from schemas.catalogue import record_types
from schemas.errors import Malformed
from schemas.registry import Registry, UnknownSchema

RECORD_BYTES_MAX = 1_048_576
_HEADER = struct.Struct(">bI")

Record = msgspec.Struct
_Convert = Callable[[Any], Any]


class Codec:
    """Encodes and decodes every record of the catalogue with one registry's ids."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._types = record_types()
        self._headers: dict[type, bytes] = {}
        self._writers: dict[int, tuple[str, Any]] = {}

    def encode(self, record: Record) -> bytes:
        """The record's bytes with our current schema; `ValueError` where a value does not fit its schema."""
        kind = type(record)
        header = self._headers.get(kind)
        if header is None:
            header = self._headers[kind] = _HEADER.pack(0, self._registry.id_of(kind.__name__))
        out = io.BytesIO()
        out.write(header)
        try:
            schemaless_writer(out, _reader_schema(kind.__name__), _to_avro(kind)(record))
        except (TypeError, OverflowError, AttributeError, KeyError, IndexError) as error:
            raise ValueError(f"{kind.__name__} cannot be written as Avro: {error}") from error
        payload = out.getvalue()
        if len(payload) > RECORD_BYTES_MAX:
            raise ValueError(f"{kind.__name__} is {len(payload)} bytes; the limit is {RECORD_BYTES_MAX}")
        return payload

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
        name, writer = self._writer(schema_id)
        kind: Any = self._types.get(name)
        if kind is None or (expected is not None and kind not in expected):
            raise Malformed([f"a record of type {name} does not belong on this topic"])
        body = io.BytesIO(payload)
        body.seek(_HEADER.size)
        try:
            datum = schemaless_reader(body, writer, _reader_schema(name))
            record = _from_avro(kind)(datum)
        except Exception as error:
            # Foreign bytes may raise anything in the reader; all of it means the same.
            raise Malformed(
                [f"the bytes are no {name} of schema {schema_id}: {type(error).__name__}: {error}"]
            ) from error
        if body.tell() != len(payload):
            raise Malformed([f"{len(payload) - body.tell()} bytes are left over after the {name}"])
        return record

    def _writer(self, schema_id: int) -> tuple[str, Any]:
        known = self._writers.get(schema_id)
        if known is None:
            try:
                schema = self._registry.schema(schema_id)
            except UnknownSchema as error:
                raise Malformed([str(error)]) from error
            name = schema.get("name") if isinstance(schema, dict) else None
            known = self._writers[schema_id] = (str(name), parse_schema(schema, named_schemas={}))
        return known


@cache
def _reader_schema(record: str) -> Any:
    return parse_schema(avro.expanded(record), named_schemas={})


def _same(value: Any) -> Any:
    return value


@cache
def _to_avro(kind: Any) -> _Convert:
    """How a value of this type becomes what fastavro writes; closures are built once a type."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        inner = _to_avro(next(a for a in arguments if a is not type(None)))
        return inner if inner is _same else lambda value: None if value is None else inner(value)
    if origin is tuple:
        inner = _to_avro(arguments[0])
        return list if inner is _same else lambda value: [inner(item) for item in value]
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        fields = [(name, _to_avro(hint)) for name, hint in _hints(kind).items()]
        plain = [name for name, convert in fields if convert is _same]
        others = [(name, convert) for name, convert in fields if convert is not _same]

        def write(value: Any) -> dict[str, Any]:
            datum = {name: getattr(value, name) for name in plain}
            for name, convert in others:
                datum[name] = convert(getattr(value, name))
            return datum

        return write
    return _same


@cache
def _from_avro(kind: Any) -> _Convert:
    """How what fastavro read becomes a value of this type."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        inner = _from_avro(next(a for a in arguments if a is not type(None)))
        return inner if inner is _same else lambda value: None if value is None else inner(value)
    if origin is tuple:
        inner = _from_avro(arguments[0])
        return tuple if inner is _same else lambda value: tuple([inner(item) for item in value])
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        # The reader's default symbol has already taken the place of a word that we do not know.
        return {str(member.value): member for member in kind}.__getitem__
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        others = [(n, c) for n, c in ((n, _from_avro(h)) for n, h in _hints(kind).items()) if c is not _same]

        def read(datum: dict[str, Any]) -> Any:
            for name, convert in others:
                datum[name] = convert(datum[name])
            return kind(**datum)

        return read
    if kind is datetime:
        return _aware
    if kind in (str, int, bool, bytes, Decimal):
        return _same
    raise TypeError(f"no Avro form is known for {kind}")


def _aware(value: datetime) -> datetime:
    # One object for UTC everywhere makes comparing instants cheap.
    return value.replace(tzinfo=UTC)


def _hints(kind: type[Record]) -> dict[str, Any]:
    return {
        name: hint for name, hint in typing.get_type_hints(kind).items() if name in kind.__struct_fields__
    }
