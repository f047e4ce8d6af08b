"""The connectors' process with everything real around it: from Kafka to a phone, an OMS and a store, and back."""

import base64
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
import requests
from confluent_kafka import Consumer, Producer
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from connectors.clock import SystemClock
from connectors.evidence.store import Store
from connectors.evidence.verify import verify
from schemas.catalogue import Topic
from schemas.codec import Codec
from schemas.events import CustomerContact, EvidenceStored, OrderCompleted, ReceiptReceived, WriteBackReceived
from schemas.registry import LockedRegistry
from schemas.words import EvidencePath, Purpose
from streams.connectors_cli import connectors
from streams.topics import wanted_topics
from streams.topics_broker import apply
from tests.connectors.around import ANN, SIGNING, Around, an_evidence_request, an_update
from tests.connectors.builders import a_command
from tests.connectors.providers import US
from tests.streams.processes import ROOT
from tests.streams.rig import until
from tests.world.kafka import Kafka
from tests.world.part import Part, answers, free_port
from tests.world.s3 import S3
from tests.world.simulators.twilio.account import ACCOUNT_SID, AUTH_TOKEN

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("kafka")]
CODEC = Codec(LockedRegistry())


class Running:
    """A connectors process by its command line, and all that it talks to."""

    def __init__(self, kafka: Kafka, dsn: str, s3: S3, folder: Path, *arguments: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        client = {"bootstrap.servers": kafka.bootstrap}
        apply(client, wanted_topics(partitions=2, replication=1))
        self.producer = Producer(client | {"partitioner": "murmur2_random"})
        self.consumer = Consumer(client | {"group.id": "reader", "auto.offset.reset": "earliest"})
        self.consumer.subscribe([Topic.CASE_EVENTS.value])
        self.facts: list[Any] = []
        self.around = Around(s3, folder)
        self.simulators = self.around.simulators
        key = folder / "evidence.pem"
        key.write_bytes(SIGNING.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        given = {
            "BROKER": kafka.bootstrap,
            "PARTITIONS": "2",
            "PG_DSN": dsn,
            "RETAILER": "Greengrocer",
            "PUBLIC_URL": "http://127.0.0.1:9",
            "LINK_SECRETS": "one,two",
            "VAULT_SALT": "salt",
            "VAULT_KEY": base64.b64encode(b"m" * 32).decode(),
            "TWILIO_ACCOUNT_SID": ACCOUNT_SID,
            # The last one signs, as everywhere.
            "TWILIO_AUTH_TOKEN": f"older,{AUTH_TOKEN}",
            "TWILIO_BASE_URL": self.simulators["twilio"].url,
            "SMS_SENDER": US,
            "VOICE_SENDER": US,
            "FCM_BASE_URL": self.simulators["fcm"].url,
            "FCM_ACCOUNT_FILE": str(self.simulators["fcm"].folder / "service-account.json"),
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(self.simulators["smtp"].port),
            "SMTP_TLS": "false",
            "EMAIL_SENDER": "us@greengrocer.test",
            "OMS_URL": self.simulators["oms"].url,
            "OMS_TOKEN": "oms-token",
            "HTTP_PORT": str(self.port),
            "TEST_SWITCH": "true",
            "STEP_PATIENCE_S": "2",
            "S3_ENDPOINT": s3.endpoint,
            "EVIDENCE_BUCKET": self.around.bucket,
            "EVIDENCE_KEY_FILE": str(key),
        }
        self.environment = {f"SAVELINE_{name}": value for name, value in given.items()}
        credentials = {"AWS_ACCESS_KEY_ID": s3.access_key, "AWS_SECRET_ACCESS_KEY": s3.secret_key}
        self.part = Part(
            "connectors",
            [sys.executable, "-m", "streams.cli", "connectors", *arguments],
            folder / "connectors.log",
            env=self.environment | credentials,
            cwd=ROOT,
        )

    def start(self) -> None:
        self.part.start(lambda: answers(self.port), timeout_s=120)

    def sends(self, topic: Topic, record: Any, key: str) -> None:
        self.producer.produce(topic.value, CODEC.encode(record), key)
        assert self.producer.flush(60) == 0

    def told(self, kind: type[Any], n: int = 1, timeout_s: float = 120.0) -> list[Any]:
        give_up = time.monotonic() + timeout_s
        while True:
            found = [fact for fact in self.facts if isinstance(fact, kind)]
            if len(found) >= n:
                return found
            assert self.part.alive, self.part.tail(60)
            assert time.monotonic() < give_up, (self.facts, self.part.tail(60))
            for message in self.consumer.consume(100, 0.2):
                if not message.error():
                    self.facts.append(CODEC.decode(message.value()))

    def close(self) -> None:
        self.consumer.close()
        self.part.stop(timeout_s=30)
        self.around.stop()


@pytest.fixture
def running(kafka: Kafka, dsn: str, s3: S3, tmp_path: Path) -> Iterator[Running]:
    running = Running(kafka, dsn, s3, tmp_path)
    running.start()
    yield running
    running.close()


def test_what_the_workers_ask_for_happens_in_the_world_and_comes_back_as_facts(running: Running) -> None:
    now = SystemClock().now()
    contact = CustomerContact(
        customer_ref="ann", revision=1, phone=ANN, push_tokens=("device-ann",), occurred_at=now
    )
    running.sends(Topic.CONTACTS, contact, "ann")
    # The vault has to know her before anything is claimed: the command is retried by nobody.
    command = a_command(now=now, for_s=600, purpose=Purpose.LINK, about=("E1",))
    while not running.simulators["twilio"].book("request", command_id=command.command_id):
        assert running.part.alive, running.part.tail(60)
        command = a_command(
            f"A1~E1.{int(command.command_id.rpartition('.')[2]) + 1}",
            now=SystemClock().now(),
            for_s=600,
            purpose=Purpose.LINK,
            about=("E1",),
        )
        running.sends(Topic.SMS, command, "A1")
        running.told(ReceiptReceived, len([f for f in running.facts if isinstance(f, ReceiptReceived)]) + 1)
    assert running.told(ReceiptReceived)[-1].state == "sent"

    running.around.has_order()
    running.sends(Topic.UPDATES, an_update(now), "A1")
    assert running.told(WriteBackReceived)[0].outcome == "applied"

    running.sends(Topic.EVIDENCE_REQUESTS, an_evidence_request(now, EvidencePath.DIGITAL), "A1")
    assert running.told(EvidenceStored)[0].missing == ()
    store = Store(running.around.s3.client(), running.around.bucket)
    assert verify(store, [SIGNING.public_key()], "E1").holds

    until(lambda: requests.get(f"{running.url}/livez", timeout=30).ok, "a process that lives")
    frozen = {"point": "after_put_before_pointer", "then": "delay", "delay_ms": 3_600_000}
    assert requests.put(f"{running.url}/_test/failpoints", json=frozen, timeout=30).ok
    again = msgspec.structs.replace(an_evidence_request(now, EvidencePath.DIGITAL), command_id="E1.d2.e")
    running.sends(Topic.EVIDENCE_REQUESTS, again, "A1")
    until(lambda: "evidence has not come round" in stands(running), "the frozen thread's name")
    os.kill(running.part.pid, signal.SIGKILL)


def stands(running: Running) -> str:
    answer = requests.get(f"{running.url}/livez", timeout=30)
    return answer.text if answer.status_code == 503 else ""


def test_a_process_does_only_the_parts_that_it_is_told(
    kafka: Kafka, dsn: str, s3: S3, tmp_path: Path
) -> None:
    running = Running(kafka, dsn, s3, tmp_path, "--only", "intake,register")
    running.start()
    try:
        now = SystemClock().now()
        contact = CustomerContact(customer_ref="ann", revision=1, phone=ANN, occurred_at=now)
        running.sends(Topic.SMS, a_command(now=now, for_s=600, purpose=Purpose.LINK), "A1")
        running.sends(Topic.CONTACTS, contact, "ann")
        running.sends(Topic.OUTCOMES, OrderCompleted(event_id="o1", order_id="A1", occurred_at=now), "A1")
        # Its own topics are read, and the text, which lies there as long, is left to others.
        assert running.told(OrderCompleted)
        with psycopg.connect(dsn) as connection:
            until(lambda: connection.execute("SELECT 1 FROM customers").fetchone(), "the vault")
            assert connection.execute("SELECT count(*) FROM claims").fetchone() == (0,)
        assert not running.simulators["twilio"].book("request", method="POST")
    finally:
        running.close()
    lines = running.part.log.read_text().splitlines()
    said = [json.loads(line) for line in lines if line.startswith("{")]
    assert {one["process"] for one in said} == {"connectors"}


def test_a_part_that_there_is_not_is_refused_with_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert connectors(only="intake,telegrams") == 2
    said = capsys.readouterr().err
    assert "no part telegrams" in said
    assert "write-back" in said


def test_every_missing_setting_is_named_at_once(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SAVELINE_")}
    log = tmp_path / "log"
    part = Part(
        "connectors",
        [
            *("env", "-i", *(f"{name}={value}" for name, value in environment.items())),
            *("SAVELINE_VAULT_KEY=short", sys.executable, "-m", "streams.cli", "connectors"),
        ],
        log,
        cwd=ROOT,
    )
    with pytest.raises(Exception, match="ended with 2"):
        part.start(lambda: False)
    said = log.read_text()
    for name in ("PG_DSN", "PUBLIC_URL", "TWILIO_AUTH_TOKEN", "OMS_URL", "EVIDENCE_KEY_FILE"):
        assert f"SAVELINE_{name}: Field required" in said
    assert "SAVELINE_VAULT_KEY: Value error, 32 bytes in base64" in said
    assert "short" not in said
