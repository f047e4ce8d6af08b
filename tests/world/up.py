"""`saveline up`: the embedded default stays until it is told to go, and says where everything is."""

import json
import signal
import threading
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from state import shelf
from tests.world.part import PartError
from tests.world.stack import Stack, with_policy


def run(*, folder: Path, policy: Path | None, pace: float, edge_port: int, as_json: bool) -> int:
    """Start, print, stay until Ctrl-C or SIGTERM; 1 where something did not start, with the reason."""
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    said = Console(stderr=True, highlight=False)
    try:
        policies = partial(with_policy, file=policy) if policy else None
        stack = Stack(
            folder,
            policies=policies,
            pace=pace,
            edge_port=edge_port,
            told=lambda line: said.print(line, style="dim"),
        )
        stack.start()
    except (PartError, shelf.PolicyFaults) as error:
        said.print(str(error), markup=False, soft_wrap=True)
        return 1
    try:
        described = stack.described()
        if as_json:
            print(json.dumps(described), flush=True)
        else:
            _show(described, Console(highlight=False))
        ended.wait()
        said.print("stopping", style="dim")
    finally:
        stack.close()
    return 0


def _show(described: dict, out: Console) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("part", "address", "control door", "pid", "log"):
        table.add_column(column, overflow="fold")
    for name, part in described["parts"].items():
        table.add_row(
            name,
            part.get("url") or part.get("address", "Kafka"),
            part.get("control", ""),
            str(part["pid"]),
            part["log"],
        )
    out.print(table)
    out.print(f"\nEverything lies in {described['folder']}; Ctrl-C ends all of it.")
    out.print("In another terminal, for `saveline trace`, `report`, `verify` and the others:")
    out.print(f"  set -a; . {described['secret_files']['environment']}; set +a", soft_wrap=True)
