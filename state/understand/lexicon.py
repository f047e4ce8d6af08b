"""The words of one language that may surround a decision, as data: what is not here is not explained."""

import re
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from functools import cache
from importlib import import_module
from importlib.resources import files
from typing import cast

import msgspec

from state.understand.words import typos


class Part(StrEnum):
    """What a phrase does in an answer; `explain.py` says in which order parts may follow each other."""

    FILLER = "filler"  # then, actually
    TRAILING = "trailing"  # erm, so, right: whoever ends on one has not ended, or asks back
    POLITE = "polite"  # please, thanks, love
    GREETING = "greeting"  # a hello turns a yes into the answering of a phone
    YES = "yes"  # enough for a final yes
    WEAK_YES = "weak_yes"  # agrees, but not firmly enough to spend money on
    MILD = "mild"  # explained beside a yes, nothing by itself
    OH = "oh"  # before a weak yes it is irony
    DOUBT = "doubt"  # "yeah right": explained, and said to mean nothing
    AGREE = "agree"  # "that's fine"
    URGE = "urge"  # "do it", "go ahead": needs a yes or a please beside it
    TAIL = "tail"  # "is fine", "will do", after a choice
    HEDGE = "hedge"  # "I think": a choice may be hedged, a yes may not
    NO = "no"
    NEVER = "never"  # "no way": no later word takes it back
    NONE = "none"  # "neither", "none of those": turns everything down
    REFUSE = "refuse"  # "I don't want that": a noun behind it may be what is refused
    PICK = "pick"  # "go for", before a choice; a bare number after it is a key
    TAKE = "take"  # "I'll have"; a bare number after it may be a quantity
    BID = "bid"  # "send", "want", bare: "send it" alone is not yet a yes
    PLACE = "place"  # "leave it", before where or when
    IT = "it"  # what "take it" takes
    THE = "the"
    THAT = "that"  # "that one" points, "the one" does not
    HEAD = "head"  # one, option, pack
    A = "a"  # "with a neighbour", but "in a second" is no choice
    LINK = "link"  # from, in, for, between two parts of a choice
    KEY = "key"  # number, option, press, before a digit
    REFUND = "refund"  # the noun, which a "no" may turn round
    REFUND_IT = "refund_it"  # the verb or a whole wish


class Lexicon(msgspec.Struct, frozen=True):
    """One language. Phrases are tuples of plain words."""

    locale: str
    phrases: Mapping[tuple[str, ...], frozenset[Part]]
    longest: int
    spelling: Mapping[str, str]  # slips of the thumb in words that decide -> the word
    ordinals: Mapping[str, int]  # -1 is the last, 0 the middle
    cardinals: Mapping[str, int]
    heard_as: Mapping[str, int]  # homophones of a key
    extremes: Mapping[str, tuple[str, bool]]  # word -> (measure and end, comparative)
    sizable: Mapping[str, str]  # "big": names one only as "the big ..."
    units: Mapping[str, tuple[str, int]]  # unit word -> (measure, base units)
    pounds: frozenset[str]
    pence: frozenset[str]
    negations: frozenset[str]  # a refusal has one of these
    negators: frozenset[str]  # in a product's name: "no" sugar is not sugar
    whereabouts: frozenset[str]  # before a place: "in the bin" is not behind it
    mends: tuple[tuple[str, ...], ...]  # "sorry, I mean": what follows replaces what was said
    function_words: frozenset[str]  # never the name of a product by themselves
    opt_out_words: frozenset[str]
    opt_out_patterns: tuple[re.Pattern[str], ...]
    opt_out_exceptions: tuple[re.Pattern[str], ...]


def spell_out(template: str) -> Iterator[tuple[str, ...]]:
    """Every phrase of a template: `(a|b)` is one of, `[a|b]` is one of or none; both nest."""
    tokens = re.findall(r"[()\[\]|]|[^\s()\[\]|]+", template)
    phrases, rest = _alternatives(tokens)
    if rest:
        raise ValueError(f"Unbalanced template: {template.strip()!r}.")
    yield from phrases


def _alternatives(tokens: list[str]) -> tuple[list[tuple[str, ...]], list[str]]:
    found: list[tuple[str, ...]] = []
    run: list[tuple[str, ...]] = [()]
    while tokens and tokens[0] not in ")]":
        piece, tokens = tokens[0], tokens[1:]
        if piece == "|":
            found, run = found + run, [()]
            continue
        inner: list[tuple[str, ...]] = [(piece,)]
        if piece in "([":
            inner, tokens = _alternatives(tokens)
            if not tokens:
                raise ValueError("A bracket of a template is never closed.")
            tokens = tokens[1:]
            inner = [*inner, ()] if piece == "[" else inner
        run = [before + after for before in run for after in inner]
    return found + run, tokens


def phrase_table(name: str) -> Mapping[tuple[str, ...], frozenset[Part]]:
    """All phrases of a data file with their parts."""
    table: dict[tuple[str, ...], set[Part]] = {}
    part: Part | None = None
    for line in files("state.understand").joinpath("data", name).read_text("utf-8").splitlines():
        heading = re.fullmatch(r"\[([a-z_]+)\]", line)
        if heading:
            part = Part(heading[1])
        elif line and not line.startswith("#"):
            if part is None:
                raise ValueError(f"{name} has a phrase before its first heading.")
            for phrase in filter(None, spell_out(line)):
                table.setdefault(phrase, set()).add(part)
    return {phrase: frozenset(found) for phrase, found in table.items()}


def spelling(correct: Iterable[str]) -> Mapping[str, str]:
    """The typos of some words; a typo of two of them is of none."""
    found: dict[str, str] = {}
    twice: set[str] = set()
    for word in correct:
        for typo in typos(word):
            twice |= {typo} if typo in found else set()
            found[typo] = word
    return {typo: word for typo, word in found.items() if typo not in twice}


@cache
def lexicon(locale: str) -> Lexicon | None:
    """The lexicon of a locale's language, or None: then nothing can be explained and nothing committed."""
    language = locale.replace("_", "-").split("-")[0].casefold()
    if language not in LANGUAGES:
        return None
    return cast("Lexicon", import_module(f"state.understand.locales.{language}").LEXICON)


LANGUAGES = ("en",)
