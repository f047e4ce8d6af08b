"""`saveline connectors`: run the connectors' process with what the environment says."""

import sys

import psycopg

from connectors.clock import SystemClock
from connectors.register.migrate import REACH, in_a_line, upgrade
from state import shelf
from streams import topics_broker
from streams.connector_settings import ConnectorSettings
from streams.doctor import Doctor
from streams.environment import Faulty, read, values, variables
from streams.outcomes import Unreachable
from streams.topics import wanted_topics


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
        upgrade(settings.pg_dsn.get_secret_value())
        names = [topic.name for topic in wanted_topics(app=settings.app)]
        missing = set(names) - set(topics_broker.read(settings.client, names))
    except (Faulty, shelf.PolicyFaults) as error:
        print(error, file=sys.stderr)
        return 2
    except psycopg.Error as error:
        print(f"postgres: {in_a_line(error)}. To do: {REACH}", file=sys.stderr)
        return Unreachable.exit_code
    except topics_broker.UnreachableError as error:
        print(error, file=sys.stderr)
        return Unreachable.exit_code
    lacking = [f"topics: {name} is missing. To do: run `saveline topics apply`" for name in sorted(missing)]
    kinds = {"connectors": ConnectorSettings}
    lacking += Doctor(values(kinds), variables(kinds), SystemClock()).lacks("evidence bucket", "evidence key")
    if lacking:
        print("\n".join(lacking), file=sys.stderr)
        return 2
    # Faust reads the command line of its own worker.
    sys.argv = [sys.argv[0]]
    run(settings, policies, parts)
    return 0
