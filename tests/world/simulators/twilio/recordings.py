"""Call recordings: a WAV of what was said on each channel, spoken by a synthetic voice."""

import io
import wave
from datetime import datetime
from typing import Any

import numpy as np

from tests.world.simulators.twilio.account import API_VERSION, Account
from tests.world.simulators.twilio.voice import spoken

_RATE_HZ = 8_000
SPEECH_S_A_CHARACTER = 0.06
# The two sides of a dual recording.
AGENT, CALLER = 0, 1


class Recording:
    """One recording of one call; what is said while it is paused is not in it."""

    def __init__(self, account: Account, call_sid: str, source: str, channels: int) -> None:
        self.account = account
        self.sid = account.new_sid("RE")
        self.call_sid, self.source, self.channels = call_sid, source, channels
        self.status = "in-progress"
        self.started: datetime = account.now()
        self.ended: datetime | None = None
        self.duration_s = 0
        self.wav = b""
        # As TwiML or REST gave them: the name, and where the callback goes.
        self.attributes: dict[str, str] = {}
        self._utterances: list[tuple[int, str]] = []

    def hear(self, side: int, text: str) -> None:
        if self.status == "in-progress":
            self._utterances.append((side, text))

    def end(self) -> None:
        self.status = "completed"
        self.ended = self.account.now()
        self.wav = self._spoken()

    @property
    def url(self) -> str:
        base = f"http://127.0.0.1:{self.account.desk.arguments.port}"
        return f"{base}/{API_VERSION}/Accounts/{self.account.sid}/Recordings/{self.sid}"

    def _spoken(self) -> bytes:
        """8 kHz, 16 bit, one channel a side (or one for both)."""
        said = [(side, spoken(text, _RATE_HZ)) for side, text in self._utterances]
        frames = np.zeros((sum(len(samples) for _, samples in said), self.channels), np.int16)
        at = 0
        for side, samples in said:
            frames[at : at + len(samples), min(side, self.channels - 1)] = samples
            at += len(samples)
        self.duration_s = max(1, round(len(frames) / _RATE_HZ))
        out = io.BytesIO()
        with wave.open(out, "wb") as file:
            file.setnchannels(self.channels)
            file.setsampwidth(2)
            file.setframerate(_RATE_HZ)
            file.writeframes(frames.tobytes())
        return out.getvalue()

    def json(self, *, of_call: bool = False) -> dict[str, Any]:
        """As the account lists it; as its call does, with the track and without where it is."""
        uri = f"/{API_VERSION}/Accounts/{self.account.sid}/Recordings/{self.sid}"
        more = {"track": "both"} if of_call else {"media_url": self.url, "subresource_uris": {}}
        return {
            "sid": self.sid,
            "account_sid": self.account.sid,
            "call_sid": self.call_sid,
            "conference_sid": None,
            "api_version": API_VERSION,
            "status": self.status,
            "channels": self.channels,
            "source": self.source,
            "error_code": None,
            "price": None,
            "price_unit": "USD",
            "encryption_details": None,
            "duration": str(self.duration_s) if self.ended else "-1",
            "start_time": self.account.rfc2822(self.started),
            "date_created": self.account.rfc2822(self.started),
            "date_updated": self.account.rfc2822(self.ended or self.started),
            "uri": f"{uri}.json",
            **more,
        }

    def params(self) -> dict[str, str]:
        """The form of a recording status callback."""
        return {
            "AccountSid": self.account.sid,
            "CallSid": self.call_sid,
            "RecordingSid": self.sid,
            "RecordingUrl": self.url,
            "RecordingStatus": self.status,
            "ErrorCode": "0",
            "RecordingDuration": str(self.duration_s),
            "RecordingChannels": str(self.channels),
            "RecordingSource": self.source,
            "RecordingTrack": "both",
            "RecordingStartTime": self.account.rfc2822(self.started) or "",
        }
