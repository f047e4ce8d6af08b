"""`saveline connectors`: run the connectors' process with what the environment says."""

import sys

from state import shelf
from streams.connector_settings import ConnectorSettings
from streams.environment import Faulty, read


def connectors(*, only: str = "") -> int:
    """Take in, send, write back and keep evidence until a signal ends it; settings come from `SAVELINE_...`.

    Parameters
    ----------
    only
        the parts that this process does, separated by commas: intake, push, sms, email, voice, person,
        write-back, evidence, register. Each part has to run somewhere, and in processes that do the same parts.
    """
    from streams.connectors import PARTS, run

    parts = frozenset(part.strip() for part in only.split(",") if part.strip()) or PARTS
    if strange := sorted(parts - PARTS):
        print(f"--only: no part {', '.join(strange)}; there are {', '.join(sorted(PARTS))}", file=sys.stderr)
        return 2
    try:
        settings = read(ConnectorSettings)
        policies = shelf.load(settings.policies)
    except (Faulty, shelf.PolicyFaults) as error:
        print(error, file=sys.stderr)
        return 2
    # Faust reads the command line of its own worker.
    sys.argv = [sys.argv[0]]
    run(settings, policies, parts)
    return 0
