"""`saveline topics`: show and repair the topics of a cluster."""

from typing import Annotated

from cyclopts import App, Parameter
from rich.console import Console

from streams.topics import Difference, Topic, wanted_topics
from streams.topics_broker import UnreachableError, differences
from streams.topics_broker import apply as apply_to

app = App(name="topics", help="The topics: what differs from what is wanted, and putting it right.")

Broker = Annotated[str, Parameter(env_var="BROKER", help="host:port of one or more brokers")]
Partitions = Annotated[int, Parameter(help="of each of our topics; all have the same number, for ever")]
Replication = Annotated[int, Parameter(help="copies of each partition")]
AppName = Annotated[str, Parameter(help="the worker's app id; its private topics begin with it")]
Client = Annotated[list[str] | None, Parameter(help="more client properties, as security.protocol=SSL")]


@app.command
def plan(
    broker: Broker,
    *,
    partitions: Partitions = 48,
    replication: Replication = 3,
    app_id: AppName = "saveline",
    client: Client = None,
) -> int:
    """Say what differs from what is wanted, and change nothing; the exit code is 1 if anything does."""
    wanted = wanted_topics(app=app_id, partitions=partitions, replication=replication)
    try:
        return _report(differences(_properties(broker, client), wanted), wanted)
    except UnreachableError as error:
        return _failed(error)


@app.command
def apply(
    broker: Broker,
    *,
    partitions: Partitions = 48,
    replication: Replication = 3,
    app_id: AppName = "saveline",
    client: Client = None,
) -> int:
    """Create what is missing and adjust what loses nothing; the exit code is 1 if a person has to do more."""
    wanted = wanted_topics(app=app_id, partitions=partitions, replication=replication)
    try:
        return _report(apply_to(_properties(broker, client), wanted), wanted)
    except UnreachableError as error:
        return _failed(error)


def _properties(broker: str, client: list[str] | None) -> dict[str, str]:
    more = dict(item.split("=", 1) for item in client or [])
    return {"bootstrap.servers": broker, **more}


def _report(found: list[Difference], wanted: list[Topic]) -> int:
    out = Console(highlight=False, soft_wrap=True)
    for difference in found:
        out.print(str(difference), markup=False)
    if not found:
        out.print(f"{len(wanted)} topics are as they have to be")
    return 1 if found else 0


def _failed(error: Exception) -> int:
    Console(stderr=True).print(str(error), markup=False)
    return 1
