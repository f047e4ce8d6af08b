"""ConversationRelay: the frames of its socket, in and out, and what they mean to the dialogue. Opens no socket."""

import re
from typing import Literal

import msgspec

from state.dialogue.events import Answered, AnyHeard, Interruption, Keys, Say, Utterance

FRAME_BYTES_MAX = 65_536
PROMPT_CHARS_MAX = 4_096
# What a provider closes the session with when a frame is not as agreed.
MALFORMED_CODE = 64_107
# A voice needs about so long for a letter: how long to wait before an end that must not cut it off.
SPOKEN_MS_PER_CHAR = 65
_SENTENCE = re.compile(r"[^.!?;]*[.!?;]+\s*|[^.!?;]+$")


class MalformedFrame(ValueError):
    """A frame that is not as agreed; `code` is the provider's for it."""

    code = MALFORMED_CODE


class Incoming(msgspec.Struct, frozen=True, tag_field="type"):
    """A frame from the provider; fields that we do not use are ignored."""


class Setup(Incoming, frozen=True, tag="setup"):
    session_id: str = msgspec.field(name="sessionId")
    call_sid: str = msgspec.field(name="callSid")
    custom_parameters: dict[str, str] = msgspec.field(name="customParameters", default_factory=dict)
    account_sid: str = msgspec.field(name="accountSid", default="")


class Prompt(Incoming, frozen=True, tag="prompt"):
    voice_prompt: str = msgspec.field(name="voicePrompt")
    lang: str = ""
    last: bool = True


class Dtmf(Incoming, frozen=True, tag="dtmf"):
    digit: str


class Interrupt(Incoming, frozen=True, tag="interrupt"):
    utterance_until_interrupt: str = msgspec.field(name="utteranceUntilInterrupt")
    duration_ms: int = msgspec.field(name="durationUntilInterruptMs", default=0)


class Error(Incoming, frozen=True, tag="error"):
    description: str


class Outgoing(msgspec.Struct, frozen=True, tag_field="type"):
    """A frame to the provider."""


class Text(Outgoing, frozen=True, tag="text", omit_defaults=True):
    token: str
    last: bool
    lang: str = ""


class Play(Outgoing, frozen=True, tag="play"):
    source: str


class SendDigits(Outgoing, frozen=True, tag="sendDigits"):
    digits: str


class Language(Outgoing, frozen=True, tag="language", rename="camel"):
    tts_language: str
    transcription_language: str


class End(Outgoing, frozen=True, tag="end", omit_defaults=True):
    hand_off_data: str = msgspec.field(name="handoffData", default="")


Frame = Setup | Prompt | Dtmf | Interrupt | Error
_DECODER: msgspec.json.Decoder[Frame] = msgspec.json.Decoder(Frame)


def read(raw: bytes | str) -> Frame:
    """The frame in a message, or `MalformedFrame` naming what is wrong with it."""
    size = len(raw)
    if size > FRAME_BYTES_MAX:
        raise MalformedFrame(f"a frame of {size} bytes")
    try:
        frame = _DECODER.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        raise MalformedFrame(str(fault)) from fault
    if isinstance(frame, Dtmf) and (len(frame.digit) != 1 or frame.digit not in "0123456789*#"):
        raise MalformedFrame(f"a key that no phone has - at `$.digit`: {frame.digit[:8]!r}")
    return frame


class Ear(msgspec.Struct, frozen=True):
    """What has been heard in part: a sentence whose end is to come, and keys of which more are to come."""

    sentence: str = ""
    keys: str = ""


def listened(ear: Ear, frame: Frame, keys_max: int) -> tuple[Ear, AnyHeard | None]:
    """The ear after a frame, and what that means to the dialogue, if it means anything yet.

    `keys_max` is that of the last `Say`. Speech drops the keys before it, and keys the speech.
    """
    match frame:
        case Setup():
            return Ear(), Answered()
        case Prompt(voice_prompt, _, last):
            sentence = f"{ear.sentence} {voice_prompt}".strip()[:PROMPT_CHARS_MAX]
            return (Ear(), Utterance(sentence)) if last else (Ear(sentence), None)
        case Dtmf(digit):
            keys = ear.keys + digit
            whole = len(keys) >= keys_max or digit == "#"
            return (Ear(), Keys(keys)) if whole else (Ear(keys=keys), None)
        case Interrupt(spoken, _):
            return ear, Interruption(spoken)
        case Error():
            # The provider tells what it did not understand of us; the caller said nothing.
            return ear, None


def spoken(say: Say, language: str) -> tuple[Outgoing, ...]:
    """The frames of a turn: sentence by sentence, so that the voice starts at once; the last ends the cycle."""
    sentences = [s for s in _SENTENCE.findall(say.text) if s.strip()]
    return tuple(Text(s, last=n == len(sentences), lang=language) for n, s in enumerate(sentences, 1))


def ended(say: Say) -> End | None:
    """The frame that ends the session, to be sent `spoken_ms` after the words. It names no person."""
    reasons: dict[str, Literal["hang_up", "transfer"]] = {"hang_up": "hang_up", "transfer": "transfer"}
    reason = reasons.get(say.ending)
    return None if reason is None else End(msgspec.json.encode({"reason": reason}).decode())


def spoken_ms(say: Say) -> int:
    """About how long these words take to speak."""
    return SPOKEN_MS_PER_CHAR * len(say.text)


def written(frame: Outgoing) -> str:
    return msgspec.json.encode(frame).decode()
