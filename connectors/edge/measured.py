"""Counts and times every request of the edge by its route's template: no path that anybody asks for makes a series."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from connectors.clock import Clock
from connectors.measuring import OTHER
from connectors.metrics import REFUSED, REQUEST_S, REQUESTS

_DOORS = {"/c/": "customer", "/app/": "app", "/staff/": "staff", "/driver/": "driver", "/twilio/": "twilio"}
_FORBIDDEN = 403
_CONTINUED, _NO_ANSWER = 101, 500


class MeasuredRequests:
    """Beside the other middleware. A socket that is accepted counts with 101, and takes as long as it is open."""

    def __init__(self, app: ASGIApp, clock: Clock) -> None:
        self._app, self._clock = app, clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        begun_s, status = self._clock.monotonic(), _NO_ANSWER

        async def seen(message: Message) -> None:
            nonlocal status
            match message["type"]:
                case "http.response.start":
                    status = message["status"]
                case "websocket.accept":
                    status = _CONTINUED
                case "websocket.close" if status != _CONTINUED:
                    # Closed before it was accepted: the server says 403.
                    status = _FORBIDDEN
            await send(message)

        try:
            await self._app(scope, receive, seen)
        finally:
            # The router says in the scope which of its routes it was.
            route = getattr(scope.get("route"), "path", OTHER)
            REQUESTS.add(route, f"{status // 100}xx")
            REQUEST_S.add(route, seconds=self._clock.monotonic() - begun_s)
            if status == _FORBIDDEN:
                REFUSED.add(next((door for path, door in _DOORS.items() if route.startswith(path)), OTHER))
