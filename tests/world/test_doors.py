"""The doors of the whole system: staff set right what is stuck, a driver reads a code, nobody to ask is no loss."""

import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
import requests
from confluent_kafka import Producer
from psycopg.rows import dict_row

from connectors.clock import SystemClock
from schemas.catalogue import Topic
from schemas.codec import Codec
from schemas.events import CustomerContact
from schemas.registry import LockedRegistry
from schemas.words import Kind, OptionKind
from tests.builders import a_delivery, an_exception, an_option
from tests.demo.policies import PACE, hurried
from tests.helm.rights import each_its_own
from tests.streams.rig import until
from tests.world.stack import OUR_NUMBER, Stack

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("kafka")]
CODEC = Codec(LockedRegistry())
ANN, BEN = "+447400123456", "+447400123457"
CODE = "gate code 4711#"


class Whole:
    """A stack, upstream's hands, and the tools that sign their requests."""

    def __init__(self, folder: Path) -> None:
        self.stack = Stack(folder, policies=hurried, partitions=2, pace=PACE, logins=each_its_own)
        self.stack.start()
        self.clock = SystemClock()
        # Whatever hour it is here, no hour is quiet there.
        self.zone = f"Etc/GMT{self.clock.now().hour - 12:+d}"
        broker = self.stack.environment["SAVELINE_BROKER"]
        self.producer = Producer({"bootstrap.servers": broker, "partitioner": "murmur2_random"})

    def sends(self, topic: Topic, key: str, record: Any) -> None:
        self.producer.produce(topic, CODEC.encode(record), key)
        assert self.producer.flush(60) == 0

    def knows(self, customer_ref: str, phone: str = "") -> None:
        now = self.clock.now()
        contact = CustomerContact(
            customer_ref=customer_ref, revision=1, phone=phone, zone=self.zone, occurred_at=now
        )
        self.sends(Topic.CONTACTS, customer_ref, contact)
        until(lambda: self.rows("SELECT 1 FROM customers WHERE customer_ref = %s", customer_ref), "the vault")

    def troubled(self, n: int, **changes: Any) -> None:
        """Order `order-n` of `customer-n`, its case `xn`, due in a minute."""
        now, order = self.clock.now(), f"order-{n}"
        line = {"line_id": "L1", "sku": "bread-oak", "ordered": 1, "quantity": 1, "unit_price_minor": 200}
        self.stack.simulators["oms"].put(f"orders/{order}", {"lines": [line]})
        given = {
            "order_id": order,
            "customer_ref": f"customer-{n}",
            "occurred_at": now,
            "fulfilment_deadline_at": now + timedelta(seconds=60),
            "delivery": a_delivery(zone=self.zone, slot_from_at=now, slot_until_at=now + timedelta(hours=1)),
            "policy_hint": "mid_pick_substitution",
        }
        self.sends(Topic.EXCEPTIONS, order, an_exception(f"x{n}", **(given | changes)))

    def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        with psycopg.connect(self.stack.environment["SAVELINE_PG_DSN"], row_factory=dict_row) as connection:
            return connection.execute(query, values).fetchall()

    def case(self, n: int) -> dict[str, Any]:
        found = self.rows("SELECT * FROM register_cases WHERE case_id = %s", f"x{n}")
        return found[0] if found else {}

    def asks(self, tool: str, path: str, body: Any = None) -> requests.Response:
        """A request of a tool; one that reads names the second in which it was signed."""
        if body is None:
            path += f"?at={int(self.clock.now().timestamp())}"
        content = b"" if body is None else json.dumps(body).encode()
        url, secret = self.stack.url_of("edge") + path, self.stack.environment[f"SAVELINE_{tool}_SECRETS"]
        signature = hmac.new(secret.encode(), f"{url}\n".encode() + content, hashlib.sha256).hexdigest()
        headers = {"X-Saveline-Signature": signature}
        return requests.request(
            "GET" if body is None else "POST", url, data=content, headers=headers, timeout=30
        )


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    whole = Whole(tmp_path_factory.mktemp("doors") / "stack")
    yield whole
    whole.stack.close()


def test_a_person_takes_what_is_stuck_sets_it_right_and_the_case_is_done(whole: Whole) -> None:
    oms, twilio = whole.stack.simulators["oms"], whole.stack.simulators["twilio"]
    oms.faults({"match": {"order": "order-1", "resource": "decisions"}, "then": "not_modifiable"})
    whole.knows("customer-1", ANN)
    whole.troubled(1)
    until(lambda: [e for e in twilio.book("request", method="POST") if ANN[1:] in e["body"]], "the question")
    twilio.post("inbound-sms", {"from": ANN, "to": OUR_NUMBER, "body": "0"})

    def waiting() -> list[dict[str, Any]]:
        listed = whole.asks("STAFF", "/staff/v1/tasks").json()["tasks"]
        return [task for task in listed if task["order_id"] == "order-1"]

    [task] = until(waiting, "the task", 120)
    assert (task["about"], task["reason"]) == (["x1"], "the order can no longer be modified")
    path = f"/staff/v1/tasks/{quote(task['command_id'], safe='')}"
    [shown] = whole.asks("STAFF", path).json()["cases"]
    assert shown["resolution"] == "refunded"
    said = {"request_id": "request-1", "by": "kim"}
    assert whole.asks("STAFF", path, {**said, "state": "taken"}).json()["state"] == "taken"
    oms.faults()
    assert whole.asks("STAFF", path, {**said, "state": "done"}).json()["state"] == "done"
    until(
        lambda: whole.case(1)["written_at"] is not None and not whole.case(1)["stuck"], "the write-back", 120
    )
    assert waiting() == []


def test_a_code_reaches_the_driver_once_and_the_fulfilment_only_its_reference(whole: Whole) -> None:
    whole.knows("customer-2", BEN)
    way = an_option("code", kind=OptionKind.INSTRUCTIONS, components=())
    whole.troubled(2, kind=Kind.ACCESS_ISSUE, line=None, options=(way,), policy_hint="")
    picked = {"case_id": "x2", "version": 0, "option_id": "code", "note": CODE}
    body = {"request_id": "request-1", "decisions": [picked]}
    path = "/app/v1/conversations/order-2~x2/decisions"
    until(lambda: whole.asks("APP", path, body).status_code == 200, "the offer")
    fulfilment = whole.stack.simulators["fulfilment"]
    triggers = fulfilment.expect("trigger", timeout_s=120, order="order-2", trigger="instructions")
    ref = f"/driver/v1/refs/{triggers[0]['reference']}"
    assert CODE not in json.dumps(triggers)
    assert whole.asks("DRIVER", ref).json() == {"text": CODE}
    assert whole.asks("DRIVER", ref).status_code == 410


def test_who_cannot_be_asked_gets_the_default_and_nothing_is_lost(whole: Whole) -> None:
    # One is known and has no address at all, of the other nobody has ever heard.
    whole.knows("customer-3")
    whole.troubled(3)
    whole.troubled(4, fulfilment_deadline_at=whole.clock.now() + timedelta(seconds=15))
    until(lambda: whole.case(3).get("written_at"), "the default at once")
    assert whole.case(3)["resolution"] == "refunded"
    until(lambda: whole.case(3)["announced"] == "not_possible", "the note")
    until(lambda: whole.case(4).get("written_at"), "the default at the deadline", 90)
    assert (whole.case(4)["actor"], whole.case(4)["resolution"]) == ("default", "refunded")
    sent = whole.rows(
        "SELECT 1 FROM claims WHERE order_id = ANY(%s) AND state = 'sent'", ["order-3", "order-4"]
    )
    assert sent == []
