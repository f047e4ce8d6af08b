"""Every simulator's book holds what arrived and what came of it; page, commands, trace and report speak to testers."""

import json
from datetime import datetime
from pathlib import Path

import pytest
import requests

from tests.control.outside import TIMEOUT_S, Outside, Row, option

pytestmark = pytest.mark.real
JSON = {"Accept": "application/json"}


class Answered:
    """A customer who is asked on every digital channel and answers by the page's JSON twin."""

    def __init__(self, outside: Outside) -> None:
        self.order = ann = outside.order("push", "sms", "email", allergens=["nuts"])
        options = [option("hillside", 200), option("corner", 180), option("dear", 200, allergens=["nuts"])]
        outside.troubled(ann, options=options)
        self.asked = {
            name: outside.expects(name, "request", to=to)[0]
            for name, to in (("fcm", ann.token), ("twilio", ann.phone), ("smtp", ann.email))
        }
        self.link = json.loads(self.asked["fcm"]["body"])["message"]["data"]["link"]
        self.page: Row = requests.get(self.link, headers=JSON, timeout=TIMEOUT_S).json()
        [case] = self.page["cases"]
        corner = next(one for one in case["offered"]["options"] if one["option_id"] == "corner")
        chosen = {"case_id": ann.case_id, "version": case["version"], "option_id": "corner"}
        shown = {"total_minor": corner["total"]["minor"], "currency": "GBP"}
        body = {"request_id": "request-1", "decisions": [chosen | shown]}
        self.answer: Row = requests.post(self.link, json=body, headers=JSON, timeout=TIMEOUT_S).json()
        self.case = outside.case(ann, lambda case: case["state"] in ("done", "closed"))
        # What the topic has, the register shows a moment later.
        outside.rests("connectors")


@pytest.fixture(scope="module")
def answered(outside: Outside) -> Answered:
    return Answered(outside)


@pytest.mark.parametrize("name", ["fcm", "twilio", "smtp"])
def test_a_book_holds_each_request_as_it_arrived(outside: Outside, answered: Answered, name: str) -> None:
    entry, ann = answered.asked[name], answered.order
    assert datetime.fromisoformat(entry["at"]).tzinfo is not None
    assert "Greengrocer" in entry["body"]
    assert entry["headers"]
    assert entry["status"] in (200, 201, 250)
    assert entry["answer"]
    assert entry["provider_id"]
    assert entry["command_id"].startswith(f"{ann.order_id}~{ann.case_id}.")
    assert entry["fault"] == ""
    lines = Path(outside.parts[name]["book"]).read_text().splitlines()
    assert json.loads(lines[entry["seq"] - 1]) == entry


def test_a_book_holds_the_callbacks_with_their_answers(outside: Outside, answered: Answered) -> None:
    sid = answered.asked["twilio"]["provider_id"]
    outside.expects("twilio", "message_state", provider_id=sid, state="delivered")
    told = outside.expects("twilio", "callback", 2, about=sid)
    assert {entry["command_id"] for entry in told} == {answered.asked["twilio"]["command_id"]}
    assert "sent" in {entry["params"]["MessageStatus"] for entry in told}
    assert all(entry["status"] == 204 and entry["answer"] == "" for entry in told)


def test_a_book_is_read_on_from_where_one_was(outside: Outside, answered: Answered) -> None:
    seq = answered.asked["twilio"]["seq"]
    later = outside.book("twilio", since=seq)
    assert [entry["seq"] for entry in later] == list(range(seq + 1, seq + 1 + len(later)))
    refused = outside.tries("twilio", "GET", "book?since=soon")
    assert (refused.status_code, "since" in refused.json()["error"]) == (400, True)


def test_a_request_that_no_simulator_knows_is_in_its_book_as_well(outside: Outside) -> None:
    for name in ("twilio", "fcm", "oms"):
        strange = f"http://{outside.parts[name]['address']}/nowhere"
        assert requests.post(strange, data="x=1", timeout=TIMEOUT_S).status_code == 404
        [entry] = outside.book(name, "request", path="/nowhere")
        assert (entry["method"], entry["body"], entry["status"]) == ("POST", "x=1", 404)


def test_the_page_has_a_twin_in_json_that_says_what_becomes_of_an_answer(answered: Answered) -> None:
    assert answered.page["order_id"] == answered.order.order_id
    [case] = answered.page["cases"]
    assert (case["case_id"], case["state"], case["changeable"]) == (answered.order.case_id, "open", True)
    assert {one["option_id"] for one in case["offered"]["options"]} == {"hillside", "corner"}
    assert answered.answer["verdict"] in ("accepted", "waiting")
    page = requests.get(answered.link, headers=JSON, timeout=TIMEOUT_S).json()
    assert page["cases"][0]["resolution"] == answered.case["resolution"]
    assert "<html" in requests.get(answered.link, timeout=TIMEOUT_S).text


def test_the_order_system_tells_each_effective_write(outside: Outside, answered: Answered) -> None:
    book = outside.control("oms", "GET", f"orders/{answered.order.order_id}/book")
    [write] = [entry for entry in book if entry["kind"] == "decision"]
    assert write["decision_id"] == f"{answered.order.case_id}.d1"
    assert write["started_at"] <= write["ended_at"]
    assert write["before"] != write["after"]
    requested = outside.book("oms", "request", order=answered.order.order_id)
    assert {entry["method"] for entry in requested} == {"GET", "POST"}


def test_trace_tells_the_story_of_an_order(outside: Outside, answered: Answered) -> None:
    story = outside.says("trace", answered.order.order_id)
    [case] = story["cases"]
    assert (case["resolution"], case["option"]) == (answered.case["resolution"], "corner")
    assert (case["actor"], case["channel"]) == ("customer", "page")
    [version] = case["versions"]
    assert version["version"] == 1
    assert [(one["option_id"], one["quantity"]) for one in version["chosen"]] == [("corner", 1)]
    assert (case["done"], case["missing"], case["state"] in ("done", "closed")) == (True, [], True)
    order_of_instants = ("occurred_at", "opened_at", "presented_at", "decided_at", "written_at")
    instants = [datetime.fromisoformat(case["instants"][name]) for name in order_of_instants]
    assert instants == sorted(instants)
    assert {"triggered_at", "stored_at", "deadline_at", "closed_at"} <= case["instants"].keys()
    assert {one["option_id"] for one in case["offered"]} == {"hillside", "corner"}
    [refused] = case["refused"]
    assert refused["option_id"] == "dear"
    assert "nuts" in " ".join(refused["reasons"])
    asked = [one for one in story["commands"] if one["purpose"] == "ask"]
    assert {(one["channel"], one["state"]) for one in asked} == {
        ("push", "sent"),
        ("sms", "sent"),
        ("email", "sent"),
    }
    assert all(one["about"] == [answered.order.case_id] for one in asked)
    assert all("reason" in one for one in story["commands"])


def test_the_report_gives_each_figure_with_what_it_counts(outside: Outside, answered: Answered) -> None:
    completed = {"event_id": "completed", "order_id": answered.order.order_id, "occurred_at": outside.now()}
    outside.sends("order.outcomes.v1", answered.order.order_id, "OrderCompleted", completed)
    outside.rests("connectors")
    told = outside.says("report")
    assert told["base"]["cases"] >= 1
    assert {
        *("order_save_rate", "incremental_saves", "line_save", "revenue_recovered", "net_benefit"),
        *("acceptance", "time_to_decision_p50", "time_to_decision_p90", "last_mile_failures_avoided"),
        *("nps", "write_back_verified_60s"),
    } <= told["figures"].keys()
    for name, figure in told["figures"].items():
        assert {"numerator", "denominator", "value", "low", "high", "customers", "unit"} <= figure.keys()
        assert figure["reason"] or figure["denominator"] is not None, name
    for name in ("acceptance", "order_save_rate"):
        assert 1 <= told["figures"][name]["numerator"] <= told["figures"][name]["denominator"], name
    assert told["resolved"]["digitally"] >= 1
    assert "by_voice" in told["resolved"]
