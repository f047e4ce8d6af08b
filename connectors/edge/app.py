"""The edge's HTTP surface for customers and the retailer's app: the choice page, and the same over JSON."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import parse_qsl, unquote

import msgspec
from markupsafe import escape
from psycopg_pool import ConnectionPool
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from connectors.clock import Clock
from connectors.edge.choices import Choice, Choices, choices
from connectors.edge.facts import Facts, Unpublished
from connectors.edge.page import render
from connectors.edge.requests import BODY_BYTES_MAX, Decisions, Picked, signed_by_app
from connectors.edge.tokens import Links
from connectors.outbox import Connection
from connectors.register.projection import plain
from connectors.tracing import continuing, current
from schemas.events import Answer, ResponseReceived
from schemas.facts import Money
from schemas.words import Channel

_WORD_WAIT_S = 2.0
_WORD_POLL_S = 0.05
_decoder = msgspec.json.Decoder(Decisions)


class Refused(Exception):
    """The request is not acceptable; the status and the words say why and whose fault it is."""

    def __init__(self, status: int, words: str) -> None:
        self.status, self.words = status, words
        super().__init__(words)


class Edge:
    """Stateless: everything it knows is in Postgres, and everything it accepts is a fact before it is answered."""

    def __init__(
        self,
        *,
        pool: ConnectionPool[Connection],
        facts: Facts,
        links: Links,
        clock: Clock,
        app_secrets: Sequence[str],
        public_url: str,
        new_id: Callable[[], str],
        zone_of: Callable[[str], str],
    ) -> None:
        self._pool, self._facts, self._links = pool, facts, links
        self._clock, self._app_secrets, self._public_url = clock, app_secrets, public_url.rstrip("/")
        self._new_id, self._zone_of = new_id, zone_of

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/c/{token}", self._show, methods=["GET"]),
                Route("/c/{token}", self._submit, methods=["POST"]),
                Route(
                    "/app/v1/conversations/{conversation_id:path}/decisions",
                    self._app_decides,
                    methods=["POST"],
                ),
            ],
            exception_handlers={Refused: _refused, Unpublished: _unpublished},  # type: ignore[dict-item]
        )

    async def _show(self, request: Request) -> Response:
        """Renders only: a scanner that opens the link decides nothing."""
        found = await self._opened(request)
        response_id = request.query_params.get("r", "")
        verdict, reason = (
            (await asyncio.to_thread(self._word, found.order_id, response_id)) if response_id else (None, "")
        )
        if _wants_json(request):
            return JSONResponse({**plain(found), "verdict": verdict, "reason": reason}, headers=_NO_STORE)
        return _page(found, verdict, reason)

    async def _submit(self, request: Request) -> Response:
        found = await self._opened(request)
        body = await _body(request)
        if _wants_json(request) or request.headers.get("content-type", "").startswith("application/json"):
            verdict, reason = await self._decide(found, _decoded(body), Channel.PAGE)
            return JSONResponse({"verdict": verdict, "reason": reason}, headers=_NO_STORE)
        form = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
        given = _from_form(found, form, self._new_id())
        if given is None:
            return _page(found, None, "")
        await self._decide(found, given, Channel.PAGE)
        where = f"{request.url.path}?r={_event_id(found.conversation_id, given)}"
        # After a reload nothing is posted again.
        return RedirectResponse(where, status_code=303, headers=_NO_STORE)

    async def _app_decides(self, request: Request) -> Response:
        body = await _body(request)
        url = f"{self._public_url}{request.url.path}"
        if not signed_by_app(self._app_secrets, url, body, request.headers.get("x-saveline-signature", "")):
            raise Refused(403, "the signature does not fit: HMAC-SHA256, hex, over URL, newline and body")
        conversation_id = request.path_params["conversation_id"]
        order_id = unquote(conversation_id.split("~")[0])
        found = await asyncio.to_thread(self._choices, order_id, conversation_id)
        if found is None:
            raise Refused(404, "nothing was offered in this conversation")
        verdict, reason = await self._decide(found, _decoded(body), Channel.APP)
        return JSONResponse({"verdict": verdict, "reason": reason}, headers=_NO_STORE)

    async def _decide(self, found: Choices, given: Decisions, channel: Channel) -> tuple[str, str]:
        """Publish, then wait briefly for the worker's word, so that the customer is told the truth."""
        known = {case.case_id for case in found.cases}
        unknown = sorted({picked.case_id for picked in given.decisions} - known)
        if unknown:
            raise Refused(422, f"not part of this conversation: {', '.join(unknown)}")
        event_id = _event_id(found.conversation_id, given)
        fact = ResponseReceived(
            event_id=event_id,
            order_id=found.order_id,
            channel=channel,
            answers=tuple([_answer(picked) for picked in given.decisions]),
            logged_in=channel is Channel.APP,
            received_at=self._clock.now(),
        )
        # An answer goes on with the trace of what it answers.
        trace = await asyncio.to_thread(self._trace, found.conversation_id)
        with continuing(trace or current()):
            await self._facts.publish([fact])
        ends = self._clock.monotonic() + _WORD_WAIT_S
        while True:
            verdict, reason = await asyncio.to_thread(self._word, found.order_id, event_id)
            if verdict != "waiting" or self._clock.monotonic() > ends:
                return verdict, reason
            await asyncio.sleep(_WORD_POLL_S)

    async def _opened(self, request: Request) -> Choices:
        link = self._links.open(request.path_params["token"])
        found = await asyncio.to_thread(self._choices, link.order_id, link.conversation_id) if link else None
        if found is None:
            raise Refused(404, "This link opens nothing. Please use the newest message, or our app.")
        return found

    def _choices(self, order_id: str, conversation_id: str) -> Choices | None:
        with self._pool.connection() as connection:
            return choices(connection, order_id, conversation_id, self._zone_of)

    def _trace(self, conversation_id: str) -> str:
        with self._pool.connection() as connection:
            row = connection.execute(
                "SELECT traceparent FROM claims WHERE conversation_id = %s AND traceparent <> ''"
                " ORDER BY filed_at DESC LIMIT 1",
                [conversation_id],
            ).fetchone()
        return row[0] if row else ""

    def _word(self, order_id: str, response_id: str) -> tuple[str, str]:
        """What became of a response: `waiting`, `accepted`, or `refused` with the reason."""
        with self._pool.connection() as connection:
            rows = connection.execute(
                "SELECT change->'response' FROM case_timeline WHERE order_id = %s"
                " AND change->'response'->>'response_id' = %s",
                [order_id, response_id],
            ).fetchall()
        verdicts: list[dict[str, Any]] = [row[0] for row in rows]
        if not verdicts:
            return "waiting", ""
        refused = [verdict["reason"] for verdict in verdicts if not verdict["accepted"]]
        return ("refused", "; ".join(dict.fromkeys(refused))) if refused else ("accepted", "")


_NO_STORE = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def _page(found: Choices, verdict: str | None, reason: str) -> HTMLResponse:
    html, nonce = render(found, verdict=verdict, reason=reason)
    only = f"default-src 'none'; style-src 'nonce-{nonce}'; form-action 'self'"
    policy = f"{only}; frame-ancestors 'none'; base-uri 'none'"
    return HTMLResponse(html, headers={**_NO_STORE, "Content-Security-Policy": policy})


def _wants_json(request: Request) -> bool:
    return "application/json" in request.headers.get("accept", "")


async def _body(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_BYTES_MAX:
            raise Refused(413, f"the body is larger than {BODY_BYTES_MAX} bytes")
    return body


def _decoded(body: bytes) -> Decisions:
    try:
        return _decoder.decode(body)
    except (msgspec.DecodeError, ValueError) as error:
        raise Refused(422, f"the body is no list of decisions: {error}") from error


def _from_form(found: Choices, form: dict[str, str], request_id: str) -> Decisions | None:
    """What the form says; None where nothing was chosen. A field that was not in our page is ignored."""
    picked = []
    by_id = {case.case_id: case for case in found.cases}
    for row in range(len(found.cases)):
        case_id, version = form.get(f"case-{row}", ""), form.get(f"version-{row}", "")
        choice = form.get(f"choice-{row}")
        if case_id in by_id and version.isascii() and version.isdigit() and choice is not None:
            picked.append(_picked(by_id[case_id], int(version), choice))
    return Decisions(request_id=request_id, decisions=tuple(picked)) if picked else None


def _picked(case: Choice, version: int, option_id: str) -> Picked:
    shown = next((option for option in case.offered.options if option.option_id == option_id), None)
    return Picked(
        case_id=case.case_id,
        version=version,
        option_id=option_id,
        refund=not option_id,
        total_minor=shown.total.minor if shown is not None else None,
        currency=shown.total.currency if shown is not None else "",
    )


def _answer(picked: Picked) -> Answer:
    shown = Money(picked.total_minor, picked.currency) if picked.total_minor is not None else None
    return Answer(
        case_id=picked.case_id,
        option_id=picked.option_id,
        key=0 if picked.refund else None,
        decision_version=picked.version,
        total_shown=shown,
        # A tap beside a shown name, price and new total is the explicit yes.
        confirmed=shown is not None or picked.refund,
    )


def _event_id(conversation_id: str, given: Decisions) -> str:
    return f"{conversation_id}/{given.request_id}"


async def _refused(request: Request, error: Refused) -> Response:
    if _wants_json(request) or request.url.path.startswith("/app/"):
        return JSONResponse({"error": error.words}, status_code=error.status, headers=_NO_STORE)
    return HTMLResponse(_short_page(error.words), error.status, _NO_STORE)


async def _unpublished(request: Request, _error: Unpublished) -> Response:
    words = "We could not take your answer just now. Please send it again in a moment."
    headers = {**_NO_STORE, "Retry-After": "5"}
    if _wants_json(request) or request.url.path.startswith("/app/"):
        return JSONResponse({"error": words}, status_code=503, headers=headers)
    return HTMLResponse(_short_page(words), 503, headers)


def _short_page(words: str) -> str:
    head = '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    return f"{head}<title>Saveline</title><p>{escape(words)}</p></html>"
