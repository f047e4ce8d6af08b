"""`saveline doctor`: what is reachable and what is wrong, one line each, with what to do."""

import json
from typing import Annotated

import msgspec
from cyclopts import Parameter
from rich.console import Console
from rich.text import Text

from connectors.clock import SystemClock
from streams.config_cli import PROCESSES
from streams.doctor import Doctor
from streams.environment import values, variables

# The judge's own settings are needed by nobody else.
_OURS = {name: kind for name, kind in PROCESSES.items() if name != "verify"}


def doctor(*, as_json: Annotated[bool, Parameter(name="--json", negative="")] = False) -> int:
    """Look at everything that the settings name, and say what is wrong and what to do; it sends nothing.

    The exit code is 1 if anything is wrong.
    """
    doctor = Doctor(values(_OURS), variables(_OURS), SystemClock())
    if as_json:
        found = list(doctor.looks())
        print(json.dumps({"parts": msgspec.to_builtins(found), "ok": all(one.ok for one in found)}))
        return 0 if all(one.ok for one in found) else 1
    out, sound = Console(highlight=False, soft_wrap=True), True
    for one in doctor.looks():
        sound &= one.ok
        mark = Text("ok    ", style="green") if one.ok else Text("WRONG ", style="bold red")
        do = f". To do: {one.do}" if one.do else ""
        out.print(mark + Text(f"{one.part}: {one.words}{do}"))
    return 0 if sound else 1
