"""Call recordings: a WAV of what was said on each channel, spoken by espeak-ng where it is installed."""

import io
import math
import shutil
import subprocess
import wave
from array import array
from datetime import datetime
from typing import Any

from tests.world.simulators.twilio.account import API_VERSION, Account

_RATE_HZ = 8_000
SPEECH_S_A_CHARACTER = 0.06
# The two sides of a dual recording, and the pitch of each where no voice can be had.
AGENT, CALLER = 0, 1
_PITCH_HZ = (220, 330)
_ESPEAK = shutil.which("espeak-ng")
_LOUD = 9_000


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
        # As TwiML or REST gave them: the name, and where the callback goes.
        self.attributes: dict[str, str] = {}
        self._utterances: list[tuple[int, str]] = []

    def hear(self, side: int, text: str) -> None:
        if self.status == "in-progress":
            self._utterances.append((side, text))

    def end(self) -> None:
        self.status = "completed"
        self.ended = self.account.now()
        self.duration_s = max(1, round(sum(len(text) * SPEECH_S_A_CHARACTER for _, text in self._utterances)))

    @property
    def url(self) -> str:
        base = f"http://127.0.0.1:{self.account.desk.arguments.port}"
        return f"{base}/{API_VERSION}/Accounts/{self.account.sid}/Recordings/{self.sid}"

    def wav(self) -> bytes:
        """8 kHz, 16 bit, one channel a side (or one for both)."""
        tracks = [array("h") for _ in range(self.channels)]
        for side, text in self._utterances:
            samples = _spoken(text) or _tone(_PITCH_HZ[side], len(text) * SPEECH_S_A_CHARACTER)
            for index, track in enumerate(tracks):
                mine = self.channels == 1 or index == side
                track.extend(samples if mine else array("h", bytes(2 * len(samples))))
        frames = array("h", (sample for frame in zip(*tracks, strict=True) for sample in frame))
        out = io.BytesIO()
        with wave.open(out, "wb") as file:
            file.setnchannels(self.channels)
            file.setsampwidth(2)
            file.setframerate(_RATE_HZ)
            file.writeframes(frames.tobytes())
        return out.getvalue()

    def json(self) -> dict[str, Any]:
        uri = f"/{API_VERSION}/Accounts/{self.account.sid}/Recordings/{self.sid}"
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
            "track": "both",
            "duration": str(self.duration_s) if self.ended else "-1",
            "start_time": self.account.rfc2822(self.started),
            "date_created": self.account.rfc2822(self.started),
            "date_updated": self.account.rfc2822(self.ended or self.started),
            "uri": f"{uri}.json",
            "media_url": self.url,
            "subresource_uris": {},
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


def _tone(pitch_hz: int, seconds: float) -> "array[int]":
    count = int(_RATE_HZ * seconds)
    return array("h", (int(_LOUD * math.sin(2 * math.pi * pitch_hz * n / _RATE_HZ)) for n in range(count)))


def _spoken(text: str) -> "array[int] | None":
    if _ESPEAK is None:
        return None
    said = subprocess.run(
        [_ESPEAK, "--stdout", "--", text], capture_output=True, check=True, timeout=20
    ).stdout
    with wave.open(io.BytesIO(said)) as file:
        rate, samples = file.getframerate(), array("h", file.readframes(1 << 26))
    # Nearest sample is good enough for speech at telephone quality.
    count = len(samples) * _RATE_HZ // rate
    return array("h", (samples[n * rate // _RATE_HZ] for n in range(count)))
