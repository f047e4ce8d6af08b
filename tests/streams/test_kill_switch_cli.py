"""A kill switch silences at once, tells every partition, and remembers who threw it."""

import json
import uuid
from collections.abc import Callable

import psycopg
import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from connectors.checks import switched_off
from connectors.register.migrate import upgrade
from schemas.codec import Codec
from schemas.commands import ChannelCommand
from schemas.events import KillSwitchChanged
from schemas.registry import LockedRegistry
from schemas.words import Channel
from streams.cli import app as saveline
from tests.builders import NOON, an_exception
from tests.scenarios.world import World
from tests.streams.rig import until

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("postgres")]
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def source(bootstrap: str, dsn: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The environment of a deployment with three partitions."""
    upgrade(dsn)
    name = f"{uuid.uuid4().hex[:8]}.events"
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(name, 3, 1)])[name].result(30)
    until(lambda: name in admin.list_topics(timeout=20).topics, f"{name} to be known")
    for variable, value in (("BROKER", bootstrap), ("PG_DSN", dsn), ("SOURCE", name)):
        monkeypatch.setenv(f"SAVELINE_{variable}", value)
    return name


@pytest.fixture
def run(source: str, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            raise SystemExit(saveline(["kill-switch", *words]))
        told = capsys.readouterr()
        return ended.value.code or 0, told.out, told.err

    return run


def heard(bootstrap: str, source: str) -> list[list[KillSwitchChanged]]:
    """What each partition was told."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": source, "enable.partition.eof": True})
    consumer.assign([TopicPartition(source, partition, 0) for partition in range(3)])
    found: list[list[KillSwitchChanged]] = [[], [], []]
    left, codec = 3, Codec(LockedRegistry())
    while left:
        message = consumer.poll(20)
        assert message is not None
        if message.error():
            left -= 1
        else:
            found[message.partition()].append(codec.decode(message.value()))
    consumer.close()
    return found


def a_call() -> ChannelCommand:
    world = World()
    world.exception(an_exception())
    world.fast_forward(minutes=4)
    return world.expect_call()


def test_a_thrown_switch_holds_for_the_next_claim_and_a_lifted_one_no_more(run: Run, dsn: str) -> None:
    call = a_call()
    with psycopg.connect(dsn, autocommit=True) as connection:
        assert not switched_off(connection, call)
        assert run("throw", "channel", "voice", "--why", "the agent stutters", "--by", "ann")[0] == 0
        assert switched_off(connection, call)
        assert run("lift", "channel", "voice", "--why", "mended", "--by", "bob")[0] == 0
        assert not switched_off(connection, call)


def test_every_partition_is_told_so_that_plans_go_on_without_it(
    run: Run, bootstrap: str, source: str
) -> None:
    assert "3 partitions were told" in run("throw", "channel", "voice", "--why", "x")[1]
    told = heard(bootstrap, source)
    assert [len(partition) for partition in told] == [1, 1, 1]
    world = World(now=NOON)
    world.happens(told[0][0])
    world.exception(an_exception())
    world.fast_forward(minutes=10)
    assert world.sent(Channel.VOICE) == []


def test_who_threw_what_when_and_why_is_kept(run: Run) -> None:
    run("throw", "store", "store-7", "--why", "flooded", "--by", "ann")
    run("throw", "kind", "recalled", "--why", "x", "--by", "ann")
    run("lift", "kind", "recalled", "--why", "y", "--by", "bob")
    [standing] = [json.loads(line) for line in run("ls", "--json")[1].splitlines()]
    assert (standing["name"], standing["by"], standing["why"]) == ("store-7", "ann", "flooded")
    history = [json.loads(line) for line in run("ls", "--history", "--json")[1].splitlines()]
    assert [(one["name"], one["state"], one["by"]) for one in history] == [
        ("recalled", "lifted", "bob"),
        ("recalled", "thrown", "ann"),
        ("store-7", "thrown", "ann"),
    ]


def test_a_switch_that_was_set_in_the_table_is_listed_beside_the_others(run: Run, dsn: str) -> None:
    run("throw", "channel", "voice", "--why", "x", "--by", "ann")
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("INSERT INTO kill_switches (scope, name) VALUES ('store', 'store-7')")
    told = [json.loads(line) for line in run("ls", "--json")[1].splitlines()]
    assert [(one["scope"], one["name"], one["state"], one["by"]) for one in told] == [
        ("channel", "voice", "thrown", "ann"),
        ("store", "store-7", "thrown", ""),
    ]
    assert "store  store-7  thrown  nobody said by whom" in run("ls")[1]
    assert run("lift", "store", "store-7", "--why", "y")[0] == 0
    assert "store-7" not in run("ls")[1]


def test_a_switch_that_cannot_be_is_named_with_those_that_can(run: Run) -> None:
    code, _, err = run("throw", "channel", "pigeon", "--why", "x")
    assert code == 2
    assert "no channel pigeon; there are push, sms, email, voice, person" in err


def test_without_kafka_it_holds_for_whoever_sends_and_says_what_is_missing(
    run: Run, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAVELINE_SOURCE", "nowhere")
    code, _, err = run("throw", "channel", "voice", "--why", "x")
    assert code == 1
    assert "the plans do not know yet" in err
    with psycopg.connect(dsn) as connection:
        assert switched_off(connection, a_call())
