"""`saveline worker`: run the workers' process with what the environment says."""

import sys

from schemas.codec import Codec
from schemas.registry import registry
from state import shelf
from streams import access, rights
from streams.access import RefusedError, UnreachableError
from streams.environment import Faulty, read
from streams.heart import HeartCore
from streams.outcomes import Unreachable
from streams.settings import WorkerSettings
from streams.topics import wanted_topics
from streams.topics_broker import WrongTopicsError, require


def worker() -> int:
    """Own some partitions of `case.events.v1` until a signal ends it; settings come from `SAVELINE_...`."""
    try:
        settings = read(WorkerSettings)
        policies = shelf.load(settings.policies)
        wanted = wanted_topics(
            app=settings.app, partitions=settings.partitions, replication=settings.replication
        )
        access.require(settings.client, rights.of_worker(settings.app, settings.source, settings.quarantine))
        require(settings.client, wanted)
    except (Faulty, shelf.PolicyFaults, WrongTopicsError, RefusedError) as error:
        print(error, file=sys.stderr)
        return 2
    except UnreachableError as error:
        print(error, file=sys.stderr)
        return Unreachable.exit_code
    from streams.worker import run

    # Faust reads the command line of its own worker.
    sys.argv = [sys.argv[0]]
    run(HeartCore(Codec(registry(settings.schema_registry_url)), policies), settings)
    return 0
