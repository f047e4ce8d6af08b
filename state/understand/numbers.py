"""Reads numbers, prices and sizes as people say and type them, and sizes as packs print them."""

import re
from collections.abc import Iterator, Sequence
from decimal import Decimal, InvalidOperation

from state.understand.lexicon import Lexicon
from state.understand.words import plain

Size = tuple[str, Decimal]  # measure, amount in its base unit


def _digits(word: str) -> Decimal | None:
    if not word[:1].isdigit() or not word.isascii():
        return None
    try:
        return Decimal(word.replace(",", "."))
    except InvalidOperation:
        return None


def number_at(said: Sequence[str], at: int, lexicon: Lexicon) -> Iterator[tuple[int, Decimal]]:
    """Every number that starts at a word, with the word after it: "nine", "500", "five hundred", "1.5"."""
    if at >= len(said):
        return
    digits = _digits(said[at])
    if digits is not None:
        yield at + 1, digits
        return
    value = lexicon.cardinals.get(said[at])
    if value is None:
        return
    end = at + 1
    yield end, Decimal(value)
    if value >= 20 and end < len(said) and 1 <= lexicon.cardinals.get(said[end], 0) <= 9:
        value, end = value + lexicon.cardinals[said[end]], end + 1
        yield end, Decimal(value)
    if value < 20 and end < len(said) and said[end] == "hundred":
        value, end = value * 100, end + 1
        yield end, Decimal(value)
        rest = end + (end < len(said) and said[end] == "and")
        for last, tail in number_at(said, rest, lexicon):
            if tail < 100:
                yield last, value + tail


def price_at(said: Sequence[str], at: int, lexicon: Lexicon) -> Iterator[tuple[int, int]]:
    """Every price that starts at a word, in minor units: "two pounds forty", "two forty", "£2.40", "99p"."""
    start = at + (said[at] in lexicon.pounds)
    marked = start > at
    for end, major in number_at(said, start, lexicon):
        whole = major == major.to_integral_value()
        if marked or not whole:
            yield end, int(major * 100)
        if whole and major >= 100 and said[start].isdigit():
            yield end, int(major)
        if end < len(said) and said[end] in lexicon.pence and whole:
            yield end + 1, int(major)
        named = end < len(said) and said[end] in lexicon.pounds
        if named:
            yield end + 1, int(major * 100)
        if whole and major < 100:
            yield from _with_minor(said, end + named, int(major), lexicon, named=named)
    if said[at] in {"a", "one"} and at + 1 < len(said) and said[at + 1] in lexicon.pounds:
        yield at + 2, 100
        yield from _with_minor(said, at + 2, 1, lexicon, named=True)


def _with_minor(
    said: Sequence[str], at: int, major: int, lexicon: Lexicon, *, named: bool
) -> Iterator[tuple[int, int]]:
    at += named and at < len(said) and said[at] == "and"
    if at < len(said) and said[at] in {"oh", "o", "zero"}:
        for end, minor in number_at(said, at + 1, lexicon):
            if minor < 10:
                yield end, major * 100 + int(minor)
        return
    for end, minor in number_at(said, at, lexicon):
        if minor == minor.to_integral_value() and (10 if not named else 1) <= minor < 100:
            yield end, major * 100 + int(minor)
            if end < len(said) and said[end] in lexicon.pence:
                yield end + 1, major * 100 + int(minor)


def size_at(said: Sequence[str], at: int, lexicon: Lexicon) -> Iterator[tuple[int, Size]]:
    """Every size that starts at a word: "nine pack", "500 g", "half a kilo", "pack of nine"."""
    for end, amount in _amounts(said, at, lexicon):
        if end < len(said) and said[end] in lexicon.units:
            measure, base = lexicon.units[said[end]]
            yield end + 1, (measure, amount * base)
    if said[at] == "size":
        for end, amount in number_at(said, at + 1, lexicon):
            yield end, ("numbered", amount)
    if said[at] in {"pack", "box", "bag"} and said[at + 1 : at + 2] == ("of",):
        for end, amount in number_at(said, at + 2, lexicon):
            yield end, ("count", amount)


def _amounts(said: Sequence[str], at: int, lexicon: Lexicon) -> Iterator[tuple[int, Decimal]]:
    if said[at] == "half":
        yield at + 1 + (said[at + 1 : at + 2] == ("a",)), Decimal("0.5")
    elif said[at] == "a":
        yield at + 1, Decimal(1)
    for end, amount in number_at(said, at, lexicon):
        yield end, amount
        if said[end : end + 3] == ("and", "a", "half"):
            yield end + 3, amount + Decimal("0.5")


_PRINTED = re.compile(r"(?:(\d+)\s*[x×]\s*)?(\d+(?:[.,]\d+)?)\s*([^\W\d_]+|%)|\bsize (\d+)")  # noqa: RUF001 - printed so


def printed_size(size: str, lexicon: Lexicon) -> Size | None:
    """The size on a pack ("6 x 330 ml", "9 pack"), or None where it states none that we can compare."""
    return next(_printed(size, lexicon), None)


def printed_sizes(text: str, lexicon: Lexicon) -> frozenset[Size]:
    """All that a name and a size state: of "Lean Mince 5% fat, 2 x 500 g" the share, the whole and the two."""
    return frozenset(_printed(text, lexicon))


def _printed(text: str, lexicon: Lexicon) -> Iterator[Size]:
    for times, amount, unit, numbered in _PRINTED.findall(plain(text)):
        if numbered:
            yield "numbered", Decimal(numbered)
        value = _digits(amount)
        if value is not None and unit in lexicon.units:
            measure, base = lexicon.units[unit]
            yield measure, value * base * int(times or 1)
            if times:
                yield "count", Decimal(times)
