"""Twilio's webhooks of a call with `<Gather>`: each is checked, becomes a turn, and is answered with TwiML."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

import msgspec
import psycopg
import structlog
from prometheus_client import Counter, Histogram
from psycopg_pool import PoolTimeout
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connectors.channels.twilio_door import in_path
from connectors.claims import Claims, DoubleSendError
from connectors.clock import Clock
from connectors.edge.signed import Form, Signed
from connectors.voice import gather
from connectors.voice.calls import Answer, Calls
from connectors.voice.outcomes import ANSWERED_SEQUENCE
from connectors.voice.provider import CallsInProgress
from connectors.voice.sessions import Call
from schemas.words import ReceiptState
from state.dialogue.events import AnyHeard

log = structlog.get_logger()

# How often a caller is asked for a moment while Postgres is away.
_MOMENTS_MAX = 6
_MOMENT = "One moment, please."
_MACHINES = ("machine", "fax")

TURNS = Counter("saveline_call_turns_total", "Turns of calls answered, by transport.", ["transport"])
TURN_SECONDS = Histogram(
    "saveline_call_turn_seconds",
    "From a caller's words to ours.",
    ["transport"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5),
)
TROUBLES = Counter(
    "saveline_call_troubles_total", "Turns that could not be taken, by what was wrong.", ["why"]
)


class Manner(msgspec.Struct, frozen=True, kw_only=True):
    """How a call is spoken. No voice is faster than `ms_per_char`: a simulator's may be."""

    language: str = "en-GB"
    ms_per_char: float = gather.FASTEST_MS_PER_CHAR


class VoiceHooks:
    """Stateless: every turn is in Postgres before it is answered."""

    def __init__(
        self,
        calls: Calls,
        claims: Claims,
        clock: Clock,
        signed: Signed,
        in_progress: CallsInProgress,
        manner: Manner,
    ) -> None:
        self._calls, self._claims, self._clock, self._signed = calls, claims, clock, signed
        self._in_progress, self._manner = in_progress, manner

    def routes(self) -> list[Route]:
        paths: Sequence[tuple[str, Callable[[Request, Form], Awaitable[Response]]]] = (
            ("", self._answered),
            ("/turn/{turn:int}", self._turn),
            ("/again/{turn:int}/{times:int}", self._again),
        )
        return [
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
                TROUBLES.labels("database").inc()
                return self._moment(request)
            except Exception:
                log.exception("turn_failed")
                TROUBLES.labels("fault").inc()
                return self._xml(request.path_params["call_id"], self._calls.goodbye())
            TURNS.labels("gather").inc()
            TURN_SECONDS.labels("gather").observe(self._clock.monotonic() - begun)
            return answer

        return self._signed.checked(guarded)

    async def _answered(self, request: Request, form: Form) -> Response:
        call_id = request.path_params["call_id"]
        answer = await asyncio.to_thread(self._calls.answered, call_id, form.get("CallSid", ""))
        return self._xml(call_id, answer)

    async def _turn(self, request: Request, form: Form) -> Response:
        call_id, turn = request.path_params["call_id"], request.path_params["turn"]
        now = self._clock.now()

        def listen(call: Call) -> list[AnyHeard]:
            elapsed_ms = (now - call.spoken_at) // timedelta(milliseconds=1)
            cut = gather.interrupted(call.say, elapsed_ms, self._manner.ms_per_char)
            return [*([cut] if cut else []), gather.heard(form)]

        answer = await asyncio.to_thread(self._calls.heard, call_id, form.get("CallSid", ""), turn, listen)
        return self._xml(call_id, answer)

    async def _again(self, request: Request, form: Form) -> Response:
        """What was said meanwhile was not heard, so that the question is put once more."""
        call_id, sid = request.path_params["call_id"], form.get("CallSid", "")
        if not request.path_params["turn"]:
            return await self._answered(request, form)
        return self._xml(call_id, await asyncio.to_thread(self._calls.where, call_id, sid))

    async def _detected(self, request: Request, form: Form) -> Response:
        """Unknown is treated as a person; a machine is left a message, if nobody has spoken like a person before."""
        call_id, sid = request.path_params["call_id"], form.get("CallSid", "")
        what = gather.detected(form)
        answer = await asyncio.to_thread(self._calls.detected, call_id, sid, what)
        if answer is None and what.what in _MACHINES:
            return await self._unspoken_machine(call_id, sid, form)
        if answer is not None:
            twiml = self._twiml(call_id, answer)
            await asyncio.to_thread(self._in_progress.redirect, form.get("AccountSid", ""), sid, twiml)
        return Response(status_code=204)

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

    def _moment(self, request: Request) -> Response:
        """Nothing was heard yet: the same question comes once more, and after some moments goodbye."""
        call_id = request.path_params["call_id"]
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
        return gather.rendered(answer.say, to, self._manner.language)

    def _xml(self, call_id: str, answer: Answer) -> Response:
        return _xml(self._twiml(call_id, answer))


def _xml(twiml: str) -> Response:
    return Response(twiml, media_type="text/xml")
