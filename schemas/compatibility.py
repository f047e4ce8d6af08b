"""FULL_TRANSITIVE: every reader reads every writer's records, over all released versions of a record."""

import json
from itertools import combinations
from typing import Any

from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from avro.schema import parse as parse_avro

from schemas.avro import COMMITTED, Contracts, Schema
from schemas.catalogue import record_types


def faults(contracts: Contracts = COMMITTED) -> list[str]:
    """Everything that is wrong with the contracts, in words; empty when they hold."""
    found = [fault for name in contracts.part_names() for fault in _enum_faults(contracts.part(name))]
    for record in sorted(record_types()):
        versions = contracts.versions_of(record)
        current = contracts.expanded(record)
        if not versions:
            found.append(f"{record}: no released version: run `saveline schemas lock`")
            continue
        if contracts.released_schema(versions[-1]) != current:
            found.append(
                f"{record}: differs from its released v{versions[-1].version}: run `saveline schemas lock`"
            )
        named = [(f"v{entry.version}", contracts.released_schema(entry)) for entry in versions] + [
            ("edited", current)
        ]
        for (name_a, a), (name_b, b) in combinations(named, 2):
            if a != b:
                found += [f"{record}: {fault}" for fault in incompatibilities(name_a, a, name_b, b)]
    return found


def incompatibilities(name_a: str, a: Schema, name_b: str, b: Schema) -> list[str]:
    """Why records of one schema cannot be read with the other, in both directions."""
    found = []
    for reader_name, reader, writer_name, writer in ((name_b, b, name_a, a), (name_a, a, name_b, b)):
        checker: Any = ReaderWriterCompatibilityChecker
        result = checker().get_compatibility(_parsed(reader), _parsed(writer))
        if result.compatibility is not SchemaCompatibilityType.compatible:
            where = ", ".join(sorted(result.locations))
            what = "; ".join(sorted(result.messages))
            found.append(f"{reader_name} cannot read what {writer_name} wrote, at {where}: {what}")
    # The library takes bytes for bytes: a changed scale would silently move the decimal point.
    meant_a, meant_b = _meanings(a), _meanings(b)
    found += [
        f"{path}: {meant_a[path]} in {name_a}, but {meant_b[path]} in {name_b}"
        for path in sorted(meant_a.keys() & meant_b.keys())
        if meant_a[path] != meant_b[path]
    ]
    return found


def _parsed(schema: Schema) -> Any:
    return parse_avro(json.dumps(schema))


def _meanings(schema: Any, path: str = "") -> dict[str, str]:
    """What the numbers and bytes of every field stand for, by record and field."""
    if isinstance(schema, list):
        return {p: meant for branch in schema for p, meant in _meanings(branch, path).items()}
    if schema in ("bytes", "long", "int"):
        return {path: f"plain {schema}"}
    if not isinstance(schema, dict):
        return {}
    match schema["type"]:
        case "record":
            # A named type is spelled out where it is first used, and that place may move.
            fields = ((f"{schema['name']}.{field['name']}", field["type"]) for field in schema["fields"])
            return {p: meant for name, kind in fields for p, meant in _meanings(kind, name).items()}
        case "array":
            return _meanings(schema["items"], path)
        case "bytes" if "logicalType" in schema:
            digits = f"({schema['precision']}, {schema.get('scale', 0)})"
            return {path: f"{schema['logicalType']}{digits}"}
        case "long" | "int" if "logicalType" in schema:
            return {path: str(schema["logicalType"])}
        case inner:
            return _meanings(inner, path)


def _enum_faults(schema: Schema) -> list[str]:
    if schema["type"] != "enum":
        return []
    if schema.get("default") not in schema["symbols"]:
        return [
            f"{schema['name']}: the enum has no default symbol, so an old reader would not survive a new word"
        ]
    return []
