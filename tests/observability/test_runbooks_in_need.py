"""Pages for alerts are followed after what they are about really happened: they show it, and what they say mends it."""

import re
from collections.abc import Callable
from typing import Any

import msgspec
import psycopg
import pytest
from confluent_kafka import Producer

from connectors.clock import SystemClock
from schemas.catalogue import Topic
from schemas.codec import Codec
from schemas.registry import LockedRegistry
from tests.connectors.around import an_update
from tests.observability.conftest import Lived
from tests.observability.test_runbooks import PAGES, followed
from tests.streams.rig import until

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("kafka")]
Page = Callable[[], str]
GARBAGE = 12
AN_ORDER = {"lines": [{"line_id": "l1", "ordered": 1, "quantity": 1, "unit_price_minor": 190}]}


@pytest.fixture
def look(life: Lived) -> Callable[[str], str]:
    """What the commands of an alert's page say now."""

    def look(alert: str) -> str:
        page = next(page for page in PAGES if page.stem == alert)
        [commands] = re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL)
        life.look()
        life.told.clear()
        return "".join(followed(command, life) for command in commands.splitlines())

    return look


def does(life: Lived, command: str) -> str:
    life.told.clear()
    return followed(command, life)


def test_a_thrown_switch_is_shown_with_who_and_why_and_lifted(
    life: Lived, look: Callable[[str], str]
) -> None:
    does(life, 'saveline kill-switch throw channel voice --why "the agent stutters" --by ann')
    said = look("SavelineKillSwitchThrown")
    assert "channel  voice  thrown" in said
    assert "ann  the agent stutters" in said
    assert re.search(r'scope="channel".*=> 1 ', said), said
    # As the page says.
    does(life, 'saveline kill-switch lift SCOPE NAME --why "..."'.replace("SCOPE NAME", "channel voice"))
    assert does(life, "saveline kill-switch ls") == "no switch is thrown\n"
    assert re.search(r'scope="channel".*=> 1 ', look("SavelineKillSwitchThrown")) is None


def test_what_was_set_aside_is_shown_with_its_reason_and_discarded(
    life: Lived, look: Callable[[str], str]
) -> None:
    sender = Producer({"bootstrap.servers": life.stack.environment["SAVELINE_BROKER"], "log_level": "0"})
    for n in range(GARBAGE):
        sender.produce(Topic.EXCEPTIONS, b"no record %d" % n, key=b"needy")
    assert sender.flush(60) == 0
    waiting = rf"(\d+) x {re.escape(Topic.EXCEPTIONS)}: the record is not in Confluent wire format"

    def set_aside() -> str:
        said = look("SavelineQuarantine")
        count = re.search(waiting, said)
        return said if count and int(count[1]) >= GARBAGE else ""

    said = until(set_aside, "all of it in quarantine", 600)
    rate = re.search(rf'topic="{re.escape(Topic.EXCEPTIONS)}"}} => ([0-9.]+)', said)
    assert rate is not None, said
    assert float(rate[1]) > 0
    record = next(line.split()[0] for line in said.splitlines() if re.match(r"\d+-\d+ ", line))
    assert "the record is not in Confluent wire format" in does(life, f"saveline quarantine show {record}")
    does(life, 'saveline quarantine discard --reason "not in Confluent wire format" --why "told upstream"')
    assert re.search(waiting, does(life, "saveline quarantine ls")) is None


def test_a_decision_that_is_not_written_is_shown_with_why_and_is_written_once_the_order_system_answers(
    life: Lived, look: Callable[[str], str]
) -> None:
    oms, codec = life.stack.simulators["oms"], Codec(LockedRegistry())
    sender = Producer({"bootstrap.servers": life.stack.environment["SAVELINE_BROKER"], "log_level": "0"})
    for order, fault in (
        ("silent", {"match": {"resource": "read"}, "then": "http_503"}),
        ("held", {"then": "being_modified"}),
    ):
        oms.put(f"orders/{order}", AN_ORDER)
        oms.put(f"orders/{order}/faults", [fault])
        update = an_update(SystemClock().now())
        decision = msgspec.structs.replace(update.decision, decision_id=f"{order}.d1", case_id=order)
        update = msgspec.structs.replace(
            update, command_id=f"{order}.d1", order_id=order, case_id=order, decision=decision
        )
        sender.produce(Topic.UPDATES, codec.encode(update), key=order.encode())
    assert sender.flush(60) == 0

    def of(order: str) -> tuple[Any, ...] | None:
        with psycopg.connect(life.dsn) as connection:
            asked = "SELECT outcome, tries FROM write_backs WHERE order_id = %s"
            return connection.execute(asked, [order]).fetchone()

    until(lambda: (of("silent") or (None, 0))[1] > 1, "a second try")
    until(lambda: (of("held") or (None, 0))[0], "an outcome")
    said = look("SavelineWriteBackUnverified")
    assert re.search(r"silent +\| silent\.d1 +\| +\d+ \| +\d+ \| unreadable", said), said
    assert re.search(r"order_being_modified +\| held", said), said
    assert float(re.findall(r"^{} => ([0-9.]+) ", said, re.MULTILINE)[-1]) > 0, said
    # As the page says, it is up again.
    oms.put("orders/silent/faults", [])
    until(lambda: (of("silent") or (None, 0))[0] == "applied", "the write")
    assert "silent.d1" not in look("SavelineWriteBackUnverified")
    written = [one["key"] for one in oms.get("orders/silent/book") if one["kind"] == "decision"]
    assert written == ["silent.d1"]
