"""Call recordings at Twilio: fetched for the evidence, deleted there once the evidence is kept."""

import requests
from twilio.rest import Client

from connectors.channels.twilio_door import UNREADABLE
from connectors.evidence.gather import Sent

_DONE = {"completed", "absent"}


class Recordings:
    """`account` is the user and password of the media URLs."""

    def __init__(self, client: Client, account: tuple[str, str], timeout_s: float) -> None:
        self._client, self._account, self._timeout_s = client, account, timeout_s

    def fetch(self, calls: list[Sent]) -> bytes | None:
        """The WAV of the last call that was recorded; None while there is none that is whole."""
        for call in reversed(calls):
            try:
                listed = self._client.recordings.list(call_sid=call.provider_id) if call.provider_id else []
                for recording in listed:
                    if recording.status == "completed":
                        return self._media(recording.media_url)
            except (*UNREADABLE, OSError):
                # It is asked again while the evidence waits for its parts.
                return None
        return None

    def _media(self, url: str) -> bytes | None:
        response = requests.get(f"{url}.wav", auth=self._account, timeout=self._timeout_s)
        response.raise_for_status()
        # An error page is no recording, whatever its status says.
        return response.content if response.content.startswith(b"RIFF") else None

    def delete(self, calls: list[str]) -> bool:
        """False if one of these calls may still have a recording there: try again later."""
        try:
            for call_sid in calls:
                for recording in self._client.recordings.list(call_sid=call_sid):
                    if recording.status not in _DONE:
                        # It is still being made ready.
                        return False
                    self._client.recordings(recording.sid).delete()
        except (*UNREADABLE, OSError):
            return False
        return True
