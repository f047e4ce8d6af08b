"""The read side of the schema registry's HTTP interface, answered from a folder of schemas."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from schemas.avro import COMMITTED, NAMESPACE, Contracts, Released

_BODY_BYTES_MAX = 1_048_576


def server_on(host: str, port: int, contracts: Contracts = COMMITTED) -> ThreadingHTTPServer:
    """A read-only registry, bound but not yet serving; port 0 takes a free one."""

    class Handler(_Handler):
        read = Subjects(contracts)

    return ThreadingHTTPServer((host, port), Handler)


class Subjects:
    """The released schemas as a registry shows them: a subject a record, with the registry's error codes."""

    def __init__(self, contracts: Contracts = COMMITTED) -> None:
        self._contracts = contracts
        self._by_id = {str(entry.id): entry for entry in contracts.released}
        self._by_subject: dict[str, list[Released]] = {}
        for entry in contracts.released:
            self._by_subject.setdefault(f"{NAMESPACE}.{entry.record}", []).append(entry)

    def get(self, path: list[str]) -> tuple[int, object]:
        """Status and body of `GET /{path}`."""
        match path:
            case ["subjects"]:
                return 200, sorted(self._by_subject)
            case ["schemas", "types"]:
                return 200, ["AVRO"]
            case ["schemas", "ids", text, *rest]:
                return self._by_schema_id(text, rest)
            case ["config", *_]:
                return 200, {"compatibilityLevel": "FULL_TRANSITIVE"}
            case ["mode", *_]:
                return 200, {"mode": "READONLY"}
            case ["subjects", subject, "versions"] if subject in self._by_subject:
                return 200, [entry.version for entry in self._by_subject[subject]]
            case ["subjects", subject, "versions", text, *rest] if subject in self._by_subject:
                return self._version(subject, text, rest)
            case ["subjects", subject, *_]:
                return 404, {"error_code": 40401, "message": f"Subject '{subject}' not found."}
            case _:
                return 404, {"error_code": 404, "message": "HTTP 404 Not Found"}

    def post(self, path: list[str], body: bytes) -> tuple[int, object]:
        """Status and body of `POST /{path}`: a schema is looked up; nothing is ever registered."""
        match path:
            case ["subjects", subject] if subject in self._by_subject:
                try:
                    wanted = json.loads(json.loads(body)["schema"])
                except (ValueError, KeyError, TypeError):
                    return 422, {"error_code": 42201, "message": "Invalid Avro schema"}
                for entry in self._by_subject[subject]:
                    if self._contracts.released_schema(entry) == wanted:
                        return 200, self._described(entry)
                return 404, {"error_code": 40403, "message": "Schema not found"}
            case ["subjects", subject]:
                return 404, {"error_code": 40401, "message": f"Subject '{subject}' not found."}
            case _:
                return 422, {"error_code": 42205, "message": "This registry is in read-only mode."}

    def _by_schema_id(self, text: str, rest: list[str]) -> tuple[int, object]:
        entry = self._by_id.get(text)
        if entry is None:
            return 404, {"error_code": 40403, "message": f"Schema {text} not found"}
        match rest:
            case []:
                return 200, {"schema": self._text(entry)}
            case ["schema"]:
                return 200, self._contracts.released_schema(entry)
            case ["subjects"]:
                return 200, [f"{NAMESPACE}.{entry.record}"]
            case ["versions"]:
                return 200, [{"subject": f"{NAMESPACE}.{entry.record}", "version": entry.version}]
            case _:
                return 404, {"error_code": 404, "message": "HTTP 404 Not Found"}

    def _version(self, subject: str, text: str, rest: list[str]) -> tuple[int, object]:
        entries = self._by_subject[subject]
        if text != "latest" and not (text.isdecimal() and int(text) > 0):
            return 422, {"error_code": 42202, "message": f"The specified version '{text}' is no version id."}
        for entry in entries:
            if text == str(entry.version) or (text == "latest" and entry is entries[-1]):
                return (
                    (200, self._contracts.released_schema(entry)) if rest else (200, self._described(entry))
                )
        return 404, {"error_code": 40402, "message": f"Version {text} not found."}

    def _described(self, entry: Released) -> dict[str, Any]:
        return {
            "subject": f"{NAMESPACE}.{entry.record}",
            "version": entry.version,
            "id": entry.id,
            "schemaType": "AVRO",
            "schema": self._text(entry),
        }

    def _text(self, entry: Released) -> str:
        return json.dumps(self._contracts.released_schema(entry))


class _Handler(BaseHTTPRequestHandler):
    read: Subjects
    # A client that connects and says nothing is let go.
    timeout = 10

    def do_GET(self) -> None:
        self._answer(*self.read.get(self._path()))

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > _BODY_BYTES_MAX:
            self._answer(413, {"error_code": 413, "message": "Content-Length is missing or too large"})
        else:
            self._answer(*self.read.post(self._path(), self.rfile.read(int(length))))

    def _path(self) -> list[str]:
        return self.path.split("?")[0].strip("/").split("/")

    def _answer(self, status: int, body: object) -> None:
        payload = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Stay quiet: clients ask at every start."""
