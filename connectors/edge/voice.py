"""Twilio's webhooks of a call with `<Gather>`: each is checked, becomes a turn, and is answered with TwiML."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

import msgspec
import psycopg
import structlog
from psycopg_pool import PoolTimeout
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connectors.channels.twilio_door import in_path
from connectors.claims import Claims, DoubleSendError
from connectors.edge.signed import Form
from connectors.edge.turns import Exchange
from connectors.metrics import TROUBLES, TURN_S, TURNS
from connectors.voice import gather
from connectors.voice.calls import Answer
from connectors.voice.outcomes import ANSWERED_SEQUENCE
from connectors.voice.sessions import Call
from schemas.words import ReceiptState
from state.dialogue.events import AnyHeard, Say

log = structlog.get_logger()

# How often a caller is asked for a moment while Postgres is away.
_MOMENTS_MAX = 6
_MOMENT = "One moment, please."
_MACHINES = ("machine", "fax")
_PUT_THROUGH = ("completed", "answered")
_OVER = Say("", "", (), ending="hang_up")


class VoiceHooks:
    """Stateless: every turn is in Postgres before it is answered."""

    def __init__(self, exchange: Exchange, claims: Claims) -> None:
        self._exchange, self._claims = exchange, claims
        self._calls, self._clock, self._signed = exchange.calls, exchange.clock, exchange.signed
        self._manner = exchange.manner

    def routes(self) -> list[Route]:
        paths: Sequence[tuple[str, Callable[[Request, Form], Awaitable[Response]]]] = (
            ("", self._answered),
            ("/turn/{turn:int}", self._turn),
            ("/again/{turn:int}/{times:int}", self._again),
            ("/relayed", self._relayed),
            ("/transfer", self._transfer),
            ("/whisper", self._whisper),
            ("/transferred", self._transferred),
        )
        return [
            Route("/twilio/voice", self._spoken(self._called), methods=["POST"]),
            Route("/twilio/voice/{call_id}/amd", self._signed.checked(self._detected), methods=["POST"]),
            *[
                Route(f"/twilio/voice/{{call_id}}{path}", self._spoken(handle), methods=["POST"])
                for path, handle in paths
            ],
        ]

    def _spoken(
        self, handle: Callable[[Request, Form], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        """The caller never hears an error: while the database is away they wait a moment, else we say goodbye."""

        async def guarded(request: Request, form: Form) -> Response:
            begun = self._clock.monotonic()
            try:
                answer = await handle(request, form)
            except (psycopg.OperationalError, PoolTimeout) as error:
                log.warning("turn_waits", error=type(error).__name__)
                TROUBLES.add("database")
                return self._moment(request, form)
            except Exception:
                log.exception("turn_failed")
                TROUBLES.add("fault")
                return self._xml("", self._calls.goodbye())
            TURNS.add("gather")
            TURN_S.add("gather", seconds=self._clock.monotonic() - begun)
            return answer

        return self._signed.checked(guarded)

    async def _answered(self, request: Request, form: Form) -> Response:
        call_id = request.path_params["call_id"]
        answer = await asyncio.to_thread(self._calls.answered, call_id, form.get("CallSid", ""))
        return self._opened(call_id, answer)

    async def _called(self, _request: Request, form: Form) -> Response:
        sid = form.get("CallSid", "")
        return self._opened(sid, await asyncio.to_thread(self._calls.called, sid, form.get("From", "")))

    def _opened(self, call_id: str, answer: Answer) -> Response:
        """The first words, or the socket over which they will come."""
        if not self._manner.relays(call_id) or answer.call is None or answer.say.ending:
            return self._xml(call_id, answer)
        socket_url = f"{self._signed.public_url}/twilio/relay/{in_path(call_id)}".replace("http", "ws", 1)
        to = gather.Addresses("", relay_url=socket_url, relay_done_url=f"{self._url(call_id)}/relayed")
        return _xml(gather.connected(to, answer.language, answer.say.hints))

    async def _relayed(self, request: Request, form: Form) -> Response:
        """The socket is closed. A talk that is not over broke off, and goes on with webhooks."""
        call_id, sid = request.path_params["call_id"], form.get("CallSid", "")
        answer = await asyncio.to_thread(self._calls.where, call_id, sid)
        if answer.call is not None and answer.say.ending:
            # These words were spoken already.
            answer = msgspec.structs.replace(
                answer, say=msgspec.structs.replace(answer.say, text="", record="")
            )
        return self._xml(call_id, answer)

    async def _transfer(self, request: Request, form: Form) -> Response:
        call_id, sid = request.path_params["call_id"], form.get("CallSid", "")
        if not self._manner.staff_number or not await asyncio.to_thread(self._calls.summary, call_id, sid):
            return self._xml(call_id, self._calls.goodbye())
        url = self._url(call_id)
        return _xml(gather.put_through(self._manner.staff_number, f"{url}/whisper", f"{url}/transferred"))

    async def _whisper(self, request: Request, form: Form) -> Response:
        """What the colleague hears first; the customer is not on the line yet."""
        sid = form.get("ParentCallSid", "")
        told = await asyncio.to_thread(self._calls.summary, request.path_params["call_id"], sid)
        return _xml(gather.words(told, self._manner.language))

    async def _transferred(self, request: Request, form: Form) -> Response:
        call_id, sid = request.path_params["call_id"], form.get("CallSid", "")
        if form.get("DialCallStatus") in _PUT_THROUGH:
            return _xml(gather.rendered(_OVER, gather.Addresses(""), self._manner.language))
        return self._xml(call_id, await asyncio.to_thread(self._calls.not_put_through, call_id, sid))

    async def _turn(self, request: Request, form: Form) -> Response:
        call_id, turn = request.path_params["call_id"], request.path_params["turn"]
        now = self._clock.now()
        heard = await self._exchange.weighed(call_id, gather.heard(form))

        def listen(call: Call) -> list[AnyHeard]:
            elapsed_ms = (now - call.spoken_at) // timedelta(milliseconds=1)
            cut = gather.interrupted(call.say, elapsed_ms, self._manner.fastest_ms_per_char)
            return [*([cut] if cut else []), heard]

        answer = await asyncio.to_thread(self._calls.heard, call_id, form.get("CallSid", ""), turn, listen)
        return self._xml(call_id, await self._exchange.truth(answer))

    async def _again(self, request: Request, form: Form) -> Response:
        """What was said meanwhile was not heard, so that the question is put once more."""
        call_id, sid = request.path_params["call_id"], form.get("CallSid", "")
        if not request.path_params["turn"]:
            # A call that came in is named by its own id.
            return await (self._called if call_id == sid else self._answered)(request, form)
        return self._xml(call_id, await asyncio.to_thread(self._calls.where, call_id, sid))

    async def _detected(self, request: Request, form: Form) -> Response:
        """Unknown is treated as a person; a machine is left a message, if nobody has spoken like a person before."""
        call_id, sid = request.path_params["call_id"], form.get("CallSid", "")
        what = gather.detected(form)
        answer = await asyncio.to_thread(self._calls.detected, call_id, sid, what)
        if answer is None and what.what in _MACHINES:
            return await self._unspoken_machine(call_id, sid, form)
        if answer is not None:
            await asyncio.to_thread(self._break_in, form.get("AccountSid", ""), call_id, sid, answer)
        return Response(status_code=204)

    def stopped(self, account_sid: str, call_id: str, sid: str) -> None:
        """They said stop by text while we talk: the call says goodbye now, or at its next turn at the latest."""
        answer = self._calls.stopped(call_id, sid)
        if answer is not None:
            self._break_in(account_sid, call_id, sid, answer)

    def _break_in(self, account_sid: str, call_id: str, sid: str, answer: Answer) -> None:
        self._exchange.in_progress.redirect(account_sid, sid, self._twiml(call_id, answer))

    async def _unspoken_machine(self, call_id: str, sid: str, form: Form) -> Response:
        """Only where we never said a word is the network's opinion all that there is."""
        if await asyncio.to_thread(self._calls.knows, call_id):
            return Response(status_code=204)
        try:
            known = await asyncio.to_thread(
                lambda: self._claims.heard(
                    call_id,
                    sid,
                    ReceiptState.VOICEMAIL,
                    final=False,
                    reason=form["AnsweredBy"],
                    sequence=ANSWERED_SEQUENCE,
                )
            )
        except DoubleSendError:
            log.exception("double_send", command_id=call_id)
            return Response(status_code=204)
        return Response(status_code=204 if known else 404)

    def _moment(self, request: Request, form: Form) -> Response:
        """Nothing was heard yet: the same question comes once more, and after some moments goodbye."""
        call_id = request.path_params.get("call_id") or form.get("CallSid", "")
        times = request.path_params.get("times", 0) + 1
        if times > _MOMENTS_MAX:
            return self._xml(call_id, self._calls.goodbye())
        url = f"{self._url(call_id)}/again/{request.path_params.get('turn', 0)}/{times}"
        return _xml(gather.patience(url, _MOMENT, self._manner.language))

    def _url(self, call_id: str) -> str:
        return f"{self._signed.public_url}/twilio/voice/{in_path(call_id)}"

    def _twiml(self, call_id: str, answer: Answer) -> str:
        url = self._url(call_id)
        to = gather.Addresses(turn_url=f"{url}/turn/{answer.turn}", transfer_url=f"{url}/transfer")
        return gather.rendered(answer.say, to, answer.language)

    def _xml(self, call_id: str, answer: Answer) -> Response:
        return _xml(self._twiml(call_id, answer))


def _xml(twiml: str) -> Response:
    return Response(twiml, media_type="text/xml")
