"""The gate: an answer commits only if one of a closed list of answers says all of it, and every reading agrees.

The list is the language's grammar: rules over words, rules over those, and seven rules for whole answers. Nothing in it
repeats and nothing is skipped, so a word, a sign or an order that nobody wrote down ends every explanation. What the
offers are called fills its slots; all slots of an answer have to leave exactly one offer.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from state.understand.records import Intent, Offer, Reading
from state.understand.slots import Catalogue, Numbers, catalogue
from state.understand.words import DECISION_CHARS_MAX, DECISION_WORDS_MAX, words


class Said(NamedTuple):
    """One way to read some words up to `end`; `fits` are the offers that they leave, None if they name none."""

    end: int
    fits: Numbers | None = None
    exact: bool = True


class Meaning(NamedTuple):
    """What one complete explanation makes of an answer. `firm` is the yes that money may be spent on."""

    intent: Intent
    option: int | None = None
    firm: bool = False
    exact: bool = True


def explain(text: str, offers: tuple[Offer, ...], locale: str = "en") -> frozenset[Meaning]:
    """Every complete explanation of a text; none if any part of it is left over."""
    if len(text) > DECISION_CHARS_MAX or text.rstrip().endswith(_TRAILS_OFF):
        return frozenset()
    index = catalogue(offers, locale)
    said = words(index.lexicon.contracted.sub(" is ", text))
    if not 0 < len(said) <= DECISION_WORDS_MAX:
        return frozenset()
    heard = index.spelt(said)
    chart = _chart(heard, index)
    if not chart.whole:
        return frozenset()
    # With one offer a choice is a yes, and an echo of its name is none.
    rules = _ANSWERS.keys() - ({"POINT"} if len(offers) == 1 else ())
    answers = chart.read()[0]
    return frozenset(
        _meaning(rule, whole) for rule in rules for whole in answers.get(rule, ()) if whole.end == len(heard)
    )


def commit(text: str, offers: tuple[Offer, ...], locale: str = "en") -> Reading | None:
    """What all explanations of a text agree on, or None. The only source of accept, choose and refund."""
    found = explain(text, offers, locale)
    agreed = {(m.intent, m.option) for m in found}
    if len(agreed) != 1:
        return None
    ((intent, option),) = agreed
    if intent == "unclear" or catalogue(offers, locale).calls_another(words(text), option):
        return None
    return Reading(intent, 0.98 if any(m.exact for m in found) else 0.85, option)


def confirms(text: str, offers: tuple[Offer, ...], locale: str = "en") -> Literal["yes", "no", "unsure"]:
    """Whether a text is the explicit yes to a question that takes only yes or no. Anything else is asked again."""
    found = explain(text, offers, locale)
    if any(m.firm for m in found) and all(m.firm or m.intent == "accept" for m in found):
        return "yes"
    return "no" if {m.intent for m in found} == {"decline"} else "unsure"


def mentioned(
    text: str, offers: tuple[Offer, ...], locale: str = "en", *, ordinals: bool = False
) -> tuple[int, ...]:
    """The offers that a text names beyond doubt, for a narrower question. `ordinals`: "the second" counts too."""
    index = catalogue(offers, locale)
    said = words(index.lexicon.contracted.sub(" is ", text[:DECISION_CHARS_MAX]))[:DECISION_WORDS_MAX]
    kinds = ("BRAND", "KEYED", *(("ORDINAL",) if ordinals else ()))
    found = _chart(index.spelt(said), index).read()
    ways = [way for at in found for kind in kinds for way in at.get(kind, ()) if way.exact]
    return tuple(sorted({n for way in ways if way.fits and len(way.fits) == 1 for n in way.fits}))


# Whoever writes "yes..." has not ended.
_TRAILS_OFF = ("..", "…")

_ANSWERS: Mapping[str, Intent] = {
    "CONFIRM": "accept",
    "RIGHT": "unclear",
    "AGREE": "accept",
    "CHOOSE": "choose",
    "POINT": "choose",
    "REFUND": "refund",
    "REFUSE": "decline",
}


def _meaning(rule: str, said: Said) -> Meaning:
    """An explanation that leaves no single offer means nothing, and still disagrees with the others."""
    intent = _ANSWERS[rule]
    if intent != "choose":
        return Meaning(intent, firm=rule in ("CONFIRM", "RIGHT"))
    if said.fits is None or len(said.fits) != 1:
        return Meaning("unclear")
    return Meaning(intent, next(iter(said.fits)), exact=said.exact)


class _Chart:
    """What the words from each place on can be, up from the words themselves by the rules in their order."""

    def __init__(self, said: tuple[str, ...], index: Catalogue) -> None:
        self._grammar = index.lexicon.grammar
        self._known: list[dict[str, set[Said]]] = [{word: {Said(at + 1)}} for at, word in enumerate(said)]
        explained = {at for at, word in enumerate(said) if word in self._grammar.vocabulary}
        for at in range(len(said)):
            for slot in index.slots(said, at):
                self._known[at].setdefault(slot.kind, set()).add(Said(slot.end, slot.fits, slot.exact))
                explained.update(range(at, slot.end))
        self.whole = len(explained) == len(said)
        self._read = False

    def read(self) -> list[dict[str, set[Said]]]:
        for name, tree in () if self._read else self._grammar.rules:
            for at in range(len(self._known[:1] if name in _ANSWERS else self._known)):
                if not tree.keys().isdisjoint(self._known[at]):
                    found = set(self._ways(tree, at))
                    if found:
                        self._known[at][name] = found
        self._read = True
        return self._known

    def _ways(self, tree: Mapping[str, Any], at: int) -> Iterator[Said]:
        reached: set[tuple[int, Said]] = set()
        waiting: list[tuple[Mapping[str, Any], Said]] = [(tree, Said(at))]
        while waiting:
            node, so_far = waiting.pop()
            if "" in node:
                yield so_far
            if so_far.end == len(self._known):
                continue
            known = self._known[so_far.end]
            for symbol in node.keys() & known.keys():
                for part in known[symbol]:
                    after = _together(so_far, part)
                    if (id(node[symbol]), after) not in reached:
                        reached.add((id(node[symbol]), after))
                        waiting.append((node[symbol], after))


@lru_cache(maxsize=64)
def _chart(said: tuple[str, ...], index: Catalogue) -> _Chart:
    """Kept for the same turn, which asks several things about one text."""
    return _Chart(said, index)


def _together(before: Said, after: Said) -> Said:
    both = after.fits if before.fits is None else before.fits
    if before.fits is not None and after.fits is not None:
        both = before.fits & after.fits
    return Said(after.end, both, before.exact and after.exact)
