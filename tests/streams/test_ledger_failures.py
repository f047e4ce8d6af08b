"""Bad input and broken surroundings: each has a named outcome, and nothing is lost or doubled."""

import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from connectors.clock import SystemClock
from schemas.errors import Malformed
from state.rocks import StoreFull, StoreTaken
from streams.core import Batch, Record
from streams.envelope import PROGRESS
from streams.failpoints import Failpoint, Failpoints
from streams.outcomes import (
    ClockApart,
    Fenced,
    ForeignRecord,
    SourceTruncated,
    UnreadableState,
    Unsettled,
)
from streams.placement import partition_of
from streams.quarantine import BYTES_MAX, HEADERS_BYTES
from streams.transactions import Transactions
from tests.streams.job import Case, Event, Job
from tests.streams.rig import Rig, Run, until
from tests.streams.test_crashes import assert_sound
from tests.world.kafka import Kafka, Node

pytestmark = pytest.mark.real


@pytest.fixture
def rig(bootstrap: str, tmp_path: Path) -> Rig:
    return Rig(bootstrap, tmp_path)


@pytest.fixture
def run(rig: Rig) -> Iterator[Run]:
    run = Run(rig)
    yield run
    run.close()


def reasons(rig: Rig) -> list[bytes]:
    return [dict(record.headers())["reason"] for record in rig.read("quarantine")]


class ShiftedClock(SystemClock):
    """The machine's clock, stepped by hand."""

    def __init__(self, shift: timedelta = timedelta()) -> None:
        self.shift = shift

    def now(self) -> datetime:
        return super().now() + self.shift


# Records


def test_a_record_over_the_limit_goes_to_quarantine_whole(rig: Rig) -> None:
    run = Run(rig, record_bytes_max=1_000)
    rig.send(b"x" * 2_000, key=b"a")
    rig.send(Event("a", 1))
    run.processed(1)
    (record,) = rig.read("quarantine")
    assert len(record.value()) == 2_000
    assert b"over" in reasons(rig)[0] or b"may have" in reasons(rig)[0]
    run.close()


def test_a_record_without_a_value_goes_to_quarantine(rig: Rig, run: Run) -> None:
    rig._producer.produce(rig.topic("source"), None, b"a", partition=0)
    rig.send(Event("a", 1))
    run.processed(1)
    assert len(reasons(rig)) == 1


def test_a_record_under_a_wrong_key_goes_to_quarantine(rig: Rig, run: Run) -> None:
    rig.send(Event("a", 1), key=b"b")
    rig.send(Event("b", 2))
    run.processed(1)
    assert reasons(rig) == [b"the record's key is not that of its content"]
    assert set(run.states()) == {b"b"}


def test_a_record_of_another_partition_goes_to_quarantine_rather_than_opening_a_second_case(rig: Rig) -> None:
    run = Run(rig, partitions=2)
    strange = next(name for name in "abcdefgh" if partition_of(name.encode(), 2) == 1)
    rig.send(Event(strange, 1))
    run.processed(0)
    assert reasons(rig) == [b"the key belongs to partition 1 of 2"]
    assert run.states() == {}
    run.close()


@pytest.mark.parametrize("name", ["", "\x00progress"])
def test_a_key_that_could_meet_our_own_goes_to_quarantine(rig: Rig, run: Run, name: str) -> None:
    rig.send(Event(name, 1))
    run.processed(0)
    assert reasons(rig) == [b"the key is empty or begins with NUL"]
    assert run.ledger.progress.offset == 0


def test_placement_is_the_java_clients() -> None:
    # Figures of Kafka's own test, UtilsTest.testMurmur2.
    from streams.placement import murmur2

    known = {b"21": -973932308, b"foobar": -790332482, b"a-little-bit-long-string": -985981536}
    assert {key: murmur2(key) for key in known} == {key: value % 2**32 for key, value in known.items()}


class Picky(Job):
    """Finds far more wrong with a small record than fits beside it."""

    def decode(self, record: Record) -> Event:
        if record.value == b"wrong":
            raise Malformed([f"options[{n}].components[0].allergens[0]: is empty" for n in range(30_000)])
        return super().decode(record)


def test_a_record_with_more_reasons_than_there_is_room_for_goes_to_quarantine_with_the_first(
    rig: Rig,
) -> None:
    run = Run(rig, core=Picky(rig.topic("commands")), reopen_max=0)
    rig.send(b"wrong", key=b"a")
    run.processed(0)
    (record,) = rig.read("quarantine")
    told = [text for name, text in record.headers() if name == "reason"]
    assert told[0] == b"options[0].components[0].allergens[0]: is empty"
    assert told[-1] == b"and %d more" % (30_000 - len(told) + 1)
    assert sum(map(len, told)) < HEADERS_BYTES
    run.close()


def test_a_header_that_is_no_trace_is_not_carried_to_what_is_larger_than_its_record(rig: Rig) -> None:
    run = Run(rig, reopen_max=0)
    stranger = Producer({**rig.client, "message.max.bytes": BYTES_MAX})
    refused: list[object] = []

    def delivered(error: object, _message: object) -> None:
        refused.append(error)

    value, key = msgspec.json.encode(Event("a", 1)), b"a"
    # As long as the broker takes it with the event, so that it does not with the longer command.
    for size in range(1_048_588, 0, -8):
        stranger.produce(
            rig.topic("source"), value, key, on_delivery=delivered, headers=[("traceparent", bytes(size))]
        )
        assert stranger.flush(30) == 0
        if refused.pop() is None:
            break
    run.processed(0)
    (command,) = rig.read("commands")
    assert command.headers() is None
    run.close()


class Verbose(Job):
    """Makes a state over the limit for one event."""

    def encode_state(self, state: Case) -> bytes:
        return super().encode_state(state) + b" " * (5_000 if state.steps == 2 else 0)


def test_a_state_over_the_limit_is_poison_rather_than_a_broken_transaction(rig: Rig) -> None:
    run = Run(rig, core=Verbose(rig.topic("commands")), record_bytes_max=2_000)
    rig.send(Event("a", 1), Event("a", 2), Event("b", 3))
    run.processed(2)
    assert reasons(rig)[0].startswith(b"_TooLarge")
    assert b'"stuck":true' in run.states()[b"a"]
    run.close()


class Unmoving(Job):
    """Its deadlines come again at once."""

    def decide(self, state: Any, event: Any, now_ms: int, rules: Any) -> Any:
        return super().decide(state, event, now_ms, rules) if isinstance(event, Event) else (state, ())


def test_a_deadline_that_does_not_move_is_poison_rather_than_an_endless_loop(rig: Rig) -> None:
    run = Run(rig, core=Unmoving(rig.topic("commands")))
    rig.send(Event("a", 1, wait_ms=1))
    run.processed(0)
    run.until(lambda: run.ledger.tally.stuck, "stuck")
    run.step()
    assert run.ledger.tally.fired == 1
    run.close()


# The changelog and the disk


def test_a_foreign_record_in_the_changelog_is_refused(rig: Rig, run: Run) -> None:
    run.close()
    stranger = Producer(rig.client)
    stranger.produce(rig.topic("changelog"), b'{"not": "ours"}', b"a", partition=0)
    assert stranger.flush(30) == 0
    with pytest.raises(ForeignRecord, match="key b'a'"):
        Run(rig)


def test_a_corrupt_table_file_is_restored_from_the_changelog(rig: Rig, run: Run) -> None:
    rig.send(*(Event(f"case-{number}", number, wait_ms=60_000) for number in range(500)))
    run.processed(499)
    before = run.states()
    run.ledger._store._database.get_column_family("states").flush()
    run.close()
    for table in run.ledger.settings.folder.glob("*.sst"):
        content = bytearray(table.read_bytes())
        content[len(content) // 4 : len(content) // 2] = bytes(len(content) // 2 - len(content) // 4)
        table.write_bytes(content)
    again = Run(rig, states_in_memory_max=2)
    rig.send(*(Event(f"case-{number}", 1_000 + number) for number in range(500)))
    again.processed(999)
    assert again.ledger.tally.wiped == 1
    assert set(again.states()) == set(before)
    assert [said.steps for said in rig.said()] == [1] * 500 + [2] * 500
    again.close()


@pytest.mark.parametrize("family", ["states", "deadlines"])
def test_a_block_that_is_corrupt_where_opening_reads_first_is_restored_from_the_changelog(
    rig: Rig, run: Run, family: str
) -> None:
    """The notes are sound, so that nothing but the reading of this family can tell."""
    rig.send(*(Event(f"case-{number}", number, wait_ms=600_000) for number in range(500)))
    run.processed(499)
    before, folder = run.states(), run.ledger.settings.folder
    database = run.ledger._store._database
    tables = {}
    for name in ("notes", "states", "deadlines"):
        known = set(folder.glob("*.sst"))
        database.get_column_family(name).flush()
        tables[name] = set(folder.glob("*.sst")) - known
    run.close()
    (table,) = tables[family]
    content = bytearray(table.read_bytes())
    content[:100] = bytes(100)
    table.write_bytes(content)
    again = Run(rig)
    assert again.ledger.tally.wiped == 1
    assert again.states() == before
    assert again.ledger.next_due_ms() > again.ledger.clock_ms()
    again.close()


def test_a_full_disk_stops_the_partition_and_the_transaction_that_was_committed_counts_once(
    rig: Rig, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.send(Event("a", 1))

    def full(_: Any) -> None:
        raise StoreFull("No space left on device")

    monkeypatch.setattr(run.ledger._store, "apply", full)
    with pytest.raises(StoreFull):
        run.processed(0)
    assert len(rig.said()) == 1
    run.close()
    with_room = Run(rig)
    assert with_room.ledger.progress.offset == 0
    assert with_room.ledger.tally.restored > 1
    assert len(rig.said()) == 1
    with_room.close()


def test_a_folder_that_another_process_works_in_is_refused(rig: Rig, run: Run) -> None:
    with pytest.raises(StoreTaken):
        Run(rig)


def test_a_state_that_cannot_be_decoded_stops_the_worker(rig: Rig, run: Run) -> None:
    rig.send(Event("a", 1))
    run.processed(0)
    run.close()

    class Older(Job):
        def decode_state(self, key: bytes, data: bytes) -> Case:
            raise ValueError("a field that I do not know")

    older = Run(rig, core=Older(rig.topic("commands")))
    rig.send(Event("a", 2))
    with pytest.raises(UnreadableState):
        older.processed(1)
    older.close()


def test_a_disk_that_is_ahead_of_the_changelog_is_wiped(rig: Rig, run: Run) -> None:
    """As after an unclean election, or a topic that was made anew."""
    rig.send(*(Event("a", number) for number in range(20)))
    run.processed(19)
    run.close()
    admin = AdminClient(rig.client)
    admin.delete_topics([rig.topic("changelog")])[rig.topic("changelog")].result(30)
    until(lambda: rig.topic("changelog") not in admin.list_topics(timeout=60).topics, "the deletion")
    rig.create("changelog")
    again = Run(rig)
    assert again.ledger.tally.wiped == 1
    assert again.ledger.progress.offset == -1
    again.close()


def test_a_disk_that_is_older_than_tombstones_live_is_wiped(rig: Rig, run: Run) -> None:
    rig.send(Event("a", 1))
    run.processed(0)
    run.close()
    until(lambda: True)
    again = Run(rig, disk_age_max_ms=-1)
    assert again.ledger.tally.wiped == 1
    assert set(again.states()) == {b"a"}
    again.close()


def test_a_disk_of_another_app_is_wiped(rig: Rig, run: Run, tmp_path: Path, bootstrap: str) -> None:
    rig.send(Event("a", 1))
    run.processed(0)
    run.close()
    other = Rig(bootstrap, tmp_path)
    again = Run(other)
    assert again.ledger.tally.wiped == 1
    assert again.states() == {}
    again.close()


def test_a_restore_beside_a_running_compaction_ends_in_the_same_states(
    bootstrap: str, tmp_path: Path
) -> None:
    rig = Rig(
        bootstrap,
        tmp_path,
        changelog={
            "segment.bytes": "1048576",
            "segment.ms": "100",
            "min.cleanable.dirty.ratio": "0.001",
            "delete.retention.ms": "1",
            "max.compaction.lag.ms": "100",
        },
    )
    run = Run(rig)
    for round_number in range(6):
        rig.send(*(Event(f"case-{n % 50}", 1_000 * round_number + n, wait_ms=600_000) for n in range(1_000)))
        rig.send(Event(f"gone-{round_number}", 1, "finish", wait_ms=1))
        run.processed(1_001 * (round_number + 1) - 1)
    run.until(lambda: run.ledger.tally.fired == 6, "the removals")
    before = run.states()
    run.close()
    for attempt in range(5):
        again = Run(rig, folder=tmp_path / f"fresh-{attempt}")
        assert again.states() == before
        again.close()


# The source


def test_retention_that_passed_progress_is_a_named_outcome(rig: Rig, run: Run) -> None:
    rig.send(Event("a", 1), Event("a", 2), Event("a", 3))
    place = TopicPartition(rig.topic("source"), 0, 2)
    admin = AdminClient(rig.client)
    admin.delete_records([place])[place].result(30)
    with pytest.raises(SourceTruncated, match="begins at 2"):
        run.source.seek()


# Time


@pytest.mark.parametrize("minutes", [10, -10])
def test_a_clock_ten_minutes_apart_gives_the_partition_up_before_anything_is_decided(
    rig: Rig, minutes: int
) -> None:
    with pytest.raises(ClockApart):
        Run(rig, clock=ShiftedClock(timedelta(minutes=minutes)))


@pytest.mark.parametrize("step", [timedelta(minutes=10), timedelta(minutes=-10)])
def test_a_clock_that_steps_fires_nothing_early_or_late_and_is_noticed(rig: Rig, step: timedelta) -> None:
    clock = ShiftedClock()
    run = Run(rig, clock=clock, clock_check_s=600.0)
    rig.send(Event("a", 1, wait_ms=300_000), Event("b", 2, wait_ms=100))
    run.processed(1)
    clock.shift = step
    run.until(lambda: run.ledger.tally.fired, "the deadline of b")
    fired = [fired for batch in rig.batches() for fired in batch.fired]
    assert [one.key for one in fired] == [b"b"]
    assert 0 <= fired[0].now_ms - fired[0].due_ms < 300_000
    # It is noticed when the clocks are compared next.
    run.ledger._check_at_s = 0.0
    with pytest.raises(ClockApart):
        run.step()
    run.close()


def test_a_source_that_is_stamped_ten_minutes_ahead_fires_nothing_and_is_a_named_outcome(
    rig: Rig, run: Run
) -> None:
    """Its leader need not be the broker that stamps the changelog."""
    ledger, start_ms = run.ledger, run.ledger.clock_ms()
    ask, other = (msgspec.json.encode(Event(name, 1, wait_ms=300_000)) for name in "ab")
    ledger.step(Batch(-1, [Record(0, start_ms, b"a", ask)]))
    with pytest.raises(ClockApart):
        # Even if the next one has the right time again.
        ledger.step(Batch(0, [Record(1, start_ms + 600_000, b"b", other), Record(2, start_ms, b"b", other)]))
    assert [said.why for said in rig.said()] == ["step"]


def test_an_idle_partition_compares_its_clock_too_and_stays_fit(rig: Rig) -> None:
    run = Run(rig, clock_check_s=0.2)
    run.until(lambda: run.ledger.tally.transactions >= 3, "three beats")
    assert run.ledger.progress.offset == -1
    run.close()


class SlowAnswer(Transactions):
    """Tells half a second late that a commit was one."""

    def commit(self, last_record: Any) -> None:
        super().commit(last_record)
        threading.Event().wait(0.5)


def test_an_answer_that_comes_late_is_no_clock_that_is_ahead(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.ledger.Transactions", SlowAnswer)
    run = Run(rig, clock_apart_max_ms=400)
    assert abs(run.ledger.tally.clock_apart_ms) < 400
    assert run.ledger.beat_due()
    rig.send(Event("a", 1))
    clock_ms = run.ledger.clock_ms()
    # Read after it: what lies between the two readings makes the bound no stricter.
    behind_ms = time.monotonic() * 1000 - clock_ms
    run.processed(0)
    # Its record is half a second old: that is not taken for the time, which the clock before knew better.
    assert time.monotonic() * 1000 - run.ledger.clock_ms() <= behind_ms + 1
    run.close()


# Transactions


class Unsure(Transactions):
    """Loses the answer of one commit; `committed` says what really happened to it."""

    committed = True
    left = 0

    def commit(self, last_record: Any) -> None:
        if type(self).left == 0:
            return super().commit(last_record)
        type(self).left -= 1
        if self.committed:
            super().commit(last_record)
        raise Unsettled("no answer")


@pytest.mark.parametrize("committed", [True, False])
def test_an_unknown_commit_result_is_settled_by_taking_over_again(
    rig: Rig, run: Run, monkeypatch: pytest.MonkeyPatch, committed: bool
) -> None:
    monkeypatch.setattr("streams.ledger.Transactions", Unsure)
    monkeypatch.setattr(Unsure, "committed", committed)
    run.close()
    unsure = Run(rig)
    rig.send(Event("a", 1, wait_ms=60_000), Event("a", 1), Event("b", 2))
    Unsure.left = 1
    unsure.processed(2)
    assert unsure.ledger.tally.reopened == 1
    assert [said.command_id for said in rig.said()] == ["a~1.0", "b~2.0"]
    assert set(unsure.states()) == {b"a", b"b"}
    unsure.close()


def test_an_unknown_result_of_the_fences_own_commit_is_settled_by_taking_over_again(
    rig: Rig, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.ledger.Transactions", Unsure)
    run.close()
    Unsure.left = 1
    again = Run(rig)
    assert again.ledger.tally.reopened == 1
    again.close()


def test_a_transaction_that_outlives_its_time_is_void(rig: Rig) -> None:
    failpoints = Failpoints()
    run = Run(rig, failpoints=failpoints, transaction_timeout_ms=3_000)
    # The broker looks for overdue ones every second.
    failpoints.arm(Failpoint("before_commit", "delay", delay_ms=15_000))
    rig.send(Event("a", 1))
    # The broker cannot tell an overdue owner from a replaced one.
    with pytest.raises(Fenced):
        run.processed(0)
    assert rig.said() == []
    run.close()
    again = Run(rig)
    again.processed(0)
    assert [said.command_id for said in rig.said()] == ["a~1.0"]
    again.close()


def test_only_what_is_committed_is_on_the_disk(rig: Rig, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """L1, seen at the instant before the commit."""
    seen: list[Any] = []
    commit = Transactions.commit

    def look(self: Transactions, last_record: Any) -> None:
        seen.append((dict(run.ledger._store.all_states()).get(b"a"), run.ledger._store.state(PROGRESS)))
        commit(self, last_record)

    monkeypatch.setattr(Transactions, "commit", look)
    rig.send(Event("a", 1))
    run.processed(0)
    assert seen[0] == (None, None)


class Forgetful(Kafka):
    """Forgets a transactional id that nobody used for a second, in place of a week."""

    def _properties(self, node: Node) -> str:
        return super()._properties(node) + (
            "transactional.id.expiration.ms=1000\n"
            "transaction.remove.expired.transaction.cleanup.interval.ms=500\n"
        )


def forgotten(rig: Rig) -> bool:
    """Whether the coordinator removed what it knew of the rig's only transactional id."""
    consumer = Consumer({**rig.client, "group.id": "forgotten", "enable.partition.eof": True})
    topic, known = "__transaction_state", None
    partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
    consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
    ended = 0
    while ended < len(partitions):
        message = consumer.poll(30)
        assert message is not None
        if message.error() is not None:
            ended += 1
        elif f"{rig.app}-0".encode() in (message.key() or b""):
            known = message.value()
    consumer.close()
    return known is None


def test_an_owner_whose_transactional_id_expired_goes_on_and_so_does_the_next(tmp_path: Path) -> None:
    with Forgetful(tmp_path / "kafka", brief=True) as kafka:
        rig = Rig(kafka.bootstrap, tmp_path)
        run = Run(rig)
        rig.send(Event("a", 1))
        run.processed(0)
        until(lambda: forgotten(rig), "the id to expire under its owner")
        rig.send(Event("a", 2))
        run.processed(1)
        run.close()
        until(lambda: forgotten(rig), "the id to expire while nobody has it")
        again = Run(rig)
        assert again.ledger.tally.wiped == 0
        rig.send(Event("a", 3))
        again.processed(2)
        again.close()
        assert [said.command_id for said in rig.said()] == ["a~1.0", "a~1.1", "a~1.2"]
        assert_sound(rig)
