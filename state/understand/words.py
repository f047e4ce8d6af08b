"""Turns what was said or typed into a bounded list of plain words."""

import re
import unicodedata

# A decision is short. What is longer is asked again, so that no input can make the gate slow.
DECISION_CHARS_MAX = 240
DECISION_WORDS_MAX = 26
# An opt-out may hide in a long complaint, so it is searched further.
SEARCH_CHARS_MAX = 1_200

_WORD = re.compile(r"\d+(?:[.,]\d+)?|[^\W\d_]+|[^\w\s.,!;:'\"()…\-\u2013\u2014]", re.UNICODE)
_NUMBER_SIGN = re.compile(r"\b(?:no|nr|num)\.\s*(?=\d|one\b|two\b|three\b)")
_APOSTROPHES = re.compile(r"(?<=\w)['’‘`´](?=\w)")  # noqa: RUF001 - the very marks that phones type
_DRAWN_OUT = re.compile(r"([^\W\d_])\1{2,}")  # "yesss", "nooo"
_SKIN_TONES = re.compile("[\U0001f3fb-\U0001f3ff\ufe0e\ufe0f]")


def plain(text: str) -> str:
    """Lower case, without accents, apostrophes, skin tones or marks that nobody can hear."""
    composed = _DRAWN_OUT.sub(r"\1\1", unicodedata.normalize("NFKC", text).casefold())
    bare = _SKIN_TONES.sub("", _APOSTROPHES.sub("", composed)).replace("&", " and ")
    return "".join(
        c
        for c in unicodedata.normalize("NFKD", bare)
        if not unicodedata.combining(c) and unicodedata.category(c) != "Cf"
    )


def words(text: str) -> tuple[str, ...]:
    """The words, numbers and signs of a short text; `no.` before a number is a number sign, never a no.

    Only plain punctuation is dropped: a question mark, a plus or a picture is a word that has to be explained.
    """
    return tuple(_WORD.findall(_NUMBER_SIGN.sub("number ", plain(text))))


def stem(word: str) -> str:
    """The form under which singular and plural of a product's word meet."""
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def typos(word: str) -> frozenset[str]:
    """What hurried thumbs make of a long word: one inner letter lost or doubled, or two swapped.

    Other added letters are not among them, since "seconds" is no "second".
    """
    inner = range(1, len(word) - 1)
    lost = {word[:i] + word[i + 1 :] for i in inner}
    swapped = {word[:i] + word[i + 1] + word[i] + word[i + 2 :] for i in inner}
    doubled = {word[: i + 1] + word[i:] for i in inner}
    return frozenset(lost | swapped | doubled) - {word}
