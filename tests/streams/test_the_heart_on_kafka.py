"""The product's own worker process on a real broker: an exception becomes commands, and an answer an update."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer

from schemas.catalogue import Topic
from schemas.codec import Codec
from schemas.commands import CaseChanged, ChannelCommand, LineHold, OrderUpdate
from schemas.events import Answer, ExceptionAccepted, ResponseReceived
from schemas.registry import LockedRegistry
from schemas.words import CaseState, Channel, HoldState, Purpose, Resolution
from state import shelf
from streams.topics import wanted_topics
from streams.topics_broker import apply
from tests.builders import a_customer, a_delivery, an_exception, but
from tests.streams.processes import ROOT
from tests.streams.rig import until
from tests.world.kafka import Kafka
from tests.world.part import free_port

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("kafka")]

CODEC = Codec(LockedRegistry())


class Running:
    """A worker process, what is sent to it and everything that it published."""

    def __init__(self, kafka: Kafka, folder: Path) -> None:
        self.client = {"bootstrap.servers": kafka.bootstrap}
        apply(self.client, wanted_topics(partitions=2, replication=1))
        self.log = folder / "worker.log"
        environment = {
            **os.environ,
            "SAVELINE_BROKER": kafka.bootstrap,
            "SAVELINE_PARTITIONS": "2",
            "SAVELINE_REPLICATION": "1",
            "SAVELINE_POLICIES": str(hurried_policies(folder / "policies")),
            "SAVELINE_DATA_FOLDER": str(folder / "state"),
            "SAVELINE_HTTP_PORT": str(free_port()),
        }
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", "from streams.cli import main; main()", "worker"],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.producer = Producer(self.client | {"partitioner": "murmur2_random"})
        self.consumer = Consumer(
            self.client
            | {"group.id": "reader", "auto.offset.reset": "earliest", "isolation.level": "read_committed"}
        )
        outputs = [Topic.PUSH, Topic.SMS, Topic.EMAIL, Topic.HOLDS, Topic.UPDATES, Topic.CHANGES]
        self.consumer.subscribe([str(topic) for topic in outputs])
        self.published: list[object] = []

    def sends(self, event: object) -> None:
        self.producer.produce(Topic.CASE_EVENTS, CODEC.encode(event), key=event.order_id)
        assert self.producer.flush(60) == 0

    def waits_for(self, what: str, condition) -> None:
        def holds() -> bool:
            assert self.process.poll() is None, self.log.read_text(errors="replace")[-4_000:]
            for message in self.consumer.consume(100, 0.2):
                assert message.error() is None, message.error()
                self.published.append(CODEC.decode(message.value()))
            return condition()

        until(holds, what, 90)

    def of(self, kind: type) -> list:
        return [record for record in self.published if isinstance(record, kind)]

    def ends(self) -> None:
        self.consumer.close()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)


def hurried_policies(folder: Path) -> Path:
    """The shipped policies, but the gather window of the picker's is a tenth of a second."""
    folder.mkdir()
    for path in shelf.SHIPPED.glob("*.yaml"):
        text = path.read_text(encoding="utf-8")
        (folder / path.name).write_text(text.replace("gather_ms: 20000", "gather_ms: 100"), encoding="utf-8")
    return folder


def zone_where_it_is_noon(now: datetime) -> str:
    """No quiet hours there, whenever the test runs; `Etc/GMT-3` is three hours east."""
    return f"Etc/GMT{now.hour - 12:+d}"


@pytest.fixture
def running(kafka: Kafka, tmp_path: Path) -> Iterator[Running]:
    running = Running(kafka, tmp_path)
    yield running
    running.ends()


def test_an_exception_is_asked_about_and_its_answer_written_back(running: Running) -> None:
    now = datetime.now(UTC).replace(microsecond=0)  # noqa: TID251 - the broker's clock is the real one
    raised = but(
        an_exception(),
        occurred_at=now,
        fulfilment_deadline_at=now + timedelta(minutes=30),
        delivery=a_delivery(zone=zone_where_it_is_noon(now)),
    )
    running.sends(
        ExceptionAccepted(event_id="e1", order_id=raised.order_id, exception=raised, facts=a_customer())
    )
    running.waits_for("the picker's hold", lambda: running.of(LineHold))
    assert running.of(LineHold)[0].state is HoldState.ASKING
    running.waits_for("three messages", lambda: len(running.of(ChannelCommand)) == 3)
    assert {command.channel for command in running.of(ChannelCommand)} == {
        Channel.PUSH,
        Channel.SMS,
        Channel.EMAIL,
    }
    assert {command.purpose for command in running.of(ChannelCommand)} == {Purpose.ASK}
    answer = Answer(case_id="x1", option_id="corner", decision_version=0)
    running.sends(
        ResponseReceived(
            event_id="e2", order_id=raised.order_id, channel=Channel.PAGE, answers=(answer,), received_at=now
        )
    )
    running.waits_for("the update", lambda: running.of(OrderUpdate))
    assert running.of(OrderUpdate)[0].decision.resolution is Resolution.SUBSTITUTED
    running.waits_for(
        "the register's row",
        lambda: any(change.state is CaseState.DECIDED for change in running.of(CaseChanged)),
    )
