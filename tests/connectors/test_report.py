"""The report on a real Postgres: what it counts, and what it refuses to count."""

import json
from collections.abc import Iterator
from datetime import timedelta

import msgspec
import psycopg
import pytest

from connectors.register import outcomes
from connectors.register.cli import report_command
from connectors.register.migrate import upgrade
from connectors.register.projection import Placed, project
from connectors.register.report import report
from schemas.commands import CaseChanged, ChannelCommand
from schemas.events import Credited, Delivered, OrderCompleted
from tests.builders import NOON, pounds
from tests.connectors.builders import an_hour
from tests.scenarios.world import World

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("postgres")]


@pytest.fixture
def connection(dsn: str) -> Iterator[psycopg.Connection]:
    upgrade(dsn)
    with psycopg.connect(dsn, autocommit=True) as connection:
        show(connection, an_hour())
        yield connection


def show(connection: psycopg.Connection, world: World) -> None:
    changes = world.of(CaseChanged)
    project(connection, [Placed(0, n, change) for n, change in enumerate(changes)])
    for command in world.of(ChannelCommand):
        connection.execute(
            "INSERT INTO claims (command_id, order_id, conversation_id, channel, purpose, command, state, filed_at)"
            " VALUES (%s, %s, %s, %s, %s, %s, 'sent', %s)",
            [
                *(command.command_id, command.order_id, command.conversation_id, command.channel),
                *(command.purpose, msgspec.json.encode(command), command.issued_at),
            ],
        )


def figure(connection: psycopg.Connection, name: str):
    made = report(connection)
    return next(one for one in made.figures + made.by_channel if one.name == name)


def counted(connection: psycopg.Connection, name: str) -> tuple[float, float]:
    one = figure(connection, name)
    assert one.reason == ""
    assert one.low <= one.value <= one.high
    return one.numerator, one.denominator


def test_the_base_leaves_out_what_was_withdrawn_before_the_first_send(connection) -> None:
    base = report(connection).base
    assert (base["cases"], base["orders"], base["customers"]) == (3, 2, 2)
    assert base["withdrawn_before_the_first_send"] == 1


def test_what_the_register_knows_is_counted(connection) -> None:
    assert counted(connection, "acceptance") == (1, 3)
    assert counted(connection, "acceptance_of_all") == (1, 3)
    assert counted(connection, "acceptance_page") == (1, 3)
    assert counted(connection, "acceptance_voice") == (0, 2)
    assert counted(connection, "done") == (3, 3)
    assert counted(connection, "write_back_verified_60s") == (3, 3)
    assert counted(connection, "value_handled_gbp") == (200, 600)
    assert report(connection).resolved == {
        "by_voice": 0,
        "digitally": 1,
        "by_staff": 0,
        "by_stored_preference": 0,
        "by_default": 2,
    }


def test_an_answer_that_never_came_counts_until_its_deadline(connection) -> None:
    half, most = figure(connection, "time_to_decision_p50"), figure(connection, "time_to_decision_p90")
    assert half.value == most.value == 600.0
    assert "2 without an answer" in half.note


def test_a_late_done_is_not_done_in_time(connection) -> None:
    connection.execute(
        "UPDATE register_cases SET deadline_at = decided_at - interval '1 s' WHERE case_id = 'x2'"
    )
    assert counted(connection, "done") == (2, 3)
    assert counted(connection, "done_at_all") == (3, 3)


def test_a_slow_or_missing_read_back_counts_against_us(connection) -> None:
    connection.execute("UPDATE register_cases SET written_at = NULL WHERE case_id = 'x1'")
    connection.execute(
        "UPDATE register_cases SET written_at = decided_at + interval '61 s' WHERE case_id = 'x2'"
    )
    assert counted(connection, "write_back_verified_60s") == (1, 3)


def test_without_a_holdout_nothing_is_called_recovered(connection) -> None:
    assert "holdout" in figure(connection, "revenue_recovered").reason
    assert "holdout" in figure(connection, "incremental_saves").reason
    assert figure(connection, "order_save_rate").reason == "order.outcomes.v1 has told nothing yet"


def test_what_upstream_tells_of_the_end_is_counted(connection) -> None:
    common = {"order_id": "order-1", "occurred_at": NOON + timedelta(hours=5)}
    delivered = Delivered(event_id="d1", line_id="L1", quantity=1, charged=pounds(200), **common)
    for _twice in range(2):
        outcomes.keep(connection, delivered)
    outcomes.keep(connection, OrderCompleted(event_id="c1", **common))
    assert counted(connection, "order_save_rate") == (1, 2)
    connection.execute("UPDATE register_cases SET outcome = 'delivered' WHERE case_id = 'x1'")
    assert counted(connection, "line_save") == (1, 3)
    connection.execute("UPDATE register_cases SET outcome = 'credited' WHERE case_id = 'x1'")
    assert counted(connection, "line_save") == (0, 3)


def test_with_a_holdout_what_was_recovered_is_the_difference(connection) -> None:
    common = {"occurred_at": NOON + timedelta(hours=5), "line_id": "L1"}
    paid = Delivered(event_id="d1", order_id="order-1", quantity=1, charged=pounds(700), **common)
    outcomes.keep(connection, paid)
    outcomes.keep(connection, Credited(event_id="k1", order_id="order-1", amount=pounds(100), **common))
    connection.execute("UPDATE register_cases SET arm = 'holdout' WHERE order_id = 'order-2'")
    assert figure(connection, "revenue_recovered").value == 600
    assert figure(connection, "incremental_saves").value == 1


def test_satisfaction_is_counted_with_its_response_rate(connection) -> None:
    for case_id, rating in (("x1", 9), ("x2", 3)):
        connection.execute("UPDATE register_cases SET rating = %s WHERE case_id = %s", [rating, case_id])
    assert counted(connection, "nps") == (0, 2)
    assert counted(connection, "nps_response") == (2, 2)


def test_days_choose_the_cases_and_the_command_tells_all_of_it(
    connection, dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report(connection, since=NOON.date(), until=NOON.date()).base["cases"] == 3
    assert report(connection, since=NOON.date() + timedelta(days=1)).base["cases"] == 0
    connection.execute("UPDATE register_cases SET stuck = 'the store is away' WHERE case_id = 'x1'")
    assert report_command(dsn=dsn, as_json=True) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["figures"]["done"]["numerator"] == 3
    assert told["stuck"] == {"the store is away": 1}
    assert report_command(dsn=dsn) == 0
    said = capsys.readouterr().out
    assert "order_save_rate: not counted" in said
    assert "1 x the store is away" in said


@pytest.mark.parametrize("zone", ["Pacific/Auckland", "America/Los_Angeles"])
def test_days_are_those_of_utc_wherever_the_server_is(connection, zone: str) -> None:
    connection.execute(f"SET TIME ZONE '{zone}'".encode())
    first, day = timedelta(hours=11, minutes=59, seconds=59), timedelta(days=1)
    for opened_at, here in (
        (NOON - first, 3),
        (NOON + first, 3),
        (NOON + first + 2 * timedelta(seconds=1), 0),
    ):
        connection.execute("UPDATE register_cases SET opened_at = %s", [opened_at])
        assert report(connection, since=NOON.date(), until=NOON.date()).base["cases"] == here
        assert report(connection, since=NOON.date() + day).base["cases"] == 3 - here


def test_a_register_that_is_away_is_said_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert report_command(dsn="postgresql://nobody@127.0.0.1:1/none") == 2
    assert "cannot be read" in capsys.readouterr().err
