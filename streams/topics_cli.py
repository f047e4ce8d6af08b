"""`saveline topics`: show and repair the topics of a cluster."""

import os
from collections.abc import Callable
from typing import Annotated

from confluent_kafka import KafkaException
from cyclopts import App, Parameter
from rich.console import Console

from streams import login
from streams.access import RefusedError, UnreachableError
from streams.environment import Faulty, read
from streams.login import KafkaSettings
from streams.topics import Difference, Topic, wanted_topics
from streams.topics_broker import apply as apply_to
from streams.topics_broker import differences

app = App(name="topics", help="The topics: what differs from what is wanted, and putting it right.")

Broker = Annotated[
    str, Parameter(env_var=("BROKER", "SAVELINE_BROKER"), help="host:port of one or more brokers")
]
Partitions = Annotated[int, Parameter(help="of each of our topics; all have the same number, for ever")]
Replication = Annotated[int, Parameter(help="copies of each partition")]
AppName = Annotated[str, Parameter(help="the worker's app id; its private topics begin with it")]


@app.command
def plan(
    broker: Broker,
    *,
    partitions: Partitions = 48,
    replication: Replication = 3,
    app_id: AppName = "saveline",
) -> int:
    """Say what differs from what is wanted, and change nothing; the exit code is 1 if anything does.

    The login comes from SAVELINE_BROKER_..., as the processes' does.
    """
    wanted = wanted_topics(app=app_id, partitions=partitions, replication=replication)
    return _reported(differences, broker, wanted)


@app.command
def apply(
    broker: Broker,
    *,
    partitions: Partitions = 48,
    replication: Replication = 3,
    app_id: AppName = "saveline",
) -> int:
    """Create what is missing and adjust what loses nothing; the exit code is 1 if a person has to do more.

    The login comes from SAVELINE_BROKER_..., as the processes' does.
    """
    wanted = wanted_topics(app=app_id, partitions=partitions, replication=replication)
    return _reported(apply_to, broker, wanted)


def _reported(
    work: Callable[[dict[str, str], list[Topic]], list[Difference]], broker: str, wanted: list[Topic]
) -> int:
    try:
        client = read(KafkaSettings, {**os.environ, "SAVELINE_BROKER": broker}).client
        found = work(client, wanted)
    except (Faulty, RefusedError) as error:
        return _failed(error, 2)
    except UnreachableError as error:
        return _failed(error)
    except KafkaException as error:
        return _failed(
            f"Kafka: {login.name(client)}: {error.args[0].str()}. To do: grant what `saveline acls` lists for topics",
            2,
        )
    out = Console(highlight=False, soft_wrap=True)
    for difference in found:
        out.print(str(difference), markup=False)
    if not found:
        out.print(f"{len(wanted)} topics are as they have to be")
    return 1 if found else 0


def _failed(words: object, code: int = 1) -> int:
    Console(stderr=True, soft_wrap=True).print(str(words), markup=False, highlight=False)
    return code
