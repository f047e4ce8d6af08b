"""Schema ids: from a real registry by URL, else from the committed lock."""

import json
from typing import Protocol

from schemas import avro
from schemas.avro import NAMESPACE, Schema


class UnknownSchema(Exception):
    """The registry knows no schema of that id."""


class RegistryUnavailable(Exception):
    """The registry did not answer: nobody's record is at fault, try again later."""


class Registry(Protocol):
    """Where the wire format's ids come from."""

    def id_of(self, record: str) -> int:
        """The id under which our current schema of that record is known."""
        ...

    def schema(self, schema_id: int) -> Schema:
        """The writer's schema; raises `UnknownSchema`, or `RegistryUnavailable`."""
        ...


class LockedRegistry:
    """The committed lock file: no service needed."""

    def __init__(self) -> None:
        self._ids = {entry.record: entry.id for entry in avro.released()}
        self._by_id = {entry.id: entry for entry in avro.released()}

    def id_of(self, record: str) -> int:
        return self._ids[record]

    def schema(self, schema_id: int) -> Schema:
        try:
            return avro.released_schema(self._by_id[schema_id])
        except KeyError:
            raise UnknownSchema(f"schema id {schema_id} is not in the lock file") from None


class RemoteRegistry:
    """A Confluent-compatible registry; subjects are the records' full names (RecordNameStrategy)."""

    def __init__(self, url: str) -> None:
        from confluent_kafka.schema_registry import SchemaRegistryClient

        self._client = SchemaRegistryClient({"url": url})
        self._ids: dict[str, int] = {}
        self._schemas: dict[int, Schema] = {}

    def id_of(self, record: str) -> int:
        from confluent_kafka.schema_registry import Schema as RegistrySchema

        if record not in self._ids:
            text = json.dumps(avro.expanded(record))
            with _Outage():
                self._ids[record] = self._client.register_schema(
                    f"{NAMESPACE}.{record}", RegistrySchema(text, "AVRO")
                )
        return self._ids[record]

    def schema(self, schema_id: int) -> Schema:
        if schema_id not in self._schemas:
            with _Outage():
                found = self._client.get_schema(schema_id)
            if found.schema_type != "AVRO" or found.schema_str is None:
                raise UnknownSchema(f"schema id {schema_id} is not Avro")
            self._schemas[schema_id] = json.loads(found.schema_str)
        return self._schemas[schema_id]


class _Outage:
    """Tells a registry that says no from one that says nothing."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        from confluent_kafka.schema_registry.error import SchemaRegistryError

        if error is None:
            return
        if isinstance(error, SchemaRegistryError) and error.http_status_code == 404:
            raise UnknownSchema(str(error)) from error
        if isinstance(error, SchemaRegistryError) and error.http_status_code < 500:
            return
        if isinstance(error, Exception):
            raise RegistryUnavailable(f"schema registry: {error}") from error


def registry(url: str | None) -> Registry:
    """The registry at `url`, or the lock file where none is given."""
    return RemoteRegistry(url) if url else LockedRegistry()
