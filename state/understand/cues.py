"""Listens for wishes, topics and persons in what commits nothing: the dialogue asks or answers by them."""

import re
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import TypeVar, cast

import msgspec

from state.understand.lexicon import LANGUAGES, lexicon
from state.understand.numbers import number_at
from state.understand.records import Party, Topic, Wish
from state.understand.words import SEARCH_CHARS_MAX, words


class Cues(msgspec.Struct, frozen=True):
    """Patterns over plain words, the first match wins."""

    wishes: Mapping[Wish, re.Pattern[str]]
    topics: Mapping[Topic, re.Pattern[str]]
    parties: Mapping[Party, re.Pattern[str]]
    speaking: re.Pattern[str]  # "speaking", "that's me"
    quantity: re.Pattern[str]  # group 1 is a number word


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
    found = cues(locale)
    return found is not None and found.speaking.search(_line(text)) is not None


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
    return " ".join(words(text[:SEARCH_CHARS_MAX]))


K = TypeVar("K")


def _first(patterns: Mapping[K, re.Pattern[str]], text: str) -> K | None:
    line = _line(text)
    return next((key for key, pattern in patterns.items() if pattern.search(line)), None)
