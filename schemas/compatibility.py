"""FULL_TRANSITIVE: every reader reads every writer's records, over all released versions of a record."""

import json
from itertools import combinations
from typing import Any

from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from avro.schema import parse as parse_avro

from schemas import avro

Schema = avro.Schema


def faults() -> list[str]:
    """Everything that is wrong with the committed contracts, in words; empty when they hold."""
    from schemas.catalogue import record_types

    found = [fault for name in avro.part_names() for fault in _enum_faults(avro.part(name))]
    for record in sorted(record_types()):
        versions = avro.versions_of(record)
        current = avro.expanded(record)
        if not versions:
            found.append(f"{record}: no released version: run `saveline schemas lock`")
            continue
        if avro.released_schema(versions[-1]) != current:
            found.append(
                f"{record}: differs from its released v{versions[-1].version}: run `saveline schemas lock`"
            )
        named = [(f"v{entry.version}", avro.released_schema(entry)) for entry in versions] + [
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
    scales_a, scales_b = _decimals(a), _decimals(b)
    found += [
        f"{path}: decimal {scales_a[path]} in {name_a} became {scales_b[path]} in {name_b}"
        for path in sorted(scales_a.keys() & scales_b.keys())
        if scales_a[path] != scales_b[path]
    ]
    return found


def _parsed(schema: Schema) -> Any:
    return parse_avro(json.dumps(schema))


def _decimals(schema: Any, path: str = "") -> dict[str, tuple[int, int]]:
    """(precision, scale) of every decimal, by its path."""
    found: dict[str, tuple[int, int]] = {}
    if isinstance(schema, list):
        for branch in schema:
            found |= _decimals(branch, path)
    elif isinstance(schema, dict):
        if schema.get("logicalType") == "decimal":
            found[path] = (schema["precision"], schema.get("scale", 0))
        for field in schema.get("fields", ()):
            found |= _decimals(field["type"], f"{path}/{field['name']}")
        for inner in ("items", "values"):
            if inner in schema:
                found |= _decimals(schema[inner], f"{path}/{inner}")
        if isinstance(schema.get("type"), dict | list):
            found |= _decimals(schema["type"], path)
    return found


def _enum_faults(schema: Schema) -> list[str]:
    if schema["type"] != "enum":
        return []
    if schema.get("default") not in schema["symbols"]:
        return [
            f"{schema['name']}: the enum has no default symbol, so an old reader would not survive a new word"
        ]
    return []
