"""Pages for alerts are followed after what they are about really happened: they show it, and what they say mends it."""

import re
from collections.abc import Callable

import pytest
from confluent_kafka import Producer

from schemas.catalogue import Topic
from tests.observability.conftest import Lived
from tests.observability.test_runbooks import PAGES, followed
from tests.streams.rig import until

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("kafka")]
Page = Callable[[], str]
GARBAGE = 12


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

    said = until(set_aside, "all of it in quarantine")
    rate = re.search(rf'topic="{re.escape(Topic.EXCEPTIONS)}"}} => ([0-9.]+)', said)
    assert rate is not None, said
    assert float(rate[1]) > 0
    record = next(line.split()[0] for line in said.splitlines() if re.match(r"\d+-\d+ ", line))
    assert "the record is not in Confluent wire format" in does(life, f"saveline quarantine show {record}")
    does(life, 'saveline quarantine discard --reason "not in Confluent wire format" --why "told upstream"')
    assert re.search(waiting, does(life, "saveline quarantine ls")) is None
