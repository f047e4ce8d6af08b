"""The order system's writes as the judge reads them: from its simulator's book, or from its orders themselves."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from streams.verifier import books
from tests.world.simulators.process import Simulator

pytestmark = [pytest.mark.real]
TOKEN = "oms-token"


@pytest.fixture
def oms(tmp_path: Path) -> Iterator[Simulator]:
    oms = Simulator("oms", tmp_path)
    oms.start()
    line = {"line_id": "L1", "sku": "bread", "ordered": 2, "quantity": 2, "unit_price_minor": 100}
    oms.put("orders/A1", {"lines": [line]})
    decision = {
        "decision_id": "x1.d1",
        "line_id": "L1",
        "expected_quantity": 2,
        "keep_quantity": 1,
        "refund_quantity": 1,
    }
    for _twice in range(2):
        answer = requests.post(
            f"{oms.url}/orders/A1/decisions",
            json=decision,
            headers={"Authorization": f"Bearer {TOKEN}"},
            timeout=60,
        )
        assert answer.ok
    yield oms
    oms.stop()


def test_the_book_and_the_order_itself_tell_the_same_write_once(oms: Simulator) -> None:
    by_book = books.read({"oms": oms.control}, {"A1"}, "", "").writes
    by_order = books.read({}, {"A1"}, oms.url, TOKEN).writes
    for writes in (by_book, by_order):
        (one,) = writes["A1"]
        assert one["decision_id"] == "x1.d1"
        assert (one["decision"]["keep_quantity"], one["decision"]["refund_quantity"]) == (1, 1)


def test_orders_that_nobody_named_are_found_in_the_book(oms: Simulator) -> None:
    assert books.read({"oms": oms.control}, set(), "", "").writes.keys() == {"A1"}


def test_an_order_that_is_not_there_has_no_writes(oms: Simulator) -> None:
    assert books.read({}, {"Z9"}, oms.url, TOKEN).writes == {"Z9": []}
    assert books.read({"oms": oms.control}, {"Z9"}, "", "").writes["Z9"] == []


def test_what_is_no_book_cannot_be_read(oms: Simulator) -> None:
    with pytest.raises(books.Unreadable, match="401"):
        books.read({}, {"A1"}, oms.url, "another token")
    with pytest.raises(books.Unreadable, match=r"127\.0\.0\.1:1/"):
        books.read({"twilio": "http://127.0.0.1:1"}, set(), "", "")
    oms.faults({"then": "html"})
    with pytest.raises(books.Unreadable):
        books.read({}, {"A1"}, oms.url, TOKEN)


def test_nothing_given_is_no_book() -> None:
    assert books.read({}, {"A1"}, "", "") is None
