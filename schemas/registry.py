"""Schema ids: from a real registry by URL, else from the committed lock."""

import json
from typing import Protocol

from schemas.avro import COMMITTED, NAMESPACE, Contracts, Schema

# A registry that does not answer must not hold up a partition: the caller tries again.
_TIMEOUT_S = 5
_RETRIES = 1
_RETRY_WAIT_MS = 200
# Confluent's words for "there is no such subject / schema"; another 404 is a wrong URL.
_NOT_THERE = frozenset({40401, 40403})

_REFUSED = frozenset({401, 403, 405, 409, 422})


class UnknownSchema(Exception):
    """The registry knows no schema of that id."""


class RegistryUnavailable(Exception):
    """The registry gave no usable answer: nobody's record is at fault, try again later."""


class RegistryRefused(Exception):
    """The registry does not take our schema: it is not compatible with what is there, or we may not write."""


class Registry(Protocol):
    """Where the wire format's ids come from."""

    def id_of(self, record: str) -> int:
        """The id of our current schema of that record; raises `RegistryUnavailable`, `RegistryRefused`."""
        ...

    def schema(self, schema_id: int) -> Schema:
        """The writer's schema; raises `UnknownSchema`, or `RegistryUnavailable`."""
        ...


class LockedRegistry:
    """The committed lock file: no service needed."""

    def __init__(self, contracts: Contracts = COMMITTED) -> None:
        self._contracts = contracts
        # A later version of the same record takes the earlier one's place.
        self._ids = {entry.record: entry.id for entry in contracts.released}
        self._by_id = {entry.id: entry for entry in contracts.released}

    def id_of(self, record: str) -> int:
        return self._ids[record]

    def schema(self, schema_id: int) -> Schema:
        entry = self._by_id.get(schema_id)
        if entry is None:
            raise UnknownSchema(f"schema id {schema_id} is not in the lock file")
        return self._contracts.released_schema(entry)


class RemoteRegistry:
    """A Confluent-compatible registry; subjects are the records' full names (RecordNameStrategy)."""

    def __init__(self, url: str, contracts: Contracts = COMMITTED) -> None:
        from confluent_kafka.schema_registry import SchemaRegistryClient

        self._client = SchemaRegistryClient(
            {
                "url": url,
                "timeout": _TIMEOUT_S,
                "max.retries": _RETRIES,
                "retries.wait.ms": _RETRY_WAIT_MS,
            }
        )
        self._contracts = contracts
        self._ids: dict[str, int] = {}
        self._schemas: dict[int, Schema] = {}

    def id_of(self, record: str) -> int:
        if record not in self._ids:
            schema = self._contracts.expanded(record)
            self._ids[record] = self._registered(f"{NAMESPACE}.{record}", schema)
            self._schemas[self._ids[record]] = schema
        return self._ids[record]

    def schema(self, schema_id: int) -> Schema:
        if schema_id not in self._schemas:
            try:
                found = self._client.get_schema(schema_id)
                read = json.loads(found.schema_str or "") if found.schema_type == "AVRO" else None
            except Exception as error:
                if _code(error) in _NOT_THERE:
                    raise UnknownSchema(f"the registry knows no schema id {schema_id}") from error
                raise _unavailable(error) from error
            if read is None:
                raise UnknownSchema(f"schema id {schema_id} is not Avro")
            self._schemas[schema_id] = read
        return self._schemas[schema_id]

    def _registered(self, subject: str, schema: Schema) -> int:
        """Look first: in production, releases register and processes may only read."""
        from confluent_kafka.schema_registry import Schema as RegistrySchema

        text = RegistrySchema(json.dumps(schema), "AVRO")
        try:
            return int(self._client.lookup_schema(subject, text).schema_id or 0)
        except Exception as error:
            if _code(error) not in _NOT_THERE:
                raise _unavailable(error) from error
        try:
            return self._client.register_schema(subject, text)
        except Exception as error:
            if _status(error) in _REFUSED:
                raise RegistryRefused(
                    f"{subject}: {_brief(error)}; register the released schema first"
                ) from error
            raise _unavailable(error) from error


def _code(error: Exception) -> int | None:
    return getattr(error, "error_code", None)


def _status(error: Exception) -> int | None:
    return getattr(error, "http_status_code", None)


def _brief(error: Exception) -> str:
    # The client puts whole HTML pages into its messages.
    return str(error)[:300] or type(error).__name__


def _unavailable(error: Exception) -> RegistryUnavailable:
    return RegistryUnavailable(f"schema registry: {_brief(error)}")


def registry(url: str | None) -> Registry:
    """The registry at `url`, or the lock file where none is given."""
    return RemoteRegistry(url) if url else LockedRegistry()
