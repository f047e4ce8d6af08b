"""The register on a real Postgres: what `decide` said of a case is what people see."""

import itertools
import json
import random
from collections.abc import Iterator

import msgspec
import psycopg
import pytest

from connectors.register.cli import trace_command
from connectors.register.migrate import lacking, upgrade
from connectors.register.projection import Placed, project
from connectors.register.telling import paragraphs
from connectors.register.trace import trace
from schemas.commands import CaseChanged, ChannelCommand
from schemas.facts import Attributes
from schemas.words import Channel
from tests.builders import a_customer, a_line, an_exception, an_option
from tests.scenarios.world import World

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("postgres")]


@pytest.fixture
def connection(dsn: str) -> Iterator[psycopg.Connection]:
    upgrade(dsn)
    with psycopg.connect(dsn) as connection:
        yield connection


def changes_of_an_order() -> list[Placed]:
    """Two lines: one is answered, one takes the default."""
    world = World()
    world.exception(an_exception("x1"))
    world.exception(an_exception("x2", line=a_line(line_id="L2")))
    world.fast_forward(seconds=30)
    world.taps("corner")
    world.fast_forward(hours=2)
    return [Placed(0, n, change) for n, change in enumerate(world.of(CaseChanged))]


def rows(connection: psycopg.Connection) -> list[tuple]:
    return connection.execute(
        "SELECT case_id, state, resolution, actor, channel, version, missing FROM register_cases ORDER BY case_id"
    ).fetchall()


def test_the_register_shows_the_last_word_on_every_case(connection: psycopg.Connection) -> None:
    project(connection, changes_of_an_order())
    assert rows(connection) == [
        ("x1", "closed", "substituted", "customer", "page", 1, []),
        ("x2", "closed", "refunded", "default", "unknown", 1, []),
    ]


def test_repeats_and_reordered_batches_end_in_the_same_register(connection: psycopg.Connection) -> None:
    changes = changes_of_an_order()
    project(connection, changes)
    expected = rows(connection)
    again = changes[:]
    random.Random(1).shuffle(again)
    project(
        connection, [change for change in again if change.change.changed_at != changes[-1].change.changed_at]
    )
    project(connection, changes[-3:])
    assert rows(connection) == expected
    count = connection.execute("SELECT count(*) FROM case_timeline").fetchone()
    assert count == (len(changes),)


def test_a_trace_tells_every_instant_and_nothing_of_other_orders(connection: psycopg.Connection) -> None:
    project(connection, changes_of_an_order())
    story = trace(connection, "order-1")
    assert [case["case_id"] for case in story["cases"]] == ["x1", "x2"]
    assert [entry["change"]["state"] for entry in story["timeline"] if entry["case_id"] == "x1"][:2] == [
        "open",
        "open",
    ]
    assert story["cases"][0]["evidence"]["key"] == "x1.d1.e"
    assert trace(connection, "another")["cases"] == []


def test_a_trace_tells_its_instants_in_utc_wherever_the_server_is(connection: psycopg.Connection) -> None:
    project(connection, changes_of_an_order())
    connection.execute("SET TIME ZONE 'Pacific/Auckland'")
    story = trace(connection, "order-1")
    instants = [at for case in story["cases"] for at in case["instants"].values() if at is not None]
    assert instants
    assert all(at.endswith("Z") for at in instants), instants
    assert all(entry["changed_at"].endswith("Z") for entry in story["timeline"])


def test_a_trace_tells_the_kill_switches_that_concern_its_order(connection: psycopg.Connection) -> None:
    project(connection, changes_of_an_order())
    assert trace(connection, "order-1")["silenced"] == []
    store, kind = connection.execute("SELECT store_id, kind FROM register_cases LIMIT 1").fetchone()
    for switch in (
        ("store", store),
        ("store", "another"),
        ("kind", kind),
        ("kind", "recalled"),
        ("channel", "sms"),
    ):
        connection.execute("INSERT INTO kill_switches (scope, name) VALUES (%s, %s)", switch)
    story = trace(connection, "order-1")
    told = f"channel sms, kind {kind}, store {store}"
    assert ", ".join(f"{one['scope']} {one['name']}" for one in story["silenced"]) == told
    assert told in paragraphs(story)[0]


def claimed(connection: psycopg.Connection, command: ChannelCommand, state: str, reason: str = "") -> None:
    connection.execute(
        "INSERT INTO claims (command_id, order_id, channel, purpose, command, state, reason, filed_at, claimed_at,"
        " settled_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        [
            *(command.command_id, command.order_id, command.channel, command.purpose),
            *(msgspec.json.encode(command), state, reason),
            *(command.issued_at, command.issued_at, command.issued_at),
        ],
    )


@pytest.fixture
def story(connection: psycopg.Connection) -> dict:
    """x1 was answered by a tap and then changed, x2 takes the default; a text was suppressed, a task is planned."""
    world = World(customer=a_customer(allergens=("nuts",)))
    nuts = Attributes(allergens_known=True, allergens=("nuts",))
    options = (an_option(), an_option("corner", name="Corner Loaf"), an_option("nutty", attributes=nuts))
    world.exception(an_exception("x1", options=options))
    world.exception(an_exception("x2", line=a_line(line_id="L2")))
    world.fast_forward(seconds=30)
    world.messages_leave()
    world.fast_forward(seconds=5)
    world.taps("corner")
    world.taps("hillside", version=1)
    world.taps("corner", version=1)
    world.fast_forward(hours=2)
    project(connection, [Placed(0, n, change) for n, change in enumerate(world.of(CaseChanged))])
    for command in world.sent():
        is_text = command.channel is Channel.SMS
        claimed(connection, command, "suppressed" if is_text else "sent", "opted_out" if is_text else "")
    connection.commit()
    return trace(connection, "order-1")


def test_a_case_says_its_versions_its_options_and_what_is_missing(story: dict) -> None:
    answered, defaulted = story["cases"]
    assert [version["version"] for version in answered["versions"]] == [1, 2]
    assert answered["versions"][0]["chosen"][0]["option_id"] == "corner"
    assert answered["options"][0]["option_id"] == "hillside"
    assert all(version["written_at"] for version in answered["versions"])
    assert (answered["done"], answered["missing"]) == (True, [])
    assert defaulted["actor"] == "default"
    instants = answered["instants"]
    for earlier, later in itertools.pairwise(("occurred_at", "presented_at", "decided_at", "closed_at")):
        assert instants[earlier] < instants[later], instants


def test_options_offered_and_refused_are_told_with_their_reasons(story: dict) -> None:
    case = story["cases"][0]
    assert {option["option_id"] for option in case["offered"]} == {"hillside", "corner"}
    (refused,) = case["refused"]
    assert refused["option_id"] == "nutty"
    assert "nuts" in refused["reasons"][0]


def test_answers_and_their_verdicts_are_told(story: dict) -> None:
    verdicts = [(one["accepted"], bool(one["reason"])) for one in story["cases"][0]["responses"]]
    assert verdicts == [(True, False), (True, False), (False, True)]


def test_commands_are_told_with_their_claims_and_why_they_were_suppressed(story: dict) -> None:
    texts = [one for one in story["commands"] if one["channel"] == "sms"]
    assert texts
    assert {(one["state"], one["reason"]) for one in texts} == {("suppressed", "opted_out")}
    assert "x1" in texts[0]["about"]


def test_the_command_tells_the_story_in_words_and_an_unknown_order_is_a_fault(
    story: dict, dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert story
    assert trace_command("order-1", dsn=dsn) == 0
    said = capsys.readouterr().out
    for words in ("version 2: alternative by customer on page", "refused nutty", "sms suppressed: opted_out"):
        assert words in said
    assert trace_command("order-1", dsn=dsn, as_json=True) == 0
    assert json.loads(capsys.readouterr().out)["cases"][0]["case_id"] == "x1"
    assert trace_command("nobodys", dsn=dsn) == 1
    assert "No order nobodys" in capsys.readouterr().err


def test_tables_of_a_newer_version_lack_nothing_and_are_left_alone(dsn: str) -> None:
    """Whoever goes back to this version starts on what the newer one left."""
    upgrade(dsn)
    with psycopg.connect(dsn, autocommit=True) as newer:
        newer.execute("ALTER TABLE claims ADD COLUMN of_tomorrow text")
        newer.execute("UPDATE alembic_version SET version_num = 'r9999_tomorrow'")
        assert lacking(dsn) == []
        upgrade(dsn)
        assert newer.execute("SELECT version_num FROM alembic_version").fetchall() == [("r9999_tomorrow",)]
