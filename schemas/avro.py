"""A folder of Avro schemas: parts as edited, versions as released, and the lock that gives them ids."""

import json
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec

NAMESPACE = "saveline.v1"

Schema = dict[str, Any]


class Released(msgspec.Struct, frozen=True):
    """One released version of a record's schema; `id` is what the wire format carries."""

    id: int
    record: str
    version: int


_lock = msgspec.json.Decoder(list[Released]).decode


class Contracts:
    """The schemas in one folder; every file is read at most once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._parts: dict[str, Schema] = {}
        self._released: dict[Released, Schema] = {}

    def part(self, name: str) -> Schema:
        """The schema part of that name, as edited: other named types stand as references."""
        if name not in self._parts:
            self._parts[name] = _read(self.folder / f"{NAMESPACE}.{name}.avsc")
        return self._parts[name]

    def part_names(self) -> list[str]:
        return sorted(path.name.split(".")[-2] for path in self.folder.glob(f"{NAMESPACE}.*.avsc"))

    def expanded(self, record: str) -> Schema:
        """The whole schema of a record: each named type inlined at its first use, without docs."""
        seen: set[str] = set()

        def expand(node: Any) -> Any:
            if isinstance(node, str) and node.startswith(NAMESPACE + "."):
                name = node.removeprefix(NAMESPACE + ".")
                if name in seen:
                    return node
                seen.add(name)
                return expand(self.part(name))
            if isinstance(node, list):
                return [expand(item) for item in node]
            if isinstance(node, dict):
                # A default is data, not a schema: its strings must not be taken for names.
                return {
                    key: value if key == "default" else expand(value)
                    for key, value in node.items()
                    if key != "doc"
                }
            return node

        seen.add(record)
        schema: Schema = expand(self.part(record))
        return schema

    @cached_property
    def released(self) -> tuple[Released, ...]:
        """Every released version, oldest first."""
        lock = self.folder / "lock.json"
        return tuple(_lock(lock.read_bytes())) if lock.exists() else ()

    def released_schema(self, entry: Released) -> Schema:
        if entry not in self._released:
            self._released[entry] = _read(self._version(entry))
        return self._released[entry]

    def versions_of(self, record: str) -> list[Released]:
        return [entry for entry in self.released if entry.record == record]

    def release(self, fresh: list[tuple[Released, Schema]]) -> None:
        """Write new versions, and the lock with them."""
        for entry, schema in fresh:
            self._version(entry).parent.mkdir(exist_ok=True)
            self._version(entry).write_text(json.dumps(schema, indent=1) + "\n", encoding="utf-8")
        entries = [*self.released, *(entry for entry, _ in fresh)]
        rows = ",\n ".join(msgspec.json.encode(entry).decode() for entry in entries)
        (self.folder / "lock.json").write_text(f"[\n {rows}\n]\n", encoding="utf-8")
        del self.released

    def _version(self, entry: Released) -> Path:
        return self.folder / "versions" / f"{entry.record}.v{entry.version}.avsc"


def _read(path: Path) -> Schema:
    schema: Schema = json.loads(path.read_text(encoding="utf-8"))
    return schema


COMMITTED = Contracts(Path(str(files("schemas"))) / "avro")
