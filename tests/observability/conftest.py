"""One running system for all of it: a shortened hour of the demo, watched by a Prometheus."""

import asyncio
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psycopg
import pytest

from connectors.clock import SystemClock
from connectors.register.report import Report, report
from tests.demo import grocer
from tests.demo.__main__ import SETTINGS, Hour
from tests.demo.policies import PACE, hurried
from tests.world.prometheus import Prometheus
from tests.world.stack import PROCESSES, Stack

ALERTS = Path(__file__).parents[2] / "helm" / "saveline" / "files" / "alerts.yaml"
_ORDERS, _SECONDS, _SEED = 30, 8.0, 2026
# A look is followed by a pause of many times its length, and each is long where the machine is busy.
_LOOKED_WITHIN_S = 600.0


class Lived(msgspec.Struct):
    """A demo that was played to its end, and still runs."""

    stack: Stack
    prometheus: Prometheus
    orders: list[grocer.Order]
    began_s: float
    told: dict[str, str] = {}
    """What each command said that was run already."""

    @property
    def dsn(self) -> str:
        return self.stack.environment["SAVELINE_PG_DSN"]

    def report(self) -> Report:
        with psycopg.connect(self.dsn) as connection:
            return report(connection)

    def look(self) -> None:
        """Wait until what happened up to now was counted and scraped."""
        now_s, give_up = SystemClock().now().timestamp(), time.monotonic() + _LOOKED_WITHIN_S
        while time.monotonic() < give_up:
            found = self.prometheus.query(
                '{__name__=~"saveline_register_(looked|watched)_timestamp_seconds"}'
            )
            if len(found) == 2 and min(float(one["value"][1]) for one in found) > now_s:
                return
            time.sleep(0.2)
        raise AssertionError("the register was not counted: see connectors.log")


def watched(stack: Stack, folder: Path) -> Prometheus:
    targets = {f"saveline-{name}": stack.url_of(name).removeprefix("http://") for name in PROCESSES}
    prometheus = Prometheus(folder, targets, ALERTS)
    prometheus.start()
    return prometheus


def lived(stack: Stack, folder: Path, orders: int, seconds: float) -> Lived:
    """Play it to its end, outcomes included; the stack is up, and stays up."""
    came = grocer.hour(orders, seconds, _SEED)
    life = Lived(stack, watched(stack, folder), came, SystemClock().now().timestamp())
    hour = Hour(stack, came, _SEED)

    async def play() -> None:
        await hour.prepare()
        people = asyncio.create_task(hour.people.run())
        playing = asyncio.create_task(hour.play())
        await hour.watched(lambda _view, _elapsed_s: None)
        await playing
        people.cancel()
        await asyncio.gather(people, return_exceptions=True)

    asyncio.run(play())
    hour.drive()
    _somebody_forges(stack)
    life.look()
    return life


def _somebody_forges(stack: Stack) -> None:
    for path in ("/twilio/sms", "/staff/v1/tasks/x"):
        request = urllib.request.Request(f"{stack.url_of('edge')}{path}", data=b"From=%2B1", method="POST")
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(request, timeout=10)


@pytest.fixture(scope="package")
def life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    folder = tmp_path_factory.mktemp("observed")
    stack = Stack(folder / "stack", policies=hurried, pace=PACE, settings=SETTINGS)
    stack.start()
    prometheus: Prometheus | None = None
    try:
        one = lived(stack, folder, _ORDERS, _SECONDS)
        prometheus = one.prometheus
        yield one
    finally:
        if prometheus is not None:
            prometheus.stop()
        stack.close()
