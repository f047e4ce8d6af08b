"""A whole connectors process beside Kafka: real database, store, providers and OMS behind it."""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from connectors.clock import SystemClock
from connectors.edge.tokens import Links
from connectors.evidence.keeper import PURPOSE, Bundle
from connectors.evidence.store import Store
from connectors.evidence.verify import verify
from connectors.oms.reference import ReferenceOms
from connectors.outbox import Leaving
from connectors.postgres import open_pool
from connectors.register.migrate import upgrade
from connectors.rounds import Rounds
from connectors.service import Archive, Service, Setup
from connectors.vault import Vault
from schemas.codec import Codec
from schemas.commands import OfferedCase, OfferedOption
from schemas.events import (
    CustomerConsent,
    CustomerContact,
    EvidenceStored,
    ReceiptReceived,
    WriteBackReceived,
)
from schemas.facts import Money
from schemas.registry import registry
from schemas.words import Channel, EvidencePart, EvidencePath, Kind, Purpose
from state.shelf import load
from tests.connectors.around import ANN, SIGNING, Around, an_evidence_request, an_update
from tests.connectors.builders import a_command
from tests.connectors.providers import providers_of
from tests.world.listener import Listener
from tests.world.postgres import Postgres
from tests.world.s3 import S3
from tests.world.simulators.twilio.account import AUTH_TOKEN

pytestmark = pytest.mark.real


class World:
    """The service on a thread, and everything that it talks to."""

    def __init__(self, dsn: str, s3: S3, folder: Path) -> None:
        upgrade(dsn)
        self.around = Around(s3, folder)
        self.simulators = self.around.simulators
        self.product = Listener(AUTH_TOKEN)
        self.product.__enter__()
        self.clock = SystemClock()
        self.pool = open_pool(dsn, max_size=20)
        self.codec = Codec(registry(None))
        self.vault = Vault(self.pool, [b"m" * 32], b"s" * 16, self.clock)
        self.published: list[Leaving] = []
        self.service = Service(
            Setup(
                run="one/1",
                retailer="Greengrocer",
                providers=providers_of(self.simulators, public_url=self.product.url),
            ),
            pool=self.pool,
            encode=self.codec.encode,
            publish=self.published.extend,
            clock=self.clock,
            vault=self.vault,
            policy_of=load().by_key.__getitem__,
            links=Links(["secret"], self.product.url),
            oms=ReferenceOms(self.simulators["oms"].url, "oms-token", 5.0),
            archive=Archive(self.store(), SIGNING),
            rounds=Rounds(self.clock),
        )
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.service.run, args=(self.ended,))
        self.thread.start()

    def store(self) -> Store:
        return Store(self.around.s3.client(), self.around.bucket)

    def told(self, kind: type[Any]) -> list[Any]:
        facts = [
            self.codec.decode(value) for topic, _, value, _ in self.published if topic == "case.events.v1"
        ]
        return [fact for fact in facts if isinstance(fact, kind)]

    def eventually(self, true: Callable[[], bool], timeout_s: float = 60.0) -> None:
        give_up = time.monotonic() + timeout_s
        while not true():
            assert self.thread.is_alive(), "the service has ended"
            assert time.monotonic() < give_up, self.told(object)
            time.sleep(0.05)

    def close(self) -> None:
        self.ended.set()
        self.thread.join(60)
        self.product.__exit__()
        self.around.stop()
        self.pool.close()


@pytest.fixture
def world(dsn: str, s3: S3, tmp_path: Path) -> Iterator[World]:
    world = World(dsn, s3, tmp_path)
    yield world
    world.close()


def an_ask(world: World) -> tuple[OfferedCase, ...]:
    soya = OfferedOption(
        key=1,
        option_id="o1",
        name="Soya milk 1 l",
        quantity=1,
        price=Money(180, "GBP"),
        total=Money(2410, "GBP"),
    )
    return (
        OfferedCase(
            case_id="E1",
            kind=Kind.ITEM_UNAVAILABLE,
            decision_version=0,
            line_name="Oat milk 1 l",
            quantity_short=1,
            options=(soya,),
        ),
    )


def test_one_exception_goes_out_on_every_channel_into_the_oms_and_into_the_evidence(world: World) -> None:
    now = world.clock.now()
    world.vault.keep(
        CustomerContact(
            customer_ref="ann",
            revision=1,
            push_tokens=("device-ann",),
            phone=ANN,
            email="ann@example.com",
            zone="Europe/London",
            occurred_at=now,
        )
    )
    world.simulators["twilio"].put(f"phones/{ANN}", {"picks_up": "person"})
    world.product.twiml["/twilio/voice/A1~E1.4"] = (
        "<Response><Start><Recording/></Start><Say>Greengrocer here, about your oat milk.</Say></Response>"
    )
    offered = an_ask(world)
    # Confirmations and calls that answer go at any hour; questions would wait for the morning.
    for n, channel in enumerate((Channel.PUSH, Channel.SMS, Channel.EMAIL, Channel.VOICE), start=1):
        purpose = Purpose.LINK if channel is not Channel.VOICE else Purpose.REPLY
        command = a_command(
            f"A1~E1.{n}",
            channel,
            now=now,
            for_s=600,
            purpose=purpose,
            about=("E1",),
            cases=offered,
            respond_by_at=now + timedelta(minutes=5),
        )
        world.service.claims.file([command])
    world.eventually(lambda: len({r.channel for r in world.told(ReceiptReceived) if r.state == "sent"}) == 4)
    pushed = world.simulators["fcm"].get("devices/device-ann")["received"][0]
    assert pushed["notification"]["body"].startswith(
        "Greengrocer: about your order A1: please choose here: http"
    )
    [mail] = world.simulators["smtp"].get("messages?to=ann@example.com")
    assert mail["links"][0] == pushed["data"]["link"]
    world.simulators["twilio"].expect("recording", state="completed")

    world.around.has_order()
    world.service.write_backs.file([an_update(now)])
    world.eventually(lambda: [str(f.outcome) for f in world.told(WriteBackReceived)] == ["applied"])

    asked = an_evidence_request(now, EvidencePath.VOICE, EvidencePart.CALL_LOG, EvidencePart.RECORDING)
    world.service.evidence.file([asked])
    world.eventually(lambda: len(world.told(EvidenceStored)) == 1)
    [stored] = world.told(EvidenceStored)
    assert stored.missing == ()
    store = world.store()
    assert verify(store, [SIGNING.public_key()], "E1").holds
    recording = next(key for key in store.keys("evidence/") if key.startswith("evidence/30d/"))
    sealed = store.get(recording)
    assert sealed is not None
    opened = msgspec.msgpack.decode(world.vault.unseal("ann", sealed, PURPOSE), type=Bundle)
    assert opened.parts["recording"].startswith(b"RIFF")
    deleted = world.simulators["twilio"].book("request", method="DELETE")
    assert len(deleted) == 1
    # What the customer is called and where they live is in no fact that leaves.
    told = b"".join(value for _, _, value, _ in world.published)
    assert not [secret for secret in (ANN, "ann@example.com", "device-ann") if secret.encode() in told]


def test_a_restart_of_postgres_stops_nothing_for_good_and_loses_nothing(s3: S3, tmp_path: Path) -> None:
    server = Postgres(tmp_path)
    server.start()
    world = World(server.dsn, s3, tmp_path)
    now = world.clock.now()
    world.vault.keep(CustomerContact(customer_ref="ann", revision=1, phone=ANN, occurred_at=now))
    world.around.has_order()
    world.service.write_backs.file([an_update(now)])
    world.service.evidence.file([an_evidence_request(now, EvidencePath.DIGITAL)])
    world.service.claims.file([a_command(now=now, for_s=600, purpose=Purpose.LINK)])
    server.kill()
    server.start()
    world.pool.check()
    world.service.claims.file([a_command("A1~E1.2", now=now, for_s=600, purpose=Purpose.LINK)])

    def written() -> bool:
        told = [str(fact.outcome) for fact in world.told(WriteBackReceived)]
        if told[-1:] == ["order_being_modified"]:
            # The first try was still at the order system when its lock went with the database: the heart asks again.
            again = msgspec.structs.replace(an_update(now), attempt=1 + len(told))
            world.service.write_backs.file([again])
        return bool({"applied", "already_applied"} & set(told))

    world.eventually(
        lambda: (
            written()
            and world.told(EvidenceStored)
            and len({f.command_id for f in world.told(ReceiptReceived)}) == 2
        ),
        timeout_s=120,
    )
    book = world.simulators["oms"].get("orders/A1/book")
    assert len([entry for entry in book if entry["kind"] == "decision"]) == 1
    sent = [entry["command_id"] for entry in world.simulators["twilio"].book("request", method="POST")]
    assert len(sent) == len(set(sent))
    world.close()
    server.stop()


def test_an_opt_out_that_came_meanwhile_is_obeyed(world: World) -> None:
    now = world.clock.now()
    world.vault.keep(CustomerContact(customer_ref="ann", revision=1, phone=ANN, occurred_at=now))
    consent = CustomerConsent(
        customer_ref="ann",
        channels=(Channel.SMS, Channel.VOICE),
        opted_out=True,
        source="sms",
        occurred_at=now,
    )
    world.vault.consent(consent)
    world.service.claims.file([a_command(now=now, for_s=600, purpose=Purpose.CONFIRM)])
    world.eventually(lambda: [r.reason for r in world.told(ReceiptReceived)] == ["opted_out"])
    assert world.simulators["twilio"].book("request") == []
