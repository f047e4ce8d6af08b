"""Listens for wishes, topics and persons in what commits nothing: the dialogue asks or answers by them."""

import re
from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from typing import TypeVar, cast

import msgspec

from state.understand.lexicon import LANGUAGES, lexicon
from state.understand.numbers import number_at
from state.understand.records import Party, Topic, Wish
from state.understand.words import words

# What a sentence is about is said in its first words.
_HEARD_CHARS_MAX = 400


class Cues(msgspec.Struct, frozen=True):
    """Patterns over plain words, the first match wins."""

    wishes: Mapping[Wish, re.Pattern[str]]
    topics: Mapping[Topic, re.Pattern[str]]
    parties: Mapping[Party, re.Pattern[str]]
    speaking: re.Pattern[str]  # "speaking", "that's me"
    quantity: re.Pattern[str]  # group 1 is a number word
    screens: re.Pattern[str]  # a call screener rather than a voicemail
    seeks: re.Pattern[str]  # asks for an offer: "have you got anything"
    goes_back: re.Pattern[str]
    holds_on: re.Pattern[str]
    refuses_recording: re.Pattern[str]
    letters: Mapping[str, str]  # how the characters of a code are spoken


@cache
def cues(locale: str) -> Cues | None:
    language = locale.replace("_", "-").split("-")[0].casefold()
    if language not in LANGUAGES:
        return None
    return cast("Cues", import_module(f"state.understand.locales.{language}_cues").CUES)


def wish(text: str, locale: str = "en") -> Wish | None:
    found = cues(locale)
    return None if found is None else _first(found.wishes, text)


def topic(text: str, locale: str = "en") -> Topic | None:
    found = cues(locale)
    return None if found is None else _first(found.topics, text)


def party(text: str, locale: str = "en") -> Party | None:
    found = cues(locale)
    return None if found is None else _first(found.parties, text)


def speaking(text: str, locale: str = "en") -> bool:
    """Whether somebody says that they are the person asked for."""
    return _hears(lambda c: c.speaking, text, locale)


def screens(text: str, locale: str = "en") -> bool:
    """Whether a machine asks who calls, rather than for a message."""
    return _hears(lambda c: c.screens, text, locale)


def seeks(text: str, locale: str = "en") -> bool:
    """Whether a text with a wish in it asks for such an offer, rather than whether something is so."""
    return wish(text, locale) is not None and _hears(lambda c: c.seeks, text, locale)


def goes_back(text: str, locale: str = "en") -> bool:
    """Whether somebody wants to change what they decided before."""
    return _hears(lambda c: c.goes_back, text, locale)


def holds_on(text: str, locale: str = "en") -> bool:
    """Whether somebody asks for a moment."""
    return _hears(lambda c: c.holds_on, text, locale)


def refuses_recording(text: str, locale: str = "en") -> bool:
    return _hears(lambda c: c.refuses_recording, text, locale)


def refuses(text: str, locale: str = "en") -> bool:
    """Whether a text has any word of refusal in it."""
    spoken = lexicon(locale)
    return spoken is not None and not spoken.negations.isdisjoint(words(text[:_HEARD_CHARS_MAX]))


def letters(text: str, locale: str = "en") -> str:
    """The characters of a spoken or typed code: "five six B as in Bravo" is "56b"."""
    found = cues(locale)
    spoken = {} if found is None else found.letters
    said = re.sub(r"\b(?:as in|like) \w+", "", " ".join(words(text[:200]))).split()
    return "".join(spoken.get(w, w if w.isdigit() or len(w) == 1 else "") for w in said)


def _hears(pattern: Callable[[Cues], re.Pattern[str]], text: str, locale: str) -> bool:
    found = cues(locale)
    return found is not None and pattern(found).search(_line(text)) is not None


def quantity(text: str, locale: str = "en") -> int | None:
    """The number of pieces that a text asks for ("just two of them"), or None."""
    found, spoken = cues(locale), lexicon(locale)
    if found is None or spoken is None:
        return None
    match = found.quantity.search(_line(text))
    if match is None:
        return None
    said = next(filter(None, match.groups())).split()
    numbers = [int(value) for end, value in number_at(said, 0, spoken) if end == len(said) and value < 100]
    return numbers[0] if numbers else None


def _line(text: str) -> str:
    return " ".join(words(text[:_HEARD_CHARS_MAX]))


K = TypeVar("K")


def _first(patterns: Mapping[K, re.Pattern[str]], text: str) -> K | None:
    line = _line(text)
    return next((key for key, pattern in patterns.items() if pattern.search(line)), None)
