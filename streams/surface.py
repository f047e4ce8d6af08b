"""What a platform asks every process over HTTP: alive, ready, metrics, version; and tests, failpoints."""

import asyncio
import json
import logging
import re
from collections.abc import Callable
from typing import Protocol

import msgspec

from streams.failpoints import Failpoint, Failpoints

log = logging.getLogger(__name__)

_PATIENCE_S = 30.0
"""For how long one request and its answer may take: a scrape asks the broker for each partition's lag."""
_BODY_MAX = 65_536
_LENGTH = re.compile(r"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_WORDS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    500: "Internal Server Error",
    503: "Service Unavailable",
}
_METRICS = "text/plain; version=0.0.4; charset=utf-8"
"""The format in which `generate_latest` writes."""
Answer = tuple[int, str, bytes]
"""(status, content type, body)"""


class Health(Protocol):
    """Both answer with the reasons against; none means yes."""

    def not_live(self) -> list[str]:
        """A restart would help: something hangs. A rebalance or a broker that is away is no reason."""

    def not_ready(self) -> list[str]: ...

    def quiescent(self) -> bool:
        """Nothing is in work, on its way or due."""


class Surface:
    """An HTTP server of its own, a request a connection; Faust's binds everywhere and serves table data.

    Written out, since a server's package would be the largest part of what a worker loads before it can start.
    """

    def __init__(
        self, health: Health, metrics: Callable[[], bytes], version: str, failpoints: Failpoints | None
    ) -> None:
        """`metrics` is called in a thread; `failpoints`: None unless the test switch is on; then `/_test/...` does
        not exist."""
        self._health = health
        self._metrics = metrics
        self._version = version
        self._failpoints = failpoints
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen and return the port (of the machine's choice for 0)."""
        self._server = await asyncio.start_server(self._serve, host, port)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                status, kind, said = await self._answered(*await _request(reader))
                writer.write(
                    f"HTTP/1.1 {status} {_WORDS[status]}\r\nContent-Type: {kind}\r\n"
                    f"Content-Length: {len(said)}\r\nConnection: close\r\n\r\n".encode()
                    + said
                )
                await writer.drain()
        except (EOFError, OSError, ValueError, asyncio.LimitOverrunError) as failure:
            log.info("whoever asked is gone, too slow or speaks no HTTP: %s", type(failure).__name__)
        finally:
            writer.close()

    async def _answered(self, method: str, path: str, body: bytes) -> Answer:
        try:
            return await self._answer(method, path, body)
        except Exception:
            # Our fault and not the caller's, who has to see that; only this answer is lost.
            log.exception("no answer to %s %s", method, path)
            return _json(500, {"error": "a fault of this process: its log says which"})

    async def _answer(self, method: str, path: str, body: bytes) -> Answer:
        match method, path:
            case "GET", "/livez":
                return _reasons(self._health.not_live())
            case "GET", "/readyz":
                return _reasons(self._health.not_ready())
            case "GET", "/metrics":
                # Some of it is asked of the broker: nothing blocking runs on the event loop.
                return 200, _METRICS, await asyncio.to_thread(self._metrics)
            case "GET", "/version":
                return _json(200, {"version": self._version})
            case "PUT", "/_test/failpoints" if self._failpoints is not None:
                return _armed(self._failpoints, body)
            case "GET", "/_test/quiescent" if self._failpoints is not None:
                # It asks the broker and the database.
                return _json(200, {"quiescent": await asyncio.to_thread(self._health.quiescent)})
            case _:
                return _json(404, {"error": f"there is no {method} {path}"})


async def _request(reader: asyncio.StreamReader) -> tuple[str, str, bytes]:
    """(method, path, body); raises `ValueError` for what is no HTTP."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    length = _LENGTH.search(head)
    body = await reader.readexactly(min(int(length[1]), _BODY_MAX)) if length else b""
    method, target, _ = head.split(" ", 2)
    return method, target.partition("?")[0], body


def _json(status: int, said: object) -> Answer:
    return status, "application/json; charset=utf-8", json.dumps(said).encode()


def _reasons(against: list[str]) -> Answer:
    return _json(503 if against else 200, {"ok": not against, "reasons": against})


def _armed(failpoints: Failpoints, body: bytes) -> Answer:
    try:
        failpoint = msgspec.json.decode(body, type=Failpoint)
        failpoints.arm(failpoint)
    except (msgspec.MsgspecError, ValueError) as error:
        return _json(400, {"error": str(error)})
    return _json(200, {"armed": failpoint.point})
