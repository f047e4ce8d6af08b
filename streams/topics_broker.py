"""The topics on a real cluster: read them, apply a plan to them, refuse to run on wrong ones."""

import time
from collections.abc import Iterable, Mapping, Sequence

from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from streams.topics import Difference, Topic, plan

TIMEOUT_S = 30.0
_POLLS, _POLL_S = 100, 0.1


class UnreachableError(Exception):
    """No broker answered at this address, or not what was asked."""


class WrongTopicsError(Exception):
    """Every fault of every topic; the process that needs them does not start."""

    def __init__(self, differences: Sequence[Difference]) -> None:
        self.differences = differences
        super().__init__(
            "the topics are not as they have to be (see 'saveline topics plan'):\n"
            + "\n".join(f"  {difference}" for difference in differences)
        )


def read(client: Mapping[str, str], names: Iterable[str]) -> dict[str, Topic]:
    """Return those of the named topics that exist; `client` are librdkafka properties.

    Raises `UnreachableError`.
    """
    admin = AdminClient({"log_level": 0, **client})
    try:
        seen = admin.list_topics(timeout=TIMEOUT_S).topics
    except KafkaException as error:
        raise UnreachableError(f"no answer from {client.get('bootstrap.servers')}: {error}") from error
    there = [name for name in names if name in seen]
    if not there:
        return {}
    asked = admin.describe_configs(
        [ConfigResource(ResourceType.TOPIC, name) for name in there], request_timeout=TIMEOUT_S
    )
    try:
        configs = {resource.name: future.result(TIMEOUT_S) for resource, future in asked.items()}
    except KafkaException as error:
        raise UnreachableError(
            f"{client.get('bootstrap.servers')} does not tell how its topics are: {error}"
        ) from error
    return {
        name: Topic(
            name=name,
            partitions=len(seen[name].partitions),
            replication=min(len(partition.replicas) for partition in seen[name].partitions.values()),
            config={key: entry.value for key, entry in configs[name].items()},
        )
        for name in there
    }


def differences(client: Mapping[str, str], wanted: Sequence[Topic]) -> list[Difference]:
    return plan(wanted, read(client, [topic.name for topic in wanted]))


def apply(client: Mapping[str, str], wanted: Sequence[Topic]) -> list[Difference]:
    """Create what is missing, adjust what is safe to adjust; return what is left, each for a person to do.

    Raises `UnreachableError`, and `KafkaException` with the broker's reason when it refuses.
    """
    to_do = [difference for difference in differences(client, wanted) if not difference.by_hand]
    admin = AdminClient({"log_level": 0, **client})
    missing = [difference.topic for difference in to_do if difference.setting is None]
    if missing:
        created = admin.create_topics(
            [
                NewTopic(topic.name, topic.partitions, topic.replication, config=dict(topic.config))
                for topic in missing
            ],
            request_timeout=TIMEOUT_S,
        )
        for future in created.values():
            future.result(TIMEOUT_S)
    # One request may name a topic once only, so its settings travel together.
    entries: dict[str, list[ConfigEntry]] = {}
    for difference in to_do:
        if difference.setting:
            name, value = difference.setting
            entries.setdefault(difference.topic.name, []).append(
                ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
            )
    if entries:
        altered = admin.incremental_alter_configs(
            [
                ConfigResource(ResourceType.TOPIC, name, incremental_configs=settings)
                for name, settings in entries.items()
            ],
            request_timeout=TIMEOUT_S,
        )
        for future in altered.values():
            future.result(TIMEOUT_S)
    return _settled(client, wanted)


def require(client: Mapping[str, str], wanted: Sequence[Topic]) -> None:
    """Return when every topic is as wanted; raises `WrongTopicsError` with all the faults at once."""
    if wrong := differences(client, wanted):
        raise WrongTopicsError(wrong)


def _settled(client: Mapping[str, str], wanted: Sequence[Topic]) -> list[Difference]:
    """What is left once the brokers show what the controller has decided, which takes them a moment."""
    for _ in range(_POLLS):
        left = differences(client, wanted)
        if all(difference.by_hand for difference in left):
            break
        time.sleep(_POLL_S)
    return left
