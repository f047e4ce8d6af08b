"""Evidence: sealed, stored, chained, and provable from the bucket and the public key alone."""

import hashlib
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from connectors import bell
from connectors.bell import Bell
from connectors.clock import SystemClock
from connectors.evidence.chain import link_key
from connectors.evidence.gather import TEXT_PURPOSE
from connectors.evidence.keeper import PURPOSE, Bundle
from connectors.evidence.store import Store
from connectors.evidence.verify import Report, verify
from connectors.rounds import Rounds
from connectors.vault import Erased
from schemas.commands import EvidenceRequest
from schemas.events import EvidenceStored
from schemas.facts import Decision
from schemas.words import Actor, Channel, EvidencePart, EvidencePath, Resolution
from tests.connectors.builders import NOON, Rig, SteppedClock, a_command, checks
from tests.connectors.sealing_evidence import SIGNING, Given, client_of, processes, run, work_of
from tests.world.part import free_port
from tests.world.s3 import S3

pytestmark = pytest.mark.real
_buckets = itertools.count(1)


class Scene:
    """A bucket and a database of its own."""

    def __init__(self, dsn: str, s3: S3, folder: Path) -> None:
        self.rig = Rig(dsn, SystemClock())
        self.bucket = f"evidence-{next(_buckets)}"
        s3.create_locked_bucket(self.bucket)
        log = folder / "keepers.log"
        log.touch()
        self.given = Given(
            dsn=dsn,
            endpoint=s3.endpoint,
            access_key=s3.access_key,
            secret_key=s3.secret_key,
            bucket=self.bucket,
            log=str(log),
        )
        self.queue, self.vault = work_of(self.given)
        self.client = client_of(self.given)
        self._processes: list[Any] = []

    def request(self, n: int = 1, parts: tuple[EvidencePart, ...] = (), **changes: Any) -> EvidenceRequest:
        decision = Decision(
            decision_id=f"E{n}.d1",
            case_id=f"E{n}",
            version=1,
            resolution=Resolution.REFUNDED,
            refund_quantity=1,
            actor=Actor.CUSTOMER,
            policy="p@1",
            readback="two soya instead",
            decided_at=NOON,
        )
        fields: dict[str, Any] = {
            "command_id": f"E{n}.d1.e",
            "order_id": "A1",
            "conversation_id": "A1~E1",
            "case_id": f"E{n}",
            "customer_ref": "ann",
            "path": EvidencePath.DIGITAL,
            "decision": decision,
            "commands": 1,
            "parts": parts or (EvidencePart.MANIFEST, EvidencePart.MESSAGES, EvidencePart.CONFIRMATION),
            "policy": "p@1",
            "issued_at": NOON,
        }
        return EvidenceRequest(**(fields | changes))

    def keep(self, *requests: EvidenceRequest) -> list[EvidenceStored]:
        self.queue.file(list(requests))
        while self.queue.work_once():
            pass
        return self.told()

    def told(self) -> list[EvidenceStored]:
        """The pointers published, each once."""
        facts = [fact for fact in self.rig.facts() if isinstance(fact, EvidenceStored)]
        return list({fact.event_id: fact for fact in facts}.values())

    def verify(self, case_id: str = "") -> Report:
        return verify(Store(self.client, self.bucket), [SIGNING.public_key()], case_id)

    def opened(self, fact: EvidenceStored) -> dict[str, bytes]:
        body = self.client.get_object(
            Bucket=fact.pointer.bucket, Key=fact.pointer.key, VersionId=fact.pointer.version
        )["Body"].read()
        assert hashlib.sha256(body).hexdigest() == fact.pointer.sha256
        return msgspec.msgpack.decode(self.vault.unseal("ann", body, PURPOSE), type=Bundle).parts

    def keeper(self, failpoint: str = "", workers: int = 1) -> Any:
        given = msgspec.structs.replace(self.given, failpoint=failpoint, workers=workers)
        process = processes.Process(target=run, args=(given,), daemon=True)
        process.start()
        self._processes.append(process)
        return process

    def eventually(self, true: Callable[[], bool], timeout_s: float = 60.0) -> None:
        give_up = time.monotonic() + timeout_s
        while not true():
            assert time.monotonic() < give_up, Path(self.given.log).read_text()[-3000:]
            time.sleep(0.02)

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.join()
        self.rig.close()


@pytest.fixture
def scene(dsn: str, s3: S3, tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(dsn, s3, tmp_path)
    yield scene
    scene.close()


def test_evidence_is_stored_and_its_pointer_published_and_everything_holds(scene: Scene) -> None:
    [fact] = scene.keep(scene.request())
    assert fact.missing == ()
    assert scene.opened(fact)["confirmation"].count(b"two soya instead") == 1
    report = scene.verify("E1")
    assert (report.holds, report.links, report.objects) == (True, 1, 1)


def test_the_pointer_goes_to_the_case_and_to_the_public_topic(scene: Scene) -> None:
    scene.keep(scene.request())
    with scene.rig.pool.connection() as connection:
        topics = connection.execute("SELECT topic FROM outbox ORDER BY topic").fetchall()
    assert [topic for (topic,) in topics] == ["case.events.v1", "case.evidence.v1"]


def test_a_repeated_request_is_kept_once(scene: Scene) -> None:
    scene.keep(scene.request())
    scene.keep(scene.request())
    assert scene.verify().links == 1


def test_the_words_that_were_sent_are_in_it_and_only_sealed_in_the_database(scene: Scene) -> None:
    now = SystemClock().now()
    scene.rig.claims.file([a_command(now=now, about=("E1",))])
    [claim] = scene.rig.claims.claim(Channel.SMS, 1, checks(quiet_exempt=True))
    words = "Oat milk is out, order A1"
    assert scene.rig.claims.may_leave(claim, scene.vault.seal("ann", words.encode(), TEXT_PURPOSE))
    scene.rig.claims.sent(claim.command_id, "SM1")
    [fact] = scene.keep(scene.request())
    [message] = msgspec.json.decode(scene.opened(fact)["messages"])
    assert (message["text"], message["state"], message["provider_id"]) == (words, "sent", "SM1")
    with scene.rig.pool.connection() as connection:
        rows = connection.execute("SELECT claims::text FROM claims").fetchall()
    assert words not in str(rows)


def test_parts_that_are_kept_for_different_times_lie_in_different_objects(scene: Scene) -> None:
    queue, _ = work_of(scene.given, recording=lambda _calls: b"RIFF-sound")
    parts = (EvidencePart.MANIFEST, EvidencePart.CALL_LOG, EvidencePart.RECORDING)
    queue.file([scene.request(parts=parts)])
    assert queue.work_once()
    keys = [one["Key"] for one in scene.client.list_objects_v2(Bucket=scene.bucket)["Contents"]]
    assert keys == ["chain/0/000000000001", "evidence/30d/E1/E1.d1.e", "evidence/365d/E1/E1.d1.e"]
    assert scene.verify().objects == 2


def test_a_recording_is_kept_once_for_all_decisions_of_its_conversation(scene: Scene) -> None:
    sounds = [b"RIFF-sound"]
    queue, _ = work_of(
        scene.given,
        recording=lambda _calls: sounds.pop() if sounds else None,
        wait_for_parts=timedelta(hours=1),
    )
    parts = (EvidencePart.MANIFEST, EvidencePart.RECORDING)
    queue.file([scene.request(n, parts) for n in (1, 2, 3)])
    scene.eventually(lambda: not queue.work_once() and len(scene.told()) == 3)
    assert all(fact.missing == () for fact in scene.told())
    assert all(EvidencePart.RECORDING in fact.pointer.parts for fact in scene.told())
    kept = [one["Key"] for one in scene.client.list_objects_v2(Bucket=scene.bucket)["Contents"]]
    assert len([key for key in kept if key.startswith("evidence/30d/")]) == 1
    assert scene.verify().holds


def test_a_part_that_comes_later_is_waited_for_and_then_listed_as_missing(scene: Scene) -> None:
    parts = (EvidencePart.MANIFEST, EvidencePart.RECORDING)
    patient, _ = work_of(scene.given, wait_for_parts=timedelta(hours=1))
    patient.file([scene.request(parts=parts)])
    assert patient.work_once()
    assert scene.told() == []
    scene.eventually(scene.queue.work_once)
    assert scene.told()[0].missing == (EvidencePart.RECORDING,)


def test_a_call_that_ended_without_a_word_has_a_transcript_that_says_so(scene: Scene) -> None:
    """Somebody picked up while no process of ours was there to speak."""
    patient, _ = work_of(scene.given, wait_for_parts=timedelta(hours=1))
    with scene.rig.pool.connection() as connection:
        connection.execute(
            "INSERT INTO claims (command_id, order_id, conversation_id, channel, state, live, filed_at)"
            " VALUES ('A1~E1.9', 'A1', 'A1~E1', 'voice', 'sent', true, now())"
        )
    patient.file([scene.request(parts=(EvidencePart.MANIFEST, EvidencePart.TRANSCRIPT))])
    assert patient.work_once()
    assert scene.told() == []
    with scene.rig.pool.connection() as connection:
        connection.execute("UPDATE claims SET live = false")
    scene.eventually(lambda: not patient.work_once() and len(scene.told()) == 1)
    assert scene.told()[0].missing == ()
    assert scene.opened(scene.told()[0])[EvidencePart.TRANSCRIPT] == b"[]"


def test_what_is_kept_cannot_be_deleted_before_its_time(scene: Scene) -> None:
    [fact] = scene.keep(scene.request())
    with pytest.raises(ClientError, match="AccessDenied"):
        scene.client.delete_object(Bucket=scene.bucket, Key=fact.pointer.key, VersionId=fact.pointer.version)


# Whoever dies, and whatever the store does


def test_a_keeper_killed_between_store_and_pointer_leaves_one_link_and_one_pointer(scene: Scene) -> None:
    scene.queue.file([scene.request()])
    killed = scene.keeper("after_put_before_pointer:kill_9")
    scene.eventually(lambda: not killed.is_alive())
    assert scene.told() == []
    with scene.rig.pool.connection() as connection:
        # The lease of the dead runs out.
        connection.execute("UPDATE evidence_requests SET due_at = filed_at")
    scene.keeper()
    scene.eventually(lambda: len(scene.told()) == 1)
    report = scene.verify()
    assert (report.holds, report.links) == (True, 1)


def test_a_link_that_was_put_before_the_kill_is_taken_over(scene: Scene) -> None:
    [first] = scene.keep(scene.request())
    with scene.rig.pool.connection() as connection:
        # As if it had died before it could say so.
        connection.execute("DELETE FROM evidence_chains")
        connection.execute("UPDATE evidence_requests SET settled_at = NULL, due_at = filed_at")
    assert scene.queue.work_once()
    assert scene.verify().links == 1
    assert {fact.pointer for fact in scene.told()} == {first.pointer}


def test_garbage_where_a_link_belongs_is_waited_out(scene: Scene) -> None:
    scene.client.put_object(Bucket=scene.bucket, Key=link_key(0, 1), Body=b"<html>Bad gateway</html>")
    scene.queue.file([scene.request()])
    assert scene.queue.work_once()
    assert scene.told() == []
    scene.client.delete_object(Bucket=scene.bucket, Key=link_key(0, 1))
    scene.eventually(lambda: scene.queue.work_once() and len(scene.told()) == 1)
    assert scene.verify().holds


def test_writers_at_once_never_fork_a_chain(scene: Scene) -> None:
    scene.queue.file([scene.request(n) for n in range(12)])
    scene.keeper(workers=2)
    scene.keeper(workers=2)
    scene.eventually(lambda: len(scene.told()) == 12)
    report = scene.verify()
    assert (report.holds, report.links, len(report.cases)) == (True, 12, 12)


def test_a_store_that_is_down_delays_the_evidence_and_nothing_is_lost(dsn: str, tmp_path: Path) -> None:
    store = S3(tmp_path)
    store.start()
    scene = Scene(dsn, store, tmp_path)
    store.stop()
    assert scene.keep(scene.request()) == []
    store.start()
    scene.eventually(lambda: scene.queue.work_once() and len(scene.told()) == 1)
    assert scene.verify().holds
    scene.close()
    store.stop()


def test_a_store_that_is_down_for_minutes_is_asked_again_and_again_and_then_has_it(
    dsn: str, s3: S3, tmp_path: Path
) -> None:
    scene, clock = Scene(dsn, s3, tmp_path), SteppedClock()
    nowhere = msgspec.structs.replace(scene.given, endpoint=f"http://127.0.0.1:{free_port()}")
    client = Redirected(client_of(nowhere))
    queue, _ = work_of(scene.given, client=client, clock=clock)
    queue.file([scene.request()])
    asked = 0
    for _ in range(130):
        asked += queue.work_once()
        clock.move(1)
    assert 5 < asked < 20
    assert scene.told() == []
    client.to = scene.client
    clock.move(30)
    assert queue.work_once()
    assert len(scene.told()) == 1
    assert scene.verify().holds
    scene.close()


class Redirected:
    """A client whose store can be exchanged."""

    def __init__(self, to: Any) -> None:
        self.to = to

    def __getattr__(self, name: str) -> Any:
        return getattr(self.to, name)


class Truncating:
    """A client whose store loses the end of what it is given, once."""

    def __init__(self, client: Any) -> None:
        self._client, self._left = client, 1

    def put_object(self, **request: Any) -> Any:
        if self._left:
            self._left -= 1
            request = {k: v for k, v in request.items() if k != "ChecksumSHA256"} | {
                "Body": request["Body"][:-1]
            }
        return self._client.put_object(**request)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


def test_a_store_that_truncates_is_found_out_before_the_pointer(scene: Scene) -> None:
    queue, _ = work_of(scene.given, client=Truncating(scene.client))
    queue.file([scene.request()])
    assert queue.work_once()
    assert scene.told() == []
    scene.eventually(lambda: queue.work_once() and len(scene.told()) == 1)
    assert scene.verify().holds


# What the verifier finds


def overwrite(scene: Scene, key: str, body: bytes) -> None:
    scene.client.put_object(Bucket=scene.bucket, Key=key, Body=body)


def test_a_forged_link_is_found(scene: Scene) -> None:
    scene.keep(scene.request(1), scene.request(2))
    key = link_key(0, 1)
    raw = scene.client.get_object(Bucket=scene.bucket, Key=key)["Body"].read()
    overwrite(scene, key, raw.replace(b"E1", b"E9"))
    assert scene.verify().faults == [f"{key}: its signature is wrong"]


def test_a_link_signed_by_somebody_else_is_found(scene: Scene) -> None:
    scene.keep(scene.request())
    other = Ed25519PrivateKey.generate().public_key()
    report = verify(Store(scene.client, scene.bucket), [other])
    assert report.faults == [f"{link_key(0, 1)}: signed with an unknown key"]


def test_a_removed_link_is_found(scene: Scene) -> None:
    scene.keep(scene.request(1), scene.request(2), scene.request(3))
    scene.client.delete_object(Bucket=scene.bucket, Key=link_key(0, 2))
    assert scene.verify().faults[0].startswith("chain 0: link 2 is missing")


def test_an_object_under_another_version_does_not_count(scene: Scene) -> None:
    [fact] = scene.keep(scene.request())
    overwrite(scene, fact.pointer.key, b"something else")
    assert scene.verify().holds


def test_a_case_without_evidence_is_said_to_have_none(scene: Scene) -> None:
    scene.keep(scene.request())
    assert scene.verify("E7").faults == ["no link names the case E7"]


def test_after_an_erasure_the_chain_still_holds_and_nothing_can_be_opened(scene: Scene) -> None:
    [fact] = scene.keep(scene.request())
    scene.vault.erase("ann")
    assert scene.verify().holds
    with pytest.raises(Erased):
        scene.opened(fact)
    scene.keep(scene.request(2))
    assert len(scene.told()) == 1


class Watched(Bell):
    """Says that somebody who found nothing has begun to wait."""

    def __init__(self) -> None:
        super().__init__()
        self.waited = threading.Event()

    def wait(self, since: int, longest_s: float) -> bool:
        self.waited.set()
        return super().wait(since, longest_s)


def test_what_is_filed_wakes_who_found_nothing(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """By itself it would look again after an hour."""
    monkeypatch.setattr(bell, "FIRST_S", 3_600.0)
    scene.queue._filed = door = Watched()
    ended = threading.Event()
    worker = threading.Thread(target=scene.queue.run, args=(ended, Rounds(SystemClock())), daemon=True)
    worker.start()
    try:
        assert door.waited.wait(60)
        scene.queue.file([scene.request()])
        scene.eventually(lambda: bool(scene.told()))
    finally:
        ended.set()
        door.ring()
        worker.join()
