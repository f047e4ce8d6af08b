"""The topics on a real cluster: read them, apply a plan to them, refuse to run on wrong ones."""

import time
from collections.abc import Iterable, Mapping, Sequence

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from streams.access import GRACE_S, TIMEOUT_S, UnreachableError, connected, described, refused
from streams.login import address
from streams.topics import Difference, Topic, plan

_POLLS, _POLL_S = 100, 0.1


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

    Raises `UnreachableError`, `RefusedError`.
    """
    admin = connected(client)
    there, _, hidden = described(admin, names)
    if hidden:
        raise refused(client, [f"Describe topic {name}" for name in hidden])
    if not there:
        return {}
    asked = admin.describe_configs(
        [ConfigResource(ResourceType.TOPIC, name) for name in there], request_timeout=TIMEOUT_S
    )
    try:
        configs = {resource.name: future.result(TIMEOUT_S + GRACE_S) for resource, future in asked.items()}
    except KafkaException as error:
        if error.args[0].code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
            raise refused(client, [f"DescribeConfigs topic {name}" for name in there]) from error
        raise UnreachableError(f"{address(client)} does not tell how its topics are: {error}") from error
    return {
        name: Topic(
            name=name,
            partitions=len(one.partitions),
            replication=min(len(partition.replicas) for partition in one.partitions),
            config={key: entry.value for key, entry in configs[name].items()},
        )
        for name, one in there.items()
    }


def differences(client: Mapping[str, str], wanted: Sequence[Topic]) -> list[Difference]:
    return plan(wanted, read(client, [topic.name for topic in wanted]))


def apply(client: Mapping[str, str], wanted: Sequence[Topic]) -> list[Difference]:
    """Create what is missing, adjust what is safe to adjust; return what is left, each for a person to do.

    Raises `UnreachableError`, `RefusedError`, and `KafkaException` with the broker's reason when it refuses.
    """
    to_do = [difference for difference in differences(client, wanted) if not difference.by_hand]
    admin = connected(client)
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
            future.result(TIMEOUT_S + GRACE_S)
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
            future.result(TIMEOUT_S + GRACE_S)
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
