"""The .avsc files are the source of truth: each record has exactly their fields, types and defaults."""

import types
import typing
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

import msgspec
import pytest

from schemas import facts
from schemas.avro import COMMITTED, NAMESPACE
from schemas.catalogue import record_types

_PLAIN = {str: "string", bool: "boolean", int: "long", bytes: "bytes"}


def _avro_type(hint):
    arguments = typing.get_args(hint)
    match typing.get_origin(hint):
        case typing.Union | types.UnionType:
            return ["null", _avro_type(next(a for a in arguments if a is not type(None)))]
        case origin if origin is tuple:
            return {"type": "array", "items": _avro_type(arguments[0])}
    if hint is datetime:
        return {"type": "long", "logicalType": "timestamp-millis"}
    if hint is Decimal:
        return {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 3}
    return _PLAIN.get(hint) or f"{NAMESPACE}.{hint.__name__}"


def _avro_default(value):
    match value:
        case StrEnum():
            return value.value
        case tuple():
            return [_avro_default(item) for item in value]
        case bytes():
            return value.decode("latin1")
        case msgspec.Struct():
            return {name: _avro_default(getattr(value, name)) for name in value.__struct_fields__}
        case _:
            return value


def _all_types():
    found = {}

    def visit(kind):
        if (
            isinstance(kind, type)
            and issubclass(kind, (msgspec.Struct, StrEnum))
            and kind.__name__ not in found
        ):
            found[kind.__name__] = kind
            if issubclass(kind, msgspec.Struct):
                for hint in typing.get_type_hints(kind).values():
                    visit(hint)
        for argument in typing.get_args(kind):
            visit(argument)

    for kind in record_types().values():
        visit(kind)
    return found


TYPES = _all_types()


def test_every_schema_part_has_its_type_and_every_type_its_part():
    assert set(COMMITTED.part_names()) == set(TYPES)


@pytest.mark.parametrize("name", sorted(TYPES))
def test_the_type_is_what_its_schema_says(name):
    kind, part = TYPES[name], COMMITTED.part(name)
    if issubclass(kind, StrEnum):
        assert part["symbols"] == [member.value for member in kind]
        assert part["default"] == "unknown"
        return
    hints = typing.get_type_hints(kind)
    expected = []
    for field in msgspec.structs.fields(kind):
        row = {"name": field.name, "type": _avro_type(hints[field.name])}
        if field.default is not msgspec.NODEFAULT:
            row["default"] = _avro_default(field.default)
        expected.append(row)
    assert part["fields"] == expected


def test_values_are_encoded_as_arrays_so_that_a_state_stays_small():
    assert msgspec.json.encode(facts.Money(250, "EUR")) == b'[250,"EUR"]'
