"""A reference fulfilment process: takes triggers from Kafka and answers each with receipts, once."""

import argparse
import asyncio
import sqlite3
import threading

import msgspec
from confluent_kafka import Consumer, Producer

from schemas.catalogue import Topic
from schemas.codec import Codec
from schemas.commands import FulfilmentTrigger
from schemas.errors import Malformed
from schemas.events import TriggerReceived
from schemas.registry import registry
from schemas.words import TriggerState
from tests.world.simulators.desk import Desk, arguments, serve

_FAULTS = r"refuse|silent|accepted_only|twice"
_POLL_S = 0.2
_FLUSH_S = 10.0


class Fulfilment:
    """What was done is in SQLite, so that a repeat after a kill is answered and not done again."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self._codec = Codec(registry(None))
        self._ended = threading.Event()
        given = desk.arguments
        self._topics = (given.triggers, given.receipts)
        client = {"bootstrap.servers": given.bootstrap}
        self._producer = Producer(
            {**client, "partitioner": "murmur2_random", "enable.idempotence": True, "linger.ms": 5}
        )
        self._consumer = Consumer(
            {
                **client,
                "group.id": given.group,
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
            }
        )
        self._thread = threading.Thread(target=self._run, name="triggers")

    async def open(self, _port: int) -> int:
        """Kafka is its door; it listens nowhere else."""
        self._thread.start()
        return 0

    async def close(self) -> None:
        self._ended.set()
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        done = sqlite3.connect(self.desk.folder / "fulfilment.sqlite", isolation_level=None)
        done.execute("CREATE TABLE IF NOT EXISTS done (trigger_id TEXT PRIMARY KEY, kind TEXT NOT NULL)")
        self._consumer.subscribe([self._topics[0]])
        while not self._ended.is_set():
            message = self._consumer.poll(_POLL_S)
            if message is None or message.error():
                continue
            try:
                trigger = self._codec.decode(message.value(), (FulfilmentTrigger,))
            except Malformed as error:
                self.desk.book.write("malformed", error=str(error))
            else:
                self._headers = [one for one in message.headers() or () if one[0] == "traceparent"]
                self._take(done, trigger)
            # Receipts are out before the offset is: a kill in between answers twice, and does once.
            self._producer.flush(_FLUSH_S)
            self._consumer.commit(message, asynchronous=False)
        self._consumer.close()

    def _take(self, done: sqlite3.Connection, trigger: FulfilmentTrigger) -> None:
        verdict = self.desk.faults.meet(
            "triggers", str(trigger.kind), f"{trigger.order_id}~", trigger.order_id
        )
        known = done.execute("SELECT 1 FROM done WHERE trigger_id = ?", [trigger.command_id]).fetchone()
        self.desk.book.write(
            "trigger",
            trigger_id=trigger.command_id,
            order=trigger.order_id,
            case_id=trigger.case_id,
            trigger=str(trigger.kind),
            supersedes=trigger.supersedes,
            reference=trigger.reference,
            quantity=trigger.quantity,
            repeat=known is not None,
            fault=verdict.then,
        )
        if verdict.name == "silent":
            return
        if verdict.name == "refuse":
            self._answer(trigger, TriggerState.REFUSED, "not_possible")
            return
        for _ in range(2 if verdict.name == "twice" else 1):
            self._answer(trigger, TriggerState.ACCEPTED)
            if verdict.name == "accepted_only":
                continue
            done.execute("INSERT OR IGNORE INTO done VALUES (?, ?)", [trigger.command_id, str(trigger.kind)])
            self._answer(trigger, TriggerState.DONE)

    def _answer(self, trigger: FulfilmentTrigger, state: TriggerState, reason: str = "") -> None:
        receipt = TriggerReceived(
            event_id=f"{trigger.command_id}.{state}",
            order_id=trigger.order_id,
            trigger_id=trigger.command_id,
            state=state,
            reason=reason,
            occurred_at=self.desk.clock.now(),
        )
        self._producer.produce(
            self._topics[1], self._codec.encode(receipt), key=trigger.order_id, headers=self._headers
        )
        self.desk.book.write("receipt", **msgspec.structs.asdict(receipt))


def more(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--group", default="fulfilment")
    parser.add_argument("--triggers", default=str(Topic.TRIGGERS), help="the topic that it reads")
    parser.add_argument("--receipts", default=str(Topic.RECEIPTS), help="the topic that it writes")


async def main() -> None:
    desk = Desk("fulfilment", arguments("fulfilment", more), _FAULTS)
    fulfilment = Fulfilment(desk)
    await serve(desk, fulfilment.open, closing=[fulfilment.close])


if __name__ == "__main__":
    asyncio.run(main())
