"""Compiles, for one record, the function that appends its Avro bytes, as its schema says, to a buffer.

The text is plain code. For `Money` it is

    def write_Money(v, out):
        n = v.minor
        if 0 <= n < 64: out.append(n << 1)
        else: out += number(n)
        s = v.currency.encode()
        n = len(s)
        if 0 <= n < 64: out.append(n << 1)
        else: out += number(n)
        out += s
"""

import typing
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
from fastavro import parse_schema

from schemas.avro import Schema
from schemas.reading import EPOCH, present

# Appends one record to the buffer.
Write = Callable[[Any, bytearray], None]

_LONG_MAX = 2**63 - 1
_MILLISECOND = timedelta(milliseconds=1)


def writer(schema: Schema, kind: type[msgspec.Struct]) -> Write:
    """The function that writes a `kind` as `schema` says; it raises what Python raises for a wrong value."""
    named: dict[str, Any] = {}
    parsed: Any = parse_schema(schema, named_schemas=named)
    source = _Source(named)
    name = source.record(parsed, kind)
    exec(compile("\n".join(source.lines), f"<writer of {kind.__name__}>", "exec"), source.scope)  # noqa: S102 - our own text, made from schemas
    write: Write = source.scope[name]
    return write


class _Source:
    """The text under construction: one function a record, everything else inlined."""

    def __init__(self, named: dict[str, Schema]) -> None:
        self.lines: list[str] = []
        self.scope: dict[str, Any] = {
            "number": _number,
            "decimal": _decimal,
            "truth": {False: 0, True: 1},
            "EPOCH": EPOCH,
            "MILLISECOND": _MILLISECOND,
        }
        self._named = named
        self._functions: set[str] = set()

    def record(self, schema: Schema, kind: type[msgspec.Struct]) -> str:
        """Write the function that writes a `kind`, and give its name."""
        name = f"write_{kind.__name__}"
        if name not in self._functions:
            self._functions.add(name)
            hints = typing.get_type_hints(kind)
            body = [f"def {name}(v, out):"]
            for field in schema["fields"]:
                body += self._value(field["type"], hints[field["name"]], f"v.{field['name']}", 1)
            self.lines += body
        return name

    def _value(self, schema: Any, hint: Any, value: str, depth: int) -> list[str]:
        """The lines that append the value of an expression."""
        schema = self._named.get(schema, schema) if isinstance(schema, str) else schema
        pad = " " * depth
        match schema if isinstance(schema, str | list) else schema["type"]:
            case ["null", there]:
                some = f"some_{depth}"
                return [
                    f"{pad}{some} = {value}",
                    f"{pad}if {some} is None: out.append(0)",
                    f"{pad}else:",
                    f"{pad} out.append(2)",
                    *self._value(there, present(hint), some, depth + 1),
                ]
            case "record":
                return [f"{pad}{self.record(schema, hint)}({value}, out)"]
            case "enum":
                words = {word: _number(n) for n, word in enumerate(schema["symbols"])}
                return [f"{pad}out += {self._constant(words)}[{value}]"]
            case "array":
                items, item = f"items_{depth}", f"item_{depth}"
                return [
                    f"{pad}{items} = {value}",
                    f"{pad}if {items}:",
                    f"{pad} out += number(len({items}))",
                    f"{pad} for {item} in {items}:",
                    *self._value(schema["items"], typing.get_args(hint)[0], item, depth + 2),
                    f"{pad}out.append(0)",
                ]
            case _:
                return [pad + line for line in _plain(schema, hint, value)]

    def _constant(self, value: Any) -> str:
        name = f"c{len(self.scope)}"
        self.scope[name] = value
        return name


def _plain(schema: Any, hint: Any, value: str) -> list[str]:
    # Most numbers are small: one byte, without a call.
    small = ["if 0 <= n < 64: out.append(n << 1)", "else: out += number(n)"]
    span = ["n = len(s)", *small, "out += s"]
    logical = "" if isinstance(schema, str) else schema.get("logicalType", "")
    match schema if isinstance(schema, str) else schema["type"], logical, hint:
        case "string", "", type() if hint is str:
            return [f"s = {value}.encode()", *span]
        case "bytes", "", type() if hint is bytes:
            return [f"s = {value}", *span]
        case "bytes", "decimal", type() if hint is Decimal:
            return [f"s = decimal({value}, {schema['scale']}, {schema['precision']})", *span]
        case "boolean", "", type() if hint is bool:
            return [f"out.append(truth[{value}])"]
        case "long", "", type() if hint is int:
            return [f"n = {value}", *small]
        case "long", "timestamp-millis", type() if hint is datetime:
            return [f"out += number(({value} - EPOCH) // MILLISECOND)"]
        case _:
            raise TypeError(f"no way is known to write a {hint} as {schema}")


def _number(value: int) -> bytes:
    """A whole number, zigzag-coded, 7 bits a byte, least first."""
    if not -_LONG_MAX - 1 <= value <= _LONG_MAX:
        raise ValueError(f"{value} does not fit into 64 bits")
    n = (value << 1) ^ (value >> 63)
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def _decimal(value: Decimal, scale: int, precision: int) -> bytes:
    """The unscaled number in two's complement, highest byte first."""
    scaled = value.scaleb(scale)
    number = int(scaled)
    if number != scaled or abs(number) >= 10**precision:
        raise ValueError(f"{value} is no decimal of {precision} digits, {scale} of them behind the point")
    return number.to_bytes((number.bit_length() + 8) // 8, signed=True)
