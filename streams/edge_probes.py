"""What only tests may do to an edge process: end, freeze or delay it inside a request, and ask whether it rests."""

import asyncio

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streams.failpoints import Failpoint, Failpoints

# A request was read and nothing was done about it; its fact is durable and nobody was told.
POINTS = ("before_request", "before_answer")


class UnderTest:
    """The doors behind the test switch, and the requests that are in work."""

    def __init__(self) -> None:
        self.failpoints = Failpoints(POINTS)
        self.in_work = 0

    def routes(self) -> list[Route]:
        return [
            Route("/_test/failpoints", self._arm, methods=["PUT"]),
            Route("/_test/quiescent", self._quiescent),
        ]

    async def _arm(self, request: Request) -> Response:
        try:
            failpoint = msgspec.json.decode(await request.body(), type=Failpoint)
            self.failpoints.arm(failpoint)
        except (msgspec.MsgspecError, ValueError) as error:
            return JSONResponse({"error": str(error)}, status_code=400)
        return JSONResponse({"armed": failpoint.point})

    async def _quiescent(self, _request: Request) -> Response:
        return JSONResponse({"quiescent": self.in_work == 0})


class Probed:
    """Lets every request but the tests' own pass the points; `match` may name its `path`."""

    def __init__(self, app: ASGIApp, under_test: UnderTest) -> None:
        self._app, self._under_test = app, under_test

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith("/_test/"):
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                await self._pass("before_answer", path)
            await send(message)

        self._under_test.in_work += 1
        try:
            await self._pass("before_request", path)
            await self._app(scope, receive, answer)
        finally:
            self._under_test.in_work -= 1

    async def _pass(self, point: str, path: str) -> None:
        if self._under_test.failpoints.armed(point):
            # A delay holds up this request, and no other.
            await asyncio.to_thread(self._under_test.failpoints.reach, point, path=path)
