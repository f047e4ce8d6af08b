"""Every fault of every simulator, met by the product: by address, by order and by the n-th request."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.control.outside import Order, Outside, Row, until

pytestmark = pytest.mark.real
# How an order is asked, and the simulator behind it.
CHANNEL = {"twilio": "sms", "fcm": "push", "smtp": "email"}
REFUSAL = {"twilio": "reject:21614", "fcm": "reject:UNREGISTERED", "smtp": "reject:550"}
DELAY_MS = 400


class Storm:
    """All faults at once, each for an order of its own."""

    def __init__(self, outside: Outside) -> None:
        self.outside = outside
        self.orders: dict[tuple[str, str], Order] = {}
        rules: dict[str, list[Row]] = {name: [] for name in CHANNEL}

        def meets(name: str, what: str, *more: Row, by: str = "address") -> None:
            order = self.orders[name, what] = outside.order(CHANNEL[name])
            to = {"twilio": order.phone, "fcm": order.token, "smtp": order.email}[name]
            match = {"address": to} if by == "address" else {"order": order.order_id}
            rules[name] += [{**rule, "match": {**match, **rule.get("match", {})}} for rule in more]

        for name in CHANNEL:
            meets(name, "http_429", {"then": "http_429", "match": {"nth": 1}})
            meets(name, "reject", {"then": REFUSAL[name]})
            meets(name, "accept_then_timeout", {"then": "accept_then_timeout"}, by="order")
            meets(name, "accept_then_500", {"then": "accept_then_500"}, by="order")
        meets("twilio", "undelivered", {"then": "undelivered:30003", "after_ms": 50})
        meets("twilio", "none", {"callbacks": {"none": True}})
        meets("twilio", "delay", {"callbacks": {"delay_ms": DELAY_MS}})
        meets("twilio", "times", {"callbacks": {"times": 2}})
        meets("twilio", "reversed", {"callbacks": {"order": "reversed"}})
        for listing in ("empty", "http_500"):
            # A list is asked for an address.
            unheard = {"then": "accept_then_500", "callbacks": {"none": True}}
            meets("twilio", f"list {listing}", unheard, {"listing": listing})
        for name, its_own in rules.items():
            outside.control(name, "PUT", "faults", its_own)
        outside.troubled(*self.orders.values())

    def requested(self, name: str, what: str, n: int = 1) -> list[Row]:
        order = self.orders[name, what]
        to = {"twilio": order.phone, "fcm": order.token, "smtp": order.email}[name]
        return self.outside.expects(name, "request", n, to=to)

    def receipt(self, name: str, what: str, state: str) -> Row:
        order_id = self.orders[name, what].order_id
        return self.outside.awaits("ReceiptReceived", order_id=order_id, channel=CHANNEL[name], state=state)[
            0
        ]

    def callbacks(self, what: str, n: int) -> list[Row]:
        [sent] = [entry for entry in self.requested("twilio", what) if entry["provider_id"]]
        return self.outside.expects("twilio", "callback", n, about=sent["provider_id"])


@pytest.fixture(scope="module")
def storm(outside: Outside) -> Storm:
    return Storm(outside)


@pytest.mark.parametrize("name", CHANNEL)
def test_a_throttled_request_comes_again_and_is_accepted_once(storm: Storm, name: str) -> None:
    storm.receipt(name, "http_429", "sent")
    first, second = storm.requested(name, "http_429", 2)
    assert (first["fault"], first["provider_id"], second["fault"]) == ("http_429", "", "")
    assert second["provider_id"]


@pytest.mark.parametrize("name", CHANNEL)
def test_a_rejected_request_has_the_code_that_was_asked_for(storm: Storm, name: str) -> None:
    storm.receipt(name, "reject", "failed")
    [entry] = storm.requested(name, "reject")
    assert REFUSAL[name].partition(":")[2] in str(entry["answer"])


@pytest.mark.parametrize("what", ["accept_then_timeout", "accept_then_500"])
@pytest.mark.parametrize("name", CHANNEL)
def test_what_is_accepted_without_an_answer_is_in_the_book_once(storm: Storm, name: str, what: str) -> None:
    # What a provider can be asked about comes out; a push or a mail stays unknown.
    storm.receipt(name, what, "sent" if name == "twilio" else "ambiguous")
    [entry] = storm.requested(name, what)
    assert entry["provider_id"]
    assert (entry["fault"], entry["status"] in (0, 500)) == (what, True)


def test_an_undelivered_text_says_why(storm: Storm) -> None:
    storm.receipt("twilio", "undelivered", "failed")
    assert ("undelivered", "30003") in [
        (entry["params"]["MessageStatus"], entry["params"].get("ErrorCode"))
        for entry in storm.callbacks("undelivered", 2)
    ]


def test_callbacks_can_be_withheld(storm: Storm) -> None:
    storm.receipt("twilio", "none", "sent")
    [entry] = storm.requested("twilio", "none")
    storm.outside.expects("twilio", "callback_withheld", 2, about=entry["provider_id"])
    assert storm.outside.book("twilio", "callback", about=entry["provider_id"]) == []


def test_callbacks_can_be_doubled(storm: Storm) -> None:
    told = [entry["params"]["MessageStatus"] for entry in storm.callbacks("times", 4)]
    assert told == ["sent", "sent", "delivered", "delivered"]


def test_callbacks_can_be_reversed_and_change_nothing(storm: Storm) -> None:
    told = [entry["params"]["MessageStatus"] for entry in storm.callbacks("reversed", 2)]
    assert told == ["delivered", "sent"]
    storm.receipt("twilio", "reversed", "delivered")


def test_callbacks_can_be_delayed(storm: Storm) -> None:
    told = storm.callbacks("delay", 2)[-1]
    [state] = storm.outside.expects("twilio", "message_state", provider_id=told["about"], state="delivered")
    late = datetime.fromisoformat(told["at"]) - datetime.fromisoformat(state["at"])
    assert late >= timedelta(milliseconds=DELAY_MS)


@pytest.mark.parametrize(("listing", "status"), [("empty", 200), ("http_500", 500)])
def test_a_list_can_lie_or_fail_and_nothing_is_sent_again(storm: Storm, listing: str, status: int) -> None:
    order = storm.orders["twilio", f"list {listing}"]

    def asked() -> list[Row]:
        found = storm.outside.book("twilio", "request", method="GET", status=status)
        return [entry for entry in found if order.phone.lstrip("+") in entry["path"]]

    until(asked, "the list to be asked for")
    if listing == "empty":
        assert storm.receipt("twilio", f"list {listing}", "suppressed")["reason"] == "ambiguous"
        story = storm.outside.says("trace", order.order_id)
        assert [(one["state"], one["reason"]) for one in story["commands"]] == [("suppressed", "ambiguous")]
    accepted = [entry for entry in storm.requested("twilio", f"list {listing}") if entry["provider_id"]]
    assert len(accepted) == 1


def test_what_a_simulator_cannot_do_is_refused_in_words(outside: Outside) -> None:
    for name in ("twilio", "fcm", "smtp", "oms", "fulfilment"):
        rules: list[dict[str, Any]] = outside.control(name, "GET", "faults")
        refused = outside.tries(name, "PUT", "faults", [{"then": "explode"}])
        assert refused.status_code == 400
        assert "explode" in refused.json()["error"]
        # A refused list leaves the rules as they were.
        assert [rule["then"] for rule in outside.control(name, "GET", "faults")] == [
            rule["then"] for rule in rules
        ]
