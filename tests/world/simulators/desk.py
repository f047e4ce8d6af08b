"""The frame of every simulator: a door for the product, a control door for tests, one process around both."""

import argparse
import asyncio
import json
import signal
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from connectors.clock import Clock, SystemClock
from tests.world.part import free_port
from tests.world.simulators.book import Book
from tests.world.simulators.faults import Faults

_HOLD_S = 120.0
_POLL_S = 0.02


class Desk:
    """What a simulator is given: its book, its faults, its clock and its arguments."""

    def __init__(self, name: str, arguments: argparse.Namespace, faults: str) -> None:
        """`faults` is a pattern of the faults that this simulator can do."""
        self.name = name
        self.arguments = arguments
        self.folder: Path = arguments.folder
        self.clock: Clock = SystemClock()
        self.book = Book(self.folder / f"{name}.book.jsonl", self.clock)
        self.faults = Faults(faults)
        self.control = web.Application(client_max_size=8_000_000)
        self.control.router.add_get("/_control/book", self._book)
        self.control.router.add_put("/_control/faults", self._put_faults)
        self.control.router.add_get("/_control/faults", self._get_faults)

    async def _book(self, request: web.Request) -> web.Response:
        since = request.query.get("since", "0")
        if not since.isdecimal():
            return web.json_response({"error": f"since is {since!r}; known is an entry's seq"}, status=400)
        return web.Response(body=b"".join(self.book.since(int(since))), content_type="application/x-ndjson")

    async def _put_faults(self, request: web.Request) -> web.Response:
        try:
            self.faults.put(await request.read())
        except ValueError as error:
            return web.json_response({"error": str(error)}, status=400)
        self.book.write("faults", rules=json.loads(await request.read()))
        return web.Response(status=204)

    async def _get_faults(self, _request: web.Request) -> web.Response:
        return web.Response(body=msgspec.json.encode(self.faults.rules), content_type="application/json")

    async def wait(self, seconds: float) -> None:
        """Time of the simulated world, shortened by `--pace`."""
        await asyncio.sleep(max(0.0, seconds) * self.arguments.pace)


def arguments(name: str, more: Callable[[argparse.ArgumentParser], None] | None = None) -> argparse.Namespace:
    """The command line that all simulators share, and what one adds."""
    parser = argparse.ArgumentParser(prog=f"python -m tests.world.simulators.{name}")
    parser.add_argument("--folder", type=Path, required=True, help="book, data and secrets")
    parser.add_argument("--port", type=int, default=0, help="the product's door; 0 takes a free one")
    parser.add_argument("--control-port", type=int, default=0, help="the control door")
    parser.add_argument("--pace", type=float, default=1.0, help="0.1 makes rings and talks ten times shorter")
    if more:
        more(parser)
    given = parser.parse_args()
    # Known before anything listens: what a simulator hands out names its own address.
    given.port = given.port or free_port()
    return given


async def serve(
    desk: Desk,
    door: web.Application | Callable[[int], Awaitable[int]],
    closing: Sequence[Callable[[], Awaitable[None]]] = (),
) -> None:
    """Opens both doors, prints one line of JSON with their addresses, and runs until SIGTERM or Ctrl-C.

    `door` is a web application, or opens the given port itself and returns the one that it got.
    """
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    runners = []
    if isinstance(door, web.Application):
        door.middlewares.append(_strangers(desk))
        port = await _listen(door, desk.arguments.port, runners)
    else:
        port = await door(desk.arguments.port)
    control = await _listen(desk.control, desk.arguments.control_port, runners)
    print(json.dumps({"name": desk.name, "port": port, "control_port": control}), flush=True)
    await ended.wait()
    for close in closing:
        await close()
    for runner in runners:
        await runner.cleanup()


def _strangers(desk: Desk) -> Any:
    """What asks for a path that is not there, or by another method, is in the book as well."""

    @web.middleware
    async def note(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except (web.HTTPNotFound, web.HTTPMethodNotAllowed) as refusal:
            desk.book.write(
                "request",
                method=request.method,
                path=request.path_qs,
                headers=headers_of(request),
                body=await request.text(),
                status=refusal.status,
                answer=refusal.text,
                provider_id="",
                command_id="",
                to="",
                fault="",
            )
            raise

    return note


async def _listen(application: web.Application, port: int, runners: list[web.AppRunner]) -> int:
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port, reuse_address=True)
    await site.start()
    runners.append(runner)
    return int(runner.addresses[0][1])


async def never_answer(request: web.Request) -> web.StreamResponse:
    """Holds the connection open until the other side gives up."""
    waited = 0.0
    while waited < _HOLD_S and request.transport is not None and not request.transport.is_closing():
        await asyncio.sleep(_POLL_S)
        waited += _POLL_S
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=504)


def headers_of(request: web.Request) -> dict[str, str]:
    """As they arrived, without the credentials."""
    return {
        name: ("***" if name.lower() == "authorization" else value) for name, value in request.headers.items()
    }


def answer(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response(body, status=status, headers=headers)
