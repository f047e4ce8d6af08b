"""A test ends, freezes or delays a process between two steps, and asks whether everything is over."""

import os
import signal

import psutil
import pytest
import requests

from tests.control.outside import TIMEOUT_S, Order, Outside, until

pytestmark = pytest.mark.real
# In the order in which one case passes them, and what there is then: a text, a write, an object with its pointer.
POINTS = {
    "after_claim_before_send": (False, False, False),
    "after_send_before_record": (True, False, False),
    "after_oms_apply_before_verify": (True, True, False),
    "after_put_before_pointer": (True, True, False),
}


def about(order: Order, point: str) -> dict[str, str]:
    return {"order": order.order_id} | ({"channel": "sms"} if "send" in point else {})


def test_a_process_is_frozen_at_each_point_and_goes_on_where_it_was(outside: Outside) -> None:
    order = outside.order("sms")
    connectors = psutil.Process(outside.parts["connectors"]["pid"])
    for point in POINTS:
        outside.arms("connectors", point, "stop", match={"order": "somebody-elses"})
        outside.arms("connectors", point, "stop", match=about(order, point))
    outside.troubled(order)
    for point, there in POINTS.items():
        until(lambda: connectors.status() == psutil.STATUS_STOPPED, f"the stop at {point}")
        texts = outside.book("twilio", "request", to=order.phone)
        writes = outside.control("oms", "GET", f"orders/{order.order_id}/book")
        pointers = [one.value for one in outside.read() if one.kind == "EvidenceStored"]
        assert there == (
            bool(texts),
            "decision" in [entry["kind"] for entry in writes],
            order.order_id in [pointer["order_id"] for pointer in pointers],
        )
        os.kill(connectors.pid, signal.SIGCONT)
        if point == "after_send_before_record":
            outside.control("twilio", "POST", "inbound-sms", {"from": order.phone, "body": "1"})
    outside.case(order, lambda case: case["state"] in ("done", "closed") and case["evidence"])


def test_a_process_is_killed_between_a_send_and_its_record_and_the_provider_has_it_once(
    outside: Outside,
) -> None:
    order = outside.order("sms")
    killed = psutil.Process(outside.parts["connectors"]["pid"])
    outside.arms("connectors", "after_send_before_record", "kill_9", match=about(order, "send"))
    outside.troubled(order)
    until(lambda: not killed.is_running() or killed.status() == psutil.STATUS_ZOMBIE, "the kill")
    outside.awaits("ReceiptReceived", order_id=order.order_id, channel="sms", state="sent")
    [sent] = outside.book("twilio", "request", to=order.phone)
    assert sent["provider_id"]
    outside.rests("connectors")


def test_a_delay_holds_up_what_it_matches(outside: Outside) -> None:
    outside.arms("edge", "before_answer", "delay", match={"path": "/version"}, delay_ms=60_000)
    url = outside.parts["edge"]["url"]
    with pytest.raises(requests.Timeout):
        requests.get(f"{url}/version", timeout=0.5)
    assert outside.asks("edge", "/livez").ok
    assert not outside.asks("edge", "/_test/quiescent").json()["quiescent"]


@pytest.mark.parametrize("process", ["worker", "connectors", "edge"])
def test_a_point_that_nobody_passes_is_refused_with_those_that_there_are(
    outside: Outside, process: str
) -> None:
    url = f"{outside.parts[process]['url']}/_test/failpoints"
    refused = requests.put(url, json={"point": "nowhere", "then": "kill_9"}, timeout=TIMEOUT_S)
    assert refused.status_code == 400
    known = {"worker": ("before_commit",), "connectors": tuple(POINTS), "edge": ("before_request",)}[process]
    assert all(point in refused.json()["error"] for point in known)


def test_whoever_is_quiescent_has_done_what_lay_in_its_topics(outside: Outside) -> None:
    outside.rests("connectors")
    before = outside.length("case.quarantine.v1")
    outside.litters("order.exceptions.v1", 200)
    outside.rests("connectors")
    assert outside.length("case.quarantine.v1") - before >= 200
