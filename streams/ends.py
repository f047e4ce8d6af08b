"""Asks the broker from where to where a topic's partitions reach."""

from collections.abc import Mapping
from functools import cached_property

from confluent_kafka import Consumer, KafkaException, TopicPartition

from streams.outcomes import Unreachable


class Ends:
    """One client for all partitions of a process; safe from any thread.

    It has its connection to itself: behind a fetch that waits for records a question would wait as well.
    """

    def __init__(self, client: Mapping[str, str], app: str, topic: str) -> None:
        self._topic = topic
        self._properties = {
            **client,
            "group.id": f"{app}-ends",
            "enable.auto.commit": False,
            # What is appended but not yet committed may still be an answer in time: it belongs before the end.
            "isolation.level": "read_uncommitted",
        }

    @cached_property
    def _consumer(self) -> Consumer:
        # Made by the first question: an app that is only looked at connects nowhere.
        return Consumer(self._properties)

    def bounds(self, partition: int, timeout_s: float = 10.0) -> tuple[int, int]:
        """(first offset there is, offset that comes next). Raises `Unreachable`."""
        place = TopicPartition(self._topic, partition)
        try:
            found = self._consumer.get_watermark_offsets(place, timeout=timeout_s)
        except KafkaException:
            # What this client knows of the topic may be old or nothing: a leader that moved, a first question.
            try:
                self._consumer.list_topics(self._topic, timeout=timeout_s)
                found = self._consumer.get_watermark_offsets(place, timeout=timeout_s)
            except KafkaException as error:
                raise Unreachable(str(error)) from error
        if found is None:
            raise Unreachable(f"no answer about {self._topic}-{partition}")
        return found[0], found[1]
