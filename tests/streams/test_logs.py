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


def _says(words: str, at_s: float, **more: object) -> None:
    """As a library of somebody else does, at this second."""
    record = logging.makeLogRecord(
        {
            "name": "aiokafka",
            "msg": words,
            "levelno": logging.ERROR,
            "levelname": "ERROR",
            "created": at_s,
            **more,
        }
    )
    logging.getLogger("aiokafka").handle(record)


def test_words_that_come_again_and_again_are_written_once_in_a_while_and_counted(logged) -> None:
    for tenth in range(310):
        _says("Unable connect to node", 1000.0 + tenth / 10)
    _says("Discovered coordinator", 1005.0)
    lines = logged()
    assert [(line["event"], line.get("repeated")) for line in lines] == [
        ("Unable connect to node", None),
        ("Unable connect to node", 299),
        ("Discovered coordinator", None),
    ]


def test_our_own_lines_and_a_failure_with_its_place_are_never_left_out(logged) -> None:
    for _ in range(2):
        structlog.get_logger("connectors.dispatch").info("sent", command_id="a~x1.3", channel="sms")
        _says("stopping", 1000.0, exc_info=(ValueError, ValueError(), None))
    assert [line["event"] for line in logged()] == ["sent", "stopping", "sent", "stopping"]
