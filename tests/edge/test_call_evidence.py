"""What a call leaves behind: transcript and recording sealed in the store, and nothing at the provider."""

import itertools
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from connectors.channels import twilio_door
from connectors.clock import SystemClock
from connectors.evidence.gather import Gather
from connectors.evidence.keeper import PURPOSE, Bundle, Keeper
from connectors.evidence.queue import EvidenceQueue
from connectors.evidence.recordings import Recordings
from connectors.evidence.store import Store
from connectors.outbox import Outbox
from schemas.catalogue import Topic
from schemas.commands import EvidenceRequest
from schemas.events import EvidenceStored
from schemas.words import EvidencePart
from tests.builders import an_exception
from tests.edge.telephone import CODEC, YES, ShiftedClock, Telephone
from tests.streams.rig import until
from tests.world.s3 import S3
from tests.world.simulators.twilio.account import ACCOUNT_SID, AUTH_TOKEN

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("postgres")]
_buckets = itertools.count(1)
APPROVES = (
    YES,
    {"hears": "press the number", "keys": "1"},
    {"hears": "your new total is", "say": "yes please", "confidence": 0.87},
)


class Archive:
    """The store, and a queue that keeps evidence of Sam's calls in it."""

    def __init__(self, phone: Telephone, s3: S3, *, relay: bool) -> None:
        self.relay = relay
        self.phone, self.client, self.bucket = phone, s3.client(), f"calls-{next(_buckets)}"
        s3.create_locked_bucket(self.bucket)
        self.store = Store(self.client, self.bucket)
        # The store's locks are by this machine's day, not by the story's.
        self.clock = ShiftedClock(SystemClock().now())
        twilio = twilio_door.client(ACCOUNT_SID, AUTH_TOKEN, phone.twilio.url, 5.0)
        recordings = Recordings(twilio, (ACCOUNT_SID, AUTH_TOKEN), 5.0)
        keeper = Keeper(
            self.store,
            Ed25519PrivateKey.generate(),
            phone.vault.seal,
            lambda _policy, part: 30 if part == "recording" else 365,
            chains=1,
        )
        self.queue = EvidenceQueue(
            phone.pool,
            (Outbox(CODEC.encode, Topic.EVIDENCE),),
            self.clock,
            gather=Gather(phone.pool, phone.vault.unseal, recording=recordings.fetch),
            keeper=keeper,
            after=recordings.delete,
            wait_for_parts=timedelta(seconds=120),
        )

    def kept(self) -> tuple[EvidenceRequest, dict[str, bytes]]:
        """The evidence of the decision that the call made, opened."""
        [request] = self.phone.world.of(EvidenceRequest)
        self.queue.file([request])

        def stored() -> bool:
            self.clock.move(2)
            self.queue.work_once()
            return any(isinstance(fact, EvidenceStored) for fact in self.phone.facts)

        until(stored, "the evidence")
        found: dict[str, bytes] = {}
        for key in self.store.keys("evidence/"):
            sealed = self.store.get(key)
            assert sealed is not None
            plain = self.phone.vault.unseal("customer-1", sealed, PURPOSE)
            found |= msgspec.msgpack.decode(plain, type=Bundle).parts
        return request, found

    def at_provider(self) -> list[Any]:
        return [e for e in self.phone.twilio.book("recording") if e["state"] == "completed"]

    def listed(self) -> int:
        twilio = twilio_door.client(ACCOUNT_SID, AUTH_TOKEN, self.phone.twilio.url, 5.0)
        return len(twilio.recordings.list(call_sid=self.phone.call_sid))


@pytest.fixture(params=["gather", "relay"])
def archive(dsn: str, s3: S3, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Archive]:
    manner: dict[str, Any] = {"transport": "relay", "pace": 0.1} if request.param == "relay" else {}
    with Telephone(dsn, tmp_path, **manner) as phone:
        yield Archive(phone, s3, relay=request.param == "relay")


def test_a_call_leaves_its_recording_and_its_transcript_and_nothing_at_the_provider(archive: Archive) -> None:
    archive.phone.talk(*APPROVES, exceptions=[an_exception()])
    request, parts = archive.kept()
    assert {EvidencePart.TRANSCRIPT, EvidencePart.RECORDING} <= set(request.parts)
    assert parts["recording"].startswith(b"RIFF")
    [call] = msgspec.json.decode(parts["transcript"])
    heard = [one for turn in call["turns"] for one in turn["heard"]]
    # A relay's frames carry no confidence.
    confidence = None if archive.relay else 0.87
    assert ("yes please", confidence) in [(one.get("text"), one.get("confidence")) for one in heard]
    assert any("your new total is £60.00" in turn["said"] for turn in call["turns"])
    assert {turn["script"] for turn in call["turns"]} == {"en-GB/1"}
    assert archive.at_provider()
    assert archive.listed() == 0


def test_it_is_recorded_only_after_that_was_announced_and_the_right_person_answered(archive: Archive) -> None:
    archive.phone.talk(*APPROVES, exceptions=[an_exception()])
    book = archive.phone.twilio.book()
    started = next(e["seq"] for e in book if e["kind"] == "recording")
    announced = next(e["seq"] for e in book if e["kind"] == "agent_says" and "will be recorded" in e["text"])
    answered = next(e["seq"] for e in book if e["kind"] == "caller_says")
    assert announced < answered < started


def test_a_recording_that_was_refused_is_kept_nowhere(archive: Archive) -> None:
    archive.phone.talk(
        YES,
        {"hears": "press the number", "say": "please don't record this"},
        {"hears": "go on without recording", "keys": "1"},
        {"hears": "your new total is", "keys": "1"},
        exceptions=[an_exception()],
    )
    request, parts = archive.kept()
    assert request.recording_refused
    assert EvidencePart.RECORDING not in request.parts
    assert "recording" not in parts
    until(lambda: archive.queue.work_once() is not None and archive.listed() == 0, "the deletion")


def test_a_deletion_that_the_provider_refuses_is_tried_again(archive: Archive) -> None:
    archive.phone.talk(*APPROVES, exceptions=[an_exception()])
    refused = [False, False, True]
    deleted = []

    def after(calls: list[str]) -> bool:
        deleted.append(calls)
        return refused.pop(0)

    archive.queue._after = after
    archive.kept()
    assert deleted == [[archive.phone.call_sid]]
    assert not archive.queue.work_once()
    for _ in range(2):
        archive.clock.move(31)
        assert archive.queue.work_once()
    archive.clock.move(31)
    assert not archive.queue.work_once()
    assert deleted == [[archive.phone.call_sid]] * 3


def test_nothing_that_was_said_stands_in_the_database_in_clear(archive: Archive) -> None:
    archive.phone.talk(*APPROVES, exceptions=[an_exception()])
    with archive.phone.pool.connection() as connection:
        rows = connection.execute(
            "SELECT call_sessions::text FROM call_sessions UNION ALL SELECT call_turns::text FROM call_turns"
        ).fetchall()
    assert rows
    for secret in ("Sam", "yes please", "+447700900123", b"yes please".hex(), b"Sam".hex()):
        assert secret not in str(rows)
