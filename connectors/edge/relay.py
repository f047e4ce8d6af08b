"""ConversationRelay's socket: one task a call, frames in and out, and every turn in Postgres like a webhook's."""

import asyncio

import psycopg
import structlog
from psycopg_pool import PoolTimeout
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from connectors.edge.turns import Exchange
from connectors.metrics import TROUBLES, TURN_S, TURNS
from connectors.voice import relay
from connectors.voice.calls import Answer
from state.dialogue.events import Answered, AnyHeard, Interruption, Keys, Silence

log = structlog.get_logger()

_UNSIGNED, _FAULT = 1008, 1011


class RelaySockets:
    """A closed socket decides nothing: the call stands in Postgres as it was after its last whole turn."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def routes(self) -> list[WebSocketRoute]:
        return [WebSocketRoute("/twilio/relay/{call_id}", self._open)]

    async def _open(self, socket: WebSocket) -> None:
        if not self._exchange.signed.fits(socket, {}, ("http", "ws")):
            await socket.close(_UNSIGNED)
            return
        await socket.accept()
        try:
            await _Talk(self._exchange, socket).run()
        except WebSocketDisconnect:
            # They hung up, or the network did: the status report says so.
            return
        except (psycopg.OperationalError, PoolTimeout) as error:
            # The call goes on with webhooks, which can ask for a moment.
            log.warning("turn_waits", error=type(error).__name__)
            TROUBLES.add("database")
            await socket.close(_FAULT)
        except Exception:
            log.exception("turn_failed")
            TROUBLES.add("fault")
            await socket.close(_FAULT)


class _Talk:
    """One session of one call."""

    def __init__(self, exchange: Exchange, socket: WebSocket) -> None:
        self._exchange, self._socket = exchange, socket
        self._call_id = socket.path_params["call_id"]
        self._account_sid = self._sid = ""
        self._ear = relay.Ear()
        self._answer: Answer | None = None

    async def run(self) -> None:
        """Returns once the talk is over."""
        over = False
        while not over:
            frame = await self._next()
            if isinstance(frame, relay.Setup):
                self._account_sid, self._sid = frame.account_sid, frame.call_sid
                self._ear = relay.Ear()
                where = self._exchange.calls.where
                over = await self._speaks(await asyncio.to_thread(where, self._call_id, self._sid))
            elif self._answer is not None and (heard := self._listened(frame, self._answer)) is not None:
                over = await self._heard(heard, self._answer)

    def _listened(self, frame: relay.Frame | None, answer: Answer) -> AnyHeard | None:
        if frame is None:
            # Keys of which more were awaited are what was pressed.
            keys, self._ear = self._ear.keys, relay.Ear()
            return Keys(keys) if keys else Silence()
        self._ear, heard = relay.listened(self._ear, frame, answer.say.keys_max)
        return None if isinstance(heard, Answered) else heard

    async def _next(self) -> relay.Frame | None:
        """The next frame that is as agreed; None once nobody has said anything for long enough."""
        patience_s = self._exchange.manner.silence_s(self._answer.say) if self._answer else None
        try:
            async with asyncio.timeout(patience_s):
                while True:
                    message = await self._socket.receive()
                    if message["type"] == "websocket.disconnect":
                        raise WebSocketDisconnect(message.get("code", 1000))
                    try:
                        return relay.read(message.get("text") or message.get("bytes") or b"")
                    except relay.MalformedFrame as fault:
                        log.warning("malformed_frame", call_id=self._call_id, fault=type(fault).__name__)
                        TROUBLES.add("frame")
        except TimeoutError:
            return None

    async def _heard(self, heard: AnyHeard, last: Answer) -> bool:
        """One event; true once the talk is over."""
        exchange, begun = self._exchange, self._exchange.clock.monotonic()
        weighed = await exchange.weighed(self._call_id, heard)
        answer = await asyncio.to_thread(
            exchange.calls.heard, self._call_id, self._sid, last.turn, lambda _call: (weighed,)
        )
        if isinstance(heard, Interruption) and answer.turn == last.turn:
            # It counts for what comes next, and is answered with nothing.
            return False
        TURNS.add("relay")
        TURN_S.add("relay", seconds=exchange.clock.monotonic() - begun)
        return await self._speaks(await exchange.truth(answer))

    async def _speaks(self, answer: Answer) -> bool:
        """Say it; true once the talk is over."""
        self._answer, say, exchange = answer, answer.say, self._exchange
        if say.record == "start":
            await asyncio.to_thread(exchange.in_progress.record, self._account_sid, self._sid)
        elif say.record == "stop":
            await asyncio.to_thread(exchange.in_progress.stop_recording, self._account_sid, self._sid)
        for frame in relay.spoken(say, answer.language):
            await self._socket.send_text(relay.written(frame))
        end = relay.ended(say)
        if end is not None:
            # An end would cut the last words off.
            await asyncio.sleep(exchange.manner.spoken_s(say))
            await self._socket.send_text(relay.written(end))
        return end is not None
