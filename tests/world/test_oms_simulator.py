"""The reference OMS: what it promises, and how it goes wrong on demand."""

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.streams.rig import until
from tests.world.simulators.process import Simulator

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def oms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    simulator = Simulator("oms", tmp_path_factory.mktemp("oms"), "--latency-ms", "50")
    simulator.start()
    yield simulator
    simulator.stop()


@pytest.fixture
def order(oms: Simulator, request: pytest.FixtureRequest) -> str:
    oms.faults()
    return placed(oms, f"A-{request.node.name[:50]}")


def placed(oms: Simulator, order_id: str) -> str:
    lines = [
        {"line_id": "l1", "sku": "oat", "ordered": 5, "quantity": 5, "unit_price_minor": 200},
        {"line_id": "l2", "sku": "tea", "ordered": 1, "quantity": 1, "unit_price_minor": 300},
    ]
    payments = [{"payment_id": "p1", "captured_minor": 1300}]
    catalogue = {"soya": 180, "almond": 260}
    oms.put(f"orders/{order_id}", {"lines": lines, "payments": payments, "catalogue": catalogue})
    return order_id


def ask(
    oms: Simulator, order: str, what: str = "", body: Any = None, timeout_s: float = 30.0
) -> requests.Response:
    return requests.request(
        "GET" if body is None else "POST",
        f"{oms.url}/orders/{order}{what}",
        json=body,
        headers={"Authorization": "Bearer oms-token"},
        timeout=timeout_s,
    )


def a_decision(**changes: Any) -> dict[str, Any]:
    return {
        "decision_id": "E1.d1",
        "line_id": "l1",
        "expected_quantity": 5,
        "keep_quantity": 3,
        "refund_quantity": 0,
        "components": [{"sku": "soya", "quantity": 2}],
        "at": "2026-03-02T12:00:00+00:00",
        "by": "customer",
        **changes,
    }


def decisions(oms: Simulator, order: str) -> list[str]:
    return [entry["decision_id"] for entry in oms.get(f"orders/{order}/book") if entry["kind"] == "decision"]


def test_a_decision_adjusts_the_line_and_adds_its_components(oms: Simulator, order: str) -> None:
    answer = ask(oms, order, "/decisions", a_decision())
    assert answer.json() == {"outcome": "APPLIED", "version": 2, "total_minor": 1260}
    read = ask(oms, order).json()
    assert [(line["line_id"], line["quantity"]) for line in read["lines"]] == [
        ("l1", 3),
        ("l2", 1),
        ("E1.d1.1", 2),
    ]
    assert read["lines"][2]["replaces_line_id"] == "l1"
    assert read["decisions"][0]["at"] == "2026-03-02T12:00:00+00:00"


def test_a_repeated_decision_changes_nothing(oms: Simulator, order: str) -> None:
    ask(oms, order, "/decisions", a_decision())
    assert ask(oms, order, "/decisions", a_decision()).json()["outcome"] == "ALREADY_APPLIED"
    assert decisions(oms, order) == ["E1.d1"]


def test_a_later_version_takes_the_earlier_back(oms: Simulator, order: str) -> None:
    ask(oms, order, "/decisions", a_decision())
    later = a_decision(
        decision_id="E1.d2", replaces="E1.d1", keep_quantity=0, refund_quantity=5, components=[]
    )
    assert ask(oms, order, "/decisions", later).json()["total_minor"] == 300
    assert [line["quantity"] for line in ask(oms, order).json()["lines"]] == [0, 1]


def test_a_preview_takes_all_decisions_together_and_writes_nothing(oms: Simulator, order: str) -> None:
    other = a_decision(
        decision_id="E2.d1",
        line_id="l2",
        expected_quantity=1,
        keep_quantity=0,
        refund_quantity=1,
        components=[],
    )
    answer = ask(oms, order, "/preview", {"decisions": [a_decision(), other]}).json()
    assert (answer["total_minor"], answer["delta_minor"]) == (960, -340)
    assert decisions(oms, order) == []


def test_a_refund_goes_to_the_original_tender_once(oms: Simulator, order: str) -> None:
    money = {"amount_minor": 200, "key": "E1.d1.t"}
    assert ask(oms, order, "/refund", money).json()["outcome"] == "APPLIED"
    assert ask(oms, order, "/refund", money).json()["outcome"] == "ALREADY_APPLIED"
    assert [one["amount_minor"] for one in ask(oms, order).json()["payments"][0]["refunds"]] == [200]
    assert ask(oms, order, "/refund", {"amount_minor": 1200, "key": "x"}).status_code == 422


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("line_changed", "LINE_CHANGED"),
        ("line_fulfilled", "LINE_FULFILLED"),
        ("being_modified", "ORDER_BEING_MODIFIED"),
        ("not_modifiable", "ORDER_NOT_MODIFIABLE"),
    ],
)
def test_a_conflict_says_which(oms: Simulator, order: str, fault: str, reason: str) -> None:
    oms.put(f"orders/{order}/faults", [{"then": fault, "count": 1}])
    answer = ask(oms, order, "/decisions", a_decision())
    assert (answer.status_code, answer.json()["conflict"]) == (409, reason)
    assert decisions(oms, order) == []


def test_a_changed_line_is_really_changed(oms: Simulator, order: str) -> None:
    oms.faults({"match": {"order": order, "resource": "decisions"}, "then": "line_changed", "count": 1})
    assert ask(oms, order, "/decisions", a_decision()).json()["line_quantity"] == 4
    again = ask(oms, order, "/decisions", a_decision(expected_quantity=4, keep_quantity=2))
    assert again.json()["outcome"] == "APPLIED"


def test_a_picked_line_cannot_be_replaced(oms: Simulator, order: str) -> None:
    oms.put(f"orders/{order}/lines/l1/picked", {})
    assert ask(oms, order, "/decisions", a_decision()).json()["conflict"] == "LINE_FULFILLED"


def test_a_write_that_times_out_is_found_by_reading(oms: Simulator, order: str) -> None:
    oms.faults({"match": {"order": order}, "then": "timeout_after_apply", "count": 1})
    with pytest.raises(requests.exceptions.ReadTimeout):
        ask(oms, order, "/decisions", a_decision(), timeout_s=1.0)
    until(lambda: decisions(oms, order), "the write")
    assert [one["decision_id"] for one in ask(oms, order).json()["decisions"]] == ["E1.d1"]


def test_an_oms_that_lies_is_found_out_by_reading(oms: Simulator, order: str) -> None:
    oms.faults({"match": {"order": order, "resource": "decisions"}, "then": "says_applied_but_is_not"})
    assert ask(oms, order, "/decisions", a_decision()).json()["outcome"] == "APPLIED"
    assert ask(oms, order).json()["decisions"] == []


def test_an_increase_can_be_refused(oms: Simulator, order: str) -> None:
    money = {"amount_minor": 100, "key": "E1.d1.a"}
    oms.faults({"match": {"order": order}, "then": "authorise_refused"})
    assert ask(oms, order, "/authorise", money).status_code == 402
    oms.faults()
    assert ask(oms, order, "/authorise", money).json()["outcome"] == "APPLIED"
    kinds = [entry["kind"] for entry in oms.get(f"orders/{order}/book")]
    assert kinds.count("authorisation") == 1


def test_it_answers_html_when_told_to(oms: Simulator, order: str) -> None:
    oms.faults({"match": {"order": order}, "then": "html"})
    assert ask(oms, order).text.startswith("<html>")


def at_once(oms: Simulator, order: str, *asked: dict[str, Any]) -> None:
    threads = [threading.Thread(target=ask, args=(oms, order, "/decisions", one)) for one in asked]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_two_writers_at_once_lose_a_change_unless_they_name_the_version(oms: Simulator, order: str) -> None:
    first = a_decision()
    second = a_decision(
        decision_id="E2.d1",
        line_id="l2",
        expected_quantity=1,
        keep_quantity=0,
        refund_quantity=1,
        components=[],
    )
    numbers = itertools.count(1)

    def one_is_lost() -> bool:
        again = placed(oms, f"{order}-{next(numbers)}")
        at_once(oms, again, first, second)
        return len(ask(oms, again).json()["decisions"]) == 1

    # On a busy machine the second may come only when the first has written.
    until(one_is_lost, "both to read before either wrote")


def test_two_writers_that_name_the_version_do_not_overwrite_each_other(oms: Simulator, order: str) -> None:
    first = a_decision(expected_version=1)
    second = a_decision(
        decision_id="E2.d1",
        line_id="l2",
        expected_quantity=1,
        keep_quantity=0,
        refund_quantity=1,
        components=[],
        expected_version=1,
    )
    at_once(oms, order, first, second)
    assert len(decisions(oms, order)) == 1
    assert len(ask(oms, order).json()["decisions"]) == 1


def test_what_was_answered_survives_a_kill(tmp_path: Path) -> None:
    oms = Simulator("oms", tmp_path)
    oms.start()
    oms.put(
        "orders/K1", {"lines": [{"line_id": "l1", "ordered": 5, "quantity": 5}], "catalogue": {"soya": 1}}
    )
    ask(oms, "K1", "/decisions", a_decision())
    oms.kill()
    oms.start()
    assert decisions(oms, "K1") == ["E1.d1"]
    assert ask(oms, "K1", "/decisions", a_decision()).json()["outcome"] == "ALREADY_APPLIED"
    oms.stop()
