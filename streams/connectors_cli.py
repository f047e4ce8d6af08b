"""`saveline connectors`: run the connectors' process with what the environment says."""

import sys
from typing import Any

from pydantic import ValidationError

from state import shelf
from streams.connector_settings import ConnectorSettings

# Nothing is passed: every field comes from the environment, which the type checker cannot see.
_PASSED: dict[str, Any] = {}


def connectors() -> int:
    """Take in, send, write back and keep evidence until a signal ends it; settings come from `SAVELINE_...`."""
    try:
        settings = ConnectorSettings(**_PASSED)
        policies = shelf.load(settings.policies)
    except ValidationError as error:
        # Every fault of the settings at once, by the name that the operator knows.
        for fault in error.errors(include_url=False, include_input=False):
            name = "_".join(["SAVELINE", *(str(part) for part in fault["loc"])]).upper()
            print(f"{name}: {fault['msg']}", file=sys.stderr)
        return 2
    except shelf.PolicyFaults as error:
        print(error, file=sys.stderr)
        return 2
    from streams.connectors import run

    # Faust reads the command line of its own worker.
    sys.argv = [sys.argv[0]]
    run(settings, policies)
    return 0
