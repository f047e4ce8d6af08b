"""The reference fulfilment process on a real broker."""

import itertools
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from connectors.clock import SystemClock
from schemas.codec import Codec
from schemas.commands import FulfilmentTrigger
from schemas.events import TriggerReceived
from schemas.registry import registry
from schemas.words import TriggerKind
from tests.world.simulators.process import Simulator

pytestmark = pytest.mark.real
_numbers = itertools.count(1)


class Scene:
    """Topics of this test's own, a producer of triggers and a reader of receipts."""

    def __init__(self, bootstrap: str, folder: Path) -> None:
        name = uuid.uuid4().hex[:8]
        self.triggers, self.receipts = f"triggers-{name}", f"receipts-{name}"
        admin = AdminClient({"bootstrap.servers": bootstrap})
        for future in admin.create_topics(
            [NewTopic(topic, 1, 1) for topic in (self.triggers, self.receipts)]
        ).values():
            future.result(30)
        self.codec = Codec(registry(None))
        self.producer = Producer({"bootstrap.servers": bootstrap})
        self.consumer = Consumer(
            {"bootstrap.servers": bootstrap, "group.id": f"reader-{name}", "auto.offset.reset": "earliest"}
        )
        self.consumer.subscribe([self.receipts])
        self.simulator = Simulator(
            *("fulfilment", folder, "--bootstrap", bootstrap, "--group", f"f-{name}"),
            *("--triggers", self.triggers, "--receipts", self.receipts),
            listens=False,
        )
        self.simulator.start()
        self.read: list[TriggerReceived] = []

    def trigger(self, trigger_id: str, order: str = "A1") -> None:
        record = FulfilmentTrigger(
            command_id=trigger_id,
            order_id=order,
            case_id="E1",
            store_id="s1",
            kind=TriggerKind.RELEASE,
            decision_version=1,
            issued_at=SystemClock().now(),
        )
        self.raw(self.codec.encode(record))

    def raw(self, value: bytes) -> None:
        self.producer.produce(self.triggers, value)
        self.producer.flush(10)

    def told(self, n: int, timeout_s: float = 60.0) -> list[str]:
        """The first `n` receipts as `trigger:state`."""
        give_up = time.monotonic() + timeout_s
        while len(self.read) < n:
            assert time.monotonic() < give_up, self.read
            message = self.consumer.poll(0.2)
            if message is not None and not message.error():
                self.read.append(self.codec.decode(message.value()))
        return [f"{one.trigger_id}:{one.state}" for one in self.read]

    def close(self) -> None:
        self.simulator.stop()
        self.consumer.close()


@pytest.fixture
def scene(bootstrap: str, tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(bootstrap, tmp_path)
    yield scene
    scene.close()


def done(scene: Scene, **fields: Any) -> list[dict[str, Any]]:
    return scene.simulator.book("trigger", **fields)


def test_a_trigger_is_accepted_and_done_and_garbage_stops_nothing(scene: Scene) -> None:
    scene.raw(b"\x00garbage")
    scene.trigger("E1.d1.t")
    assert scene.told(2) == ["E1.d1.t:accepted", "E1.d1.t:done"]
    assert len(scene.simulator.book("malformed")) == 1


def test_a_repeated_trigger_is_answered_and_known_as_a_repeat_even_after_a_kill(scene: Scene) -> None:
    scene.trigger("E1.d1.t")
    scene.told(2)
    scene.simulator.kill()
    scene.simulator.start()
    scene.trigger("E1.d1.t")
    assert scene.told(4)[2:] == ["E1.d1.t:accepted", "E1.d1.t:done"]
    assert [entry["repeat"] for entry in done(scene)][-1] is True


def test_a_trigger_can_be_refused_or_met_with_silence(scene: Scene) -> None:
    scene.simulator.faults(
        {"match": {"order": "A1"}, "then": "refuse"}, {"match": {"order": "A2"}, "then": "silent"}
    )
    scene.trigger("E2.d1.t", "A2")
    scene.trigger("E1.d1.t", "A1")
    assert scene.told(1) == ["E1.d1.t:refused"]
