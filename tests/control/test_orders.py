"""The order system: its faults, what changes behind our back, and each effective write in its book."""

from datetime import datetime

import pytest

from tests.control.outside import Order, Outside, Row, option

pytestmark = pytest.mark.real
# The fault of an order's decisions, and the word that comes back about it.
FAULTS: dict[str, tuple[Row, str]] = {
    "line_changed": ({"then": "line_changed", "count": 1}, "line_changed"),
    "line_fulfilled": ({"then": "line_fulfilled", "count": 1}, "line_fulfilled"),
    "being_modified": ({"then": "being_modified", "count": 2}, "applied"),
    "not_modifiable": ({"then": "not_modifiable"}, "order_not_modifiable"),
    "timeout_after_apply": ({"then": "timeout_after_apply", "count": 1}, "applied"),
    "says_applied_but_is_not": ({"then": "says_applied_but_is_not"}, "mismatch"),
    "authorise_refused": ({"then": "authorise_refused"}, "authorisation_refused"),
}
RESOURCE = {"authorise_refused": "authorise"}


class Asked:
    """Each fault belongs to an order of its own whose customer texts the first option back."""

    def __init__(self, outside: Outside) -> None:
        self.outside = outside
        cap = {"price_cap": {"minor": 900, "currency": "GBP"}}
        self.orders = {
            name: outside.order("sms", pieces=2, **(cap if name == "authorise_refused" else {}))
            for name in FAULTS
        }
        for name, order in self.orders.items():
            rule = {**FAULTS[name][0], "match": {"resource": RESOURCE.get(name, "decisions")}}
            outside.control("oms", "PUT", f"orders/{order.order_id}/faults", [rule])
        dear = self.orders["authorise_refused"]
        outside.troubled(
            *(one for one in self.orders.values() if one is not dear), options=[option("corner", 180, 2)]
        )
        outside.troubled(dear, options=[option("dear", 330, 2)])
        for order in self.orders.values():
            outside.expects("twilio", "request", to=order.phone)
            outside.control("twilio", "POST", "inbound-sms", {"from": order.phone, "body": "1"})

    def book(self, order: Order) -> list[Row]:
        return self.outside.control("oms", "GET", f"orders/{order.order_id}/book")


@pytest.fixture(scope="module")
def asked(outside: Outside) -> Asked:
    return Asked(outside)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_comes_back_as_what_it_is(asked: Asked, name: str) -> None:
    order, (_, word) = asked.orders[name], FAULTS[name]
    asked.outside.awaits("WriteBackReceived", order_id=order.order_id, outcome=word)
    [rule] = [
        rule
        for rule in asked.outside.control("oms", "GET", "faults")
        if rule["match"]["order"] == order.order_id
    ]
    assert rule["struck"] >= FAULTS[name][0].get("count", 1)


@pytest.mark.parametrize("name", ["being_modified", "timeout_after_apply", "line_changed"])
def test_whatever_it_met_a_decision_is_written_once(asked: Asked, name: str) -> None:
    order = asked.orders[name]
    asked.outside.case(order, lambda case: case["written_at"])
    writes = [entry for entry in asked.book(order) if entry["kind"] == "decision"]
    assert len({entry["decision_id"] for entry in writes}) == len(writes)
    for write in writes:
        assert datetime.fromisoformat(write["started_at"]) <= datetime.fromisoformat(write["ended_at"])
        assert write["before"]["version"] < write["after"]["version"]


def test_what_an_authorisation_was_asked_for_is_in_the_books(asked: Asked) -> None:
    order = asked.orders["authorise_refused"]
    refused = asked.outside.expects("oms", "request", path=f"/orders/{order.order_id}/authorise")
    assert {entry["status"] for entry in refused} == {402}
    assert "authorisation" not in {entry["kind"] for entry in asked.book(order)}


def test_an_order_is_put_changed_and_picked_behind_our_back(outside: Outside) -> None:
    line = {"line_id": "L1", "sku": "tea", "ordered": 2, "quantity": 2, "unit_price_minor": 300}
    paid = [{"payment_id": "P1", "captured_minor": 600}]
    outside.control("oms", "PUT", "orders/K1", {"lines": [line], "payments": paid, "total_minor": 600})
    outside.control("oms", "PUT", "orders/K1/lines/L1", {**line, "quantity": 1, "ordered": 1})
    outside.control("oms", "PUT", "orders/K1/lines/L1/picked")
    order = outside.control("oms", "GET", "orders/K1")
    assert (order["total_minor"], order["payments"][0]["captured_minor"]) == (300, 600)
    assert (order["lines"][0]["quantity"], order["lines"][0]["fulfilled"]) == (1, 1)
    assert [entry["kind"] for entry in outside.control("oms", "GET", "orders/K1/book")] == ["upstream"] * 3
