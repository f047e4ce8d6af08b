"""The people at the other end: what picks up when a number is called, and what they say to what they hear."""

import re
from typing import Annotated

import msgspec

PICKS_UP = ("person", "busy", "no_answer", "voicemail", "screener", "reject", "failed")
AMD_RESULTS = (
    *("", "human", "fax", "unknown", "machine_start"),
    *("machine_end_beep", "machine_end_silence", "machine_end_other"),
)


class Turn(msgspec.Struct, forbid_unknown_fields=True):
    """What is done once what was heard matches `hears`; `times` is how often in one call.

    `say` and `keys` together are both at once. `interrupts` speaks before the agent has finished.
    """

    hears: str = ""
    say: str = ""
    keys: str = ""
    silence: bool = False
    hangup: bool = False
    wait_ms: Annotated[int, msgspec.Meta(ge=0)] = 600
    confidence: float = 0.93
    interrupts: bool = False
    times: Annotated[int, msgspec.Meta(ge=1)] = 1


class Played(msgspec.Struct, frozen=True):
    call_sid: str
    turn: int
    heard: str


class Phone(msgspec.Struct, forbid_unknown_fields=True):
    """`picks_up` is one word or a sequence, one a call, the last for all later ones.

    A screener asks `asks` and lets through whoever's answer matches `accepts` (nobody, if it is empty).
    """

    picks_up: str | list[str] = "no_answer"
    ring_ms: Annotated[int, msgspec.Meta(ge=0)] = 4000
    amd: str = ""
    greeting: str = "I cannot take your call. Please leave a message after the tone."
    asks: str = "Please say your name and why you are calling."
    accepts: str = ""
    talk_ms: int = 20_000
    turns: list[Turn] = []
    calls: int = 0
    played: list[Played] = []

    def next_pick_up(self) -> str:
        words = [self.picks_up] if isinstance(self.picks_up, str) else self.picks_up
        word = words[min(self.calls, len(words) - 1)]
        self.calls += 1
        return word


def phone_from(body: bytes) -> Phone:
    """`ValueError` says what is wrong with the script."""
    try:
        phone = msgspec.json.decode(body, type=Phone)
        for pattern in [phone.accepts, *(turn.hears for turn in phone.turns)]:
            re.compile(pattern)
    except (msgspec.ValidationError, re.error) as error:
        raise ValueError(str(error)) from error
    words = [phone.picks_up] if isinstance(phone.picks_up, str) else phone.picks_up
    if not words or any(word not in PICKS_UP for word in words):
        raise ValueError(f"picks_up is {phone.picks_up!r}; known are {', '.join(PICKS_UP)}")
    if phone.amd not in AMD_RESULTS:
        raise ValueError(f"amd is {phone.amd!r}; known are {', '.join(AMD_RESULTS)}")
    return phone


class Callee:
    """One phone during one call: remembers what was heard since it last did something."""

    def __init__(self, phone: Phone, picked_up: str, call_sid: str) -> None:
        self.phone = phone
        self.picked_up = picked_up
        self._call_sid = call_sid
        self._heard = ""
        self._played = [0] * len(phone.turns)
        self._asked = False

    @property
    def listens(self) -> bool:
        return self.picked_up in ("person", "screener")

    def hear(self, text: str) -> None:
        self._heard = f"{self._heard} {text}".strip()

    def respond(self) -> Turn | None:
        """The next thing done when it is this side's turn; None is silence."""
        if self.picked_up == "screener":
            if not self._asked:
                self._asked, self._heard = True, ""
                return Turn(say=self.phone.asks)
            if not (self.phone.accepts and re.search(self.phone.accepts, self._heard, re.IGNORECASE)):
                return None
            self.picked_up, self._heard = "person", ""
            return Turn(say="Hello?")
        if self.picked_up != "person":
            return None
        return self._play(self._matching(only_hangup=False))

    def hangs_up(self) -> bool:
        """Whether what was heard makes them hang up without being asked anything."""
        return self.picked_up == "person" and self._play(self._matching(only_hangup=True)) is not None

    def interrupts(self, text: str) -> bool:
        """Whether they would speak into this text."""
        index = self._matching(only_hangup=False, more=text)
        return index is not None and self.phone.turns[index].interrupts

    def _matching(self, *, only_hangup: bool, more: str = "") -> int | None:
        if self.picked_up != "person":
            return None
        heard = f"{self._heard} {more}"
        for index, turn in enumerate(self.phone.turns):
            if self._played[index] >= turn.times or not re.search(turn.hears, heard, re.IGNORECASE):
                continue
            # The first that matches decides; a hang-up further down waits for its turn.
            return index if turn.hangup or not only_hangup else None
        return None

    def _play(self, index: int | None) -> Turn | None:
        if index is None:
            return None
        self._played[index] += 1
        self.phone.played.append(Played(self._call_sid, index, self._heard))
        self._heard = ""
        return self.phone.turns[index]
