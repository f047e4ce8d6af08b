"""ConversationRelay: the provider's side of a signed WebSocket that carries what is said."""

import asyncio
import time
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any

import aiohttp
import msgspec
from yarl import URL

from tests.world.simulators.twilio.account import absolute
from tests.world.simulators.twilio.recordings import AGENT, SPEECH_S_A_CHARACTER

if TYPE_CHECKING:
    from tests.world.simulators.twilio.twiml import Performance

_INTERRUPTIBLE_BY_SPEECH = {"any", "speech", "true"}


class TextFrame(msgspec.Struct, tag="text", tag_field="type"):
    token: str
    last: bool = True
    lang: str = ""
    interruptible: bool | str = True
    preemptible: bool = False


class PlayFrame(msgspec.Struct, tag="play", tag_field="type"):
    source: str
    loop: int = 1
    preemptible: bool = False
    interruptible: bool | str = True


class DigitsFrame(msgspec.Struct, tag="sendDigits", tag_field="type"):
    digits: str


class LanguageFrame(msgspec.Struct, tag="language", tag_field="type"):
    ttsLanguage: str = ""  # noqa: N815  (the protocol's name)
    transcriptionLanguage: str = ""  # noqa: N815


class EndFrame(msgspec.Struct, tag="end", tag_field="type"):
    handoffData: str = ""  # noqa: N815


Frame = TextFrame | PlayFrame | DigitsFrame | LanguageFrame | EndFrame


async def converse(performance: "Performance", noun: ET.Element) -> dict[str, str]:
    """Runs one session to its end; returns what the action URL is told. Raises `CallOver` on a hang-up."""
    return await _Session(performance, noun).run()


class _Session:
    def __init__(self, performance: "Performance", noun: ET.Element) -> None:
        self._at = performance
        self._noun = noun
        self._sid = performance.account.new_sid("VX")
        self._text = ""
        self._speaking_until = 0.0
        self._turn_due = asyncio.Event()
        self._interrupted = ""
        self._started = time.monotonic()

    async def run(self) -> dict[str, str]:
        at, url = self._at, absolute(self._at.base, self._noun.get("url", ""))
        if not url.startswith("wss://") and not url.startswith("ws://127.0.0.1"):
            at.error(64101, f"ConversationRelay needs a wss:// url, not {url!r}")
            return self._ended("failed", ErrorCode="64101", ErrorMessage="Invalid url")
        headers = {"X-Twilio-Signature": at.account.signature(url)}
        target = URL(at.account.reach(url), encoded=True)
        try:
            async with at.account.session.ws_connect(target, headers=headers, heartbeat=None) as socket:
                at.book("relay_open", url=url)
                return await self._talk(socket)
        except (aiohttp.ClientError, TimeoutError) as error:
            at.book("relay_refused", url=url, error=repr(error))
            at.error(64102, f"{url}: {error!r}")
            return self._ended("failed", ErrorCode="64102", ErrorMessage="Unable to connect")

    async def _talk(self, socket: aiohttp.ClientWebSocketResponse) -> dict[str, str]:
        call = self._at.call
        await self._send(
            socket,
            type="setup",
            sessionId=self._sid,
            accountSid=call.account.sid,
            parentCallSid=call.parent_sid,
            callSid=call.sid,
            to=call.to,
            forwardedFrom="",
            callType="PSTN",
            callerName="",
            direction=call.direction,
            callStatus="IN-PROGRESS",
            customParameters={
                one.get("name", ""): one.get("value", "") for one in self._noun.findall("Parameter")
            },
            **{"from": call.sender},
        )
        if self._noun.get("welcomeGreeting"):
            self._agent_says(self._noun.get("welcomeGreeting", ""))
        reader = asyncio.create_task(self._read(socket))
        caller = asyncio.create_task(self._answer(socket))
        try:
            await asyncio.wait([reader, caller], return_when=asyncio.FIRST_COMPLETED)
            # A hang-up of the caller is this task's exception and goes up from here.
            return (reader if reader.done() else caller).result()
        finally:
            for task in (reader, caller):
                task.cancel()
            await asyncio.wait([reader, caller])

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> dict[str, str]:
        async for message in socket:
            if message.type is not aiohttp.WSMsgType.TEXT:
                continue
            self._at.book("relay_frame_in", frame=message.data)
            try:
                frame = msgspec.json.decode(message.data, type=Frame)
            except (msgspec.ValidationError, msgspec.DecodeError) as error:
                # The session goes on; the frame counts for nothing.
                self._at.error(64107, f"{error}: {message.data}")
                await self._send(
                    socket, type="error", description=f"Invalid message received: {message.data}"
                )
                continue
            match frame:
                case TextFrame():
                    await self._token(socket, frame)
                case EndFrame():
                    await self._spoken()
                    return self._ended("ended", HandoffData=frame.handoffData)
                case PlayFrame():
                    self._at.book("agent_plays", url=frame.source)
                case DigitsFrame() | LanguageFrame():
                    pass
        self._at.book("relay_closed", code=socket.close_code)
        return self._ended("failed", ErrorCode="64105", ErrorMessage="WebSocket connection ended")

    async def _token(self, socket: aiohttp.ClientWebSocketResponse, frame: TextFrame) -> None:
        self._text += frame.token
        if not frame.last:
            return
        text, self._text = " ".join(self._text.split()), ""
        if not text:
            return
        allowed = str(self._noun.get("interruptible", "any")).lower() in _INTERRUPTIBLE_BY_SPEECH
        if allowed and str(frame.interruptible).lower() != "false" and self._at.call.callee.interrupts(text):
            heard = text[: len(text) // 2]
            self._agent_says(text, spoken=len(heard))
            await self._spoken()
            ms = int(len(heard) * SPEECH_S_A_CHARACTER * 1000)
            await self._send(
                socket, type="interrupt", utteranceUntilInterrupt=heard, durationUntilInterruptMs=ms
            )
        else:
            self._agent_says(text)

    def _agent_says(self, text: str, spoken: int | None = None) -> None:
        self._at.book("agent_says", text=text)
        self._at.call.hear(AGENT, text)
        self._at.call.callee.hear(text)
        seconds = (len(text) if spoken is None else spoken) * SPEECH_S_A_CHARACTER
        start = max(time.monotonic(), self._speaking_until)
        self._speaking_until = start + seconds * self._at.account.desk.arguments.pace
        self._turn_due.set()

    async def _spoken(self) -> None:
        left_s = self._speaking_until - time.monotonic()
        while left_s > 0:
            await asyncio.sleep(left_s)
            # More may have been said meanwhile.
            left_s = self._speaking_until - time.monotonic()

    async def _answer(self, socket: aiohttp.ClientWebSocketResponse) -> dict[str, str]:
        """The other side answers each time that the agent has finished speaking."""
        while True:
            await self._turn_due.wait()
            self._turn_due.clear()
            await self._spoken()
            if self._turn_due.is_set():
                continue
            turn = await self._at.react()
            if turn is None or turn.silence:
                self._at.book("caller_is_silent")
                continue
            if turn.keys and self._noun.get("dtmfDetection", "false").lower() == "true":
                for digit in turn.keys:
                    await self._send(socket, type="dtmf", digit=digit)
            if turn.say:
                language = self._noun.get("language", "en-US")
                await self._send(socket, type="prompt", voicePrompt=turn.say, lang=language, last=True)

    async def _send(self, socket: aiohttp.ClientWebSocketResponse, **frame: Any) -> None:
        self._at.book("relay_frame_out", frame=frame)
        await socket.send_json(frame)

    def _ended(self, status: str, **more: str) -> dict[str, str]:
        pace = self._at.account.desk.arguments.pace
        seconds = round((time.monotonic() - self._started) / pace)
        fields = {"SessionId": self._sid, "SessionStatus": status, "SessionDuration": str(seconds)}
        return fields | {name: value for name, value in more.items() if value}
