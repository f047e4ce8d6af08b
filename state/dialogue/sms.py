"""Reads a text message: keywords, keys for one line, lettered keys for several, and sentences like a call's."""

from typing import Literal

import msgspec

from state.understand import Offer, Reading, understand
from state.understand.lexicon import lexicon
from state.understand.optout import opts_out
from state.understand.words import DECISION_CHARS_MAX, words

_OPT_IN = frozenset({"start", "unstop", "yes"})
_HELP = frozenset({"help", "info"})


class OpenLine(msgspec.Struct, frozen=True):
    """One open line as the message showed it. `letter` is empty while it is the only one."""

    case_id: str
    letter: str
    offers: tuple[Offer, ...]
    refund_allowed: bool = True


class Pick(msgspec.Struct, frozen=True):
    """What was chosen for one line: key `n`, or 0 for the refund.

    `explicit`: a bare key beside a shown name, price and total, which is the yes. A sentence needs its readback.
    """

    case_id: str
    n: int
    explicit: bool


class Text(msgspec.Struct, frozen=True):
    """What a message means. `again` asks for the keys once more, by the letters if there are several lines."""

    kind: Literal["optout", "optin", "help", "picks", "again", "other"]
    picks: tuple[Pick, ...] = ()
    reading: Reading | None = None


def read(text: str, lines: tuple[OpenLine, ...], *, opted_out: bool = False, locale: str = "en") -> Text:
    """A message by the rules of answers by text; an opt-out inside an answer is an opt-out first.

    YES opts in while opted out and is never a choice by itself.
    """
    if opts_out(text, locale):
        return Text("optout")
    said = words(text) if len(text) <= DECISION_CHARS_MAX else ()
    if len(said) == 1 and said[0] in _HELP:
        return Text("help")
    if len(said) == 1 and said[0] in _OPT_IN and (opted_out or said[0] != "yes"):
        return Text("optin")
    if not lines:
        return Text("other", reading=understand(text, (), locale))
    picks = _keys(said, lines, locale)
    if picks is not None:
        return Text("picks", picks) if picks else Text("again")
    if len(lines) > 1:
        reading = understand(text, (), locale)
        return Text("again" if reading.commits or reading.intent == "unclear" else "other", reading=reading)
    return _sentence(understand(text, lines[0].offers, locale), lines[0])


def _sentence(reading: Reading, line: OpenLine) -> Text:
    match reading.intent:
        case "choose" if reading.option is not None:
            return Text("picks", (Pick(line.case_id, reading.option, explicit=False),), reading)
        case "refund" if line.refund_allowed:
            return Text("picks", (Pick(line.case_id, 0, explicit=False),), reading)
        case "accept" | "refund" | "unclear":
            # "Yes" to a list of keys names none, not even when there is one option.
            return Text("again", reading=reading)
        case _:
            return Text("other", reading=reading)


def _keys(said: tuple[str, ...], lines: tuple[OpenLine, ...], locale: str) -> tuple[Pick, ...] | None:
    """The keys of a message that has nothing but keys and politeness; empty if they do not fit; else None."""
    spoken = lexicon(locale)
    polite = frozenset() if spoken is None else spoken.polite
    bare = [w for w in said if w not in polite and w not in {"and", "for", "="}]
    by_letter = {line.letter.casefold(): line for line in lines if line.letter}
    if len(bare) == 1 and bare[0].isdigit():
        return () if len(lines) > 1 else _pick(lines[0], bare[0])
    if len(bare) % 2 or not bare or not all(w.isdigit() for w in bare[1::2]):
        return None
    letters = bare[::2]
    if not all(len(w) == 1 and w.isalpha() for w in letters):
        return None
    if len(set(letters)) < len(letters) or not set(letters) <= by_letter.keys():
        return ()
    found = [_pick(by_letter[w], n) for w, n in zip(letters, bare[1::2], strict=True)]
    return tuple(p for picks in found for p in picks) if all(found) else ()


def _pick(line: OpenLine, digits: str) -> tuple[Pick, ...]:
    if digits == "0" and line.refund_allowed:
        return (Pick(line.case_id, 0, explicit=True),)
    fits = [o.n for o in line.offers if str(o.n) == digits]
    return tuple(Pick(line.case_id, n, explicit=True) for n in fits)
