"""Fails when a new Faust or aiokafka moves something that the seam holds on to.

Then read the new source of what changed, see whether `streams/seam.py` still fits, and renew its digest.
"""

import hashlib
import inspect
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import faust
import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.consumer.fetcher import Fetcher, FetchResult, PartitionRecords
from aiokafka.consumer.subscription_state import TopicPartitionState
from faust.app.base import App
from faust.stores.base import Store
from faust.tables.recovery import Recovery
from faust.transport.consumer import Consumer, ThreadDelegateConsumer
from faust.transport.drivers import aiokafka as stock

from streams import seam, store
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
    Recovery.on_recovery_completed: "6ef567ac",
    Recovery._resume_streams: "d986a671",
    Recovery._build_offsets: "27eec86b",
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
}


def digest(function: Callable[..., Any]) -> str:
    return hashlib.sha256(inspect.getsource(function).encode()).hexdigest()[:8]


@pytest.mark.parametrize("function", HELD, ids=lambda function: function.__qualname__)
def test_what_the_seam_holds_on_to_is_unchanged(function: Callable[..., Any]) -> None:
    assert digest(function) == HELD[function], f"{function.__qualname__} moved: read it again"


def test_the_pinned_versions_are_the_ones_that_were_read() -> None:
    assert (version("faust-streaming"), version("aiokafka")) == ("0.15.3", "0.14.0")


def test_the_schemes_lead_to_our_transport_and_store() -> None:
    seam.register()
    store.register()
    assert faust.transport.by_url("saveline://127.0.0.1:9092") is seam.Transport
    assert faust.stores.by_url("ledger:") is store.LedgerStore


def test_the_table_can_be_read_but_not_written() -> None:
    app = build(Job(), WorkerSettings(), SystemClock())
    cases = app.tables["cases"]
    assert b"nobody" not in cases.data
    with pytest.raises(store.WrittenElsewhere):
        cases.data[b"a"] = b"b"


def test_standbys_that_would_read_uncommitted_data_are_off() -> None:
    app = build(Job(), WorkerSettings(), SystemClock())
    assert app.conf.table_standby_replicas == 0
    assert app.conf.web_enabled is False
