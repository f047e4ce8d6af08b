"""The ledger against a real broker: what it promises when all goes well, and at each way it may not."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import Producer

from streams.core import Batch, Record
from streams.outcomes import Fenced, Gap, PoisonStreak
from streams.traces import own
from tests.streams.job import Event
from tests.streams.rig import Rig, Run

pytestmark = pytest.mark.real


@pytest.fixture
def rig(bootstrap: str, tmp_path: Path) -> Rig:
    return Rig(bootstrap, tmp_path)


@pytest.fixture
def run(rig: Rig) -> Iterator[Run]:
    run = Run(rig)
    yield run
    run.close()


def test_commands_states_and_progress_become_visible_together(rig: Rig, run: Run) -> None:
    rig.send(Event("a", 1), Event("b", 2), Event("a", 3))
    run.processed(2)
    assert [(said.command_id, said.steps) for said in rig.said()] == [
        ("a~1.0", 1),
        ("b~2.0", 1),
        ("a~1.1", 2),
    ]
    assert set(run.states()) == {b"a", b"b"}
    batches = rig.batches()
    assert batches[0].before == -1
    assert batches[-1].after == 2


def test_a_repeat_of_an_event_changes_nothing_and_says_nothing(rig: Rig, run: Run) -> None:
    rig.send(Event("a", 1), Event("a", 1))
    run.processed(1)
    assert len(rig.said()) == 1


def test_a_deadline_fires_once_and_never_early(rig: Rig, run: Run) -> None:
    rig.send(Event("a", 1, wait_ms=300))
    run.processed(0)
    run.until(lambda: run.ledger.tally.fired, "the deadline")
    (fired,) = [fired for batch in rig.batches() for fired in batch.fired]
    assert fired.now_ms >= fired.due_ms
    assert [said.why for said in rig.said()] == ["step", "deadline"]
    assert run.ledger.next_due_ms() > fired.now_ms


def test_a_deadline_that_was_put_off_fires_only_at_its_new_instant(rig: Rig, run: Run) -> None:
    ledger = run.ledger
    start = ledger.clock_ms()
    asks = [msgspec.json.encode(Event("a", number, wait_ms=wait)) for number, wait in ((1, 400), (2, 900))]
    ledger.step(Batch(-1, [Record(0, start, b"a", asks[0]), Record(1, start + 100, b"a", asks[1])]))
    ledger.step(Batch(1, [], start + 999))
    assert (ledger.tally.fired, ledger.tally.stale) == (0, 1)
    ledger.step(Batch(1, [], start + 1_000))
    (fired,) = [fired for batch in rig.batches() for fired in batch.fired]
    assert (fired.version, fired.due_ms) == (2, start + 1_000)


def test_an_answer_in_time_wins_over_its_deadline_whatever_the_lag(rig: Rig, run: Run) -> None:
    """The event was appended before the deadline and is read long after it."""
    ledger = run.ledger
    start = ledger.clock_ms()
    ask = msgspec.json.encode(Event("a", 1, wait_ms=1_000))
    ledger.step(Batch(-1, [Record(0, start, b"a", ask)]))
    answer = Record(1, start + 999, b"a", msgspec.json.encode(Event("a", 2, wait_ms=60_000)))
    other = Record(2, start + 5_000, b"b", msgspec.json.encode(Event("b", 3)))
    ledger.step(Batch(0, [answer, other], start + 9_000))
    assert ledger.tally.fired == 0


def test_a_deadline_before_the_event_is_decided_before_it(rig: Rig, run: Run) -> None:
    ledger = run.ledger
    start = ledger.clock_ms()
    ask = msgspec.json.encode(Event("a", 1, wait_ms=1_000))
    late = msgspec.json.encode(Event("a", 2))
    ledger.step(Batch(-1, [Record(0, start, b"a", ask), Record(1, start + 1_000, b"a", late)]))
    assert [said.why for said in rig.said()] == ["step", "deadline", "step"]


def test_a_wave_of_deadlines_fires_in_order_and_in_bounded_transactions(rig: Rig) -> None:
    run = Run(rig, fires_max=10)
    start = run.ledger.clock_ms()
    asks = [Event(f"case-{number}", number, wait_ms=1 + number) for number in range(50)]
    records = [Record(ask.id, start, ask.case.encode(), msgspec.json.encode(ask)) for ask in asks]
    run.ledger.step(Batch(-1, records))
    while run.ledger.tally.fired < 50:
        run.ledger.step(Batch(49, [], start + 1_000))
    fired = [batch.fired for batch in rig.batches() if batch.fired]
    assert max(len(some) for some in fired) == 10
    dues = [one.due_ms for some in fired for one in some]
    assert dues == sorted(dues)
    run.close()


def test_a_finished_case_is_removed_by_the_deadline_index_with_a_tombstone(rig: Rig, run: Run) -> None:
    rig.send(Event("a", 1, "finish", wait_ms=50))
    run.processed(0)
    run.until(lambda: run.ledger.tally.fired, "the removal")
    assert run.states() == {}
    assert [message.value() for message in rig.read("changelog") if message.key() == b"a"][-1] is None


def test_a_restart_on_a_warm_disk_reads_only_its_own_fence(rig: Rig, run: Run) -> None:
    rig.send(Event("a", 1, wait_ms=60_000))
    run.processed(0)
    run.close()
    again = Run(rig)
    assert again.ledger.progress.offset == 0
    assert again.ledger.tally.restored == 1
    rig.send(Event("a", 2))
    again.processed(1)
    assert [said.command_id for said in rig.said()] == ["a~1.0", "a~1.1"]
    again.close()


def test_an_empty_disk_is_restored_to_the_same_states_and_deadlines(
    rig: Rig, run: Run, tmp_path: Path
) -> None:
    rig.send(Event("a", 1, wait_ms=600_000), Event("b", 2), Event("c", 3, "finish", wait_ms=1))
    run.processed(2)
    run.until(lambda: run.ledger.tally.fired, "the removal of c")
    before, now_ms = run.states(), run.ledger.clock_ms()
    run.close()
    fresh = Run(rig, folder=tmp_path / "elsewhere")
    assert fresh.states() == before
    offset = fresh.ledger.progress.offset
    fresh.ledger.step(Batch(offset, [], now_ms + 500_000))
    assert fresh.ledger.tally.fired == 0
    fresh.ledger.step(Batch(offset, [], now_ms + 600_000))
    assert [fired.key for fired in rig.batches()[-1].fired] == [b"a"]
    fresh.close()


def test_the_older_of_two_owners_is_fenced_and_its_work_is_never_seen(
    rig: Rig, run: Run, tmp_path: Path
) -> None:
    rig.send(Event("a", 1))
    newer = Run(rig, folder=tmp_path / "newer")
    with pytest.raises(Fenced):
        run.processed(0)
    newer.processed(0)
    assert len(rig.said()) == 1
    newer.close()


def test_a_delivery_that_starts_beyond_progress_is_refused(run: Run) -> None:
    with pytest.raises(Gap):
        run.ledger.step(Batch(4, []))


def test_what_was_processed_before_is_skipped_when_it_is_delivered_again(rig: Rig, run: Run) -> None:
    rig.send(Event("a", 1), Event("a", 2))
    run.processed(1)
    again = [Record(0, 1, b"a", msgspec.json.encode(Event("a", 77)))]
    run.ledger.step(Batch(-1, again))
    assert run.ledger.progress.offset == 1
    assert len(rig.said()) == 2


def test_an_undecodable_record_goes_to_quarantine_byte_identical_with_its_reasons(rig: Rig, run: Run) -> None:
    rig.send(b"\xff\x00garbage", key=b"a")
    rig.send(Event("a", 1))
    run.processed(1)
    (record,) = rig.read("quarantine")
    headers = dict(record.headers())
    assert (record.key(), record.value()) == (b"a", b"\xff\x00garbage")
    assert headers["original-offset"] == b"0"
    assert headers["original-topic"] == rig.topic("source").encode()
    assert headers["reason"]
    assert len(rig.said()) == 1


def test_a_record_that_decide_fails_on_is_quarantined_and_its_case_is_handed_to_people(
    rig: Rig, run: Run
) -> None:
    rig.send(Event("a", 1), Event("a", 2, "poison"), Event("b", 3))
    run.processed(2)
    (record,) = rig.read("quarantine")
    reason = dict(record.headers())["reason"]
    assert reason.startswith(b"ValueError")
    assert b"decide" in reason
    assert b"SECRETa" not in reason, "an exception's text may quote a customer"
    assert [said.why for said in rig.said()] == ["step", "stuck:ValueError", "step"]
    assert b'"stuck":true' in run.states()[b"a"]


def test_a_deadline_that_decide_fails_on_is_quarantined_and_does_not_fire_again(rig: Rig, run: Run) -> None:
    rig.send(Event("a", 1, "bomb", wait_ms=1))
    run.processed(0)
    run.until(lambda: run.ledger.tally.stuck, "the bomb")
    run.step()
    (record,) = rig.read("quarantine")
    assert (record.key(), record.value()) == (b"a", None)
    assert dict(record.headers())["deadline-version"] == b"1"
    assert run.ledger.tally.fired == 1


def test_five_failures_in_a_row_stop_the_worker_with_nothing_committed(rig: Rig, run: Run) -> None:
    poison = [Event(f"c{number}", number, "poison") for number in range(5)]
    records = [
        Record(number, 0, event.case.encode(), msgspec.json.encode(event))
        for number, event in enumerate(poison)
    ]
    with pytest.raises(PoisonStreak):
        run.ledger.step(Batch(-1, records))
    assert rig.said() == []
    assert rig.read("quarantine") == []


def test_failures_between_successes_do_not_stop_the_worker(rig: Rig, run: Run) -> None:
    for number in range(6):
        rig.send(Event("a", 2 * number, "poison"), Event("b", 2 * number + 1))
    run.processed(11)
    assert run.ledger.tally.stuck == 6


def test_a_condition_of_the_whole_partition_is_kept_and_handed_to_every_decision(rig: Rig, run: Run) -> None:
    rig.send(Event("*", 1, "switch", wait_ms=1), Event("a", 2))
    run.processed(1)
    run.close()
    again = Run(rig)
    rig.send(Event("a", 3), Event("*", 4, "switch"), Event("a", 5))
    again.processed(4)
    assert [said.muted for said in rig.said()] == [True, True, False]
    again.close()


def test_the_trace_of_an_event_is_carried_to_what_it_caused(rig: Rig, run: Run) -> None:
    rig.send(Event("a", 1), headers=[("traceparent", b"00-ab-cd-01"), ("other", b"x")])
    run.processed(0)
    (command,) = rig.read("commands")
    assert command.headers() == [("traceparent", b"00-ab-cd-01")]


def test_a_deadline_goes_on_with_the_trace_that_its_conversation_named_last(rig: Rig, run: Run) -> None:
    rig.send(Event("a", 1, wait_ms=50), headers=[("traceparent", b"00-ab-cd-01")])
    rig.send(Event("b", 2, wait_ms=50))
    run.until(lambda: len(rig.said()) == 4, "the deadlines")
    traces = {
        (message.key(), tuple(value for _, value in message.headers() or ()))
        for message in rig.read("commands")
    }
    # Where none was ever named, or it was forgotten in a failover, it is the order's own.
    assert traces == {(b"a", (b"00-ab-cd-01",)), (b"b", ()), (b"b", (own(b"b"),))}


def test_an_answer_in_a_transaction_that_is_still_open_holds_its_deadline_back(rig: Rig, run: Run) -> None:
    """It was appended in time, whenever it is committed."""
    sender = Producer({**rig.client, "transactional.id": f"{rig.app}-sender"})
    sender.init_transactions(30)
    sender.begin_transaction()
    rig.send(Event("a", 1, wait_ms=4_000))
    sender.produce(rig.topic("source"), msgspec.json.encode(Event("a", 2, wait_ms=60_000)), b"a")
    sender.flush(30)
    run.processed(0)
    due_ms = run.ledger.next_due_ms()
    run.until(lambda: run.ledger.clock_ms() > due_ms + 500, "the deadline to pass")
    assert run.ledger.tally.fired == 0
    sender.commit_transaction(30)
    run.processed(1)
    assert [said.why for said in rig.said()] == ["step", "step"]
    # The marker of the transaction is the last in the source: it hides no end.
    rig.send(Event("b", 3))
    run.processed(3)


def test_a_marker_at_the_end_of_the_source_does_not_hold_deadlines_back(rig: Rig, run: Run) -> None:
    sender = Producer({**rig.client, "transactional.id": f"{rig.app}-sender"})
    sender.init_transactions(30)
    sender.begin_transaction()
    sender.produce(rig.topic("source"), msgspec.json.encode(Event("a", 1, wait_ms=100)), b"a")
    sender.commit_transaction(30)
    run.until(lambda: run.ledger.tally.fired, "the deadline")
