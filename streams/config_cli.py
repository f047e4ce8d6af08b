"""`saveline config`: every setting of every process, where it comes from, and which are missing."""

import json
from typing import Annotated

import msgspec
from cyclopts import App, Parameter
from rich.console import Console
from rich.table import Table
from rich.text import Text

from streams.connector_settings import ConnectorSettings
from streams.edge_cli import EdgeSettings
from streams.environment import variables
from streams.settings import WorkerSettings
from streams.verifier.settings import VerifySettings

app = App(name="config", help="The settings: what each process is told, and what it lacks.")

PROCESSES: dict[str, type] = {
    "worker": WorkerSettings,
    "connectors": ConnectorSettings,
    "edge": EdgeSettings,
    "verify": VerifySettings,
}


@app.command
def show(*, as_json: Annotated[bool, Parameter(name="--json", negative="")] = False) -> int:
    """Every setting with its value (secrets masked), its source and its processes; 1 if one is missing or wrong."""
    found = variables(PROCESSES)
    faulty = [one for one in found if one.fault]
    if as_json:
        told = {one.name: {**msgspec.to_builtins(one), "fault": one.fault or None} for one in found}
        print(json.dumps({"settings": told, "ok": not faulty}))
        return 1 if faulty else 0
    out = Console(highlight=False, width=None if Console().is_terminal else 150)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("setting", "value", "source", "processes", "what it is"):
        table.add_column(column, overflow="fold")
    for one in found:
        style = "bold red" if one.fault else "bold" if one.source == "environment" else "dim"
        table.add_row(
            Text(one.name, style=style), Text(one.value), one.source, ", ".join(one.processes), Text(one.says)
        )
    out.print(table)
    for one in faulty:
        out.print(f"{one.name}: {one.fault}", style="bold red", markup=False)
    return 1 if faulty else 0
