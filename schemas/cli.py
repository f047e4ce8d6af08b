"""`saveline schemas`: check, release and serve the contracts."""

import sys
from pathlib import Path

from cyclopts import App

from schemas import avro, compatibility, serving
from schemas.avro import COMMITTED, Contracts, Released
from schemas.catalogue import record_types

app = App(name="schemas", help="The contracts: check, release, serve.")


@app.command
def check(*, folder: Path | None = None) -> int:
    """Every record against every released version (FULL_TRANSITIVE, decimal scale included)."""
    contracts = _contracts(folder)
    faults = compatibility.faults(contracts)
    for fault in faults:
        print(fault, file=sys.stderr)
    if not faults:
        print(f"contracts hold: {len(record_types())} records, {len(contracts.released)} released versions")
    return 1 if faults else 0


@app.command
def lock(*, folder: Path | None = None) -> int:
    """Release a new version of every record that was changed, if it is compatible with all earlier ones."""
    contracts = _contracts(folder)
    faults: list[str] = []
    fresh: list[tuple[Released, avro.Schema]] = []
    for record in sorted(record_types()):
        versions = contracts.versions_of(record)
        current = contracts.expanded(record)
        if versions and contracts.released_schema(versions[-1]) == current:
            continue
        for entry in versions:
            earlier = contracts.released_schema(entry)
            faults += [
                f"{record}: {fault}"
                for fault in compatibility.incompatibilities(f"v{entry.version}", earlier, "edited", current)
            ]
        fresh.append((Released(len(contracts.released) + len(fresh) + 1, record, len(versions) + 1), current))
    if faults:
        print("\n".join(faults), file=sys.stderr)
        return 1
    contracts.release(fresh)
    for entry, _ in fresh:
        print(f"released {entry.record} v{entry.version} as id {entry.id}")
    return 0


@app.command
def serve(*, host: str = "127.0.0.1", port: int = 8081) -> None:
    """Answer the read side of the schema registry's HTTP interface from the lock file, until interrupted."""
    server = serving.server_on(host, port)
    print(f"schemas at http://{host}:{server.server_address[1]}", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        server.server_close()


def _contracts(folder: Path | None) -> Contracts:
    return Contracts(folder) if folder else COMMITTED
