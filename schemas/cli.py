"""`saveline schemas`: check, release and serve the contracts."""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgspec
from cyclopts import App

from schemas import avro, compatibility
from schemas.avro import NAMESPACE, Released
from schemas.catalogue import record_types

app = App(name="schemas", help="The contracts: check, release, serve.")


@app.command
def check() -> int:
    """Every record against every released version (FULL_TRANSITIVE, decimal scale included)."""
    faults = compatibility.faults()
    for fault in faults:
        print(fault, file=sys.stderr)
    if not faults:
        print(f"contracts hold: {len(record_types())} records, {len(avro.released())} released versions")
    return 1 if faults else 0


@app.command
def lock() -> int:
    """Release a new version of every record that was changed, if it is compatible with all earlier ones."""
    entries = list(avro.released())
    faults: list[str] = []
    fresh: list[tuple[Released, avro.Schema]] = []
    for record in sorted(record_types()):
        versions = avro.versions_of(record)
        current = avro.expanded(record)
        if versions and avro.released_schema(versions[-1]) == current:
            continue
        for entry in versions:
            faults += [
                f"{record}: {fault}"
                for fault in compatibility.incompatibilities(
                    f"v{entry.version}", avro.released_schema(entry), "edited", current
                )
            ]
        fresh.append((Released(len(entries) + len(fresh) + 1, record, len(versions) + 1), current))
    if faults:
        print("\n".join(faults), file=sys.stderr)
        return 1
    for entry, schema in fresh:
        entry.path.parent.mkdir(exist_ok=True)
        entry.path.write_text(json.dumps(schema, indent=1) + "\n", encoding="utf-8")
        print(f"released {entry.record} v{entry.version} as id {entry.id}")
    rows = ",\n ".join(msgspec.json.encode(entry).decode() for entry in [*entries, *(e for e, _ in fresh)])
    avro.LOCK.write_text(f"[\n {rows}\n]\n", encoding="utf-8")
    return 0


@app.command
def serve(*, host: str = "127.0.0.1", port: int = 8081) -> None:
    """Answer the read side of the schema registry's HTTP interface from the lock file, until interrupted."""
    server = server_on(host, port)
    print(f"schemas at http://{host}:{server.server_address[1]}", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        server.server_close()


def server_on(host: str, port: int) -> ThreadingHTTPServer:
    """A read-only registry, bound but not yet serving; port 0 takes a free one."""
    return ThreadingHTTPServer((host, port), _Handler)


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status, body = answer(self.path.split("?")[0].strip("/").split("/"))
        payload = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Stay quiet: clients ask at every start."""


def answer(path: list[str]) -> tuple[int, object]:
    """Status and body of `GET /{path}`, with the registry's own error codes."""
    by_subject: dict[str, list[Released]] = {}
    for entry in avro.released():
        by_subject.setdefault(f"{NAMESPACE}.{entry.record}", []).append(entry)
    match path:
        case ["subjects"]:
            return 200, sorted(by_subject)
        case ["schemas", "types"]:
            return 200, ["AVRO"]
        case ["schemas", "ids", text]:
            for entry in avro.released():
                if str(entry.id) == text:
                    return 200, {"schema": json.dumps(avro.released_schema(entry))}
            return 404, {"error_code": 40403, "message": f"Schema {text} not found"}
        case ["subjects", subject, "versions"] if subject in by_subject:
            return 200, [entry.version for entry in by_subject[subject]]
        case ["subjects", subject, "versions", text] if subject in by_subject:
            for entry in by_subject[subject]:
                if text == str(entry.version) or (text == "latest" and entry is by_subject[subject][-1]):
                    body = {
                        "subject": subject,
                        "version": entry.version,
                        "id": entry.id,
                        "schemaType": "AVRO",
                    }
                    return 200, body | {"schema": json.dumps(avro.released_schema(entry))}
            return 404, {"error_code": 40402, "message": f"Version {text} not found"}
        case ["subjects", subject, *_]:
            return 404, {"error_code": 40401, "message": f"Subject '{subject}' not found"}
        case _:
            return 404, {"error_code": 404, "message": "HTTP 404 Not Found"}
