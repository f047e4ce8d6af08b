"""The worker process on a real broker: Faust around the ledgers."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import (
    OFFSET_INVALID,
    Consumer,
    ConsumerGroupTopicPartitions,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient

from streams.engine import EXIT_BUG, EXIT_STORE_FULL
from streams.outcomes import Fenced, Gap, SourceTruncated
from streams.placement import partition_of
from tests.streams.job import Event
from tests.streams.losses import LOST
from tests.streams.processes import Worker
from tests.streams.rig import Rig, Run, until
from tests.streams.test_crashes import assert_sound

pytestmark = pytest.mark.real


@pytest.fixture
def rig(bootstrap: str, tmp_path: Path) -> Rig:
    return Rig(bootstrap, tmp_path, partitions=2)


@pytest.fixture
def worker(rig: Rig) -> Iterator[Worker]:
    worker = Worker(rig, "0").start().wait_until_ready()
    yield worker
    worker.end()


def test_a_worker_decides_fires_deadlines_and_becomes_quiescent(rig: Rig, worker: Worker) -> None:
    rig.send(*(Event(f"case-{number}", number, wait_ms=200) for number in range(40)))
    until(lambda: len(rig.said()) == 80, "every step and every deadline")
    until(worker.quiescent, "quiescent")
    status, metrics = worker.ask("/metrics")
    assert status == 200
    assert "saveline_engine_deadlines_fired_total" in metrics
    assert worker.ask("/livez")[0] == 200
    assert worker.end(signal.SIGTERM) == 0


def test_a_static_member_that_comes_back_on_another_port_goes_on(rig: Rig) -> None:
    # The session outlives the pause, so that the group hands the old assignment back.
    first = Worker(rig, "0", session_s=60).start().wait_until_ready()
    first.end(signal.SIGKILL)
    again = Worker(rig, "0", session_s=60).start().wait_until_ready()
    rig.send(Event("after", 1))
    until(lambda: len(rig.said()) == 1, "its answer")
    assert again.end(signal.SIGTERM) == 0


def test_a_worker_that_the_group_no_longer_reaches_ends_rather_than_stands_idle(rig: Rig) -> None:
    worker = Worker(rig, "0", BREAK_COORDINATION="1").start()
    until(lambda: not worker.running, "its end", 60)
    assert worker.end() == EXIT_BUG
    assert "the assignor has a bug" in worker.last_lines()


def test_a_worker_whose_topic_the_broker_does_not_know_ends_rather_than_stands_idle(rig: Rig) -> None:
    worker = Worker(rig, "0", SAVELINE_SOURCE="nobody-made-this").start()
    until(lambda: not worker.running, "its end")
    assert worker.end() == EXIT_BUG
    assert "the broker does not know nobody-made-this" in worker.last_lines()


# Each of these is also run against a mutant that it has to catch (`tests/mutants/test_engine_mutants.py`).


def reads_on_after_its_progress(rig: Rig, mutants: str = "") -> None:
    first = Worker(rig, "0", static=False).start().wait_until_ready()
    rig.send(*(Event(f"case-{number}", 1) for number in range(10)))
    until(lambda: len(rig.said()) == 10, "the first ten")
    assert first.end(signal.SIGTERM) == 0
    rig.send(*(Event(f"case-{number}", 2) for number in range(10)))
    group_says(rig, [rig.end("source", partition) for partition in range(rig.partitions)])
    second = Worker(rig, "0", static=False, MUTANTS=mutants).start()
    try:
        until(lambda: second.quiescent() or not second.running, "quiescent")
        assert len(rig.said()) == 20, second.last_lines()
        assert_sound(rig)
    finally:
        second.end()


def group_says(rig: Rig, offsets: list[int]) -> None:
    """Set the group's committed offsets, which takes until its last member is gone."""
    places = [
        TopicPartition(rig.topic("source"), partition, offset) for partition, offset in enumerate(offsets)
    ]
    admin = AdminClient(rig.client)

    def accepted() -> bool:
        request = ConsumerGroupTopicPartitions(rig.app, places)
        try:
            done = admin.alter_consumer_group_offsets([request])[rig.app].result(30)
        except KafkaException:
            return False
        return all(place.error is None for place in done.topic_partitions)

    until(accepted, "the group's offsets")


def test_a_worker_reads_on_after_its_progress_whatever_the_group_committed(rig: Rig) -> None:
    reads_on_after_its_progress(rig)


def acknowledges_after_the_commit(rig: Rig, mutants: str = "") -> None:
    worker = Worker(rig, "0", MUTANTS=mutants).start().wait_until_ready()
    try:
        for partition in range(rig.partitions):
            worker.arm("before_commit", "delay", match={"partition": str(partition)}, delay_ms=20_000)
        rig.send(*(Event(f"case-{number}", 1) for number in range(20)))
        acknowledged = 0
        while acknowledged < 20:
            acknowledged = sum(offset for offset in committed(rig) if offset != OFFSET_INVALID)
            # Readers hear of a commit a moment after its writer; the mutant's transactions stay open for longer.
            heard_by_s = time.monotonic() + 10
            while len(rig.read("commands", whole=False)) < acknowledged:
                assert time.monotonic() < heard_by_s, "acknowledged before the commit"
        ends = [rig.end("source", partition) for partition in range(rig.partitions)]
        until(lambda: committed(rig) == ends, "the lag is gone")
    finally:
        worker.end()


def committed(rig: Rig) -> list[int]:
    consumer = Consumer({**rig.client, "group.id": rig.app})
    try:
        topic = rig.topic("source")
        places = [TopicPartition(topic, partition) for partition in range(rig.partitions)]
        return [place.offset for place in consumer.committed(places, timeout=60)]
    finally:
        consumer.close()


def test_the_group_hears_of_records_only_after_their_transaction(rig: Rig) -> None:
    acknowledges_after_the_commit(rig)


def stops_rather_than_skips(rig: Rig, mutants: str = "") -> None:
    worker = Worker(rig, "0", static=False, LOSE_DELIVERY="2", MUTANTS=mutants).start().wait_until_ready()
    try:
        for number in range(2):
            rig.send(Event("case", number))
            until(lambda: rig.end("source", 0) + rig.end("source", 1) == number + 1)  # noqa: B023 -- called at once
            if number == 0:
                until(lambda: len(rig.said()) == 1, "the first event")
        # The second delivery is lost on its way; the third tells.
        until(lambda: LOST in worker.log.read_text(errors="replace"), "the loss")
        rig.send(Event("case", 2))
        until(lambda: not worker.running or len(rig.said()) == 2, "the third delivery")
        assert worker.process is not None
        assert not worker.running, "records were skipped"
        assert worker.process.wait(10) == Gap.exit_code
    finally:
        worker.end()
    again = Worker(rig, "0", static=False).start()
    try:
        until(lambda: len(rig.said()) == 3, "all three")
        until(again.quiescent, "quiescent")
        assert_sound(rig)
    finally:
        again.end()


def test_a_worker_stops_rather_than_skips_and_then_reads_again(rig: Rig) -> None:
    stops_rather_than_skips(rig)


def test_a_worker_refuses_to_go_on_where_retention_removed_what_nobody_had_processed(rig: Rig) -> None:
    rig.send(*(Event(f"case-{number}", 1) for number in range(20)))
    admin = AdminClient(rig.client)
    places = [TopicPartition(rig.topic("source"), partition, 2) for partition in range(rig.partitions)]
    for future in admin.delete_records(places).values():
        future.result(30)
    worker = Worker(rig, "0").start()
    try:
        until(lambda: not worker.running, "its end")
        assert worker.end() == SourceTruncated.exit_code
        assert "processed up to -1, the source begins at 2" in worker.last_lines()
        assert rig.said() == []
    finally:
        worker.end()


def test_a_worker_whose_disk_is_full_says_so_and_the_next_one_with_room_goes_on(rig: Rig) -> None:
    narrow = Worker(rig, "0", FILE_BYTES_MAX=str(1 << 17)).start()
    try:
        rig.send(*(Event(f"case-{number % 500}", number) for number in range(10_000)))
        until(lambda: not narrow.running, "its end")
        assert narrow.end() == EXIT_STORE_FULL
    finally:
        narrow.end()
    roomy = Worker(rig, "0").start()
    try:
        until(lambda: len(rig.said()) == 10_000, "every answer")
        until(roomy.quiescent, "quiescent")
        assert_sound(rig)
    finally:
        roomy.end()


def test_a_partition_that_another_took_is_given_up_while_the_others_go_on(rig: Rig, tmp_path: Path) -> None:
    worker = Worker(rig, "0", session_s=5).start().wait_until_ready()
    other = None
    try:
        rig.send(*(Event(f"case-{number}", 1) for number in range(10)))
        until(lambda: len(rig.said()) == 10, "the first ten")
        other = Run(rig, 0, folder=tmp_path / "thief")
        rig.send(*(Event(f"case-{number}", 2) for number in range(10)))
        until(lambda: "partition 0 was given up" in worker.ask("/readyz")[1], "giving it up")
        assert worker.ask("/livez")[0] == 200
        elsewhere = [n for n in range(10) if partition_of(b"case-%d" % n, 2) == 1]
        until(lambda: len(rig.said()) >= 10 + len(elsewhere), "the other partition's")
        # Still ours after two sessions: somebody has to look.
        assert worker.process is not None
        assert worker.process.wait(60) == Fenced.exit_code
    finally:
        worker.end()
        if other is not None:
            other.close()


def test_a_quick_restart_with_an_ordinal_moves_no_partition(rig: Rig) -> None:
    """Static membership: the others go on undisturbed while one of them is replaced."""
    workers = [Worker(rig, name, session_s=60).start() for name in "01"]
    try:
        for worker in workers:
            worker.wait_until_ready()
        rig.send(*(Event(f"case-{number}", 1) for number in range(10)))
        until(lambda: len(rig.said()) == 10, "the first ten")
        until(lambda: all(worker.quiescent() for worker in workers), "rest")
        before = workers[1].log.read_text(errors="replace").count("Revoking previously assigned")
        workers[0].end(signal.SIGKILL)
        workers[0].start().wait_until_ready()
        rig.send(*(Event(f"case-{number}", 2) for number in range(10)))
        until(lambda: len(rig.said()) == 20, "the other ten")
        assert workers[1].log.read_text(errors="replace").count("Revoking previously assigned") == before
        assert_sound(rig)
    finally:
        for worker in workers:
            worker.end()
