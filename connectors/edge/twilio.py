"""Twilio's webhooks about messages and calls: verified, durable before they are answered, harmless twice."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import parse_qsl

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connectors.channels import sms, voice
from connectors.claims import Claims, DoubleSendError
from connectors.edge.requests import BODY_BYTES_MAX, signed_by_twilio
from connectors.edge.texts import Received, Texts
from schemas.words import ReceiptState

log = structlog.get_logger()

_OPTED_OUT = "21610"
# Twilio counts from 0 and the send itself is 0 with us.
_FIRST = 1
# A message has no numbers; its states follow each other like this.
_ORDER = {ReceiptState.SENT: 1, ReceiptState.DELIVERED: 2, ReceiptState.FAILED: 2, ReceiptState.CANCELLED: 2}
# Detection comes while the call is answered.
_DETECTED = _FIRST + 2
_MACHINES = ("machine_", "fax")
_EMPTY = Response('<?xml version="1.0" encoding="UTF-8"?><Response/>', media_type="text/xml")
Form = dict[str, str]


class TwilioHooks:
    """`tokens` are the valid auth tokens, two during a rotation; `public_url` is what Twilio was told."""

    def __init__(self, claims: Claims, texts: Texts, tokens: Sequence[str], public_url: str) -> None:
        self._claims, self._texts, self._tokens = claims, texts, tokens
        self._public_url = public_url.rstrip("/")

    def routes(self) -> list[Route]:
        return [
            Route("/twilio/sms", self._checked(self._sms), methods=["POST"]),
            Route("/twilio/status/{command_id:path}", self._checked(self._status), methods=["POST"]),
            Route("/twilio/voice/{command_id}/amd", self._checked(self._detected), methods=["POST"]),
        ]

    def _checked(
        self, handle: Callable[[Request, Form], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        async def checked(request: Request) -> Response:
            body = b""
            async for part in request.stream():
                body += part
                if len(body) > BODY_BYTES_MAX:
                    return Response(status_code=413)
            form = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
            if not signed_by_twilio(
                self._tokens, self._url(request), form, request.headers.get("x-twilio-signature", "")
            ):
                return Response(status_code=403)
            return await handle(request, form)

        return checked

    def _url(self, request: Request) -> str:
        """As it was signed: percent-encodings untouched, and never by the Host header."""
        path = request.scope.get("raw_path", b"").split(b"?")[0].decode("latin-1")
        query = request.scope.get("query_string", b"").decode("latin-1")
        return f"{self._public_url}{path}{'?' if query else ''}{query}"

    async def _sms(self, _request: Request, form: Form) -> Response:
        if not (form.get("MessageSid") and form.get("From")):
            return Response(status_code=400)
        text = Received(form["MessageSid"], form["From"], form.get("Body", ""), form.get("OptOutType", ""))
        if not await asyncio.to_thread(self._texts.take, text):
            log.info("text_from_unknown_number")
        return _EMPTY

    async def _status(self, request: Request, form: Form) -> Response:
        command_id = request.path_params["command_id"]
        if "MessageStatus" in form:
            status, sid = form["MessageStatus"], form.get("MessageSid", "")
            state = sms.STATES.get(status, ReceiptState.UNKNOWN)
            final, sequence = status in sms.FINAL, _ORDER.get(state, 0)
        else:
            status, sid = form.get("CallStatus", ""), form.get("CallSid", "")
            state = voice.STATES.get(status, ReceiptState.UNKNOWN)
            final, sequence = status in voice.FINAL, _number(form.get("SequenceNumber", "")) + _FIRST
        if state is ReceiptState.UNKNOWN or not sid:
            # A word that its documentation does not have changes nothing.
            log.warning("unknown_status", command_id=command_id, status=status[:40])
            return Response(status_code=204)
        code = form.get("ErrorCode", "")
        reason = f"twilio_{code}" if code else ""
        if code == _OPTED_OUT:
            state, reason = ReceiptState.SUPPRESSED, "opted_out"
        return await self._heard(command_id, sid, state, final=final, reason=reason, sequence=sequence)

    async def _detected(self, request: Request, form: Form) -> Response:
        """Unknown is treated as a person; only a machine is news."""
        if not form.get("AnsweredBy", "").startswith(_MACHINES) or not form.get("CallSid"):
            return Response(status_code=204)
        return await self._heard(
            request.path_params["command_id"],
            form["CallSid"],
            ReceiptState.VOICEMAIL,
            final=False,
            reason=form["AnsweredBy"],
            sequence=_DETECTED,
        )

    async def _heard(
        self, command_id: str, sid: str, state: ReceiptState, *, final: bool, reason: str, sequence: int
    ) -> Response:
        try:
            known = await asyncio.to_thread(
                lambda: self._claims.heard(
                    command_id, sid, state, final=final, reason=reason, sequence=sequence
                )
            )
        except DoubleSendError:
            # What must never happen is never silent, and never changes a case.
            log.exception("double_send", command_id=command_id)
            return Response(status_code=204)
        return Response(status_code=204 if known else 404)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0
