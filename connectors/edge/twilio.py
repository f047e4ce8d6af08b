"""Twilio's webhooks about messages and calls: verified, durable before they are answered, harmless twice."""

import asyncio
from collections.abc import Callable

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connectors.channels import sms, voice
from connectors.claims import Claims, DoubleSendError
from connectors.edge.signed import Form, Signed
from connectors.edge.texts import Received, Texts
from schemas.words import ReceiptState

log = structlog.get_logger()

# The last part of the status callback of our numbers.
INCOMING = "incoming"
_OPTED_OUT = "21610"
# Twilio counts from 0 and the send itself is 0 with us.
_FIRST = 1
# A message has no numbers; its states follow each other like this.
_ORDER = {ReceiptState.SENT: 1, ReceiptState.DELIVERED: 2, ReceiptState.FAILED: 2, ReceiptState.CANCELLED: 2}
_EMPTY = Response('<?xml version="1.0" encoding="UTF-8"?><Response/>', media_type="text/xml")


class TwilioHooks:
    """What becomes of messages and calls, and what customers text.

    `hung_up` ends the talk of a call; `stopped` breaks it off, given the account, the call and the provider's id of it.
    """

    def __init__(
        self,
        claims: Claims,
        texts: Texts,
        signed: Signed,
        hung_up: Callable[[str, str], None] = lambda _command_id, _sid: None,
        stopped: Callable[[str, str, str], None] = lambda _account_sid, _call_id, _sid: None,
    ) -> None:
        self._claims, self._texts, self._signed = claims, texts, signed
        self._hung_up, self._stopped = hung_up, stopped

    def routes(self) -> list[Route]:
        return [
            Route("/twilio/sms", self._signed.checked(self._sms), methods=["POST"]),
            Route("/twilio/status/{command_id:path}", self._signed.checked(self._status), methods=["POST"]),
        ]

    async def _sms(self, _request: Request, form: Form) -> Response:
        if not (form.get("MessageSid") and form.get("From")):
            return Response(status_code=400)
        text = Received(form["MessageSid"], form["From"], form.get("Body", ""), form.get("OptOutType", ""))
        taken = await asyncio.to_thread(self._texts.take, text)
        if not taken.known:
            log.info("text_from_unknown_number")
        for call_id, sid in taken.stopped:
            await asyncio.to_thread(self._stopped, form.get("AccountSid", ""), call_id, sid)
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
            # A call that came in is named by its own id, and nothing was asked for that it could report on.
            came_in = command_id == INCOMING
            if final and sid:
                # Before its report, which says what the talk came to.
                await asyncio.to_thread(self._hung_up, sid if came_in else command_id, sid)
            if came_in:
                return Response(status_code=204)
        if state is ReceiptState.UNKNOWN or not sid:
            # A word that its documentation does not have changes nothing.
            log.warning("unknown_status", command_id=command_id, status=status[:40])
            return Response(status_code=204)
        code = form.get("ErrorCode", "")
        reason = f"twilio_{code}" if code else ""
        if code == _OPTED_OUT:
            state, reason = ReceiptState.SUPPRESSED, "opted_out"
        return await self._heard(command_id, sid, state, final=final, reason=reason, sequence=sequence)

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
