"""The life of a call: queued, dialled, ringing, answered or not, over; and each callback on the way."""

import asyncio
import contextlib
from collections import defaultdict
from datetime import datetime
from email.utils import format_datetime
from typing import Any

from tests.world.simulators.faults import Verdict
from tests.world.simulators.twilio.account import API_VERSION, Account, Reports, is_phone
from tests.world.simulators.twilio.messages import Refusal
from tests.world.simulators.twilio.phones import Callee, Phone
from tests.world.simulators.twilio.recordings import Recording
from tests.world.simulators.twilio.twiml import CallOver, Goto, Performance

FINAL = {"completed", "busy", "no-answer", "failed", "canceled"}
_EVENT_OF = {"initiated": "initiated", "ringing": "ringing", "in-progress": "answered"}
_DEFAULT_TIMEOUT_S = 60.0
# How long detection listens, in seconds of the world.
_AMD_S = {"person": 2.0, "screener": 3.0, "voicemail": 3.5}
_RECORDING_READY_S = 1.0


class Call:
    """One call leg, in or out."""

    def __init__(self, account: Account, form: dict[str, str], direction: str, events: set[str]) -> None:
        self.account = account
        self.sid = account.new_sid("CA")
        self.to, self.sender = form["To"], form["From"]
        self.direction, self.form, self.events = direction, form, events
        self.status = "queued"
        self.created: datetime = account.now()
        self.answered: datetime | None = None
        self.ended: datetime | None = None
        self.updated = self.created
        self.answered_by: str | None = None
        self.ended_by = ""
        self.parent_sid = form.get("ParentCallSid", "")
        self.recordings: list[Recording] = []
        self.callee = Callee(Phone(), "person", self.sid)
        self.reports = Reports(account, "", "POST", self.sid, Verdict().callbacks)
        self.redirected: Goto | None = None
        self.performing: asyncio.Task[None] | None = None
        self._sequence = 0

    def move(self, status: str, **detail: Any) -> None:
        """Into the book, and to the product if it asked for this event."""
        # REST knows no `initiated`: such a call is still queued.
        self.status = "queued" if status == "initiated" else status
        self.updated = self.account.now()
        if status == "in-progress":
            self.answered = self.updated
        if status in FINAL:
            self.ended = self.updated
        self.account.book.write("call_state", provider_id=self.sid, to=self.to, state=status, **detail)
        if _EVENT_OF.get(status, "completed") in self.events:
            params = self.params() | {
                "CallStatus": status,
                "CallbackSource": "call-progress-events",
                "SequenceNumber": str(self._sequence),
                "Timestamp": format_datetime(self.updated),
            }
            if status == "completed":
                params |= {"CallDuration": str(self.duration_s), "Duration": "1"}
            self.reports.send(params, final=status in FINAL)
        self._sequence += 1

    @property
    def duration_s(self) -> int:
        """Seconds of the world: the pace is taken out."""
        if self.answered is None or self.ended is None:
            return 0
        return max(1, round((self.ended - self.answered).total_seconds() / self.account.desk.arguments.pace))

    def params(self) -> dict[str, str]:
        """What every webhook about this call carries."""
        params = {
            "AccountSid": self.account.sid,
            "ApiVersion": API_VERSION,
            "CallSid": self.sid,
            "CallStatus": self.status,
            "Direction": self.direction,
            "From": self.sender,
            "To": self.to,
            "Caller": self.sender,
            "Called": self.to,
        }
        if self.parent_sid:
            params["ParentCallSid"] = self.parent_sid
        return params

    def hear(self, side: int, text: str) -> None:
        for recording in self.recordings:
            recording.hear(side, text)

    def json(self) -> dict[str, Any]:
        uri = f"/{API_VERSION}/Accounts/{self.account.sid}/Calls/{self.sid}"
        rfc = self.account.rfc2822
        names = ("notifications", "recordings", "events", "transcriptions")
        return {
            "sid": self.sid,
            "account_sid": self.account.sid,
            "api_version": API_VERSION,
            "to": self.to,
            "to_formatted": self.to,
            "from": self.sender,
            "from_formatted": self.sender,
            "status": self.status,
            "direction": self.direction,
            "answered_by": self.answered_by,
            "parent_call_sid": self.parent_sid or None,
            "phone_number_sid": None,
            "group_sid": None,
            "price": None,
            "price_unit": "USD",
            "forwarded_from": None,
            "caller_name": None,
            "queue_time": "0",
            "trunk_sid": None,
            "duration": str(self.duration_s) if self.ended and self.answered else None,
            "date_created": rfc(self.created),
            "date_updated": rfc(self.updated),
            "start_time": rfc(self.answered),
            "end_time": rfc(self.ended),
            "uri": f"{uri}.json",
            "subresource_uris": {name: f"{uri}/{name.title()}.json" for name in names},
        }


class Calls:
    """All calls of the account, and the phones that they reach."""

    def __init__(self, account: Account, calls_per_second: float) -> None:
        self.account = account
        self.all: dict[str, Call] = {}
        self.recordings: dict[str, Recording] = {}
        self.phones: defaultdict[str, Phone] = defaultdict(Phone)
        self._spacing_s = 1 / calls_per_second if calls_per_second else 0.0
        self._line = asyncio.Lock()

    def create(self, form: dict[str, str], events: list[str], verdict: Verdict) -> Call:
        """Accepts a call and dials it when its turn comes; raises `Refusal`."""
        if not form.get("To"):
            raise Refusal(21201, "No 'To' number is specified")
        if not is_phone(form["To"]):
            raise Refusal(21211, f"Invalid 'To' Phone Number: {form['To']}")
        if not form.get("From"):
            raise Refusal(21213, "No 'From' number is specified")
        if not (form.get("Url") or form.get("Twiml")):
            raise Refusal(21205, "Url parameter is required.")
        wanted = {event for word in events for event in word.split()} or {"completed"}
        if wanted - {"initiated", "ringing", "answered", "completed"}:
            raise Refusal(21626, f"Invalid StatusCallbackEvent: {sorted(wanted)}")
        call = Call(self.account, form, "outbound-api", wanted)
        call.reports = Reports(
            *(
                self.account,
                form.get("StatusCallback", ""),
                form.get("StatusCallbackMethod", "POST"),
                call.sid,
            ),
            verdict.callbacks,
        )
        self.all[call.sid] = call
        self.account.go(self._dial(call))
        return call

    async def _dial(self, call: Call) -> None:
        # One call a second leaves the account, whatever is waiting.
        async with self._line:
            await self.account.desk.wait(self._spacing_s)
        if call.status == "canceled":
            return
        call.move("initiated")
        reached = await self.ring(call, float(call.form.get("Timeout", _DEFAULT_TIMEOUT_S)))
        if reached:
            form = call.form
            goto = (
                Goto(twiml=form["Twiml"])
                if form.get("Twiml")
                else Goto(form["Url"], form.get("Method", "POST"))
            )
            await self._talk(call, goto)

    async def ring(self, call: Call, timeout_s: float) -> bool:
        """Rings until somebody answers; False once the call is over without that."""
        phone = self.phones[call.to]
        picks_up = phone.next_pick_up()
        call.callee = Callee(phone, picks_up, call.sid)
        if picks_up == "failed":
            call.move("failed")
            return False
        call.move("ringing", picks_up=picks_up)
        ring_s = phone.ring_ms / 1000
        given_up = picks_up == "no_answer" or ring_s >= timeout_s
        await self._unless_cancelled(call, timeout_s if given_up else ring_s)
        if call.status == "canceled":
            return False
        if given_up or picks_up in ("busy", "reject"):
            call.move("no-answer" if given_up else "busy", picks_up=picks_up)
            return False
        call.move("in-progress", picks_up=picks_up)
        return True

    async def _unless_cancelled(self, call: Call, seconds: float) -> None:
        step_s = 0.25
        while seconds > 0 and call.status != "canceled":
            await self.account.desk.wait(min(step_s, seconds))
            seconds -= step_s

    async def _talk(self, call: Call, goto: Goto) -> None:
        """Performs TwiML until either side ends the call; a REST update starts another document."""
        form = call.form
        detection = None
        if form.get("MachineDetection"):
            if form.get("AsyncAmd", "").lower() == "true":
                detection = self.account.go(self._detect(call, announce=True))
            else:
                await self._detect(call, announce=False)
                goto = Goto(goto.url, goto.method, goto.twiml, {"AnsweredBy": call.answered_by or "unknown"})
        if form.get("Record", "").lower() == "true":
            self.start_recording(
                call, "OutboundAPI", {**form, "channels": form.get("RecordingChannels", "mono")}
            )
        next_goto: Goto | None = goto
        while next_goto:
            performance = Performance(self, call)
            call.performing = asyncio.create_task(performance.run(next_goto))
            next_goto = None
            try:
                await call.performing
                call.ended_by = "agent"
            except CallOver as over:
                call.ended_by = over.by
            except asyncio.CancelledError:
                # A REST update, a hang-up of the caller, or the end of this process.
                if not call.redirected and not call.ended_by:
                    raise
                next_goto, call.redirected = call.redirected, None
        if detection:
            detection.cancel()
        self._end(call)

    def _end(self, call: Call) -> None:
        for recording in call.recordings:
            self.stop_recording(call, recording)
        call.move("completed", hung_up_by=call.ended_by)

    async def _detect(self, call: Call, *, announce: bool) -> None:
        picked_up, phone = call.callee.picked_up, call.callee.phone
        seconds = _AMD_S.get(picked_up, 2.0)
        result = phone.amd or ("machine_start" if picked_up == "voicemail" else "human")
        if (
            call.form["MachineDetection"] == "DetectMessageEnd"
            and result == "machine_start"
            and not phone.amd
        ):
            seconds, result = seconds + len(phone.greeting) * 0.06, "machine_end_beep"
        await self.account.desk.wait(seconds)
        call.answered_by = result
        self.account.book.write("amd", provider_id=call.sid, answered_by=result)
        url = call.form.get("AsyncAmdStatusCallback", "")
        if announce and url:
            params = {
                "AccountSid": self.account.sid,
                "CallSid": call.sid,
                "AnsweredBy": result,
                "MachineDetectionDuration": str(int(seconds * 1000)),
            }
            await self.account.ask(
                url, params, call.form.get("AsyncAmdStatusCallbackMethod", "POST"), "amd", call.sid
            )

    def update(self, call: Call, form: dict[str, str]) -> None:
        """Cancels, ends or redirects a call as the REST interface allows."""
        status = form.get("Status", "")
        if call.status in FINAL:
            raise Refusal(21220, f"Call is not in-progress. Cannot redirect. Status is {call.status}.")
        if status == "canceled":
            # Twilio leaves a call that was answered alone.
            if call.status in ("queued", "ringing"):
                call.move("canceled")
            return
        if status == "completed":
            if call.status != "in-progress":
                call.move("canceled")
            else:
                self.hang_up(call, "agent")
            return
        if call.status != "in-progress":
            raise Refusal(21220, "Call is not in-progress. Cannot redirect.")
        if form.get("Url") or form.get("Twiml"):
            call.redirected = Goto(form.get("Url", ""), form.get("Method", "POST"), form.get("Twiml", ""))
            if call.performing:
                call.performing.cancel()

    def hang_up(self, call: Call, by: str) -> None:
        if call.status == "in-progress" and call.performing:
            call.ended_by = by
            call.performing.cancel()

    async def inbound(self, sender: str, to: str, phone: Phone) -> str:
        """A customer calls one of our numbers; returns the call's SID at once."""
        number = self.account.numbers.get(to)
        if number is None or not number.voice_url:
            raise Refusal(21606, f"{to} is not one of our numbers with a voice_url.")
        form = {"To": to, "From": sender}
        call = Call(self.account, form, "inbound", {"completed"} if number.status_callback else set())
        call.reports = Reports(self.account, number.status_callback, "POST", call.sid, Verdict().callbacks)
        call.callee = Callee(phone, "person", call.sid)
        self.all[call.sid] = call
        call.move("ringing")
        call.move("in-progress")
        self.account.go(self._talk(call, Goto(number.voice_url)))
        return call.sid

    def start_recording(self, call: Call, source: str, attributes: dict[str, str]) -> Recording:
        recording = Recording(
            self.account, call.sid, source, 1 if attributes.get("channels") == "mono" else 2
        )
        recording.attributes = attributes
        call.recordings.append(recording)
        self.recordings[recording.sid] = recording
        self.account.book.write(
            "recording", provider_id=recording.sid, call_sid=call.sid, state="in-progress"
        )
        self._report_recording(recording)
        return recording

    def stop_recording(self, call: Call, recording: Recording) -> None:
        if recording.status == "completed":
            return
        recording.end()
        with contextlib.suppress(ValueError):
            call.recordings = [other for other in call.recordings if other is not recording]
        self.account.book.write("recording", provider_id=recording.sid, call_sid=call.sid, state="completed")
        self.account.go(self._recording_ready(recording))

    async def _recording_ready(self, recording: Recording) -> None:
        await self.account.desk.wait(_RECORDING_READY_S)
        self._report_recording(recording)

    def _report_recording(self, recording: Recording) -> None:
        attributes = recording.attributes
        url = attributes.get("recordingStatusCallback") or attributes.get("RecordingStatusCallback", "")
        events = attributes.get("recordingStatusCallbackEvent") or attributes.get(
            "RecordingStatusCallbackEvent", "completed"
        )
        if url and recording.status in events.split():
            self.account.go(self._tell(url, recording))

    async def _tell(self, url: str, recording: Recording) -> None:
        await self.account.ask(url, recording.params(), "POST", "recording", recording.sid)
