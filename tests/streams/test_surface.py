"""What a process answers over HTTP, and to whom."""

import asyncio
import contextlib
import gc
import shutil
import subprocess
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import aiohttp
from prometheus_client import CollectorRegistry, generate_latest

from streams.failpoints import Failpoint, Failpoints
from streams.metrics import EngineCollector
from streams.surface import Surface
from streams.tally import Tally


class Health:
    def __init__(self) -> None:
        self.against: list[str] = []

    def not_live(self) -> list[str]:
        return self.against

    def not_ready(self) -> list[str]:
        return self.against

    def quiescent(self) -> bool:
        return not self.against


class NoLanes:
    tallies = {0: Tally(events=7), 1: Tally(clock_apart_ms=-1500)}  # noqa: RUF012 -- never changed
    lanes: dict[int, Any] = {}  # noqa: RUF012
    given_up: dict[int, Any] = {}  # noqa: RUF012

    def lags(self) -> dict[int, int]:
        return {}


def asked(
    talk: Callable[[Callable[..., Awaitable[tuple[int, str]]], Health], Awaitable[None]],
    failpoints: Failpoints | None = None,
) -> None:
    """Start a surface on a free port and talk to it."""

    async def run() -> None:
        registry = CollectorRegistry()
        registry.register(EngineCollector(NoLanes(), 1))
        health = Health()
        surface = Surface(health, partial(generate_latest, registry), "1.2.3", failpoints)
        port = await surface.start("127.0.0.1", 0)
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:

            async def ask(path: str, method: str = "GET", **more: Any) -> tuple[int, str]:
                async with session.request(method, path, **more) as answer:
                    return answer.status, await answer.text()

            await talk(ask, health)
        await surface.stop()

    asyncio.run(run())


def test_a_process_says_whether_it_lives_and_is_ready_and_why_not() -> None:
    async def talk(ask: Any, health: Health) -> None:
        assert (await ask("/livez"))[0] == (await ask("/readyz"))[0] == 200
        health.against.append("a step of partition 3 hangs")
        status, text = await ask("/livez")
        assert (status, "partition 3" in text) == (503, True)
        assert await ask("/version") == (200, '{"version": "1.2.3"}')

    asked(talk)


def test_who_speaks_no_http_or_leaves_half_way_disturbs_nobody() -> None:
    unheard: list[dict[str, Any]] = []

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, about: unheard.append(about))
        surface = Surface(Health(), lambda: b"", "1.2.3", None)
        port = await surface.start("127.0.0.1", 0)
        for said in (
            b"",
            b"\r\n\r\n",
            b"\xff" * 200_000,
            b"GET /livez",
            b"PUT /version HTTP/1.1\r\nContent-Length: 9\r\n\r\nhalf",
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(said)
            writer.write_eof()
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
            writer.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /version?since=1 HTTP/1.1\r\nHost: here\r\n\r\n")
        assert (await reader.read()).endswith(b'{"version": "1.2.3"}')
        writer.close()
        await surface.stop()
        # A task tells of what ended it when it is collected.
        gc.collect()

    asyncio.run(run())
    assert unheard == []


def test_metrics_are_told_by_partition_and_please_prometheus_own_linter() -> None:
    said: list[str] = []

    async def talk(ask: Any, _: Health) -> None:
        said.append((await ask("/metrics"))[1])

    asked(talk)
    assert 'saveline_engine_events_total{partition="0"} 7.0' in said[0]
    assert 'saveline_engine_clock_apart_seconds{partition="1"} -1.5' in said[0]
    promtool = shutil.which("promtool")
    assert promtool is None or lint(promtool, said[0]) == ""


def lint(promtool: str, text: str) -> str:
    done = subprocess.run(
        [promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


def test_failpoints_do_not_exist_without_the_test_switch() -> None:
    async def talk(ask: Any, _: Health) -> None:
        assert (await ask("/_test/failpoints", "PUT", json={"point": "before_commit", "then": "kill_9"}))[
            0
        ] == 404
        assert (await ask("/_test/quiescent"))[0] == 404

    asked(talk)


def test_an_armed_failpoint_acts_once_where_it_matches() -> None:
    failpoints = Failpoints()

    async def talk(ask: Any, _: Health) -> None:
        arm = {"point": "before_commit", "then": "delay", "match": {"partition": "1"}, "skip": 1}
        assert (await ask("/_test/failpoints", "PUT", json=arm))[0] == 200
        assert await ask("/_test/quiescent") == (200, '{"quiescent": true}')

    asked(talk, failpoints)
    failpoints.reach("before_commit", partition="0")
    failpoints.reach("before_commit", partition="1")
    assert failpoints.armed("before_commit")
    failpoints.reach("before_commit", partition="1")
    assert not failpoints.armed("before_commit")


def test_a_failpoint_that_nobody_passes_or_that_is_misspelt_is_refused_in_words() -> None:
    async def talk(ask: Any, _: Health) -> None:
        for body in ({"point": "nowhere", "then": "kill_9"}, {"point": "before_commit", "than": "x"}):
            status, text = await ask("/_test/failpoints", "PUT", json=body)
            assert status == 400
            assert "error" in text

    asked(talk, Failpoints())


def test_a_failpoint_may_ask_for_any_of_the_three_ends() -> None:
    for then in ("kill_9", "stop", "delay"):
        Failpoints().arm(Failpoint("before_apply", then))


def test_a_fault_of_ours_is_answered_as_ours_and_the_next_question_is_heard() -> None:
    def broken() -> list[str]:
        raise ValueError("a bug")

    async def talk(ask: Any, health: Health) -> None:
        health.not_live = broken  # type: ignore[method-assign]
        status, text = await ask("/livez")
        assert (status, "fault of this process" in text) == (500, True)
        assert (await ask("/readyz"))[0] == 200

    asked(talk)
