"""The intake process on a real broker and a real Postgres: everything that arrives goes on, or back."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer

from connectors.register.migrate import upgrade
from schemas.catalogue import Topic
from schemas.codec import Codec
from schemas.events import CustomerContact, ExceptionAccepted, ProductBlocked
from schemas.registry import LockedRegistry
from streams.topics import wanted_topics
from streams.topics_broker import apply
from tests.builders import an_exception, but
from tests.streams.processes import ROOT
from tests.streams.rig import until
from tests.world.kafka import Kafka

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("kafka")]

CODEC = Codec(LockedRegistry())
QUARANTINE = "case.quarantine.v1"


class Running:
    """An intake process, and everything that it published."""

    def __init__(self, kafka: Kafka, dsn: str, folder: Path) -> None:
        self.client = {"bootstrap.servers": kafka.bootstrap}
        self.environment = {**os.environ, "BROKER": kafka.bootstrap, "PG_DSN": dsn}
        self.log = folder / "intake.log"
        apply(self.client, wanted_topics(partitions=2, replication=1))
        upgrade(dsn)
        self.producer = Producer(self.client)
        self.consumer = Consumer(self.client | {"group.id": "reader", "auto.offset.reset": "earliest"})
        self.consumer.subscribe([Topic.CASE_EVENTS.value, QUARANTINE])
        self.admitted: list[object] = []
        self.quarantined: list[object] = []

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.streams.run_intake"],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def sends(self, topic: Topic, value: bytes) -> None:
        self.producer.produce(topic.value, value, "some upstream key")
        assert self.producer.flush(60) == 0

    def waits_for(self, what: str, condition) -> None:
        def holds() -> bool:
            assert self.process.poll() is None, self.log.read_text(errors="replace")[-4_000:]
            for message in self.consumer.consume(100, 0.2):
                assert message.error() is None, message.error()
                if message.topic() == QUARANTINE:
                    self.quarantined.append(message)
                else:
                    self.admitted.append(CODEC.decode(message.value()))
            return condition()

        until(holds, what, 90)

    def ends(self, number: signal.Signals = signal.SIGTERM) -> None:
        self.process.send_signal(number)
        self.process.wait(60)


@pytest.fixture
def running(kafka: Kafka, dsn: str, tmp_path: Path) -> Iterator[Running]:
    running = Running(kafka, dsn, tmp_path)
    running.start()
    yield running
    running.consumer.close()
    running.ends()


def test_exceptions_are_admitted_or_quarantined_byte_by_byte_and_none_is_lost_by_a_kill(
    running: Running,
) -> None:
    now = datetime.now(UTC).replace(microsecond=0)  # noqa: TID251 - stale is judged by the real clock
    raised = but(an_exception(), occurred_at=now, fulfilment_deadline_at=now + timedelta(minutes=30))
    broken = CODEC.encode(but(raised, exception_id="", store_id=""))
    running.sends(Topic.CONTACTS, CODEC.encode(CustomerContact(customer_ref="customer-1", occurred_at=now)))
    running.sends(Topic.EXCEPTIONS, CODEC.encode(raised))
    running.sends(Topic.EXCEPTIONS, broken)
    running.sends(Topic.EXCEPTIONS, b"no record of ours")
    running.waits_for("both broken ones", lambda: len(running.quarantined) == 2)
    assert {message.value() for message in running.quarantined} == {broken, b"no record of ours"}
    headers = dict(running.quarantined[0].headers())
    assert headers["original-topic"] == b"order.exceptions.v1"
    assert headers["original-offset"] in (b"0", b"1", b"2")
    running.waits_for(
        "the good one", lambda: any(isinstance(fact, ExceptionAccepted) for fact in running.admitted)
    )

    running.ends(signal.SIGKILL)
    for n in range(20):
        more = but(raised, exception_id=f"more-{n}", order_id=f"order-{n}", event_id=f"more-{n}")
        running.sends(Topic.EXCEPTIONS, CODEC.encode(more))
    block = ProductBlocked(event_id="b1", sku="bread-hill", blocked=True, occurred_at=now)
    running.sends(Topic.BLOCKS, CODEC.encode(block))
    running.start()
    wanted = {"x1", *(f"more-{n}" for n in range(20))}

    def all_are_there() -> bool:
        accepted = [fact for fact in running.admitted if isinstance(fact, ExceptionAccepted)]
        blocks = [fact for fact in running.admitted if isinstance(fact, ProductBlocked)]
        return {fact.exception.exception_id for fact in accepted} == wanted and len(blocks) >= 2

    running.waits_for("everything once the process is back, the block in both partitions", all_are_there)
