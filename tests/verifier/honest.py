"""A small honest run as the judge reads it: the scenarios' world, with every record, row, object and book kept."""

import base64
import hashlib
from collections import defaultdict
from datetime import datetime
from hashlib import blake2b
from importlib.metadata import version
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from schemas.catalogue import CHANNEL_TOPICS, RECORDS, Topic
from schemas.codec import Codec
from schemas.commands import CaseChanged, ChannelCancel, ChannelCommand, EvidenceRequest, OrderUpdate
from schemas.events import ConditionEvent, CustomerContact, EvidenceStored, ExceptionRaised
from schemas.facts import EvidencePointer
from schemas.registry import LockedRegistry
from schemas.words import Channel, ReceiptState
from state import shelf
from state.decide import Deadline
from state.encoding import decode, encode
from state.turn import QuarantineRecord
from streams.verifier.seen import EPOCH, Books, Bucket, Message, Register, Seen, StoredObject, Text, Topics
from tests.builders import NOON, a_line, a_second, an_exception, an_option
from tests.scenarios.world import SHELF, World

CODEC = Codec(LockedRegistry())
KEY = Ed25519PrivateKey.generate()
PHONE, MAIL = "+447400123456", "ann.archer@mail.test"
BATCHES, CHANGELOG, QUARANTINE = "saveline-batches", "saveline-cases-changelog", "case.quarantine.v1"
_VERSION = f"{version('saveline')}+" + (
    blake2b("".join(shelf.digest(p) for p in SHELF.by_key.values()).encode(), digest_size=6).hexdigest()
)
_TOPIC_OF = {kind: topic for topic, kinds in RECORDS.items() for kind in kinds if topic != Topic.CASE_EVENTS}


def ms(at: datetime) -> int:
    return round((at - EPOCH).total_seconds() * 1000)


class Honest(World):
    """One partition; each move of the heart is one transaction."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: dict[str, list[Message]] = defaultdict(list)
        self.claims: list[dict[str, Any]] = []
        self.entries: dict[str, list[dict[str, Any]]] = {
            name: [] for name in ("twilio", "fcm", "smtp", "oms")
        }
        self.writes: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.links: dict[str, bytes] = {}
        self.objects: dict[tuple[str, str], StoredObject] = {}
        self._before, self._previous = -1, ""
        contact = CustomerContact(
            customer_ref="customer-1", phone=PHONE, email=MAIL, name="Ann Archer", occurred_at=NOON
        )
        self.put(Topic.CONTACTS, "customer-1", contact)

    # What the others see.

    def put(self, topic: str, key: str | None, record: Any, headers: Any = ()) -> Message:
        """A record, or bytes that are none, at the end of a topic."""
        is_record = isinstance(record, msgspec.Struct)
        one = Message(
            topic=str(topic),
            partition=0,
            offset=len(self.messages[str(topic)]),
            appended_ms=ms(self.now),
            key=None if key is None else key.encode(),
            value=CODEC.encode(record) if is_record else record,
            headers=tuple(headers),
            record=record if is_record else None,
            faults=()
            if is_record
            else ("the record is not in Confluent wire format (0x00, schema id, Avro)",),
        )
        if is_record:
            # As it comes back: instants to the millisecond.
            one = msgspec.structs.replace(one, record=CODEC.decode(one.value))
        self.messages[str(topic)].append(one)
        return one

    def exception(self, raised: ExceptionRaised, facts: Any = None) -> list[object]:
        self.put(Topic.EXCEPTIONS, raised.order_id, raised)
        return super().exception(raised, facts)

    def garbage(self) -> None:
        """Upstream sends what is no record, and intake sends it back."""
        value = b"no avro at all"
        sent = self.put(Topic.EXCEPTIONS, "garbage", value)
        headers = [
            ("original-topic", str(Topic.EXCEPTIONS).encode()),
            ("original-partition", b"0"),
            ("original-offset", b"%d" % sent.offset),
            ("reason", sent.faults[0].encode()),
        ]
        self.put(QUARANTINE, "garbage", value, headers)

    def happens(self, event: object) -> list[object]:
        if isinstance(event, ConditionEvent):
            source = self.put(Topic.CASE_EVENTS, None, event)
            self._transaction(source.offset, [])
        return super().happens(event)

    # What the worker writes.

    def _step(self, order_id: str, event: object) -> None:
        offset, fired = self._before, []
        if isinstance(event, Deadline):
            fired = [[None, order_id.encode(), ms(event.due_at), event.version, ms(self.now)]]
        else:
            event = self.put(Topic.CASE_EVENTS, order_id, event).record
            offset = self.messages[Topic.CASE_EVENTS][-1].offset
        self._transaction(offset, fired)
        effects_before = len(self.effects)
        self._decide(order_id, event)
        for effect in self.effects[effects_before:]:
            answer = self._answer_of_others(effect)
            if answer is not None:
                self._step(order_id, answer)

    def _decide(self, order_id: str, event: object) -> None:
        from state.decide import decide

        record, effects = decide(self.records.get(order_id), event, self.now, self.rules)
        if record is None:
            self.records.pop(order_id, None)
        else:
            self.records[order_id] = decode(encode(record))
        self.effects += effects
        for effect in effects:
            self._published(effect)
        state = None if record is None else b"\x01" + bytes(12) + encode(record)
        self.put(CHANGELOG, order_id, state)

    def _transaction(self, offset: int, fired: list[Any]) -> None:
        note = [self._before, offset, ms(self.now), fired, [], [], _VERSION]
        self.put(BATCHES, "0", msgspec.msgpack.encode(note))
        self._before = offset

    def _published(self, effect: Any) -> None:
        assert not isinstance(effect, QuarantineRecord)
        is_channel = isinstance(effect, ChannelCommand | ChannelCancel)
        topic = CHANNEL_TOPICS[effect.channel] if is_channel else _TOPIC_OF[type(effect)]
        key = effect.case_id if isinstance(effect, CaseChanged) else effect.order_id
        self.put(topic, key, effect)
        if isinstance(effect, ChannelCommand):
            self._sent(effect)

    def _sent(self, command: ChannelCommand) -> None:
        provider = {Channel.PUSH: "fcm", Channel.EMAIL: "smtp"}.get(command.channel, "twilio")
        is_sent = command.channel is not Channel.PERSON
        self.claims.append(
            {
                "command_id": command.command_id,
                "order_id": command.order_id,
                "customer_ref": command.customer_ref,
                "channel": str(command.channel),
                "purpose": str(command.purpose),
                "state": "sent" if is_sent else "planned",
                "reason": "",
                "claimed_at": self.now if is_sent else None,
                "ambiguous_at": None,
                "address_hash": "hash-of-a-number",
                "provider_id": "id",
            }
        )
        if not is_sent:
            return
        resource = "Calls" if command.channel is Channel.VOICE else "Messages"
        paths = {"twilio": f"/2010-04-01/Accounts/AC1/{resource}.json", "fcm": "/v1/projects/p/messages:send"}
        self.books(provider, command.command_id, path=paths.get(provider, ""))

    def books(self, provider: str, command_id: str, **fields: Any) -> None:
        entry = {"kind": "request", "method": "POST", "status": 200, "fault": "", "accepted": True}
        seq = len(self.entries[provider]) + 1
        self.entries[provider].append(
            entry | {"seq": seq, "provider_id": "id", "command_id": command_id} | fields
        )

    def _answer_of_others(self, effect: object) -> object | None:
        if isinstance(effect, OrderUpdate):
            decision = effect.decision
            components = [
                {"sku": one.sku, "quantity": one.pieces}
                for part in decision.chosen
                for one in part.components
            ]
            recorded = {
                "decision_id": effect.command_id,
                "keep_quantity": decision.keep_quantity,
                "refund_quantity": decision.refund_quantity,
                "components": components,
            }
            self.writes[effect.order_id].append({"decision_id": effect.command_id, "decision": recorded})
        if isinstance(effect, EvidenceRequest):
            return self._kept(effect)
        return super()._answer_of_others(effect)

    def _kept(self, request: EvidenceRequest) -> EvidenceStored:
        body = f"sealed bytes of {request.command_id}".encode()
        key, sha256 = f"evidence/{request.command_id}", hashlib.sha256(body).hexdigest()
        self.objects[key, "1"] = StoredObject(key, "1", body)
        seq = len(self.links) + 1
        link = {
            "chain": 0,
            "seq": seq,
            "previous_sha256": self._previous,
            "request_id": request.command_id,
            "order_id": request.order_id,
            "case_id": request.case_id,
            "objects": [{"key": key, "version": "1", "sha256": sha256}],
        }
        raw = signed(link)
        self.links[f"chain/0/{seq:012d}"] = raw
        self._previous = hashlib.sha256(raw).hexdigest()
        return EvidenceStored(
            event_id=self.new_id(),
            order_id=request.order_id,
            case_id=request.case_id,
            request_id=request.command_id,
            pointer=EvidencePointer(
                bucket="evidence", key=key, version="1", sha256=sha256, parts=request.parts
            ),
            occurred_at=self.now,
        )

    def seen(self) -> Seen:
        """All of it, as it would be read now."""
        rows: dict[str, dict[str, Any]] = {}
        for one in self.messages[Topic.CHANGES]:
            change = one.record
            rows[change.case_id] = {
                "case_id": change.case_id,
                "order_id": change.order_id,
                "state": str(change.state),
                "stuck": change.stuck,
                "version": change.decision.version if change.decision else 0,
                "resolution": str(change.resolution),
                "changed_at": change.changed_at,
            }
        return Seen(
            topics=Topics(
                messages=dict(self.messages),
                partitions=1,
                batches=BATCHES,
                changelog=CHANGELOG,
                quarantine=QUARANTINE,
            ),
            register=Register(
                cases=list(rows.values()),
                claims=self.claims,
                opt_outs=[],
                now=self.now,
                raw={"claims": b"nothing personal"},
            ),
            bucket=Bucket(
                name="evidence",
                links=self.links,
                objects=self.objects,
                public_keys=[KEY.public_key().public_bytes_raw()],
            ),
            books=Books(entries=self.entries, writes=dict(self.writes)),
            texts=[Text("worker.log", b"nothing personal either")],
        )


def signed(link: dict[str, Any], key: Ed25519PrivateKey = KEY) -> bytes:
    body = msgspec.json.encode(link)
    raw = key.public_key().public_bytes_raw()
    return msgspec.json.encode(
        {
            "body": body.decode(),
            "signature": base64.b64encode(key.sign(body)).decode(),
            "key_id": hashlib.sha256(raw).hexdigest()[:16],
        }
    )


def a_day() -> Honest:
    """Four orders: one answered by a tap, one defaulted, one of two lines of which one is dearer, one withdrawn."""
    day = Honest()
    day.garbage()
    day.exception(an_exception())
    day.exception(an_exception("x2", order_id="order-2"))
    day.exception(an_exception("x3", order_id="order-3"))
    day.exception(
        a_second("x4", order_id="order-3", options=(an_option("dear", unit_price=a_line().unit_price),))
    )
    day.exception(an_exception("x5", order_id="order-5"))
    day.fast_forward(seconds=30)
    for command in day.sent(Channel.SMS):
        day.receipt(command, ReceiptState.SENT)
    day.taps("corner")
    day.withdrawn("x5", order_id="order-5")
    day.fast_forward(minutes=30)
    day.fast_forward(days=1)
    return day
