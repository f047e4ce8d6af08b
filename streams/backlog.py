"""What lies in the topics of an app without tables and is not handled yet; and whether it stands."""

import threading
from collections.abc import Callable, Mapping
from functools import cached_property

from confluent_kafka import IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from connectors.clock import Clock

_EVERY_S = 15.0
_ASK_S = 10.0
_LATEST = OffsetSpec.latest()  # type: ignore[no-untyped-call]

Partition = tuple[str, int]


class Backlog:
    """`positions` tells of each partition of this process the offset before which everything is handled.

    An agent that ended, a stream that hands nothing on, a consumer that fetches nothing: none of them says so, but
    records wait.
    """

    def __init__(
        self, client: Mapping[str, str], positions: Callable[[], Mapping[Partition, int]], clock: Clock
    ) -> None:
        self._client, self._positions, self._clock = client, positions, clock
        self._waiting: dict[Partition, tuple[int, int, float]] = {}
        """The next offset to be handled, how many records wait from there on, and since when it is that one."""

    def run(self, ended: threading.Event) -> None:
        while not ended.wait(_EVERY_S):
            self.look()

    def look(self) -> None:
        positions = self._positions()
        now_s, before = self._clock.monotonic(), self._waiting
        waiting = {}
        for partition, end in self._ends(positions, IsolationLevel.READ_COMMITTED).items():
            at = positions[partition]
            if end > at:
                known = before.get(partition)
                waiting[partition] = at, end - at, known[2] if known and known[0] == at else now_s
        self._waiting = waiting

    def standing(self, patience_s: float) -> list[str]:
        """A reason for each topic of which records wait, and none was handled for longer."""
        now_s, topics = self._clock.monotonic(), dict[str, tuple[int, float]]()
        for (topic, _), (_, count, since_s) in self._waiting.items():
            if now_s - since_s > patience_s:
                records, for_s = topics.get(topic, (0, 0.0))
                topics[topic] = records + count, max(for_s, now_s - since_s)
        return [
            f"{records} records of {topic} wait, and none was handled for {for_s:.0f} s"
            for topic, (records, for_s) in sorted(topics.items())
        ]

    def empty(self) -> bool:
        """Whether no partition reaches beyond its position; not before there are any, or while nobody can tell."""
        positions = self._positions()
        # A transaction that is not committed yet is still to come.
        ends = self._ends(positions, IsolationLevel.READ_UNCOMMITTED)
        return bool(ends) and all(end <= positions[partition] for partition, end in ends.items())

    @cached_property
    def _admin(self) -> AdminClient:
        return AdminClient({**self._client, "log_level": "0"})

    def _ends(self, partitions: Mapping[Partition, int], level: IsolationLevel) -> dict[Partition, int]:
        """Up to where each can be read; nothing where the broker does not answer: no restart brings it back."""
        if not partitions:
            return {}
        wanted = {TopicPartition(*partition): _LATEST for partition in partitions}
        try:
            asked = self._admin.list_offsets(wanted, isolation_level=level, request_timeout=_ASK_S)
            return {(place.topic, place.partition): end.result(_ASK_S).offset for place, end in asked.items()}
        except (KafkaException, TimeoutError):
            return {}
