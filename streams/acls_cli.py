"""`saveline acls`: what each command has to be granted in Kafka."""

import json
from typing import Annotated

import msgspec
from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from streams.rights import by_command


def acls(
    *,
    app_id: Annotated[
        str, Parameter(help="the worker's app id; private topics and groups begin with it")
    ] = "saveline",
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Every right that each command needs, and no more: for an authorizer that denies what nobody granted.

    `prefixed` means every resource whose name begins so. The chart grants these to Strimzi's users.
    """
    found = by_command(app_id)
    if as_json:
        print(json.dumps({command: msgspec.to_builtins(rights) for command, rights in found.items()}))
        return 0
    console = Console(highlight=False, width=None if Console().is_terminal else 120)
    table = Table("command", "resource", "name", "operations", box=None, pad_edge=False)
    for command, rights in found.items():
        for one in rights:
            kind = f"{one.kind}, prefixed" if one.prefixed else one.kind
            table.add_row(command, kind, one.name, ", ".join(one.operations))
    console.print(table)
    return 0
