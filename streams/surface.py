"""What a platform asks every process over HTTP: alive, ready, metrics, version; and tests, failpoints."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec
from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from streams.failpoints import Failpoint, Failpoints


class Health(Protocol):
    """Both answer with the reasons against; none means yes."""

    def not_live(self) -> list[str]:
        """A restart would help: something hangs. A rebalance or a broker that is away is no reason."""

    def not_ready(self) -> list[str]: ...

    def quiescent(self) -> bool:
        """Nothing is in work, on its way or due."""


class Surface:
    """An HTTP server of its own; Faust's binds everywhere and serves table data."""

    def __init__(
        self, health: Health, registry: CollectorRegistry, version: str, failpoints: Failpoints | None
    ) -> None:
        """`failpoints`: None unless the test switch is on; then `/_test/...` does not exist."""
        self._health = health
        self._registry = registry
        self._version = version
        self._failpoints = failpoints
        self._runner: web.AppRunner | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen and return the port (of the machine's choice for 0)."""
        app = web.Application()
        app.router.add_get("/livez", _answer(self._health.not_live))
        app.router.add_get("/readyz", _answer(self._health.not_ready))
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/version", self._tell_version)
        if self._failpoints is not None:
            app.router.add_put("/_test/failpoints", self._arm)
            app.router.add_get("/_test/quiescent", self._quiescent)
        runner = self._runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, host, port)
        await site.start()
        addresses = runner.addresses
        return int(addresses[0][1])

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _metrics(self, _: web.Request) -> web.Response:
        # Some of it is asked of the broker: nothing blocking runs on the event loop.
        body = await asyncio.to_thread(generate_latest, self._registry)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _tell_version(self, _: web.Request) -> web.Response:
        return web.json_response({"version": self._version})

    async def _arm(self, request: web.Request) -> web.Response:
        try:
            failpoint = msgspec.json.decode(await request.read(), type=Failpoint)
            if self._failpoints is not None:
                self._failpoints.arm(failpoint)
        except (msgspec.MsgspecError, ValueError) as error:
            return web.json_response({"error": str(error)}, status=400)
        return web.json_response({"armed": failpoint.point})

    async def _quiescent(self, _: web.Request) -> web.Response:
        return web.json_response({"quiescent": self._health.quiescent()})


def _answer(reasons_against: Callable[[], list[str]]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_: web.Request) -> web.Response:
        reasons = reasons_against()
        return web.Response(
            status=503 if reasons else 200,
            text=json.dumps({"ok": not reasons, "reasons": reasons}),
            content_type="application/json",
        )

    return answer
