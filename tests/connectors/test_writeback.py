"""Decisions into the OMS: written once, in turn, read back, whatever the OMS says or its writer suffers."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from connectors.clock import SystemClock
from connectors.oms.door import Capabilities, Unknown
from connectors.oms.reference import ReferenceOms
from connectors.oms.writeback import WriteBack
from schemas.commands import OrderUpdate
from schemas.events import WriteBackReceived
from schemas.facts import Chosen, Decision, Money, Replacement
from schemas.words import Actor, RefundForm, Resolution, WriteBackOutcome
from tests.connectors.builders import NOON, Rig
from tests.connectors.writing_back import Given, processes, queue, run
from tests.world.simulators.process import Simulator

pytestmark = pytest.mark.real
_orders = itertools.count(1)


@pytest.fixture(scope="module")
def oms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    simulator = Simulator("oms", tmp_path_factory.mktemp("oms"), "--latency-ms", "60")
    simulator.start()
    yield simulator
    simulator.stop()


class Scene:
    """One order in one OMS, and the queue in front of it."""

    def __init__(self, dsn: str, oms: Simulator, folder: Path) -> None:
        self.rig, self.oms, self.dsn = Rig(dsn, SystemClock()), oms, dsn
        self.queue = queue(dsn, oms.url)
        self.order = f"W{next(_orders)}"
        self._log = folder / "writers.log"
        self._log.touch()
        self._processes: list[Any] = []
        oms.faults()
        lines = [
            {"line_id": f"l{n}", "sku": "oat", "ordered": 5, "quantity": 5, "unit_price_minor": 200}
            for n in range(1, 4)
        ]
        payments = [{"payment_id": "p1", "captured_minor": 3000}]
        oms.put(f"orders/{self.order}", {"lines": lines, "payments": payments})

    def update(self, line: int = 1, version: int = 1, **changes: Any) -> OrderUpdate:
        price = changes.pop("price_minor", 180)
        before, after = Money(3000, "GBP"), Money(3000 + 2 * (price - 200), "GBP")
        soya = Replacement(sku="soya", name="Soya", pieces=2, unit_price=Money(price, "GBP"))
        fields: dict[str, Any] = {
            "decision_id": f"{self.order}-E{line}.d{version}",
            "case_id": f"{self.order}-E{line}",
            "version": version,
            "replaces_version": version - 1,
            "resolution": Resolution.SUBSTITUTED,
            "keep_quantity": 3,
            "chosen": (Chosen(option_id="o1", quantity=2, components=(soya,)),),
            "actor": Actor.CUSTOMER,
            "policy": "p@1",
            "price_before": before,
            "price_after": after,
            "decided_at": NOON,
        }
        decision = Decision(**(fields | changes))
        return OrderUpdate(
            command_id=decision.decision_id,
            order_id=self.order,
            case_id=decision.case_id,
            customer_ref="ann",
            store_id="s1",
            line_id=f"l{line}",
            expected_quantity=5,
            decision=decision,
            issued_at=NOON,
        )

    def write(self, *updates: OrderUpdate) -> list[str]:
        """Files them, works until nothing is due, and says what was told of the first."""
        self.queue.file(list(updates))
        while self.queue.work_once():
            pass
        return self.told(updates[0])

    def told(self, update: OrderUpdate) -> list[str]:
        facts = [fact for fact in self.rig.facts() if isinstance(fact, WriteBackReceived)]
        return [str(fact.outcome) for fact in facts if fact.update_id == update.command_id]

    def fact(self) -> WriteBackReceived:
        [fact] = [fact for fact in self.rig.facts() if isinstance(fact, WriteBackReceived)]
        return fact

    def written(self) -> list[dict[str, Any]]:
        book = self.oms.get(f"orders/{self.order}/book")
        return [entry for entry in book if entry["kind"] == "decision"]

    def fault(self, then: str, **more: Any) -> None:
        match = {"order": self.order, "resource": more.pop("resource", "decisions")}
        self.oms.faults({"match": match, "then": then, **more})

    def writer(self, failpoint: str = "", workers: int = 1) -> Any:
        given = Given(
            dsn=self.dsn, oms=self.oms.url, log=str(self._log), failpoint=failpoint, workers=workers
        )
        process = processes.Process(target=run, args=(given,), daemon=True)
        process.start()
        self._processes.append(process)
        return process

    def eventually(self, true: Callable[[], bool], timeout_s: float = 60.0) -> None:
        give_up = time.monotonic() + timeout_s
        while not true():
            assert time.monotonic() < give_up, (self._log.read_text()[-3000:], self.written())
            time.sleep(0.02)

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.join()
        self.rig.close()


@pytest.fixture
def scene(dsn: str, oms: Simulator, tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(dsn, oms, tmp_path)
    yield scene
    scene.close()


def test_a_decision_is_written_once_and_read_back(scene: Scene) -> None:
    update = scene.update()
    assert scene.write(update) == ["applied"]
    assert len(scene.fact().snapshot_sha256) == 64
    [entry] = scene.written()
    assert entry["decision_id"] == update.command_id


def test_a_repeated_update_is_not_written_again(scene: Scene) -> None:
    update = scene.update()
    scene.write(update)
    assert scene.write(update) == ["applied"]
    assert len(scene.written()) == 1


def test_a_later_version_takes_the_earlier_back_and_a_conflicted_one_is_not_taken_back(scene: Scene) -> None:
    scene.fault("line_changed", count=1)
    first = scene.update()
    assert scene.write(first) == ["line_changed"]
    assert scene.fact().line_quantity == 4
    second = scene.update(version=2, keep_quantity=2)
    second = replace(second, expected_quantity=4)
    assert scene.write(second) == ["applied"]
    third = scene.update(version=3, keep_quantity=0, chosen=(), refund_quantity=4)
    third = replace(third, expected_quantity=4)
    assert scene.write(third) == ["applied"]
    assert [entry["decision_id"][-2:] for entry in scene.written()] == ["d2", "d3"]


@pytest.mark.parametrize("fault", ["line_fulfilled", "being_modified", "not_modifiable"])
def test_a_conflict_is_told_as_what_it_is(scene: Scene, fault: str) -> None:
    scene.fault(fault)
    told = {"being_modified": "order_being_modified", "not_modifiable": "order_not_modifiable"}
    assert scene.write(scene.update()) == [told.get(fault, fault)]
    assert scene.written() == []


def test_an_oms_that_lies_is_found_out(scene: Scene) -> None:
    scene.fault("says_applied_but_is_not")
    assert scene.write(scene.update()) == ["mismatch"]
    assert scene.fact().differences[0] == "the decision is not recorded"


def test_a_write_that_timed_out_is_found_by_reading_and_not_repeated(scene: Scene) -> None:
    scene.fault("timeout_after_apply", count=1)
    assert scene.write(scene.update()) == ["applied"]
    assert len(scene.written()) == 1


@pytest.mark.parametrize("fault", ["html", "http_503"])
def test_an_oms_that_is_away_is_asked_again_until_it_is_back(scene: Scene, fault: str) -> None:
    scene.oms.faults({"match": {"order": scene.order}, "then": fault})
    update = scene.update()
    assert scene.write(update) == ["undetermined"]
    scene.oms.faults()
    scene.eventually(lambda: scene.queue.work_once() and scene.told(update) == ["undetermined", "applied"])
    assert len(scene.written()) == 1


def test_an_increase_is_authorised_before_it_is_written(scene: Scene) -> None:
    assert scene.write(scene.update(price_minor=250)) == ["applied"]
    kinds = [entry["kind"] for entry in scene.oms.get(f"orders/{scene.order}/book")]
    assert kinds == ["upstream", "authorisation", "decision"]


def test_an_increase_waits_until_the_new_total_can_be_read(scene: Scene) -> None:
    scene.fault("html", resource="preview", count=1)
    update = scene.update(price_minor=250)
    assert scene.write(update) == ["undetermined"]
    assert scene.fact().code == "preview: unreadable"
    assert scene.written() == []
    scene.eventually(lambda: scene.queue.work_once() and scene.told(update)[-1] == "applied")
    kinds = [entry["kind"] for entry in scene.oms.get(f"orders/{scene.order}/book")]
    assert kinds == ["upstream", "authorisation", "decision"]


def test_a_refused_increase_is_not_written(scene: Scene) -> None:
    scene.fault("authorise_refused", resource="authorise")
    assert scene.write(scene.update(price_minor=250)) == ["authorisation_refused"]
    assert scene.written() == []


def test_an_increase_of_unknown_authorisation_is_not_written_and_not_authorised_twice(scene: Scene) -> None:
    scene.fault("authorise_unknown", resource="authorise", count=1)
    update = scene.update(price_minor=250)
    assert scene.write(update) == ["undetermined"]
    assert scene.written() == []
    scene.eventually(lambda: scene.queue.work_once() and scene.told(update)[-1] == "applied")
    kinds = [entry["kind"] for entry in scene.oms.get(f"orders/{scene.order}/book")]
    assert kinds.count("authorisation") == 1


def test_what_may_no_longer_be_written_is_not(scene: Scene) -> None:
    door = ReferenceOms(scene.oms.url, "oms-token", 30.0)
    written = WriteBack(door, blocked=lambda _update: "recalled").write(scene.update())
    assert (written.outcome, written.code) == (WriteBackOutcome.REJECTED, "recalled")
    assert scene.written() == []


def test_a_refund_in_money_goes_with_its_decision(scene: Scene) -> None:
    update = scene.update(
        keep_quantity=3,
        chosen=(),
        refund_quantity=2,
        resolution=Resolution.REFUNDED,
        refund_form=RefundForm.REFUND,
        price_after=Money(2600, "GBP"),
    )
    assert scene.write(update) == ["applied"]
    [payment] = scene.oms.get(f"orders/{scene.order}")["payments"]
    assert [refund["amount_minor"] for refund in payment["refunds"]] == [400]


def test_a_decision_about_the_delivery_is_recorded_with_its_order(scene: Scene) -> None:
    update = scene.update(resolution=Resolution.REDELIVER, keep_quantity=0, chosen=(), reference="slot-9")
    update = replace(update, line_id="")
    assert scene.write(update) == ["applied"]
    [recorded] = scene.oms.get(f"orders/{scene.order}")["decisions"]
    assert (recorded["resolution"], recorded["reference"]) == ("redeliver", "slot-9")


def test_an_oms_without_a_key_is_never_written_to_twice(scene: Scene) -> None:
    class Careless(ReferenceOms):
        def capabilities(self) -> Capabilities:
            return Capabilities(unique_key=False, version=False, preview=False, atomic_refund=False)

        def apply(self, order: Any, update: OrderUpdate) -> Any:
            return Unknown("timeout")

    writer = WriteBack(Careless(scene.oms.url, "oms-token", 30.0), read_back_s=(0.0,))
    assert writer.write(scene.update()).outcome is WriteBackOutcome.UNDETERMINED
    again = writer.write(scene.update(), was_unknown=True)
    assert (again.outcome, again.differences) == (WriteBackOutcome.MISMATCH, ("its fate is not known",))


# Who writes


def test_writers_of_one_order_take_turns_and_none_of_its_decisions_is_lost(scene: Scene) -> None:
    updates = [scene.update(line=n) for n in (1, 2, 3)]
    scene.queue.file(updates)
    for _ in range(3):
        scene.writer(workers=2)
    scene.eventually(lambda: all(scene.told(one) == ["applied"] for one in updates))
    spans = sorted((entry["started_at"], entry["ended_at"]) for entry in scene.written())
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))
    assert len(scene.oms.get(f"orders/{scene.order}")["decisions"]) == 3


def test_a_writer_killed_between_apply_and_verify_has_written_once(scene: Scene) -> None:
    update = scene.update()
    scene.queue.file([update])
    killed = scene.writer("after_oms_apply_before_verify:kill_9")
    scene.eventually(lambda: not killed.is_alive())
    assert len(scene.written()) == 1
    assert scene.told(update) == []
    scene.writer()
    scene.eventually(lambda: scene.told(update) == ["already_applied"])
    assert len(scene.written()) == 1


def test_a_frozen_writer_does_not_let_another_into_its_order(scene: Scene) -> None:
    update = scene.update()
    scene.queue.file([update, scene.update(line=2)])
    scene.writer("after_oms_apply_before_verify:stop")
    scene.eventually(lambda: len(scene.written()) == 1)
    assert not scene.queue.work_once()
    assert scene.told(update) == []


def test_a_later_version_waits_for_an_earlier_one_whose_fate_is_open(scene: Scene) -> None:
    scene.oms.faults({"match": {"order": scene.order}, "then": "http_503"})
    first, second = scene.update(), scene.update(version=2, keep_quantity=2)
    assert scene.write(first, second) == ["undetermined"]
    assert scene.told(second) == []


def test_two_processes_that_file_the_same_update_file_it_once(scene: Scene) -> None:
    update = scene.update()
    threads = [threading.Thread(target=scene.queue.file, args=([update],)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert scene.write(update) == ["applied"]
