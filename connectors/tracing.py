"""The trace of what is being done: one W3C `traceparent`, carried as it came to everything that follows from it."""

import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

HEADER = "traceparent"
R = TypeVar("R")
_is_traceparent = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
).fullmatch
_current: ContextVar[str] = ContextVar(HEADER, default="")


def current() -> str:
    """Empty where nothing is traced."""
    return _current.get()


@contextmanager
def continuing(traceparent: str) -> Iterator[None]:
    """What is done inside belongs to this trace."""
    before = _current.set(traceparent)
    try:
        yield
    finally:
        _current.reset(before)


def sound(traceparent: str) -> str:
    """It, or nothing where it is none: what comes from outside may say anything."""
    return traceparent if _is_traceparent(traceparent) else ""


def started() -> str:
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"


def traced(records: Sequence[R], traces: Sequence[str]) -> list[tuple[R, str]]:
    """Each record beside its trace; without any, all belong to none."""
    return list(zip(records, traces or [""] * len(records), strict=True))


class TracedRequests:
    """Every request goes on with the trace that it names, or starts one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        with continuing(sound(Headers(scope=scope).get(HEADER, "")) or started()):
            await self._app(scope, receive, send)
