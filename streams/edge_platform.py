"""What a platform asks the edge: alive, ready, metrics, version; beside the doors, or on a port of its own."""

from importlib.metadata import version

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from psycopg_pool import ConnectionPool, PoolTimeout
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from connectors.metrics import IN_EDGE
from connectors.outbox import Connection
from streams.metrics import exposed

_READY_S = 1.0


def routes(pool: ConnectionPool[Connection]) -> list[Route]:
    """Their answers name nobody and no secret, yet say how much business there is."""

    async def live(_request: Request) -> Response:
        # On the loop itself: requests that fill every thread, since the database is slow, are no reason to restart.
        return JSONResponse({"ok": True})

    def ready(_request: Request) -> Response:
        try:
            with pool.connection(timeout=_READY_S) as connection:
                connection.execute("SELECT 1")
        except (PoolTimeout, OSError) as error:
            return JSONResponse({"ok": False, "reasons": [f"postgres: {type(error).__name__}"]}, 503)
        return JSONResponse({"ok": True, "reasons": []})

    told = exposed(*(one.metric for one in IN_EDGE))

    def metrics(_request: Request) -> Response:
        return Response(generate_latest(told), media_type=CONTENT_TYPE_LATEST)

    def told_version(_request: Request) -> Response:
        return JSONResponse({"version": version("saveline")})

    return [
        Route("/livez", live),
        Route("/readyz", ready),
        Route("/metrics", metrics),
        Route("/version", told_version),
    ]


class ByPort:
    """One server on two ports: what comes by the platform's port is `platform`'s, all else is the doors'.

    The port is the socket's own; no header changes it.
    """

    def __init__(self, doors: ASGIApp, platform: ASGIApp, platform_port: int) -> None:
        self._doors, self._platform, self._port = doors, platform, platform_port

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = scope["type"] != "lifespan" and scope["server"][1] == self._port
        await (self._platform if asked else self._doors)(scope, receive, send)
