"""What a call hears, says and brings about: plain records, without any provider's words."""

from typing import Literal

import msgspec

from state.understand.second import Proposal


class Heard(msgspec.Struct, frozen=True, tag=True):
    """What reaches the dialogue."""


class Answered(Heard, frozen=True):
    """The call is up; who or what answered is not known yet."""


class Detected(Heard, frozen=True):
    """What picked up, as the network thinks. Unknown is treated as a person."""

    what: Literal["person", "machine", "fax", "unknown"]


class Utterance(Heard, frozen=True):
    """Something was said. `confidence` is the recogniser's, 0 to 1, or None if it gives none."""

    text: str
    confidence: float | None = None
    # What a second understanding proposed, if one was asked in time.
    second: Proposal | None = None


class Keys(Heard, frozen=True):
    """Keys were pressed: digits, * and #."""

    digits: str


class Silence(Heard, frozen=True):
    """Nothing was heard for as long as we listened."""


class Interruption(Heard, frozen=True):
    """The caller spoke into our words; `spoken` is what they had heard of them."""

    spoken: str


class Hangup(Heard, frozen=True):
    """The line is dead."""


class SettledElsewhere(Heard, frozen=True):
    """A line needs no answer any more: decided on another channel, found, or past its deadline."""

    case_id: str
    why: Literal["decided", "withdrawn", "expired"]


class OptionGone(Heard, frozen=True):
    """An option may not be offered any more."""

    case_id: str
    option_id: str


class StoppedElsewhere(Heard, frozen=True):
    """The caller has said stop on another channel meanwhile."""


class Outcome(msgspec.Struct, frozen=True, tag=True):
    """What a turn brings about: a fact before the words that follow it are spoken."""


class Committed(Outcome, frozen=True):
    """The caller decided a line, after this very readback. `option_id` None is a refund of all its pieces.

    `quantity` pieces are taken of the option; the rest of the line is refunded. `replaces` is the version seen.
    """

    case_id: str
    replaces: int
    option_id: str | None
    quantity: int
    readback: str
    said: str
    confidence: float
    by_key: bool
    actor: Literal["customer", "delegate"]
    offered: tuple[str, ...]
    script: str
    policy: str


class OptedOut(Outcome, frozen=True):
    said: str


class NotThem(Outcome, frozen=True):
    """Somebody else answered. Only `wrong_number` says that the number is not the customer's."""

    who: Literal["wrong_number", "absent", "household", "child"]


class HandedOff(Outcome, frozen=True):
    """A person is wanted; `summary` is for staff to read, and holds no personal data."""

    reason: Literal["asked", "not_understood", "too_long", "no_choice"]
    summary: str


class LinkWanted(Outcome, frozen=True):
    """A text with the link is the way on."""

    reason: Literal["not_understood", "absent", "household", "later", "no_staff", "too_long", "code"]


class LaterWanted(Outcome, frozen=True):
    said: str


class MessageLeft(Outcome, frozen=True):
    """A voicemail took our callback message."""


class Screened(Outcome, frozen=True):
    """A screener was told who calls and why."""


class RecordingRefused(Outcome, frozen=True):
    pass


class Presented(Outcome, frozen=True):
    """These options of a line were read out, in this order."""

    case_id: str
    option_ids: tuple[str, ...]


class Ended(Outcome, frozen=True):
    """The call is over; `open` lines keep their plan, and readbacks without an answer are void."""

    why: Literal["settled", "hung_up", "no_answer", "other"]
    open: tuple[str, ...]


class Say(msgspec.Struct, frozen=True):
    """What to say next, and how to listen.

    `wait_ms` is how long silence is borne. `private`: recording and transcript pause while the answer is given.
    `record` starts or stops the recording after these words. `keys_max` is how many keys an answer may have.
    """

    text: str
    script: str
    prompts: tuple[str, ...]
    outcomes: tuple[Outcome, ...] = ()
    ending: Literal["", "hang_up", "transfer"] = ""
    wait_ms: int = 5_000
    private: bool = False
    record: Literal["", "start", "stop"] = ""
    keys_max: int = 1
    hints: tuple[str, ...] = ()


AnyHeard = (
    Answered
    | Detected
    | Utterance
    | Keys
    | Silence
    | Interruption
    | Hangup
    | SettledElsewhere
    | OptionGone
    | StoppedElsewhere
)
