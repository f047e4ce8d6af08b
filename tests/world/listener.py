"""Stands in for the product in the simulators' own tests: answers webhooks as told, and checks signatures."""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any, Self

from aiohttp import web
from twilio.request_validator import RequestValidator

Form = dict[str, str]
Said = Callable[[Form], str]


class Listener:
    """`twiml[path]` is what is answered there; `heard` are (path, form, signature was right)."""

    def __init__(self, auth_token: str) -> None:
        self.twiml: dict[str, str | Said] = {}
        self.heard: list[tuple[str, Form, bool]] = []
        # What the relay socket does with each frame: given the frame, the frames to send.
        self.relay: Callable[[dict[str, Any]], list[Any]] = lambda _frame: []
        self.frames: list[dict[str, Any]] = []
        self._validator = RequestValidator(auth_token)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.url = ""

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(60)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(60)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    async def _start(self) -> None:
        application = web.Application()
        application.router.add_get("/relay", self._socket)
        application.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def _answer(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        signature = request.headers.get("X-Twilio-Signature", "")
        # The path as it came, percent-encodings and all: that is what was signed.
        path = request.raw_path
        self.heard.append((path, form, self._validator.validate(self.url + path, form, signature)))
        said = self.twiml.get(request.path, "")
        return web.Response(text=said if isinstance(said, str) else said(form), content_type="text/xml")

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        signature = request.headers.get("X-Twilio-Signature", "")
        right = self._validator.validate(self.url.replace("http", "ws") + "/relay", {}, signature)
        self.heard.append(("/relay", {}, right))
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            frame = message.json()
            self.frames.append(frame)
            for answer in self.relay(frame):
                if answer is None:
                    await socket.close()
                    return socket
                await (socket.send_str(answer) if isinstance(answer, str) else socket.send_json(answer))
        return socket

    def on(self, path: str) -> list[Form]:
        return [form for heard, form, _ in self.heard if heard == path]

    def expect(self, path: str, n: int = 1, timeout_s: float = 90.0) -> list[Form]:
        give_up = time.monotonic() + timeout_s
        while len(self.on(path)) < n:
            assert time.monotonic() < give_up, f"{len(self.on(path))} of {n} requests on {path}: {self.heard}"
            time.sleep(0.02)
        return self.on(path)
