"""The embedded broker keeps its promises: it is real, it survives kills, and it leaves nothing behind."""

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from tests.world import jars
from tests.world.kafka import Kafka, Node
from tests.world.part import PartError, answers

pytestmark = pytest.mark.real


def create(bootstrap: str, topic: str, **config: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(topic, 1, -1, config=config)])[topic].result(30)


def write(bootstrap: str, topic: str, value: bytes) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": topic, "log_level": 0})
    producer.init_transactions(60)
    producer.begin_transaction()
    producer.produce(topic, value)
    producer.commit_transaction(60)


def read(bootstrap: str, topic: str, count: int) -> list[bytes]:
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": topic,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
            "log_level": 0,
        }
    )
    consumer.subscribe([topic])
    found: list[bytes] = []
    eventually(lambda: found.extend(m.value() for m in consumer.consume(count, 0.2)) or len(found) >= count)
    consumer.close()
    return found


def eventually(condition: Callable[[], bool], within_s: float = 60) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it never happened"


def test_the_shared_broker_carries_transactions(bootstrap: str) -> None:
    create(bootstrap, "carried")
    write(bootstrap, "carried", b"once")
    assert read(bootstrap, "carried", 1) == [b"once"]


def test_what_was_committed_survives_a_kill(kafka: Kafka) -> None:
    create(kafka.bootstrap, "kept")
    write(kafka.bootstrap, "kept", b"before")
    before = kafka.node(1).part.pid
    kafka.restart(1)
    write(kafka.bootstrap, "kept", b"after")
    assert kafka.node(1).part.pid != before
    assert read(kafka.bootstrap, "kept", 2) == [b"before", b"after"]


@pytest.mark.xdist_group("three_nodes")
def test_three_nodes_go_on_while_one_is_dead(three_nodes: Kafka) -> None:
    create(three_nodes.bootstrap, "three")
    three_nodes.kill(2)
    write(three_nodes.bootstrap, "three", b"with two")
    three_nodes.start(2)
    three_nodes.wait_until_ready()
    three_nodes.stop(3)
    write(three_nodes.bootstrap, "three", b"with another two")
    three_nodes.start(3)
    three_nodes.wait_until_ready()
    assert read(three_nodes.bootstrap, "three", 2) == [b"with two", b"with another two"]


def test_the_shared_broker_is_one_and_ends_with_its_owner_not_with_who_asked_first(tmp_path: Path) -> None:
    owner = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    folder = tmp_path / "shared"
    call = f"shared(pathlib.Path({str(folder)!r}), {owner.pid})"
    asks = f"import pathlib; from tests.world.kafka import shared; print({call}.inside)"
    first, second = (
        subprocess.run(
            [sys.executable, "-c", asks],
            cwd=Path(__file__).parents[2],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout.strip()
        for _ in range(2)
    )
    assert first == second
    create(first, "shared")
    owner.kill()
    owner.wait()
    eventually(lambda: not answers(int(first.rpartition(":")[2])) and not (folder / "kafka").exists())


def test_a_failed_start_says_what_the_broker_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Kafka._properties

    def wrong(self: Kafka, node: Node) -> str:
        return honest(self, node) + "log.segment.bytes=none of your business\n"

    monkeypatch.setattr(Kafka, "_properties", wrong)
    with pytest.raises(PartError, match="none of your business"), Kafka(tmp_path / "kafka"):
        pass
    assert not (tmp_path / "kafka").exists()


def test_a_broker_that_cannot_bind_says_so(tmp_path: Path, bootstrap: str) -> None:
    cluster = Kafka(tmp_path / "kafka")
    cluster.nodes[0] = replace(cluster.node(1), port=int(bootstrap.rpartition(":")[2]))
    with pytest.raises(PartError, match="Address already in use"), cluster:
        pass


def test_a_jar_of_other_content_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(folder: Path) -> None:
        folder.mkdir()
        (folder / "kafka-clients-4.3.1.jar").write_bytes(b"not what was locked")
        (folder / "stranger.jar").touch()

    monkeypatch.setenv("SAVELINE_CACHE", str(tmp_path))
    monkeypatch.setattr(jars, "fetch", fetch)
    with pytest.raises(jars.JarsDifferError) as refused:
        jars.kafka_class_path()
    said = str(refused.value)
    assert "kafka-clients-4.3.1.jar has SHA-256" in said
    assert "not in the lock: stranger.jar" in said
    assert "missing: kafka_2.13-4.3.1.jar" in said
