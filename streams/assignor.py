"""Who owns which partitions: the libraries' own answers, but never one that leaves topics out."""

from collections.abc import Mapping
from typing import Any

from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from faust.assignor.partition_assignor import MemberAssignmentMapping, PartitionAssignor


class TopicsMissing(RuntimeError):
    """The broker does not know a topic (yet): starting would look healthy and own nothing."""


def refuse_missing(cluster: ClusterMetadata, members: Mapping[str, Any]) -> None:
    """Raises `TopicsMissing` with all that members want and the broker does not have.

    Both libraries leave such topics out: after a broker's restart processes stood ready, idle.
    """
    wanted = {topic for metadata in members.values() for topic in metadata.subscription}
    missing = sorted(topic for topic in wanted if not cluster.partitions_for_topic(topic))
    if missing:
        raise TopicsMissing(
            f"the broker does not know {', '.join(missing)}. To do: if it has just started, nothing; otherwise"
            " `saveline topics apply`"
        )


class CompleteAssignor(PartitionAssignor):
    """For apps with tables: Faust's."""

    def assign(self, cluster: ClusterMetadata, member_metadata: Any) -> MemberAssignmentMapping:
        refuse_missing(cluster, member_metadata)
        return super().assign(cluster, member_metadata)


class CompleteRoundRobin(RoundRobinPartitionAssignor):  # type: ignore[misc]  # aiokafka ships no types
    """For apps without: aiokafka's, and under its name, so that older members of the group agree."""

    @classmethod
    def assign(cls, cluster: ClusterMetadata, members: Mapping[str, Any]) -> Any:
        refuse_missing(cluster, members)
        return super().assign(cluster, members)
