"""`saveline connectors`: run the connectors' process with what the environment says."""

import sys

from state import shelf
from streams.connector_settings import ConnectorSettings
from streams.environment import Faulty, read


def connectors() -> int:
    """Take in, send, write back and keep evidence until a signal ends it; settings come from `SAVELINE_...`."""
    try:
        settings = read(ConnectorSettings)
        policies = shelf.load(settings.policies)
    except (Faulty, shelf.PolicyFaults) as error:
        print(error, file=sys.stderr)
        return 2
    from streams.connectors import run

    # Faust reads the command line of its own worker.
    sys.argv = [sys.argv[0]]
    run(settings, policies)
    return 0
