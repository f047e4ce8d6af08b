"""Asks the broker from where to where a topic's partitions reach."""

from collections.abc import Mapping
from functools import cached_property

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaException, TopicPartition

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

    def first(self, partition: int) -> int:
        """The first offset that there is. Raises `Unreachable`."""
        return self._offset(partition, OFFSET_BEGINNING, 10.0)

    def end(self, partition: int, timeout_s: float = 10.0) -> int:
        """The offset that comes next. Raises `Unreachable`."""
        return self._offset(partition, OFFSET_END, timeout_s)

    def _offset(self, partition: int, which: int, timeout_s: float) -> int:
        """One request. The watermarks would be two, at twice the wait, and each deadline that fires asks once."""
        try:
            found = self._asked(partition, which, timeout_s)
        except KafkaException:
            # What this client knows of the topic may be old or nothing: a leader that moved, a first question.
            try:
                self._consumer.list_topics(self._topic, timeout=timeout_s)
                found = self._asked(partition, which, timeout_s)
            except KafkaException as error:
                raise Unreachable(str(error)) from error
        return found

    def _asked(self, partition: int, which: int, timeout_s: float) -> int:
        # Kafka takes these two for instants as well: the beginning and the end of time.
        place = TopicPartition(self._topic, partition, which)
        (found,) = self._consumer.offsets_for_times([place], timeout=timeout_s)
        if found.error is not None:
            raise KafkaException(found.error)
        if found.offset < 0:
            # The question came back instead of an answer. Taken for an end, it would fire deadlines too early.
            raise Unreachable(f"no answer about {self._topic}-{partition}")
        return int(found.offset)
