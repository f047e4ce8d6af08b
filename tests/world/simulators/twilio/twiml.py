"""Performs TwiML on a call: fetches each document from the product and does what its verbs say."""

import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any

from tests.world.simulators.twilio.account import absolute
from tests.world.simulators.twilio.phones import Turn
from tests.world.simulators.twilio.recordings import AGENT, CALLER, SPEECH_S_A_CHARACTER
from tests.world.simulators.twilio.relay import converse

if TYPE_CHECKING:
    from tests.world.simulators.twilio.calls import Call, Calls

_XML = {"text/xml", "application/xml", "text/html", "application/xhtml+xml"}
_GATHER_TIMEOUT_S = 5.0
_KEY_S = 0.3
# A document that redirects to itself for ever is a fault of the product, not a long call.
_DOCUMENTS_MAX = 500


class CallOver(Exception):
    """The call has ended; `by` says who hung up."""

    def __init__(self, by: str) -> None:
        super().__init__(by)
        self.by = by


class Goto:
    """The next document: a URL to ask, or TwiML at hand."""

    def __init__(
        self, url: str = "", method: str = "POST", twiml: str = "", params: dict[str, str] | None = None
    ) -> None:
        self.url, self.method, self.twiml, self.params = url, method or "POST", twiml, params or {}


class Performance:
    """One run through documents until the call ends or another run takes its place."""

    def __init__(self, calls: "Calls", call: "Call") -> None:
        self.calls, self.call, self.account = calls, call, call.account
        self.base = ""

    async def run(self, goto: Goto) -> None:
        """Returns when a document ends without a next one; raises `CallOver` on a hang-up."""
        next_goto: Goto | None = goto
        for _ in range(_DOCUMENTS_MAX):
            if next_goto is None:
                return
            next_goto = await self._perform(await self._fetch(next_goto))
        self.error(11200, "the call went through too many documents")

    async def _fetch(self, goto: Goto) -> ET.Element:
        text = goto.twiml
        if not text:
            url = absolute(self.base, goto.url)
            reply = await self.account.ask(
                url, self.call.params() | goto.params, goto.method, "twiml", self.call.sid
            )
            fallback = self.call.form.get("FallbackUrl", "")
            if not 200 <= reply.status < 300:
                self.error(11200, f"{url} answered {reply.status} {reply.error}")
                if fallback and url != fallback:
                    why = {"ErrorCode": "11200", "ErrorUrl": url}
                    return await self._fetch(
                        Goto(fallback, self.call.form.get("FallbackMethod", "POST"), "", why)
                    )
                raise CallOver("provider")
            if reply.content_type not in _XML:
                self.error(12300, f"{url} answered {reply.content_type}")
                raise CallOver("provider")
            self.base, text = url, reply.body
        try:
            document = ET.fromstring(text)
        except ET.ParseError as error:
            self.error(12100, f"{error}: {text[:200]}")
            raise CallOver("provider") from error
        if document.tag != "Response":
            self.error(12100, f"the document is a <{document.tag}>")
            raise CallOver("provider")
        return document

    def error(self, code: int, error: str) -> None:
        self.account.book.write("twiml_error", about=self.call.sid, code=code, error=error)

    async def _perform(self, document: ET.Element) -> Goto | None:
        for verb in document:
            goto = await self._verb(verb)
            if goto:
                return goto
        return None

    async def _verb(self, verb: ET.Element) -> Goto | None:
        match verb.tag:
            case "Say" | "Play":
                await self._say(verb)
                self._maybe_hang_up()
            case "Pause":
                await self.pause(float(verb.get("length", "1")))
            case "Gather":
                return await self._gather(verb)
            case "Redirect":
                return Goto((verb.text or "").strip(), verb.get("method", "POST"))
            case "Hangup":
                raise CallOver("agent")
            case "Reject":
                raise CallOver("agent")
            case "Start" | "Stop":
                self._start_or_stop(verb)
            case "Record":
                return await self._record(verb)
            case "Dial":
                return await self._dial(verb)
            case "Connect":
                return await self._connect(verb)
            case _:
                self.error(12200, f"<{verb.tag}> is not known here")
                raise CallOver("provider")
        return None

    async def _say(self, verb: ET.Element) -> None:
        if verb.tag == "Play":
            self.account.book.write("agent_plays", provider_id=self.call.sid, url=(verb.text or "").strip())
            return
        await self.speak(" ".join("".join(verb.itertext()).split()))

    async def speak(self, text: str) -> None:
        """The agent says it; whoever interrupts cuts it short, but has heard it for the script's sake."""
        interrupted = self.call.callee.interrupts(text)
        self.account.book.write("agent_says", provider_id=self.call.sid, text=text)
        self.call.hear(AGENT, text)
        self.call.callee.hear(text)
        await self.pause(len(text) * SPEECH_S_A_CHARACTER * (0.3 if interrupted else 1.0))

    async def pause(self, seconds: float) -> None:
        await self.account.desk.wait(seconds)

    def _maybe_hang_up(self) -> None:
        if self.call.callee.hangs_up():
            self.account.book.write("caller_hangs_up", provider_id=self.call.sid)
            raise CallOver("caller")

    async def react(self) -> Turn | None:
        """What the other side does next, after its wait; in the book and the recording."""
        turn = self.call.callee.respond()
        if turn is None:
            return None
        await self.pause(turn.wait_ms / 1000)
        if turn.hangup:
            self.account.book.write("caller_hangs_up", provider_id=self.call.sid)
            raise CallOver("caller")
        if turn.say:
            self.account.book.write("caller_says", provider_id=self.call.sid, text=turn.say)
            self.call.hear(CALLER, turn.say)
            await self.pause(len(turn.say) * SPEECH_S_A_CHARACTER)
        if turn.keys:
            self.account.book.write("caller_presses", provider_id=self.call.sid, keys=turn.keys)
            await self.pause(len(turn.keys) * _KEY_S)
        return turn

    async def _gather(self, verb: ET.Element) -> Goto | None:
        for noun in verb:
            if noun.tag == "Pause":
                await self.pause(float(noun.get("length", "1")))
            else:
                await self._say(noun)
        turn = await self.react()
        accepted = verb.get("input", "dtmf").split()
        params: dict[str, str] = {}
        if turn and turn.keys and "dtmf" in accepted:
            digits = turn.keys.partition(verb.get("finishOnKey", "#") or "\0")[0]
            params["Digits"] = digits[: int(verb.get("numDigits", "64"))]
        if turn and turn.say and "speech" in accepted:
            params |= {"SpeechResult": turn.say, "Confidence": f"{turn.confidence:.8f}"}
        action = Goto(verb.get("action", self.base), verb.get("method", "POST"), params=params)
        if params:
            return action
        timeout = verb.get("timeout", str(_GATHER_TIMEOUT_S))
        await self.pause(_GATHER_TIMEOUT_S if timeout == "auto" else float(timeout))
        self.account.book.write("caller_is_silent", provider_id=self.call.sid)
        if verb.get("actionOnEmptyResult", "false").lower() == "true":
            action.params = {"Digits": ""} if "dtmf" in accepted else {}
            action.params |= {"SpeechResult": "", "Confidence": "0.0"} if "speech" in accepted else {}
            return action
        return None

    def _start_or_stop(self, verb: ET.Element) -> None:
        for noun in verb:
            if noun.tag != "Recording":
                self.error(12200, f"<{verb.tag}><{noun.tag}> is not known here")
                raise CallOver("provider")
            if verb.tag == "Start":
                attributes = dict(noun.attrib)
                url = attributes.get("recordingStatusCallback", "")
                attributes["recordingStatusCallback"] = absolute(self.base, url) if url else ""
                self.calls.start_recording(self.call, "StartCallRecordingTwiML", attributes)
                continue
            for recording in list(self.call.recordings):
                if noun.get("name", "") in ("", recording.attributes.get("name", "")):
                    self.calls.stop_recording(self.call, recording)

    async def _record(self, verb: ET.Element) -> Goto:
        url = verb.get("recordingStatusCallback", "")
        attributes = dict(verb.attrib) | {"channels": "mono"}
        attributes["recordingStatusCallback"] = absolute(self.base, url) if url else ""
        recording = self.calls.start_recording(self.call, "RecordVerb", attributes)
        turn = await self.react()
        if turn is None:
            await self.pause(float(verb.get("timeout", "5")))
        self.calls.stop_recording(self.call, recording)
        params = {
            "RecordingSid": recording.sid,
            "RecordingUrl": recording.url,
            "RecordingDuration": str(recording.duration_s),
            "Digits": turn.keys if turn else "hangup",
        }
        return Goto(verb.get("action", self.base), verb.get("method", "POST"), params=params)

    async def _dial(self, verb: ET.Element) -> Goto | None:
        number = verb.find("Number")
        target = ((number.text if number is not None else verb.text) or "").strip()
        from tests.world.simulators.twilio.calls import Call

        form = {"To": target, "From": verb.get("callerId", self.call.to), "ParentCallSid": self.call.sid}
        leg = Call(self.account, form, "outbound-dial", set())
        self.calls.all[leg.sid] = leg
        leg.move("initiated")
        if await self.calls.ring(leg, float(verb.get("timeout", "30"))):
            if number is not None and number.get("url"):
                # What the called one hears before the two are joined.
                whisper = Performance(self.calls, leg)
                whisper.base = self.base
                await whisper.run(Goto(number.get("url", ""), number.get("method", "POST")))
            await self.pause(leg.callee.phone.talk_ms / 1000)
            leg.ended_by = "caller"
            leg.move("completed", hung_up_by="caller")
        params = {
            "DialCallSid": leg.sid,
            "DialCallStatus": leg.status,
            "DialCallDuration": str(leg.duration_s),
        }
        return (
            Goto(verb.get("action", ""), verb.get("method", "POST"), params=params)
            if verb.get("action")
            else None
        )

    async def _connect(self, verb: ET.Element) -> Goto | None:
        noun = verb.find("ConversationRelay")
        if noun is None:
            self.error(12200, "<Connect> without <ConversationRelay> is not known here")
            raise CallOver("provider")
        ended: dict[str, str] = await converse(self, noun)
        action = verb.get("action", "")
        return Goto(action, verb.get("method", "POST"), params=ended) if action else None

    def book(self, kind: str, **fields: Any) -> None:
        self.account.book.write(kind, provider_id=self.call.sid, **fields)
