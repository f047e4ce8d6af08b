"""The quarantine is emptied by people: what waits is seen, and replayed once, whoever else tries and whatever dies."""

import contextlib
import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from streams import quarantined
from streams.cli import app as saveline
from streams.core import Record
from streams.intake import producer
from streams.quarantine import HEADERS_BYTES, Origin, of_record
from streams.quarantined import OvertakenError, Quarantine, Settling, UnreadableError
from streams.topics import settled_topic, wanted_topics
from tests.streams.rig import until

pytestmark = pytest.mark.real
UPSTREAM = "order.outcomes.v1"
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
WANTED = {topic.name: dict(topic.config) for topic in wanted_topics(replication=1)}


class Ward:
    """One deployment's quarantine on the shared broker."""

    def __init__(self, bootstrap: str, capsys: pytest.CaptureFixture[str]) -> None:
        mark = uuid.uuid4().hex[:8]
        self.client = {"bootstrap.servers": bootstrap}
        self.app, self.topic, self._capsys = f"q{mark}", f"{mark}.quarantine", capsys
        self.key = mark.encode()
        self.admin = AdminClient(self.client)
        wanted = [self.topic, settled_topic(self.app), UPSTREAM]
        config = {self.topic: WANTED["case.quarantine.v1"]}
        made = self.admin.create_topics(
            [NewTopic(name, 2, 1, config=config.get(name, {})) for name in wanted]
        )
        for one in made.values():
            # The upstream topic is one for all tests.
            with contextlib.suppress(KafkaException):
                one.result(30)
        until(lambda: {*wanted} <= {*self.admin.list_topics(timeout=20).topics}, "the topics to be known")
        self.quarantine = Quarantine(self.client, topic=self.topic, app=self.app)

    def put(
        self,
        value: bytes,
        *reasons: str,
        source: str = UPSTREAM,
        headers: object = (),
        keyless_from: int | None = None,
    ) -> None:
        """A letter of this test's key, from partition 1; or one without a key, from another."""
        key = self.key if keyless_from is None else None
        record = Record(key=key, value=value, offset=7, appended_ms=5, headers=[*headers])
        partition = 1 if keyless_from is None else keyless_from
        rejected = of_record(record, Origin(source, partition), reasons or ("undecodable",), "1.0")
        sender = producer(self.client)
        sender.produce(self.topic, rejected.value, rejected.key, headers=rejected.headers)
        assert sender.flush(20) == 0

    def settling(self, by: str = "ann") -> Settling:
        return Settling(self.quarantine, self.client, app=self.app, by=by)

    def sent(self) -> list[tuple[bytes, list[tuple[str, bytes]]]]:
        """What of this test's stands upstream, committed."""
        return [(one.value(), one.headers()) for one in self.upstream() if one.key() == self.key]

    def upstream(self) -> list[Message]:
        """All that is committed there, once every transaction that is there now is over, other tests' as well."""
        reads = {**self.client, "group.id": self.app, "enable.partition.eof": True}
        any_end = Consumer({**reads, "isolation.level": "read_uncommitted"})
        consumer = Consumer({**reads, "isolation.level": "read_committed"})
        partitions = consumer.list_topics(UPSTREAM, timeout=20).topics[UPSTREAM].partitions
        places = [TopicPartition(UPSTREAM, partition, 0) for partition in partitions]
        ends = {place.partition: any_end.get_watermark_offsets(place, timeout=60)[1] for place in places}
        any_end.close()
        consumer.assign(places)
        found = []
        while ends:
            message = consumer.poll(60)
            assert message is not None
            if not message.error():
                found.append(message)
            elif message.offset() >= ends[message.partition()]:
                del ends[message.partition()]
                consumer.pause([TopicPartition(UPSTREAM, message.partition())])
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
    assert until(ward.quarantine.settled, "the marker")[record.id].by == "ann"


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
    dead._producer.produce(settled_topic(ward.app), b"{}", ward.quarantine.marker(record.id))
    dead._producer.flush(20)
    assert [one.id for one in ward.settling("bob").replay(ward.quarantine.records(), NOW)] == [record.id]
    assert [value for value, _ in ward.sent()] == [b"once"]


def test_what_comes_while_it_is_read_is_left_for_the_next_time(
    ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record that was replayed and failed again must not be met twice by one command."""

    class Late(Consumer):
        def assign(self, places: list[TopicPartition]) -> None:
            ward.put(b"failed again")
            super().assign(places)

    ward.put(b"first")
    monkeypatch.setattr(quarantined, "Consumer", Late)
    assert [record.value for record in ward.quarantine.records()] == [b"first"]


def test_what_was_settled_in_a_topic_that_is_gone_says_nothing_about_the_one_made_anew(ward: Ward) -> None:
    ward.put(b"one")
    assert ward.run("replay", "--all")[1].endswith("1 replayed\n")
    ward.admin.delete_topics([ward.topic])[ward.topic].result(30)
    until(lambda: ward.topic not in ward.admin.list_topics(timeout=20).topics, "the topic to be gone")
    ward.admin.create_topics([NewTopic(ward.topic, 2, 1)])[ward.topic].result(30)
    until(lambda: ward.topic in ward.admin.list_topics(timeout=20).topics, "the topic to be known")
    ward.put(b"two")
    assert ward.run("replay", "--all")[1].endswith("1 replayed\n")
    assert [value for value, _ in ward.sent()] == [b"one", b"two"]


def test_a_record_without_a_key_goes_back_to_the_partition_that_it_came_from(ward: Ward) -> None:
    """What is told to every partition, such as a kill switch, is meant for that one."""
    values = {b"%s %d" % (ward.key, n): n % 2 for n in range(10)}
    for value, partition in values.items():
        ward.put(value, keyless_from=partition)
    ward.put(b"lost", keyless_from=7)
    code, out, err = ward.run("replay", "--all")
    assert (code, out.splitlines()[-1]) == (0, "10 replayed")
    assert f"has no key, and came from partition 7, of which {UPSTREAM} has 2" in err
    found = {one.value(): one.partition() for one in ward.upstream() if one.value() in values}
    assert found == values


def test_a_letter_is_as_large_as_upstream_can_send_with_all_that_is_said_about_it(ward: Ward) -> None:
    value = b"x" * 1_048_000
    ward.put(value, *["r" * 1_000] * (HEADERS_BYTES // 1_100))
    assert ward.run("replay", "--all")[1].endswith("1 replayed\n")
    assert [len(one) for one, _ in ward.sent()] == [len(value)]


class Failing:
    """A producer of which Kafka has had enough."""

    def __init__(self, commit: int, abort: int) -> None:
        self._commit, self._abort = commit, abort

    def begin_transaction(self) -> None: ...

    def produce(self, *_: object, **__: object) -> None: ...

    def poll(self, _: float) -> None: ...

    def commit_transaction(self, _: float) -> None:
        raise KafkaException(KafkaError(self._commit, "commit"))

    def abort_transaction(self, _: float) -> None:
        raise KafkaException(KafkaError(self._abort, "abort"))


@pytest.mark.parametrize(
    ("abort", "error"), [(KafkaError._STATE, UnreadableError), (KafkaError._FENCED, OvertakenError)]
)
def test_an_abort_that_fails_as_well_is_told_in_words(
    ward: Ward, abort: int, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    ward.put(b"x")
    settling = ward.settling()
    monkeypatch.setattr(settling, "_producer", Failing(KafkaError._TIMED_OUT, abort))
    with pytest.raises(error):
        [*settling.replay(ward.quarantine.records(), NOW)]


def test_a_long_list_is_cut_and_the_rest_counted(ward: Ward) -> None:
    for n in range(5):
        ward.put(b"%d" % n)
    out = ward.run("ls", "--limit", "2")[1]
    assert out.count(" undecodable\n") == 2 + 1
    assert "and 3 more" in out
    assert f"5 x {UPSTREAM}: undecodable" in out
    assert len(ward.run("ls", "--json", "--limit", "2")[1].splitlines()) == 2
    assert len(ward.run("ls", "--json")[1].splitlines()) == 5


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
        (("ls", "--limit", "0"), "--limit 0: one or more"),
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
