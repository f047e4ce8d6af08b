"""The topics on a real broker: created, repaired, refused."""

import uuid
from collections.abc import Sequence
from concurrent.futures import Future

import msgspec
import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic

from streams.access import UnreachableError
from streams.cli import app
from streams.topics import Topic, wanted_topics
from streams.topics_broker import WrongTopicsError, apply, differences, read, require
from tests.streams.rig import until

pytestmark = pytest.mark.real


def topics_of_this_test() -> list[Topic]:
    """The shared broker belongs to all tests, so the names are this test's own."""
    mark = uuid.uuid4().hex[:8]
    return [
        msgspec.structs.replace(topic, name=f"{mark}.{topic.name}")
        for topic in wanted_topics(partitions=2, replication=1)
    ]


def named(topics: Sequence[Topic], ending: str) -> Topic:
    return next(topic for topic in topics if topic.name.endswith(ending))


def create(bootstrap: str, name: str, partitions: int, **config: str) -> None:
    settings = {key.replace("_", "."): value for key, value in config.items()}
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(name, partitions, 1, config=settings)])[name].result(30)
    # Made is not yet known everywhere.
    until(lambda: name in admin.list_topics(timeout=20).topics, f"{name} to be known")


def test_apply_makes_an_empty_cluster_right_and_then_has_nothing_to_do(bootstrap: str) -> None:
    client, wanted = {"bootstrap.servers": bootstrap}, topics_of_this_test()
    assert len(differences(client, wanted)) == len(wanted)
    assert apply(client, wanted) == []
    require(client, wanted)
    real = read(client, [topic.name for topic in wanted])
    assert {topic.partitions for topic in real.values()} == {2}
    source = real[named(wanted, "case.events.v1").name]
    assert source.config["message.timestamp.type"] == "LogAppendTime"


def test_apply_repairs_what_is_safe_and_lists_the_rest(bootstrap: str) -> None:
    client, wanted = {"bootstrap.servers": bootstrap}, topics_of_this_test()
    events, sms, changelog = (
        named(wanted, end).name for end in ("case.events.v1", "channel.sms.v1", "-changelog")
    )
    create(bootstrap, events, 3, message_timestamp_type="LogAppendTime", retention_ms="1000")
    create(bootstrap, sms, 2, retention_ms="1000", min_insync_replicas="2")
    create(bootstrap, changelog, 2, message_timestamp_type="LogAppendTime")
    left = apply(client, wanted)
    assert {str(line).partition(" - ")[0] for line in left} == {
        f"{events}: has 3 partitions instead of 2",
        f"{changelog}: cleanup.policy is delete instead of compact",
    }
    real = read(client, [events, sms])
    assert real[events].config["retention.ms"] == named(wanted, "case.events.v1").config["retention.ms"]
    assert real[sms].config["min.insync.replicas"] == "1"


def test_a_process_refuses_to_start_with_all_the_faults_at_once(bootstrap: str) -> None:
    client, wanted = {"bootstrap.servers": bootstrap}, topics_of_this_test()
    events = named(wanted, "case.events.v1").name
    create(bootstrap, events, 3)
    with pytest.raises(WrongTopicsError) as refused:
        require(client, wanted)
    said = str(refused.value)
    assert f"{events}: has 3 partitions instead of 2" in said
    assert f"{events}: message.timestamp.type is CreateTime instead of LogAppendTime" in said
    assert said.count("is missing") == len(wanted) - 1


def test_a_worker_does_not_start_on_wrong_topics_and_lists_them(
    bootstrap: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = uuid.uuid4().hex[:8]
    for setting, value in (("APP", name), ("BROKER", bootstrap), ("PARTITIONS", "2"), ("REPLICATION", "1")):
        monkeypatch.setenv(f"SAVELINE_{setting}", value)
    create(bootstrap, f"{name}-batches", 3)
    assert app(["worker"], result_action="return_value") == 2
    said = capsys.readouterr().err
    assert f"{name}-batches: has 3 partitions instead of 2" in said
    assert f"{name}-cases-changelog: is missing" in said


def test_nobody_there_is_said_so() -> None:
    with pytest.raises(UnreachableError, match=r"no answer from 127\.0\.0\.1:1"):
        read({"bootstrap.servers": "127.0.0.1:1"}, ["any"])


def test_a_broker_that_answers_too_late_is_said_so(bootstrap: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Late(AdminClient):
        def describe_configs(
            self, resources: list[ConfigResource], **_: object
        ) -> dict[ConfigResource, Future]:
            late: Future = Future()
            late.set_exception(KafkaException(KafkaError(KafkaError._TIMED_OUT)))
            return dict.fromkeys(resources, late)

    wanted = topics_of_this_test()[:1]
    apply({"bootstrap.servers": bootstrap}, wanted)
    monkeypatch.setattr("streams.access.AdminClient", Late)
    with pytest.raises(UnreachableError, match="does not tell how its topics are"):
        read({"bootstrap.servers": bootstrap}, [wanted[0].name])


def test_the_command_plans_applies_and_plans_again(
    bootstrap: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.topics_cli.wanted_topics", lambda **_: wanted)
    wanted = topics_of_this_test()
    assert app(["topics", "plan", bootstrap], result_action="return_value") == 1
    assert capsys.readouterr().out.count("is missing") == len(wanted)
    assert app(["topics", "apply", bootstrap], result_action="return_value") == 0
    assert app(["topics", "plan", bootstrap], result_action="return_value") == 0
    assert capsys.readouterr().out.endswith(f"{len(wanted)} topics are as they have to be\n")
