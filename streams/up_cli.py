"""`saveline up`: the whole system on this machine, out of a source checkout."""

import importlib
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def up(
    *,
    folder: Path = Path(".saveline/up"),
    policy: Path | None = None,
    pace: float = 1.0,
    edge_port: int = 0,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Start Kafka, Postgres, S3, simulators of the providers and every process of Saveline, and stay.

    Nothing but loopback listens. What the environment names (SAVELINE_BROKER, SAVELINE_PG_DSN, ...) is used
    instead of a part of its own.

    Parameters
    ----------
    folder
        where data, secrets and logs lie; only the logs are left afterwards
    policy
        one more policy (YAML) beside the shipped ones, for instance with short windows
    pace
        0.1 makes the simulators' people and carriers ten times quicker
    edge_port
        where the choice page and the webhooks are; 0 takes a free one
    as_json
        print every address, port, pid and secret file as one line of JSON
    """
    try:
        # The parts come with the sources and their locked packages, not with the installed product.
        parts = importlib.import_module("tests.world.up")
    except ModuleNotFoundError as error:
        print(f"`saveline up` runs from a source checkout, after `make setup`: {error}", file=sys.stderr)
        return 1
    code: int = parts.run(folder=folder, policy=policy, pace=pace, edge_port=edge_port, as_json=as_json)
    return code
