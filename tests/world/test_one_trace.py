"""One trace runs through the whole system: from upstream's exception to the pointer of its evidence."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from confluent_kafka import Consumer, Producer

from connectors.clock import SystemClock
from connectors.tracing import started
from schemas.catalogue import Topic
from schemas.codec import Codec
from schemas.events import CustomerContact
from schemas.registry import LockedRegistry
from tests.builders import a_delivery, an_exception
from tests.demo.policies import PACE, hurried
from tests.streams.rig import until
from tests.world.stack import OUR_NUMBER, Stack

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("kafka")]
CODEC = Codec(LockedRegistry())
ANN = "+447400123456"
FOLLOWING = (
    Topic.CASE_EVENTS,
    Topic.SMS,
    Topic.HOLDS,
    Topic.UPDATES,
    Topic.TRIGGERS,
    Topic.RECEIPTS,
    Topic.EVIDENCE_REQUESTS,
    Topic.CHANGES,
    Topic.EVIDENCE,
)


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    stack = Stack(tmp_path / "stack", policies=hurried, partitions=2, pace=PACE)
    stack.start()
    yield stack
    stack.close()


def test_what_follows_from_an_exception_belongs_to_its_trace_up_to_the_evidence(stack: Stack) -> None:
    now, trace = SystemClock().now(), started()
    # Whatever hour it is here, no hour is quiet there.
    zone = f"Etc/GMT{now.hour - 12:+d}"
    broker = {"bootstrap.servers": stack.environment["SAVELINE_BROKER"], "log_level": "0"}
    producer = Producer(broker | {"partitioner": "murmur2_random"})
    consumer = Consumer(broker | {"group.id": "t", "auto.offset.reset": "earliest"})
    consumer.subscribe([str(topic) for topic in FOLLOWING])
    line = {"line_id": "L1", "sku": "bread-oak", "ordered": 1, "quantity": 1, "unit_price_minor": 200}
    stack.simulators["oms"].put("orders/order-1", {"lines": [line]})
    contact = CustomerContact(customer_ref="customer-1", revision=1, phone=ANN, zone=zone, occurred_at=now)
    producer.produce(Topic.CONTACTS, CODEC.encode(contact), "customer-1")
    assert producer.flush(10) == 0

    def known() -> bool:
        with psycopg.connect(stack.environment["SAVELINE_PG_DSN"]) as connection:
            return connection.execute("SELECT 1 FROM customers").fetchone() is not None

    until(known, "the customer")
    raised = an_exception(
        occurred_at=now,
        fulfilment_deadline_at=now + timedelta(seconds=90),
        delivery=a_delivery(zone=zone),
        policy_hint="mid_pick_substitution",
    )
    value = CODEC.encode(raised)
    producer.produce(Topic.EXCEPTIONS, value, "order-1", headers=[("traceparent", trace)])
    assert producer.flush(10) == 0

    # The question follows from a deadline, the answer from a webhook of a provider that knows no trace.
    twilio = stack.simulators["twilio"]
    twilio.expect("request", method="POST", timeout_s=60, where=lambda entry: "Messages" in entry["path"])
    twilio.post("inbound-sms", {"from": ANN, "to": OUR_NUMBER, "body": "1"})
    found: list[tuple[str, str, str]] = []

    def stored() -> bool:
        for message in consumer.consume(100, 0.2):
            assert message.error() is None
            record: Any = CODEC.decode(message.value())
            headers = dict(message.headers() or ())
            found.append(
                (message.topic(), type(record).__name__, headers.get("traceparent", b"none").decode())
            )
        return any(topic == Topic.EVIDENCE for topic, _, _ in found) and any(
            topic == Topic.RECEIPTS for topic, _, _ in found
        )

    until(stored, "the evidence", 120)
    assert {topic for topic, _, _ in found} == {str(topic) for topic in FOLLOWING}
    assert [one for one in found if one[2] != trace] == []
    asked = stack.simulators["oms"].book("request")
    assert {entry["headers"].get("traceparent") for entry in asked} == {trace}
    consumer.close()
