"""One language as data: the grammar of what decides, its numbers and measures, its farewells."""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib import import_module
from importlib.resources import files
from typing import Any, cast

import msgspec

from state.understand.words import typos

Rule = tuple[
    str, Mapping[str, Any]
]  # its name, and what may follow what: a tree whose key "" ends a way of saying it


class Grammar(msgspec.Struct, frozen=True):
    """What may be said to decide something. A rule names only words, slots of the offers, and rules before it."""

    rules: tuple[Rule, ...]
    vocabulary: frozenset[str]


class Lexicon(msgspec.Struct, frozen=True):
    """One language."""

    locale: str
    grammar: Grammar
    contracted: re.Pattern[str]  # an "is" behind a name: "panda's fine"
    hesitations: frozenset[str]  # said while thinking; whoever ends on one has not ended
    polite: frozenset[str]  # beside the keys of a text message
    spelling: Mapping[str, str]  # slips of the thumb in words that decide -> the word
    ordinals: Mapping[str, int]  # -1 is the last, 0 the middle
    cardinals: Mapping[str, int]
    heard_as: Mapping[str, int]  # homophones of a key
    extremes: Mapping[str, tuple[str, bool]]  # word -> (measure and end, comparative)
    sizable: Mapping[str, str]  # "big": names one only as "the big ..."
    units: Mapping[str, tuple[str, int]]  # unit word -> (measure, base units)
    packs: frozenset[str]  # the only word that names a size by a count: "nine packs" are so many
    pounds: frozenset[str]
    pence: frozenset[str]
    negations: frozenset[str]  # a refusal has one of these
    negators: frozenset[str]  # in a product's name: "no" sugar is not sugar
    whereabouts: frozenset[str]  # before a place: "in the bin" is not behind it
    function_words: frozenset[str]  # never the name of a product by themselves
    exclaimed: frozenset[str]  # words of names that by themselves praise, swear or ask
    at_the_door: Mapping[str, tuple[str, str]]  # other words for when and where -> slot, word of the offers
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


SLOTS = frozenset(
    (
        "KEY",
        "HEARD",
        "ORDINAL",
        "BRAND",
        "PHRASE",
        "NAME",
        "PLACE",
        "TIME",
        "HOUR",
        "WORD",
        "SIZE",
        "AMOUNT",
        "COUNT",
        "PRICE",
        "MOST",
        "MORE",
        "SIZABLE",
    )
)


def grammar(name: str) -> Grammar:
    """The rules of a data file in its order; a rule that names what is not known before it is a mistake."""
    rules: dict[str, dict[str, Any]] = {}
    vocabulary: set[str] = set()
    tree: dict[str, Any] | None = None
    for line in files("state.understand").joinpath("data", name).read_text("utf-8").splitlines():
        heading = re.fullmatch(r"\[([A-Z_]+)\]", line)
        if heading:
            tree = rules[heading[1]] = {}
        elif line and not line.startswith("#"):
            if tree is None:
                raise ValueError(f"{name} says something before its first rule.")
            for way in filter(None, spell_out(line)):
                node = tree
                for symbol in way:
                    node = node.setdefault(symbol, {})
                node[""] = {}
                vocabulary.update(s for s in way if not s.isupper())
                unknown = {s for s in way if s.isupper()} - SLOTS - (rules.keys() - {list(rules)[-1]})
                if unknown:
                    raise ValueError(f"{name} names {sorted(unknown)} before they are there: {line!r}.")
    return Grammar(tuple(rules.items()), frozenset(vocabulary))


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
