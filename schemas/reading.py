"""Compiles, for one writer's schema, the function that reads its Avro bytes straight into our record.

Both schemas are resolved while compiling: a field that we do not know is skipped, one that the writer did
not know keeps our default, a word that we do not know becomes the enum's `unknown`. What is left is plain
code. For `Money` it is

    def read_Money_1(b, i):
        n = b[i]; i += 1
        if n > 127: n, i = tail(b, i, n)
        minor = (n >> 1) ^ -(n & 1)
        n = b[i]; i += 1
        if n > 127: n, i = tail(b, i, n)
        if n & 1: raise negative()
        j = i + (n >> 1); currency = b[i:j].decode(); i = j
        return Money(minor=minor, currency=currency), i
"""

import types
import typing
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

import msgspec
from fastavro import parse_schema

from schemas.avro import Schema

# Reads one record of `payload` from an offset on; gives it and the offset after it. A payload that is cut
# short may give an offset beyond its end instead of raising.
Read = Callable[[bytes, int], tuple[Any, int]]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_VARINT_BITS_MAX = 64
_WIDTHS = {"null": 0, "boolean": 1, "float": 4, "double": 8}


class Unresolvable(Exception):
    """What the writer calls this record cannot be read as ours: the contract was broken."""


def reader(writer: Schema, kind: type[msgspec.Struct]) -> Read:
    """The function that reads what was written with `writer`; raises `Unresolvable`."""
    named: dict[str, Any] = {}
    parsed: Any = parse_schema(writer, named_schemas=named)
    source = _Source(named)
    name = source.record(parsed, kind)
    exec(compile("\n".join(source.lines), f"<reader of {kind.__name__}>", "exec"), source.scope)  # noqa: S102 - our own text, made from schemas
    read: Read = source.scope[name]
    return read


class _Source:
    """The text under construction: one function a record, everything else inlined."""

    def __init__(self, named: dict[str, Schema]) -> None:
        self.lines: list[str] = []
        self.scope: dict[str, Any] = {
            "tail": _tail,
            "negative": _negative,
            "beyond": _beyond,
            "skip": _skip,
            "decimal": _decimal,
            "named": named,
            "truth": {0: False, 1: True},
            "EPOCH": EPOCH,
            "timedelta": timedelta,
        }
        self._named = named
        self._functions: dict[str, str] = {}

    def record(self, writer: Schema, kind: type[msgspec.Struct]) -> str:
        """Write the function that reads a `kind`, and give its name."""
        if writer["name"].split(".")[-1] != kind.__name__:
            raise Unresolvable(f"{writer['name']} is no {kind.__name__}")
        name = self._functions.get(writer["name"])
        if name is not None:
            return name
        name = self._functions[writer["name"]] = f"read_{kind.__name__}_{len(self._functions)}"
        hints = {n: h for n, h in typing.get_type_hints(kind).items() if n in kind.__struct_fields__}
        body = [f"def {name}(b, i):"]
        for field in writer["fields"]:
            if field["name"] in hints:
                body += self._value(field["type"], hints[field["name"]], field["name"], 1)
            else:
                body.append(f" i = skip({self._constant(field['type'])}, b, i, named)")
        written = [field["name"] for field in writer["fields"] if field["name"] in hints]
        for field in msgspec.structs.fields(kind):
            if field.required and field.name not in written:
                raise Unresolvable(f"{kind.__name__}.{field.name} has no default and was not written")
        self.scope[kind.__name__] = kind
        body.append(f" return {kind.__name__}({', '.join(f'{n}={n}' for n in written)}), i")
        self.lines += body
        return name

    def _value(self, writer: Any, hint: Any, into: str, depth: int) -> list[str]:
        """The lines that read one value into the variable `into`."""
        writer = self._named.get(writer, writer) if isinstance(writer, str) else writer
        if isinstance(writer, list):
            return self._union(writer, hint, into, depth)
        pad = " " * depth
        if writer == "null" and type(None) in typing.get_args(hint):
            return [f"{pad}{into} = None"]
        hint = present(hint)
        match writer if isinstance(writer, str) else writer["type"], hint:
            case "record", type() if issubclass(hint, msgspec.Struct):
                return [f"{pad}{into}, i = {self.record(writer, hint)}(b, i)"]
            case "enum", type() if issubclass(hint, StrEnum):
                ours = {str(member.value): member for member in hint}
                words = {2 * n: ours.get(s, hint("unknown")) for n, s in enumerate(writer["symbols"])}
                return [*_number(pad), f"{pad}{into} = {self._constant(words)}[n]"]
            case "array", _ if typing.get_origin(hint) is tuple:
                return self._array(writer["items"], typing.get_args(hint)[0], into, depth)
            case dict(), _:
                return self._value(writer["type"], hint, into, depth)
            case _:
                return [pad + line for line in _plain(writer, hint, into)]

    def _union(self, branches: list[Any], hint: Any, into: str, depth: int) -> list[str]:
        pad = " " * depth
        lines = [f"{pad}n = b[i]; i += 1"]
        for index, branch in enumerate(branches):
            lines.append(f"{pad}{'elif' if index else 'if'} n == {2 * index}:")
            try:
                lines += self._value(branch, hint, into, depth + 1)
            except Unresolvable:
                # Only a record that really uses the branch is unreadable.
                lines.append(f"{pad} raise beyond()")
        return [*lines, f"{pad}else: raise beyond()"]

    def _array(self, items: Any, hint: Any, into: str, depth: int) -> list[str]:
        pad, count, item = " " * depth, f"count_{depth}", f"item_{depth}"
        return [
            f"{pad}if not b[i]: {into} = (); i += 1",
            f"{pad}else:",
            f"{pad} {into} = []",
            f"{pad} while True:",
            *_number(pad + "  "),
            f"{pad}  if n & 1:",
            # A block with a negative count says its length in bytes as well.
            f"{pad}   {count} = (n >> 1) + 1",
            *_number(pad + "   "),
            f"{pad}  else: {count} = n >> 1",
            f"{pad}  if not {count}: break",
            # Even items of no bytes (no field was written) must not make a long loop of a short record.
            f"{pad}  if {count} > len(b) - i: raise beyond()",
            f"{pad}  for _ in range({count}):",
            *self._value(items, hint, item, depth + 3),
            f"{pad}   {into}.append({item})",
            f"{pad} {into} = tuple({into})",
        ]

    def _constant(self, value: Any) -> str:
        name = f"c{len(self.scope)}"
        self.scope[name] = value
        return name


def _number(pad: str) -> list[str]:
    """Read one variable-length number, still zigzag-coded, into `n`."""
    return [f"{pad}n = b[i]; i += 1", f"{pad}if n > 127: n, i = tail(b, i, n)"]


def _plain(writer: Any, hint: Any, into: str) -> list[str]:
    kind = writer if isinstance(writer, str) else writer["type"]
    logical = "" if isinstance(writer, str) else writer.get("logicalType", "")
    span = [*_number(""), "if n & 1: raise negative()", "j = i + (n >> 1)"]
    match kind, logical, hint:
        case "boolean", _, type() if hint is bool:
            return [f"{into} = truth[b[i]]; i += 1"]
        case "int" | "long", "timestamp-millis", type() if hint is datetime:
            return [*_number(""), f"{into} = EPOCH + timedelta(0, 0, 0, (n >> 1) ^ -(n & 1))"]
        case "int" | "long", "", type() if hint is int:
            return [*_number(""), f"{into} = (n >> 1) ^ -(n & 1)"]
        case "bytes", "decimal", type() if hint is Decimal:
            return [
                *span,
                f"{into} = decimal(b[i:j], {writer.get('scale', 0)}, {writer['precision']}); i = j",
            ]
        case "string" | "bytes", "", type() if hint is str:
            return [*span, f"{into} = b[i:j].decode(); i = j"]
        case "string" | "bytes", "", type() if hint is bytes:
            return [*span, f"{into} = b[i:j]; i = j"]
        case _:
            raise Unresolvable(f"{writer} is no {hint}")


def _tail(b: bytes, i: int, n: int) -> tuple[int, int]:
    """The rest of a number whose first byte `n` says that more follow."""
    n &= 127
    shift = 7
    while True:
        byte = b[i]
        i += 1
        n |= (byte & 127) << shift
        if byte < 128:
            break
        shift += 7
        if shift >= _VARINT_BITS_MAX:
            raise ValueError("a number has more than 64 bits")
    if n >> _VARINT_BITS_MAX:
        raise ValueError("a number has more than 64 bits")
    return n, i


def _negative() -> ValueError:
    return ValueError("a length is negative")


def _beyond() -> ValueError:
    return ValueError("a count or a choice is beyond what can be there")


def _decimal(unscaled: bytes, scale: int, precision: int) -> Decimal:
    number = int.from_bytes(unscaled, signed=True)
    # Compared first: the time that turning it into digits takes grows with the square of its length.
    if abs(number) >= 10**precision:
        raise ValueError(f"a decimal has more than {precision} digits")
    return Decimal(number).scaleb(-scale)


def _skip(schema: Any, b: bytes, i: int, named: dict[str, Schema]) -> int:
    """The offset after one value that nobody wants."""
    if isinstance(schema, str) and schema in named:
        schema = named[schema]
    if isinstance(schema, list):
        n, i = _raw(b, i)
        if n & 1 or n >> 1 >= len(schema):
            raise _beyond()
        return _skip(schema[n >> 1], b, i, named)
    match schema if isinstance(schema, str) else schema["type"]:
        case "null" | "boolean" | "float" | "double" as kind:
            i += _WIDTHS[kind]
        case "fixed":
            i += int(schema["size"])
        case "int" | "long" | "enum":
            i = _raw(b, i)[1]
        case "string" | "bytes":
            n, i = _raw(b, i)
            if n & 1:
                raise _negative()
            i += n >> 1
        case "record":
            for field in schema["fields"]:
                i = _skip(field["type"], b, i, named)
        case "array" | "map" as kind:
            i = _skip_blocks(kind == "map", schema["items" if kind == "array" else "values"], b, i, named)
        case inner:
            i = _skip(inner, b, i, named)
    return i


def _skip_blocks(keyed: bool, item: Any, b: bytes, i: int, named: dict[str, Schema]) -> int:
    while True:
        n, i = _raw(b, i)
        if not n:
            return i
        if n & 1:
            i = _skip("bytes", b, i, named)
            continue
        if n >> 1 > len(b) - i:
            raise _beyond()
        for _ in range(n >> 1):
            i = _skip(item, b, _skip("string", b, i, named) if keyed else i, named)


def _raw(b: bytes, i: int) -> tuple[int, int]:
    n = b[i]
    return _tail(b, i + 1, n) if n > 127 else (n, i + 1)


def present(hint: Any) -> Any:
    """What an optional type is when it is there."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return next(a for a in typing.get_args(hint) if a is not type(None))
    return hint
