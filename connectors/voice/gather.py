"""Webhooks with `<Gather>`: a turn is one request, and its answer is TwiML."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from state.dialogue.events import AnyHeard, Detected, Hangup, Interruption, Keys, Say, Silence, Utterance

# A recogniser's sentence is far shorter; the rest of a hostile one is not even looked at.
SPEECH_CHARS_MAX = 4_096
DIGITS_MAX = 32
HINTS_MAX = 40
# No voice reads faster than some twenty letters a second.
FASTEST_MS_PER_CHAR = 45
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_OVER = frozenset({"completed", "busy", "failed", "no-answer", "canceled"})


@dataclass(frozen=True)
class Addresses:
    """Where the provider goes on: the next turn, the relay's socket, and who takes a call that is handed over."""

    turn_url: str
    transfer_url: str = ""
    relay_url: str = ""
    relay_done_url: str = ""


def heard(parameters: Mapping[str, str]) -> AnyHeard:
    """What a webhook reports. Keys outrank speech that came with them; an empty result is silence."""
    if parameters.get("CallStatus") in _OVER:
        return Hangup()
    digits = "".join(c for c in parameters.get("Digits", "")[:DIGITS_MAX] if c in "0123456789*#")
    if digits:
        return Keys(digits)
    speech = parameters.get("SpeechResult", "").strip()[:SPEECH_CHARS_MAX]
    return Utterance(speech, _confidence(parameters.get("Confidence"))) if speech else Silence()


def _confidence(given: str | None) -> float | None:
    """The recogniser's confidence; none where it sends none, or what is no share."""
    try:
        value = float(given or "")
    except ValueError:
        return None
    # Some models send 0 for "not measured".
    return value if 0 < value <= 1 else None


def detected(parameters: Mapping[str, str]) -> Detected:
    """What asynchronous detection says. Whatever it is unsure about is a person."""
    answered_by = parameters.get("AnsweredBy", "unknown")
    if answered_by == "human":
        return Detected("person")
    if answered_by.startswith("machine_"):
        return Detected("machine")
    return Detected("fax" if answered_by == "fax" else "unknown")


def interrupted(say: Say, elapsed_ms: int, ms_per_char: float = FASTEST_MS_PER_CHAR) -> Interruption | None:
    """How much of our words can have been spoken when an answer came, if not all: this transport does not say.

    `elapsed_ms` is from our answer to the next request. Given to the dialogue before what was heard, it keeps a yes
    that came before the total from being taken for one.
    """
    chars = int(max(0, elapsed_ms) / ms_per_char)
    return Interruption(say.text[:chars]) if chars < len(say.text) else None


def rendered(say: Say, to: Addresses, language: str) -> str:
    """The TwiML of a turn: speak and listen, or speak and end. Nothing personal stands in an attribute."""
    response = ET.Element("Response")
    # The announcement was heard in the turn before.
    if say.record == "start":
        ET.SubElement(ET.SubElement(response, "Start"), "Recording", channels="dual")
    elif say.record == "stop":
        ET.SubElement(ET.SubElement(response, "Stop"), "Recording")
    if say.ending == "hang_up":
        _speak(response, say.text, language)
        ET.SubElement(response, "Hangup")
    elif say.ending == "transfer":
        _speak(response, say.text, language)
        ET.SubElement(response, "Redirect", method="POST").text = to.transfer_url
    else:
        _speak(_gather(response, say, to, language), say.text, language)
    return '<?xml version="1.0" encoding="UTF-8"?>' + ET.tostring(response, encoding="unicode")


def _gather(response: ET.Element, say: Say, to: Addresses, language: str) -> ET.Element:
    listens = {
        "input": "dtmf speech",
        "action": to.turn_url,
        "method": "POST",
        "timeout": str(max(1, round(say.wait_ms / 1000))),
        "speechTimeout": "auto",
        "actionOnEmptyResult": "true",
        "bargeIn": "true",
        "language": language,
        "numDigits": str(say.keys_max),
    }
    hints = [h.replace(",", " ") for h in say.hints[:HINTS_MAX]]
    if hints:
        listens["hints"] = _clean(", ".join(hints))
    if say.keys_max == 1:
        # Star and hash are keys here, and end nothing.
        listens["finishOnKey"] = ""
    return ET.SubElement(response, "Gather", listens)


def _speak(parent: ET.Element, text: str, language: str) -> None:
    if text:
        ET.SubElement(parent, "Say", language=language).text = _clean(text)


def _clean(text: str) -> str:
    """Without what XML cannot carry."""
    return _NOT_XML.sub("", text)


def patience(again_url: str, words: str, language: str) -> str:
    """The TwiML while we cannot answer yet: a word, a moment, and the same question once more."""
    response = ET.Element("Response")
    _speak(response, words, language)
    ET.SubElement(response, "Pause", length="2")
    ET.SubElement(response, "Redirect", method="POST").text = again_url
    return '<?xml version="1.0" encoding="UTF-8"?>' + ET.tostring(response, encoding="unicode")


def put_through(number: str, whisper_url: str, done_url: str) -> str:
    """The TwiML that calls a colleague, who hears the summary before the customer is on the line."""
    response = ET.Element("Response")
    dial = ET.SubElement(response, "Dial", action=done_url, timeout="20")
    ET.SubElement(dial, "Number", url=whisper_url).text = number
    return '<?xml version="1.0" encoding="UTF-8"?>' + ET.tostring(response, encoding="unicode")


def words(text: str, language: str) -> str:
    """The TwiML that says something and goes on with what comes after it."""
    response = ET.Element("Response")
    _speak(response, text, language)
    return '<?xml version="1.0" encoding="UTF-8"?>' + ET.tostring(response, encoding="unicode")


def connected(to: Addresses, language: str, hints: tuple[str, ...] = ()) -> str:
    """The TwiML that hands a call to the relay. The first words come over the socket, as facts of the call."""
    response = ET.Element("Response")
    connect = ET.SubElement(response, "Connect", action=to.relay_done_url)
    speaks = {
        "url": to.relay_url,
        "language": language,
        "dtmfDetection": "true",
        "interruptible": "any",
    }
    if hints:
        speaks["hints"] = _clean(", ".join(h.replace(",", " ") for h in hints[:HINTS_MAX]))
    ET.SubElement(connect, "ConversationRelay", speaks)
    return '<?xml version="1.0" encoding="UTF-8"?>' + ET.tostring(response, encoding="unicode")
