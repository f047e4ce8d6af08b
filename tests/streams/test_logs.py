"""What the processes log: JSON lines that name order, case and command, and tell nothing about anybody."""

import io
import json
import logging
from collections.abc import Callable, Iterator

import pytest
import structlog

from streams.logs import configure

PHONE = "+447400123456"


@pytest.fixture
def logged() -> Iterator[Callable[[], list[dict]]]:
    root, written = logging.getLogger(), io.StringIO()
    before = root.level, root.handlers[:]
    configure("connectors")
    (ours,) = root.handlers
    ours.setStream(written)
    yield lambda: [json.loads(line) for line in written.getvalue().splitlines()]
    root.setLevel(before[0])
    root.handlers[:] = before[1]
    structlog.reset_defaults()


def test_a_line_says_when_who_and_about_what(logged) -> None:
    structlog.get_logger("connectors.dispatch").info("sent", command_id="a%20b~x1.3", channel="sms")
    (line,) = logged()
    assert line["event"] == "sent"
    assert (line["process"], line["level"], line["channel"]) == ("connectors", "info", "sms")
    assert (line["order"], line["command_id"]) == ("a b", "a%20b~x1.3")
    assert line["at"].endswith("+00:00")


def test_the_case_of_an_update_and_of_a_request_for_evidence_is_named(logged) -> None:
    structlog.get_logger().info("written_back", update_id="x1.d2", outcome="applied")
    structlog.get_logger().warning("evidence_waits", request_id="x%2E1.d1.e")
    written, waits = logged()
    assert written["case"] == "x1"
    assert waits["case"] == "x.1"


def test_what_is_not_on_the_list_is_left_out_and_said_to_be(logged) -> None:
    structlog.get_logger().info("sent", phone=PHONE, text="a secret", command_id="o~x.1")
    (line,) = logged()
    assert PHONE not in json.dumps(line)
    assert line["dropped"] == ["phone", "text"]


def test_a_failure_tells_its_type_and_place_but_not_its_text(logged) -> None:
    try:
        int(f"cannot call {PHONE}")
    except ValueError:
        logging.getLogger("streams").exception("stopping")
        structlog.get_logger().exception("double_send", command_id="o~x.1")
    for line in logged():
        assert line["failure"] == "ValueError"
        assert "test_a_failure_tells" in line["frames"]
        assert PHONE not in json.dumps(line)


def test_lines_of_others_are_json_too_and_the_talkative_are_quiet(logged) -> None:
    logging.getLogger("faust").info("%s is %s", "the worker", "ready")
    logging.getLogger("twilio.http_client").info("Query Params: %s", PHONE)
    (line,) = [line for line in logged() if line["logger"] != "asyncio"]
    assert (line["logger"], line["event"]) == ("faust", "the worker is ready")
