"""Who owns which partitions: Faust's own answer, but never one that leaves topics out."""

from typing import Any

from aiokafka.cluster import ClusterMetadata
from faust.assignor.partition_assignor import MemberAssignmentMapping, PartitionAssignor


class TopicsMissing(RuntimeError):
    """The broker does not know a topic (yet): starting would look healthy and own nothing."""


class CompleteAssignor(PartitionAssignor):
    """After a broker's restart the stock one ignored missing topics: two workers stood ready, idle."""

    def assign(self, cluster: ClusterMetadata, member_metadata: Any) -> MemberAssignmentMapping:
        wanted = {topic for metadata in member_metadata.values() for topic in metadata.subscription}
        missing = sorted(topic for topic in wanted if not cluster.partitions_for_topic(topic))
        if missing:
            failure = TopicsMissing(f"the broker does not know {', '.join(missing)}")
            self.app.engine.stop(failure)  # type: ignore[attr-defined]
            raise failure
        return super().assign(cluster, member_metadata)
