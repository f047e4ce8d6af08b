"""The edge's HTTP surface for customers and the retailer's app: the choice page, and the same over JSON."""

import asyncio
from collections.abc import Callable, Sequence
from urllib.parse import parse_qsl, unquote

import msgspec
import psycopg
from markupsafe import escape
from psycopg_pool import ConnectionPool
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from connectors.clock import Clock
from connectors.edge.choices import Choice, Choices, choices, takes_note
from connectors.edge.doors import NO_STORE, Refused, body_of
from connectors.edge.facts import Facts, Unpublished
from connectors.edge.page import render
from connectors.edge.requests import NOTE_CHARS_MAX, Decisions, Picked, answer_of, signed_by_app
from connectors.edge.tokens import Links
from connectors.edge.verdicts import Verdicts
from connectors.notes import Notes
from connectors.outbox import Connection
from connectors.register.projection import plain
from connectors.tracing import continuing, current
from connectors.vault import Erased
from schemas.events import Answer, ResponseReceived
from schemas.words import Channel

# Doors of tools: their errors are told in JSON.
_TOOLS = ("/app/", "/staff/", "/driver/")
_decoder = msgspec.json.Decoder(Decisions)


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
        notes: Notes,
    ) -> None:
        self._pool, self._facts, self._links = pool, facts, links
        self._clock, self._app_secrets, self._public_url = clock, app_secrets, public_url.rstrip("/")
        self._new_id, self._zone_of, self._notes = new_id, zone_of, notes
        self._verdicts = Verdicts(pool, clock)

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
            exception_handlers={
                Refused: _refused,  # type: ignore[dict-item]
                Unpublished: _not_taken,
                psycopg.OperationalError: _not_taken,
            },
        )

    async def _show(self, request: Request) -> Response:
        """Renders only: a scanner that opens the link decides nothing."""
        found = await self._opened(request)
        response_id = request.query_params.get("r", "")
        verdict, reason = await self._verdicts.now(found.order_id, response_id) if response_id else (None, "")
        if _wants_json(request):
            return JSONResponse({**plain(found), "verdict": verdict, "reason": reason}, headers=NO_STORE)
        return _page(found, verdict, reason)

    async def _submit(self, request: Request) -> Response:
        found = await self._opened(request)
        body = await body_of(request)
        if _wants_json(request) or request.headers.get("content-type", "").startswith("application/json"):
            verdict, reason = await self._decide(found, _decoded(body), Channel.PAGE)
            return JSONResponse({"verdict": verdict, "reason": reason}, headers=NO_STORE)
        form = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
        given = _from_form(found, form, self._new_id())
        if given is None:
            return _page(found, None, "")
        await self._decide(found, given, Channel.PAGE)
        where = f"{request.url.path}?r={_event_id(found.conversation_id, given)}"
        # After a reload nothing is posted again.
        return RedirectResponse(where, status_code=303, headers=NO_STORE)

    async def _app_decides(self, request: Request) -> Response:
        body = await body_of(request)
        url = f"{self._public_url}{request.url.path}"
        if not signed_by_app(self._app_secrets, url, body, request.headers.get("x-saveline-signature", "")):
            raise Refused(403, "the signature does not fit: HMAC-SHA256, hex, over URL, newline and body")
        conversation_id = request.path_params["conversation_id"]
        order_id = unquote(conversation_id.split("~")[0])
        found = await asyncio.to_thread(self._choices, order_id, conversation_id)
        if found is None:
            raise Refused(404, "nothing was offered in this conversation")
        verdict, reason = await self._decide(found, _decoded(body), Channel.APP)
        return JSONResponse({"verdict": verdict, "reason": reason}, headers=NO_STORE)

    async def _decide(self, found: Choices, given: Decisions, channel: Channel) -> tuple[str, str]:
        """Publish, then wait briefly for the worker's word, so that the customer is told the truth."""
        known = {case.case_id for case in found.cases}
        unknown = sorted({picked.case_id for picked in given.decisions} - known)
        if unknown:
            raise Refused(422, f"not part of this conversation: {', '.join(unknown)}")
        event_id = _event_id(found.conversation_id, given)
        customer_ref, trace = await asyncio.to_thread(self._behind, found.conversation_id)
        answers = await asyncio.to_thread(self._answers, found, given, customer_ref, event_id)
        fact = ResponseReceived(
            event_id=event_id,
            order_id=found.order_id,
            channel=channel,
            answers=answers,
            logged_in=channel is Channel.APP,
            received_at=self._clock.now(),
        )
        # An answer goes on with the trace of what it answers.
        with continuing(trace or current()):
            await self._facts.publish([fact])
        return await self._verdicts.soon(found.order_id, event_id)

    async def _opened(self, request: Request) -> Choices:
        link = self._links.open(request.path_params["token"])
        found = await asyncio.to_thread(self._choices, link.order_id, link.conversation_id) if link else None
        if found is None:
            raise Refused(404, "This link opens nothing. Please use the newest message, or our app.")
        return found

    def _choices(self, order_id: str, conversation_id: str) -> Choices | None:
        with self._pool.connection() as connection:
            return choices(connection, order_id, conversation_id, self._zone_of)

    def _answers(
        self, found: Choices, given: Decisions, customer_ref: str, event_id: str
    ) -> tuple[Answer, ...]:
        """What a customer wrote for the driver stays in the vault; the answer only refers to it."""
        answers = []
        for picked in given.decisions:
            reference = ""
            if picked.note:
                note_id = f"{event_id}/{picked.case_id}"
                try:
                    reference = self._notes.keep(customer_ref, found.order_id, note_id, picked.note)
                except Erased:
                    raise Refused(410, "this customer was erased") from None
            answers.append(answer_of(picked, reference))
        return tuple(answers)

    def _behind(self, conversation_id: str) -> tuple[str, str]:
        """Whose conversation it is, and the trace of its last command; the page shows neither."""
        with self._pool.connection() as connection:
            row = connection.execute(
                "SELECT customer_ref, traceparent FROM claims WHERE conversation_id = %s"
                " ORDER BY traceparent = '', filed_at DESC LIMIT 1",
                [conversation_id],
            ).fetchone()
        return (row[0], row[1]) if row else ("", "")


def _page(found: Choices, verdict: str | None, reason: str) -> HTMLResponse:
    html, nonce = render(found, verdict=verdict, reason=reason)
    only = f"default-src 'none'; style-src 'nonce-{nonce}'; form-action 'self'"
    policy = f"{only}; frame-ancestors 'none'; base-uri 'none'"
    return HTMLResponse(html, headers={**NO_STORE, "Content-Security-Policy": policy})


def _wants_json(request: Request) -> bool:
    return "application/json" in request.headers.get("accept", "")


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
        known = version.isascii() and version.isdigit() and len(version) < 10
        if case_id in by_id and known and choice is not None:
            note = form.get(f"note-{row}", "").strip()
            picked.append(_picked(by_id[case_id], int(version), choice, note))
    return Decisions(request_id=request_id, decisions=tuple(picked)) if picked else None


def _picked(case: Choice, version: int, option_id: str, note: str) -> Picked:
    shown = next((option for option in case.offered.options if option.option_id == option_id), None)
    return Picked(
        case_id=case.case_id,
        version=version,
        option_id=option_id,
        refund=not option_id,
        total_minor=shown.total.minor if shown is not None else None,
        currency=shown.total.currency if shown is not None else "",
        # With a refund, no driver comes.
        note=note[:NOTE_CHARS_MAX] if option_id and takes_note(case) else "",
    )


def _event_id(conversation_id: str, given: Decisions) -> str:
    return f"{conversation_id}/{given.request_id}"


async def _refused(request: Request, error: Refused) -> Response:
    if _wants_json(request) or request.url.path.startswith(_TOOLS):
        return JSONResponse({"error": error.words}, status_code=error.status, headers=NO_STORE)
    return HTMLResponse(_short_page(error.words), error.status, NO_STORE)


async def _not_taken(request: Request, _error: Exception) -> Response:
    """The broker or the database is away: nothing was accepted, and it may be sent again."""
    words = "We could not take your answer just now. Please send it again in a moment."
    headers = {**NO_STORE, "Retry-After": "5"}
    if _wants_json(request) or request.url.path.startswith(_TOOLS):
        return JSONResponse({"error": words}, status_code=503, headers=headers)
    return HTMLResponse(_short_page(words), 503, headers)


def _short_page(words: str) -> str:
    head = '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    return f"{head}<title>Saveline</title><p>{escape(words)}</p></html>"
