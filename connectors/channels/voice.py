"""Calls through Twilio: one request to dial; the talk itself is the edge's."""

from datetime import datetime, timedelta

from twilio.rest import Client

from connectors.channels import twilio_door
from connectors.channels.parcel import Absent, Found, Outcome, Parcel, Progress, Sighting, Unseen
from schemas.words import ReceiptState

_SLACK = timedelta(seconds=5)
_LISTED_MAX = 20

STATES = {
    "queued": ReceiptState.SENT,
    "initiated": ReceiptState.SENT,
    "ringing": ReceiptState.RINGING,
    "in-progress": ReceiptState.ANSWERED,
    "completed": ReceiptState.COMPLETED,
    "busy": ReceiptState.BUSY,
    "no-answer": ReceiptState.NO_ANSWER,
    # The network's fault, not the number's: another attempt may get through.
    "failed": ReceiptState.PROVIDER_DOWN,
    "canceled": ReceiptState.CANCELLED,
}
FINAL = {"completed", "busy", "no-answer", "failed", "canceled"}


class Voice:
    """`ring_s` is how long a phone rings before it counts as no answer."""

    def __init__(self, client: Client, sender: str, public_url: str, ring_s: int = 25) -> None:
        self._client, self._sender, self._public_url, self._ring_s = client, sender, public_url, ring_s

    def send(self, parcel: Parcel) -> Outcome:
        segment = twilio_door.in_path(parcel.command_id)
        return twilio_door.outcome_of(
            lambda: self._client.calls.create(
                to=parcel.to,
                from_=self._sender,
                url=f"{self._public_url}/twilio/voice/{segment}",
                # Whoever could not be asked there says where the call stands.
                fallback_url=f"{self._public_url}/twilio/voice/{segment}",
                status_callback=f"{self._public_url}/twilio/status/{segment}",
                status_callback_event=["initiated", "ringing", "answered", "completed"],
                timeout=self._ring_s,
                # A message is left after the tone.
                machine_detection="DetectMessageEnd",
                async_amd="true",
                async_amd_status_callback=f"{self._public_url}/twilio/voice/{segment}/amd",
            )
        )

    def find(self, parcel: Parcel, since: datetime, known: frozenset[str]) -> Sighting:
        try:
            # Not by date: what is still queued has no start, and would be left out.
            listed = self._client.calls.list(to=parcel.to, from_=self._sender, limit=_LISTED_MAX)
        except (*twilio_door.UNREADABLE, OSError) as error:
            return Unseen(type(error).__name__)
        # One live call a number: whatever is not another's is this one.
        for call in listed:
            recent = call.date_created is not None and call.date_created >= since - _SLACK
            if recent and call.sid not in known:
                return Found(str(call.sid))
        return Absent()

    def cancel(self, provider_id: str) -> None:
        """Twilio leaves a call alone that was answered: that one is told, not cut."""
        self._client.calls(provider_id).update(status="canceled")

    def ask(self, provider_id: str) -> Progress | None:
        try:
            status = str(self._client.calls(provider_id).fetch().status)
        except (*twilio_door.UNREADABLE, OSError):
            return None
        return Progress(STATES.get(status, ReceiptState.UNKNOWN), status in FINAL)
