"""`saveline connectors`: run the connectors' process with what the environment says."""

import sys

import psycopg

from connectors import vault_keys
from connectors.clock import SystemClock
from connectors.register.migrate import REACH, in_a_line, upgrade
from state import shelf
from streams import access, rights
from streams.access import RefusedError, UnreachableError
from streams.connector_settings import ConnectorSettings
from streams.doctor import Doctor
from streams.environment import Faulty, read, values, variables
from streams.outcomes import Unreachable


def connectors(*, only: str = "") -> int:
    """Take in, send, write back and keep evidence until a signal ends it; settings come from `SAVELINE_...`.

    Parameters
    ----------
    only
        the parts that this process does, separated by commas: intake, push, sms, email, voice, person,
        write-back, evidence, register. Each part has to run somewhere, and in processes that do the same parts.
    """
    parts = frozenset(part.strip() for part in only.split(",") if part.strip()) or rights.PARTS
    if strange := sorted(parts - rights.PARTS):
        print(
            f"--only: no part {', '.join(strange)}; there are {', '.join(sorted(rights.PARTS))}",
            file=sys.stderr,
        )
        return 2
    try:
        settings = read(ConnectorSettings)
        policies = shelf.load(settings.policies)
        upgrade(settings.pg_dsn.get_secret_value())
        needed = rights.of_connectors(settings.app, parts, settings.quarantine)
        missing = access.require(settings.client, needed)
        lacking = vault_keys.missing(
            settings.pg_dsn.get_secret_value(), settings.vault_key.get_secret_value()
        )
    except (Faulty, shelf.PolicyFaults, RefusedError) as error:
        print(error, file=sys.stderr)
        return 2
    except psycopg.Error as error:
        print(f"postgres: {in_a_line(error)}. To do: {REACH}", file=sys.stderr)
        return Unreachable.exit_code
    except UnreachableError as error:
        print(error, file=sys.stderr)
        return Unreachable.exit_code
    lacking += [access.missing(name) for name in sorted(missing)]
    kinds = {"connectors": ConnectorSettings}
    lacking += Doctor(values(kinds), variables(kinds), SystemClock()).lacks("evidence bucket", "evidence key")
    if lacking:
        print("\n".join(lacking), file=sys.stderr)
        return 2
    from streams.connectors import run

    # Faust reads the command line of its own worker.
    sys.argv = [sys.argv[0]]
    run(settings, policies, parts)
    return 0
