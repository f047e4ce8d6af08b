"""Texts through Twilio."""

from datetime import datetime, timedelta

from twilio.rest import Client

from connectors.channels import twilio_door
from connectors.channels.parcel import Absent, Found, Outcome, Parcel, Progress, Sighting, Unseen
from schemas.words import ReceiptState

_VALID_S = (1, 36_000)
_SLACK = timedelta(seconds=5)
_LISTED_MAX = 50

STATES = {
    "accepted": ReceiptState.SENT,
    "queued": ReceiptState.SENT,
    "sending": ReceiptState.SENT,
    "sent": ReceiptState.SENT,
    "delivered": ReceiptState.DELIVERED,
    "read": ReceiptState.DELIVERED,
    "undelivered": ReceiptState.FAILED,
    "failed": ReceiptState.FAILED,
    "canceled": ReceiptState.CANCELLED,
}
FINAL = {"delivered", "read", "undelivered", "failed", "canceled"}


class Sms:
    """`sender` is a number of ours or a messaging service; `public_url` is where Twilio reaches us."""

    def __init__(self, client: Client, sender: str, public_url: str) -> None:
        self._client, self._sender, self._public_url = client, sender, public_url

    def send(self, parcel: Parcel) -> Outcome:
        sender = {"messaging_service_sid" if self._sender.startswith("MG") else "from_": self._sender}
        return twilio_door.outcome_of(
            lambda: self._client.messages.create(
                to=parcel.to,
                body=_body(parcel),
                # Its default is ten hours; a question is worth nothing once its window is over.
                validity_period=min(max(parcel.valid_s, _VALID_S[0]), _VALID_S[1]),
                status_callback=f"{self._public_url}/twilio/status/{twilio_door.in_path(parcel.command_id)}",
                **sender,
            )
        )

    def find(self, parcel: Parcel, since: datetime, known: frozenset[str]) -> Sighting:
        try:
            # Not by date: what is still queued has no date of sending, and would be left out.
            listed = self._client.messages.list(to=parcel.to, limit=_LISTED_MAX)
        except (*twilio_door.UNREADABLE, OSError) as error:
            return Unseen(type(error).__name__)
        body = _body(parcel)
        # Two orders may say the same words to one number; a known id is another's.
        for message in listed:
            recent = message.date_created is not None and message.date_created >= since - _SLACK
            if recent and message.body == body and message.sid not in known:
                return Found(str(message.sid))
        return Absent()

    def cancel(self, provider_id: str) -> None:
        """A text that has left the queue is with its carrier: nothing can be taken back."""

    def ask(self, provider_id: str) -> Progress | None:
        try:
            status = str(self._client.messages(provider_id).fetch().status)
        except (*twilio_door.UNREADABLE, OSError):
            return None
        return Progress(STATES.get(status, ReceiptState.UNKNOWN), status in FINAL)


def _body(parcel: Parcel) -> str:
    return parcel.text.body
