"""What is safe to change by itself, and what a person has to decide."""

import msgspec
import pytest

from streams.quarantine import HEADERS_BYTES
from streams.topics import Topic, plan, wanted_topics

WANTED = {topic.name: topic for topic in wanted_topics(partitions=4, replication=1)}


def said(**real: Topic | None) -> list[str]:
    """The plan in words, where the cluster is as wanted but for `real`; None takes a topic away."""
    cluster = {**WANTED, **{(topic.name if topic else name): topic for name, topic in real.items()}}
    return [str(line) for line in plan(WANTED.values(), {n: t for n, t in cluster.items() if t})]


def events(**changes: object) -> Topic:
    return msgspec.structs.replace(WANTED["case.events.v1"], **changes)


def events_with(**config: str) -> Topic:
    named = {name.replace("_", "."): value for name, value in config.items()}
    return events(config={**WANTED["case.events.v1"].config, **named})


def test_a_cluster_as_wanted_differs_in_nothing() -> None:
    assert said() == []


def test_all_topics_of_ours_have_the_same_number_of_partitions() -> None:
    assert {topic.partitions for topic in wanted_topics()} == {48}
    assert {topic.partitions for topic in WANTED.values()} == {4}


def test_what_the_ledger_reads_the_time_from_is_stamped_by_the_broker() -> None:
    for name in ("case.events.v1", "saveline-cases-changelog"):
        assert WANTED[name].config["message.timestamp.type"] == "LogAppendTime"


def test_the_source_is_stamped_by_the_broker_and_kept_as_long_as_the_batches() -> None:
    source, batches = WANTED["case.events.v1"], WANTED["saveline-batches"]
    assert source.config["message.timestamp.type"] == "LogAppendTime"
    assert source.config["retention.ms"] == batches.config["retention.ms"]


@pytest.mark.parametrize(("replication", "in_sync"), [(1, "1"), (2, "1"), (3, "2")])
def test_one_replica_may_be_away_and_no_more(replication: int, in_sync: str) -> None:
    source = next(t for t in wanted_topics(replication=replication) if t.name == "case.events.v1")
    assert source.config["min.insync.replicas"] == in_sync


def test_a_missing_topic_is_named_with_all_that_it_will_get() -> None:
    cluster = {name: topic for name, topic in WANTED.items() if name != "case.changes.v1"}
    assert [str(line) for line in plan(WANTED.values(), cluster)] == [
        (
            "case.changes.v1: is missing (to be created with 4 partitions, 1 replicas, "
            "min.insync.replicas=1, cleanup.policy=compact)"
        )
    ]


def test_another_partition_count_is_for_a_person() -> None:
    assert said(events=events(partitions=12)) == [
        (
            "case.events.v1: has 12 partitions instead of 4"
            " - by hand: keys would move between partitions: drain, create anew and copy"
        )
    ]


def test_upstream_keeps_its_own_partition_count() -> None:
    upstream = msgspec.structs.replace(WANTED["order.exceptions.v1"], partitions=7, replication=2)
    assert said(upstream=upstream) == []


def test_shorter_retention_would_delete_and_longer_is_safe() -> None:
    (shorter,) = said(events=events_with(retention_ms="-1"))
    (longer,) = said(events=events_with(retention_ms="1000"))
    assert "by hand" in shorter
    assert longer == "case.events.v1: retention.ms is 1000 instead of 1209600000"


def test_a_change_of_clock_or_of_cleanup_is_for_a_person() -> None:
    lines = said(events=events_with(message_timestamp_type="CreateTime", cleanup_policy="compact"))
    assert len(lines) == 2
    assert all("by hand" in line for line in lines)


def test_quarantine_holds_whatever_a_topic_can_hold_and_what_is_said_about_it() -> None:
    quarantine = WANTED["case.quarantine.v1"]
    assert int(quarantine.config["max.message.bytes"]) == 1_048_588 + HEADERS_BYTES
    large = msgspec.structs.replace(WANTED["order.exceptions.v1"], config={"max.message.bytes": "5000000"})
    (raised,) = said(large=large)
    assert (
        raised == f"case.quarantine.v1: max.message.bytes is 1310732 instead of {5_000_000 + HEADERS_BYTES}"
    )
    larger = msgspec.structs.replace(quarantine, config={**quarantine.config, "max.message.bytes": "9000000"})
    assert said(large=large, larger=larger) == []


def test_writes_are_never_made_impossible() -> None:
    wanted = wanted_topics(partitions=4, replication=3)
    real = {t.name: msgspec.structs.replace(WANTED[t.name]) for t in wanted}
    lines = [line for line in plan(wanted, real) if line.topic.name == "case.events.v1"]
    assert [line.words for line in lines] == [
        "has 1 replicas instead of 3",
        "min.insync.replicas is 1 instead of 2",
    ]
    assert all(line.by_hand for line in lines)
