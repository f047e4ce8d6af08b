"""What somebody outside has: topics with the schema files, HTTP, control doors and `saveline ... --json`."""

import io
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import fastavro
import psutil
import requests
from confluent_kafka import Consumer, Producer, TopicPartition

ROOT = Path(__file__).parents[2]
SCHEMAS = ROOT / "schemas" / "avro"
# Generous: the machine may be busy with other tests.
PATIENCE_S = 180.0
TIMEOUT_S = 30.0
POLICY = """
extends: common.v1
id: quick
version: 1
about: The shipped escalation with windows of seconds.
approved_by: tests
approved_at: 2026-11-24T00:00:00Z
kinds: [item_unavailable, partly_available, damaged_item]
applies: {stores: [store-nowhere]}
promised_notice_ms: 300000
gather_ms: 300
steps:
  - {name: digital, channels: [push, sms, email], window_ms: 120000}
  - {name: call, channels: [voice], attempts_max: 2, spacing_ms: 500}
"""

Row = dict[str, Any]


def until(condition: Callable[[], Any], what: str, patience_s: float = PATIENCE_S) -> Any:
    give_up = time.monotonic() + patience_s
    while not (found := condition()):
        assert time.monotonic() < give_up, f"{what} did not come within {patience_s} s"
        time.sleep(0.05)
    return found


class Schemas:
    """Avro by the committed files: five bytes of envelope, then the record."""

    def __init__(self) -> None:
        locked = json.loads((SCHEMAS / "lock.json").read_text())
        self._ids = {one["record"]: one["id"] for one in sorted(locked, key=lambda one: one["version"])}
        self._names = {one["id"]: one["record"] for one in locked}
        self._schemas: dict[str, Any] = {}

    def _schema(self, name: str) -> Any:
        if name not in self._schemas:
            self._schemas[name] = fastavro.schema.load_schema(SCHEMAS / f"saveline.v1.{name}.avsc")
        return self._schemas[name]

    def encode(self, name: str, record: Row) -> bytes:
        out = io.BytesIO()
        out.write(b"\0" + self._ids[name].to_bytes(4, "big"))
        fastavro.schemaless_writer(out, self._schema(name), record)
        return out.getvalue()

    def decode(self, value: bytes) -> tuple[str, Row]:
        name = self._names[int.from_bytes(value[1:5], "big")]
        return name, fastavro.schemaless_reader(io.BytesIO(value[5:]), self._schema(name))


@dataclass(frozen=True)
class Seen:
    """One record of a topic."""

    topic: str
    kind: str
    value: Row
    raw: bytes
    headers: dict[str, bytes]


@dataclass(frozen=True, kw_only=True)
class Order:
    """One order of one line, and the customer who placed it."""

    order_id: str
    customer_ref: str
    phone: str
    email: str
    token: str
    pieces: int = 1
    contact: Row = field(default_factory=dict)

    @property
    def case_id(self) -> str:
        return f"{self.order_id}-X1"

    @property
    def traceparent(self) -> str:
        number = int(self.order_id[1:])
        return f"00-{number:032x}-{number:016x}-01"


class Outside:
    """One `saveline up --json`, and everything that its output leads to."""

    def __init__(self, folder: Path) -> None:
        policy = folder / "quick.yaml"
        policy.write_text(POLICY)
        self.folder = folder / "up"
        self.process = run_up(self.folder, "--policy", str(policy), "--pace", "0.05")
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.communicate()[1]
        self.told: Row = json.loads(line)
        self.parts: dict[str, Row] = self.told["parts"]
        self.schemas = Schemas()
        broker = {"bootstrap.servers": self.parts["kafka"]["bootstrap"], "log_level": "0"}
        self._producer = Producer({**broker, "partitioner": "murmur2_random"})
        self._consumer = Consumer({**broker, "group.id": "outside", "auto.offset.reset": "earliest"})
        # All but upstream's and the quarantine, where anything may lie.
        self._consumer.subscribe(
            ["^(case\\.(events|changes|evidence)|(channel|oms|fulfilment|evidence|line)\\.\\w+)\\.v1$"]
        )
        self.seen: list[Seen] = []
        self._numbers = itertools.count(1001)
        now = self.now()
        # It is noon where the customers live: no hour is quiet.
        self.zone = f"Etc/GMT{now.hour - 12:+d}"

    # Topics.

    def sends(self, topic: str, key: str, kind: str, record: Row, **headers: bytes) -> None:
        self._producer.produce(topic, self.schemas.encode(kind, record), key, headers=list(headers.items()))
        assert self._producer.flush(TIMEOUT_S) == 0

    def read(self) -> list[Seen]:
        for message in self._consumer.consume(500, 0.2):
            if message.error() is None and message.value() is not None:
                kind, value = self.schemas.decode(message.value())
                headers = dict(message.headers() or ())
                self.seen.append(Seen(message.topic(), kind, value, message.value(), headers))
        return self.seen

    def awaits(
        self, kind: str, where: Callable[[Row], Any] = lambda _value: True, n: int = 1, **fields: Any
    ) -> list[Row]:
        """The values of the first `n` or more such records of any topic."""

        def found() -> list[Row]:
            matching = [
                one.value
                for one in self.read()
                if one.kind == kind
                and all(one.value[name] == value for name, value in fields.items())
                and where(one.value)
            ]
            return matching if len(matching) >= n else []

        return until(found, f"{n} x {kind} {fields}")

    def command(self, order: Order, **fields: Any) -> Row:
        """The first such command to a channel."""
        return self.awaits("ChannelCommand", order_id=order.order_id, **fields)[0]

    def case(self, order: Order, where: Callable[[Row], Any]) -> Row:
        """The case as the register shows it, once it is so."""
        return self.awaits("CaseChanged", where, case_id=order.case_id)[-1]

    def length(self, topic: str) -> int:
        """How many records lie in it, open transactions and their marks included."""
        partitions = self._consumer.list_topics(topic, timeout=TIMEOUT_S).topics[topic].partitions
        places = [TopicPartition(topic, number) for number in partitions]
        return sum(self._consumer.get_watermark_offsets(place, timeout=TIMEOUT_S)[1] for place in places)

    def litters(self, topic: str, n: int) -> None:
        """So many records that nobody can read."""
        for number in range(n):
            self._producer.produce(topic, b"litter", f"litter-{number}")
        assert self._producer.flush(TIMEOUT_S) == 0

    # Upstream.

    def now(self) -> datetime:
        return datetime.now(UTC)  # noqa: TID251 - an outsider has a clock of their own

    def order(self, *channels: str, pieces: int = 1, **contact: Any) -> Order:
        """A customer who can be reached there, known to the vault, and their order in the OMS."""
        n = next(self._numbers)
        order = Order(
            order_id=f"C{n}",
            customer_ref=f"customer-{n}",
            phone=f"+44740000{n}" if {"sms", "voice"} & set(channels) else "",
            email=f"shopper-{n}@mail.test" if "email" in channels else "",
            token=f"device-{n}" if "push" in channels else "",
            pieces=pieces,
            contact=contact,
        )
        self.control("oms", "PUT", f"orders/{order.order_id}", in_the_oms(order))
        record = {
            "customer_ref": order.customer_ref,
            "revision": 1,
            "phone": order.phone,
            "email": order.email,
            "push_tokens": [order.token] if order.token else [],
            "name": f"Quentin Shopper{n}",
            "zone": self.zone,
            "country": "GB",
            "occurred_at": self.now(),
            **({} if "voice" in channels else {"contact_mode": "no_voice"}),
            **contact,
        }
        self.sends("customer.contacts.v1", order.customer_ref, "CustomerContact", record)
        return order

    def troubled(self, *orders: Order, exception: str = "X1", **changes: Any) -> None:
        """A line of each is missing; its deadline is far enough for everything."""
        self.rests("connectors")
        for order in orders:
            now = self.now()
            record = {
                "event_id": f"{order.order_id}-{exception}-raised",
                "order_id": order.order_id,
                "exception_id": f"{order.order_id}-{exception}",
                "customer_ref": order.customer_ref,
                "store_id": "store-riverside",
                "kind": "item_unavailable",
                "line": line(order, exception),
                "options": [option("hillside", 200), option("corner", 180)],
                "fulfilment_deadline_at": now + timedelta(minutes=20),
                "occurred_at": now,
                "order_total": {"minor": 200 * order.pieces, "currency": "GBP"},
                "delivery": {"country": "GB", "postcode": "N1 9GU", "zone": self.zone},
                "policy_hint": "quick",
                **changes,
            }
            trace = {"traceparent": order.traceparent.encode()}
            self.sends("order.exceptions.v1", order.order_id, "ExceptionRaised", record, **trace)

    # Control doors and processes.

    def control(self, name: str, method: str, path: str, body: Any = None) -> Any:
        answer = self.tries(name, method, path, body)
        assert answer.ok, f"{name} {method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.text else None

    def tries(self, name: str, method: str, path: str, body: Any = None) -> requests.Response:
        return requests.request(method, f"{self.parts[name]['control']}/{path}", json=body, timeout=TIMEOUT_S)

    def book(self, name: str, kind: str = "", since: int | str = 0, **fields: Any) -> list[Row]:
        door = f"{self.parts[name]['control']}/book"
        answer = requests.get(door, params={"since": since}, timeout=TIMEOUT_S)
        answer.raise_for_status()
        entries = [json.loads(text) for text in answer.text.splitlines()]
        return [
            entry
            for entry in entries
            if kind in ("", entry["kind"]) and all(entry.get(key) == value for key, value in fields.items())
        ]

    def expects(self, name: str, kind: str, n: int = 1, **fields: Any) -> list[Row]:
        """So many such entries of this simulator's book, once they are there."""

        def found() -> list[Row]:
            entries = self.book(name, kind, **fields)
            return entries if len(entries) >= n else []

        return until(found, f"{n} x {kind} {fields} in the book of {name}")

    def asks(self, process: str, path: str) -> requests.Response:
        return requests.get(f"{self.parts[process]['url']}{path}", timeout=TIMEOUT_S)

    def arms(self, process: str, point: str, then: str, **more: Any) -> None:
        url = f"{self.parts[process]['url']}/_test/failpoints"
        done = requests.put(url, json={"point": point, "then": then, **more}, timeout=TIMEOUT_S)
        assert done.ok, done.text

    def rests(self, *processes: str) -> None:
        for process in processes:
            until(lambda name=process: self._quiescent(name), f"{process} to be quiescent")

    def _quiescent(self, process: str) -> bool:
        try:
            return bool(self.asks(process, "/_test/quiescent").json()["quiescent"])
        except requests.RequestException:
            # It was killed, and is not back yet; or it is busy.
            return False

    def says(self, *words: str) -> Row:
        """What a command prints with `--json`; it finds everything through the printed file of the environment."""
        command = (
            f'set -a; . "{self.told["secret_files"]["environment"]}"; exec "$0" -m streams.cli "$@" --json'
        )
        done = subprocess.run(
            ["bash", "-c", command, sys.executable, *words],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode in (0, 1), done.stderr
        return dict(json.loads(done.stdout))

    def ends(self) -> None:
        """Ctrl-C: everything goes, and only logs are left."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        assert len(children) > 10
        self._consumer.close()
        self.process.send_signal(signal.SIGINT)
        _, said = self.process.communicate(timeout=300)
        assert self.process.returncode == 0, said
        until(lambda: not any(lives(child) for child in children), "everything to have ended")
        assert {left.name for left in self.folder.iterdir()} == {".stack", "logs"}


def run_up(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    """The command as it is typed, without anything of ours in its environment."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SAVELINE_")}
    if cache := os.environ.get("SAVELINE_CACHE"):
        environment["SAVELINE_CACHE"] = cache
    return subprocess.Popen(
        [sys.executable, "-m", "streams.cli", "up", "--json", "--folder", str(folder), *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def lives(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def in_the_oms(order: Order) -> Row:
    return {
        "lines": [
            {
                "line_id": line_id,
                "sku": "bread-oak",
                "ordered": order.pieces,
                "quantity": order.pieces,
                "unit_price_minor": 200,
            }
            for line_id in ("L1", "L2")
        ],
        "payments": [{"payment_id": f"{order.order_id}-P1", "captured_minor": 0}],
        "catalogue": {"bread-hillside": 200, "bread-corner": 180, "bread-dear": 330},
        "currency": "GBP",
        "total_minor": 400 * order.pieces,
    }


def line(order: Order, exception: str) -> Row:
    return {
        "line_id": f"L{exception[1:]}",
        "sku": "bread-oak",
        "name": "Oakmill Sourdough 400 g",
        "brand": "Oakmill",
        "quantity_ordered": order.pieces,
        "unit_price": {"minor": 200, "currency": "GBP"},
        "attributes": {"allergens_known": True},
    }


def option(option_id: str, price_minor: int, pieces: int = 1, **attributes: Any) -> Row:
    return {
        "option_id": option_id,
        "components": [
            {
                "sku": f"bread-{option_id}",
                "name": f"{option_id.title()} Sourdough 400 g",
                "brand": option_id.title(),
                "quantity_default": pieces,
                "quantity_max": 9,
                "unit_price": {"minor": price_minor, "currency": "GBP"},
                "attributes": {"allergens_known": True, **attributes},
            }
        ],
    }
