"""Fails when a new Faust or aiokafka moves something that the seam holds on to.

Then read the new source of what changed, see whether `streams/seam.py` still fits, and renew its digest.
"""

import asyncio
import hashlib
import inspect
from collections import defaultdict, deque
from collections.abc import Callable
from importlib.metadata import version
from types import SimpleNamespace
from typing import Any

import faust
import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.consumer import consumer
from aiokafka.consumer.fetcher import Fetcher, FetchResult, PartitionRecords
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.consumer.subscription_state import TopicPartitionState
from faust.app.base import App
from faust.stores.base import Store
from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery
from faust.transport.consumer import Consumer, ThreadDelegateConsumer
from faust.transport.drivers import aiokafka as stock
from faust.types import TP

from streams import seam, store
from streams.core import Record
from streams.delivery import GroupEngine
from streams.envelope import PROGRESS, seal
from streams.settings import WorkerSettings
from streams.worker import build
from tests.streams.job import Job
from tests.streams.rig import SystemClock

HELD = {
    # What we replace, and would therefore not notice when it gains a duty.
    Consumer.getmany: "4b168d84",
    Consumer._wait_next_records: "6218e196",
    Consumer._new_offset: "1d2c7ea8",
    stock.Consumer._new_consumer_thread: "0870ec53",
    stock.AIOKafkaConsumerThread.seek_to_committed: "775ab0ad",
    # What we rely on to call ours, in this order and with these arguments.
    ThreadDelegateConsumer.__init__: "7072ae80",
    stock.AIOKafkaConsumerThread._create_worker_consumer: "c2701bfc",
    stock.AIOKafkaConsumerThread._fetch_records: "39a2c6c7",
    stock.AIOKafkaConsumerThread._seek_wait: "9d221e81",
    Consumer._drain_messages: "44a25003",
    Consumer.perform_seek: "0e8c130f",
    Consumer.ack: "5fcf41cf",
    TableManager.on_start: "365dd25f",
    TableManager._update_channels: "88e3941f",
    Recovery.on_recovery_completed: "6ef567ac",
    Recovery._resume_streams: "d986a671",
    Recovery._build_offsets: "27eec86b",
    App._create_directories: "a9f571c3",
    App._on_partitions_revoked: "d5c895bb",
    App._on_partitions_assigned: "de932b79",
    App._stop_consumer: "55854a5d",
    Store.on_recovery_completed: "f23a8252",
    AIOKafkaConsumer.start: "2f1ba704",
    PartitionRecords._consumer_record: "e6685416",
    PartitionRecords._unpack_records: "b803e6d4",
    Fetcher._proc_fetch_request: "59bf948f",
    FetchResult.getall: "3e717e30",
    Fetcher.fetched_records: "be434889",
    TopicPartitionState.consumed_to: "c7b8f0f9",
    stock.AIOKafkaConsumerThread.on_start: "38b4e8bd",
    GroupCoordinator._push_error_to_user: "743ff515",
    GroupCoordinator.__init__: "9e729f07",
    GroupCoordinator._coordination_routine: "75273e12",
}


def digest(function: Callable[..., Any]) -> str:
    return hashlib.sha256(inspect.getsource(function).encode()).hexdigest()[:8]


@pytest.mark.parametrize("function", HELD, ids=lambda function: function.__qualname__)
def test_what_the_seam_holds_on_to_is_unchanged(function: Callable[..., Any]) -> None:
    assert digest(function) == HELD[function], f"{function.__qualname__} moved: read it again"


class Gate:
    """A consumer between its parts, without a broker: one partition with one record to deliver."""

    def __init__(self, *, actives_ready: bool, rebalancing: bool = False, flow_active: bool = True) -> None:
        tp = TP("source", 0)
        self.asked = 0
        self.closes_meanwhile = False
        consumer = self.consumer = seam.Consumer.__new__(seam.Consumer)
        tables = SimpleNamespace(actives_ready=actives_ready, changelog_topics=set())
        consumer.app = SimpleNamespace(tables=tables, rebalancing=rebalancing, consumer_generation_id=1)
        consumer.flow_active = flow_active
        consumer._active_partitions = {tp}
        consumer._engine = GroupEngine()
        consumer._outstanding = defaultdict(deque)
        consumer._after = {}
        consumer._read_offset = {}
        consumer._fetching = asyncio.Lock()
        consumer._thread = SimpleNamespace(getmany=self.getmany)
        consumer.sleep = asyncio.sleep

    async def getmany(self, wanted: set[TP], timeout: float) -> dict[TP, list[Any]]:  # noqa: ASYNC109 -- aiokafka's
        self.asked += 1
        self.consumer.app.rebalancing = self.closes_meanwhile
        record = Record(7, 1, b"k", b"v")
        return {tp: [record] for tp in wanted}

    def delivered(self) -> list[Any]:
        async def all_of_them() -> list[Any]:
            return [message async for _, message in self.consumer.getmany(0.01)]

        return asyncio.run(all_of_them())


def test_deliveries_pass_the_open_gate_and_say_where_they_start() -> None:
    (message,) = Gate(actives_ready=True).delivered()
    assert (message.value.starts_after, message.value.records[0].offset, message.offset) == (-1, 7, 7)


def test_what_was_fetched_while_the_gate_closed_is_missed_by_the_next_delivery() -> None:
    """Dropped records must show as a hole, in case no seek brings them back."""
    gate = Gate(actives_ready=True)
    gate.closes_meanwhile = True
    assert gate.delivered() == []
    gate.closes_meanwhile = gate.consumer.app.rebalancing = False
    (message,) = gate.delivered()
    assert message.value.starts_after == 7


def a_seek_waits_for_the_fetch_that_began_before_it() -> None:
    """Else that fetch takes what the seek makes ready, and drops it, since the gate is closed by then."""
    gate, order = Gate(actives_ready=True), []
    fetching, may_end = asyncio.Event(), asyncio.Event()

    async def slow(wanted: set[TP], timeout: float) -> dict[TP, list[Any]]:  # noqa: ASYNC109 -- aiokafka's
        fetching.set()
        await may_end.wait()
        order.append("fetched")
        return {}

    async def sought(positions: dict[TP, int]) -> None:
        order.append("sought")

    async def resumed(_: Any) -> None:
        pass

    consumer = gate.consumer
    consumer._thread = SimpleNamespace(
        getmany=slow,
        resume=resumed,
        assignment=lambda: {TP("source", 0)},
        known_position=lambda _: None,
    )
    consumer._engine.next_offset = lambda _: 5
    consumer.seek_wait = sought

    async def both() -> None:
        async def fetch() -> None:
            async for _ in consumer.getmany(1.0):
                pass

        fetch_task = asyncio.create_task(fetch())
        await fetching.wait()
        seek_task = asyncio.create_task(consumer.seek_to_committed())
        for _ in range(20):
            await asyncio.sleep(0)
        may_end.set()
        await asyncio.gather(fetch_task, seek_task)

    asyncio.run(both())
    assert order == ["fetched", "sought"]
    assert consumer._after == {TP("source", 0): 4}


def test_a_seek_waits_for_the_fetch_that_began_before_it() -> None:
    a_seek_waits_for_the_fetch_that_began_before_it()


def test_a_fetch_after_one_that_brought_records_lets_more_of_them_gather(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []

    async def fetch(_self: Any, _assignment: Any, _node: Any, number: int) -> bool:
        asked.append(number)
        return number == 2

    monkeypatch.setattr(Fetcher, "_proc_fetch_request", fetch)
    monkeypatch.setattr(seam, "GATHER_S", 3_600)

    async def fetches() -> None:
        one = seam.GatheringFetcher.__new__(seam.GatheringFetcher)
        for number in range(3):
            await one._proc_fetch_request(None, 1, number)
        gathering = asyncio.create_task(one._proc_fetch_request(None, 1, 3))
        for _ in range(20):
            await asyncio.sleep(0)
        gathering.cancel()
        # It ends as a fetch that is cancelled: what closes the consumer waits for it.
        assert await gathering is False

    asyncio.run(fetches())
    assert asked == [0, 1, 2]


def nothing_passes_a_closed_gate() -> None:
    """Between Faust's seek and its clearing of the queues, a delivery would vanish and be committed over."""
    for closed in (
        Gate(actives_ready=False),
        Gate(actives_ready=True, rebalancing=True),
        Gate(actives_ready=True, flow_active=False),
    ):
        assert closed.delivered() == []
        assert closed.asked == 0


def test_nothing_passes_a_closed_gate() -> None:
    nothing_passes_a_closed_gate()


def test_the_pinned_versions_are_the_ones_that_were_read() -> None:
    assert (version("faust-streaming"), version("aiokafka")) == ("0.15.3", "0.14.0")


def test_the_schemes_lead_to_our_transport_and_store() -> None:
    seam.register()
    store.register()
    assert faust.transport.by_url("saveline://127.0.0.1:9092") is seam.Transport
    assert faust.stores.by_url("ledger:") is store.LedgerStore
    assert consumer.Fetcher is seam.GatheringFetcher


def test_the_table_can_be_read_but_not_written() -> None:
    app = build(Job(), WorkerSettings(), SystemClock())
    cases = app.tables["cases"]
    assert b"nobody" not in cases.data
    with pytest.raises(store.WrittenElsewhere):
        cases.data[b"a"] = b"b"


def test_what_the_lanes_committed_is_read_through_the_table() -> None:
    app = build(Job(), WorkerSettings(), SystemClock())
    states = [{PROGRESS: seal(b"7")}, {b"a": seal(b"one"), b"b": seal(b"two", (5, 1))}]
    app.engine.lanes.lanes = {
        number: SimpleNamespace(ledger=SimpleNamespace(read=known.get, all_states=known.items))
        for number, known in enumerate(states)
    }
    cases = app.tables["cases"].data
    assert (cases[b"a"], cases[b"b"], b"a" in cases, b"c" in cases) == (b"one", b"two", True, False)
    assert (list(cases), len(cases)) == ([b"a", b"b"], 2)
    with pytest.raises(KeyError):
        cases[b"c"]


def test_standbys_that_would_read_uncommitted_data_are_off() -> None:
    app = build(Job(), WorkerSettings(), SystemClock())
    assert app.conf.table_standby_replicas == 0
    assert app.conf.web_enabled is False


def test_a_member_that_owns_nothing_for_a_week_does_not_leave_and_rebalance_its_group() -> None:
    async def longest_idle_s() -> float:
        app = build(Job(), WorkerSettings(), SystemClock())
        thread = app.consumer._new_consumer_thread()
        return thread._create_worker_consumer(app.transport)._max_poll_interval_ms / 1000

    assert asyncio.run(longest_idle_s()) > 7 * 86_400
