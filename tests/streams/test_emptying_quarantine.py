"""The quarantine is emptied by people: what waits is seen, and replayed once, whoever else tries and whatever dies."""

import contextlib
import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from streams.cli import app as saveline
from streams.core import Record
from streams.quarantine import Origin, of_record
from streams.quarantined import OvertakenError, Quarantine, Settling
from streams.topics import settled_topic
from tests.streams.rig import until

pytestmark = pytest.mark.real
UPSTREAM = "order.outcomes.v1"
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


class Ward:
    """One deployment's quarantine on the shared broker."""

    def __init__(self, bootstrap: str, capsys: pytest.CaptureFixture[str]) -> None:
        mark = uuid.uuid4().hex[:8]
        self.client = {"bootstrap.servers": bootstrap}
        self.app, self.topic, self._capsys = f"q{mark}", f"{mark}.quarantine", capsys
        self.key = mark.encode()
        admin = AdminClient(self.client)
        wanted = [self.topic, settled_topic(self.app)]
        for made in admin.create_topics([NewTopic(name, 2, 1) for name in (*wanted, UPSTREAM)]).values():
            # The upstream topic is one for all tests.
            with contextlib.suppress(KafkaException):
                made.result(30)
        until(
            lambda: {*wanted, UPSTREAM} <= {*admin.list_topics(timeout=20).topics}, "the topics to be known"
        )
        self.quarantine = Quarantine(self.client, topic=self.topic, app=self.app)

    def put(self, value: bytes, *reasons: str, source: str = UPSTREAM, headers: object = ()) -> None:
        record = Record(key=self.key, value=value, offset=7, appended_ms=5, headers=[*headers])
        rejected = of_record(record, Origin(source, 1), reasons or ("undecodable",), "1.0")
        producer = Producer(self.client)
        producer.produce(self.topic, rejected.value, rejected.key, headers=rejected.headers)
        assert producer.flush(20) == 0

    def settling(self, by: str = "ann") -> Settling:
        return Settling(self.quarantine, self.client, app=self.app, by=by)

    def sent(self) -> list[tuple[bytes, list[tuple[str, bytes]]]]:
        """What of this test's stands upstream, committed."""
        consumer = Consumer(
            {
                **self.client,
                "group.id": self.app,
                "enable.partition.eof": True,
                "isolation.level": "read_committed",
            }
        )
        partitions = consumer.list_topics(UPSTREAM, timeout=20).topics[UPSTREAM].partitions
        consumer.assign([TopicPartition(UPSTREAM, partition, 0) for partition in partitions])
        found, left = [], len(partitions)
        while left:
            message = consumer.poll(20)
            assert message is not None
            if message.error():
                left -= 1
            elif message.key() == self.key:
                found.append((message.value(), message.headers()))
        consumer.close()
        return found

    def run(self, *words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            code = saveline(["quarantine", *words], exit_on_error=True)
            raise SystemExit(code)
        told = self._capsys.readouterr()
        return ended.value.code or 0, told.out, told.err


@pytest.fixture
def ward(
    bootstrap: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Ward]:
    ward = Ward(bootstrap, capsys)
    for name, value in (("BROKER", bootstrap), ("APP", ward.app), ("QUARANTINE", ward.topic)):
        monkeypatch.setenv(f"SAVELINE_{name}", value)
    return ward


def test_a_record_is_replayed_as_it_was_with_its_headers_and_without_its_trace(ward: Ward) -> None:
    ward.put(b"\x00bytes", headers=[("traceparent", b"00-old"), ("theirs", b"kept")])
    code, out, _ = ward.run("replay", "--all", "--by", "ann")
    assert (code, out.splitlines()[-1]) == (0, "1 replayed")
    [(value, headers)] = ward.sent()
    assert value == b"\x00bytes"
    [record] = ward.quarantine.records()
    assert headers == [("theirs", b"kept"), ("replayed-from", record.id.encode()), ("attempt", b"2")]
    assert ward.quarantine.settled()[record.id].by == "ann"


def test_what_was_replayed_or_discarded_is_not_replayed_again(ward: Ward) -> None:
    ward.put(b"one")
    ward.put(b"two", "id_reused: other content")
    assert ward.run("discard", "--reason", "id_reused", "--why", "a test order")[1] == "1 discarded\n"
    assert ward.run("replay", "--all")[1].endswith("1 replayed\n")
    assert ward.run("replay", "--all")[1] == "0 replayed\n"
    assert [value for value, _ in ward.sent()] == [b"one"]
    assert "0 in all" in ward.run("ls")[1]
    told = [json.loads(line) for line in ward.run("ls", "--all", "--json")[1].splitlines()]
    assert {(one["state"], one.get("why")) for one in told} == {
        ("replayed", ""),
        ("discarded", "a test order"),
    }


def test_an_operator_who_is_overtaken_sends_nothing_and_says_so(ward: Ward) -> None:
    for n in range(3):
        ward.put(b"%d" % n)
    first = ward.settling("ann")
    at_work = first.replay(ward.quarantine.records(), NOW, at_once=1)
    assert next(at_work).value is not None
    second = ward.settling("bob")
    with pytest.raises(OvertakenError, match="1 were settled"):
        next(at_work)
    assert len([*second.replay(ward.quarantine.records(), NOW)]) == 2
    assert sorted(value for value, _ in ward.sent()) == [b"0", b"1", b"2"]


def test_who_dies_in_the_middle_of_a_transaction_has_neither_sent_nor_settled(ward: Ward) -> None:
    ward.put(b"once")
    [record] = ward.quarantine.records()
    dead = ward.settling("ann")
    dead._producer.begin_transaction()
    dead._producer.produce(UPSTREAM, record.value, record.key)
    dead._producer.produce(settled_topic(ward.app), b"{}", record.id.encode())
    dead._producer.flush(20)
    assert [one.id for one in ward.settling("bob").replay(ward.quarantine.records(), NOW)] == [record.id]
    assert [value for value, _ in ward.sent()] == [b"once"]


def test_a_header_cannot_make_us_send_anywhere(ward: Ward) -> None:
    ward.put(b"x", source="somebody.elses.topic")
    ward.put(b"x", source=f"{ward.app}-cases-changelog")
    ward.put(b"x", source="fulfilment.triggers.v1")
    code, out, err = ward.run("replay", "--all")
    assert (code, out) == (0, "0 replayed\n")
    assert err.count("no topic of ours to send to") == 3


def test_a_dry_run_sends_nothing(ward: Ward) -> None:
    ward.put(b"x")
    out = ward.run("replay", "--topic", UPSTREAM, "--dry-run")[1]
    assert out.endswith("1 would be replayed\n")
    assert ward.sent() == []
    assert ward.quarantine.settled() == {}


def test_the_list_counts_by_topic_and_reason_and_shows_no_content(ward: Ward) -> None:
    ward.put(b"secret", "price: negative", "currency: other")
    ward.put(b"secret", "price: negative")
    out = ward.run("ls", "--since", "1h")[1]
    assert f"2 x {UPSTREAM}: price: negative" in out
    assert "secret" not in out
    assert ward.key.decode() not in out
    [first, _] = ward.quarantine.records()
    assert "currency: other" in ward.run("show", first.id)[1]
    assert b"secret".hex() not in ward.run("show", first.id)[1]
    assert json.loads(ward.run("show", first.id, "--payload", "--json")[1])["value_hex"] == b"secret".hex()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("replay",), "which ones?"),
        (("replay", "--all", "--reason", "x"), "which of the two?"),
        (("replay", "--since", "yesterday"), "neither a span like 2h nor an instant"),
        (("replay", "--reason", "no such"), "there are: undecodable"),
        (("replay", "--topic", "elsewhere"), f"they came from: {UPSTREAM}"),
        (("replay", "9-9"), "not in quarantine: 9-9"),
        (("show", "9-9"), "is not in quarantine"),
    ],
)
def test_a_wrong_wish_is_answered_with_what_there_is(ward: Ward, words: tuple[str, ...], said: str) -> None:
    ward.put(b"x")
    code, _, err = ward.run(*words)
    assert code == 2
    assert said in err
    assert ward.sent() == []


def test_a_missing_topic_is_named_with_what_to_do(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAVELINE_QUARANTINE", "nowhere")
    code, _, err = ward.run("ls")
    assert code == 1
    assert "create it with: saveline topics apply" in err


def test_what_fails_again_after_a_replay_counts_its_attempts() -> None:
    came = Record(
        key=b"k", value=b"v", offset=1, appended_ms=1, headers=[("attempt", b"2"), ("replayed-from", b"0-1")]
    )
    headers = of_record(came, Origin(UPSTREAM, 0), ("again",), "1.0").headers
    assert [text for name, text in headers if name == "attempt"] == [b"2"]
    assert not [text for name, text in headers if name == "replayed-from"]
