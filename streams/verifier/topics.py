"""Reads topics to their present end: what is committed, and what the codec makes of it."""

from collections.abc import Iterator
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition

from schemas.catalogue import RECORDS, Topic
from schemas.codec import Codec
from schemas.errors import Malformed
from streams import login
from streams.verifier.seen import Message, Topics

_PATIENCE_S = 30.0
_AT_ONCE = 1_000


class Unreadable(Exception):
    """Kafka, or a topic, could not be read; the message says which."""


def read(client: dict[str, str], codec: Codec, app: str, quarantine: str) -> Topics:
    """Every topic of the product, decoded; raises `Unreadable`."""
    batches, changelog = f"{app}-batches", f"{app}-cases-changelog"
    names = [*(str(topic) for topic in Topic), quarantine, batches, changelog]
    consumer = Consumer(
        client
        | {
            "group.id": f"{app}-verifier",
            "enable.auto.commit": "false",
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            "enable.partition.eof": "true",
            "fetch.wait.max.ms": "50",
        }
    )
    try:
        known = consumer.list_topics(timeout=_PATIENCE_S).topics
        missing = [name for name in names if name not in known]
        if missing:
            raise Unreadable(f"there is no topic {', '.join(missing)}: run `saveline topics apply`")
        places = [TopicPartition(name, number, 0) for name in names for number in known[name].partitions]
        cut = {
            (place.topic, place.partition)
            for place in places
            if consumer.get_watermark_offsets(place, timeout=_PATIENCE_S)[0] > 0
        }
        messages: dict[str, list[Message]] = {name: [] for name in names}
        for message in _until_the_end(consumer, places):
            messages[message.topic()].append(_message(message, codec))
    except KafkaException as error:
        raise Unreadable(f"Kafka at {login.address(client)}: {error.args[0]}") from error
    finally:
        consumer.close()
    return Topics(
        messages=messages,
        cut=cut,
        partitions=len(known[str(Topic.CASE_EVENTS)].partitions),
        batches=batches,
        changelog=changelog,
        quarantine=quarantine,
    )


def _until_the_end(consumer: Consumer, places: list[TopicPartition]) -> Iterator[Any]:
    """All partitions at once; within each, in order."""
    consumer.assign(places)
    left = {(place.topic, place.partition) for place in places}
    while left:
        found = consumer.consume(_AT_ONCE, 0.1) or consumer.consume(1, _PATIENCE_S)
        if not found:
            raise Unreadable(f"{len(left)} partitions have no end, such as {min(left)}")
        for message in found:
            error = message.error()
            if error is None:
                yield message
            elif error.code() == _END:
                left.discard((message.topic(), message.partition()))
            else:
                raise KafkaException(error)


_END = -191  # librdkafka's _PARTITION_EOF


def _message(message: Any, codec: Codec) -> Message:
    record: Any = None
    faults: tuple[str, ...] = ()
    if message.topic() in RECORDS:
        try:
            record = codec.decode(message.value())
        except Malformed as malformed:
            faults = malformed.reasons
    return Message(
        topic=message.topic(),
        partition=message.partition(),
        offset=message.offset(),
        appended_ms=message.timestamp()[1],
        key=message.key(),
        value=message.value(),
        headers=tuple((name, value or b"") for name, value in message.headers() or ()),
        record=record,
        faults=faults,
    )
