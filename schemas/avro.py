"""The committed Avro schemas: parts as edited, versions as released, and the lock that gives them ids."""

import json
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec

NAMESPACE = "saveline.v1"
FOLDER = Path(str(files("schemas"))) / "avro"
LOCK = FOLDER / "lock.json"

Schema = dict[str, Any]


class Released(msgspec.Struct, frozen=True):
    """One released version of a record's schema; `id` is what the wire format carries."""

    id: int
    record: str
    version: int

    @property
    def path(self) -> Path:
        return FOLDER / "versions" / f"{self.record}.v{self.version}.avsc"


@cache
def part(name: str) -> Schema:
    """The schema part of that name, as edited: other named types stand as references."""
    schema: Schema = json.loads((FOLDER / f"{NAMESPACE}.{name}.avsc").read_text(encoding="utf-8"))
    return schema


def part_names() -> list[str]:
    return sorted(path.name.split(".")[-2] for path in FOLDER.glob(f"{NAMESPACE}.*.avsc"))


def expanded(record: str) -> Schema:
    """The whole schema of a record: each named type inlined at its first use, without docs."""
    seen: set[str] = set()

    def expand(node: Any) -> Any:
        if isinstance(node, str) and node.startswith(NAMESPACE + "."):
            name = node.removeprefix(NAMESPACE + ".")
            if name in seen:
                return node
            seen.add(name)
            return expand(part(name))
        if isinstance(node, list):
            return [expand(item) for item in node]
        if isinstance(node, dict):
            if node.get("type") == "record":
                seen.add(node["name"])
            # A default is data, not a schema: its strings must not be taken for names.
            return {
                key: value if key == "default" else expand(value)
                for key, value in node.items()
                if key != "doc"
            }
        return node

    seen.add(record)
    schema: Schema = expand(part(record))
    return schema


@cache
def released() -> tuple[Released, ...]:
    """Every released version, oldest first."""
    return tuple(msgspec.json.decode(LOCK.read_bytes(), type=list[Released])) if LOCK.exists() else ()


@cache
def released_schema(entry: Released) -> Schema:
    schema: Schema = json.loads(entry.path.read_text(encoding="utf-8"))
    return schema


def versions_of(record: str) -> list[Released]:
    return [entry for entry in released() if entry.record == record]
