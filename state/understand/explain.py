"""The gate: an answer commits only if every word of it is explained and all explanations agree.

    START ──pick/take/place──▶ LEAD ──the──▶ THE ──┐
      │ └──────the──────────────────────────▶ THE ─┤
      ├──slot─────────────────────────────────────▶ CHOICE ──tail, polite, yes──▶ CHOICE
      ├──refund──▶ REFUND          LEAD ──it──▶ AGREED
      └──yes, agree, polite, filler, no──▶ START

A word without an arrow ends that explanation. Slots narrow the offers; a choice has to leave exactly one.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from state.understand.lexicon import Part
from state.understand.records import Intent, Offer, Reading
from state.understand.slots import Catalogue, catalogue
from state.understand.steps import STEPS, Heard, Stage, narrow, zero
from state.understand.words import DECISION_CHARS_MAX, DECISION_WORDS_MAX, words

# A sentence with more explanations than this is no plain answer.
PATHS_MAX = 4_000


class Meaning(NamedTuple):
    """One complete explanation. `firm` is the yes that money may be spent on."""

    intent: Intent
    option: int | None
    firm: bool
    exact: bool


def explain(said: tuple[str, ...], offers: tuple[Offer, ...], locale: str = "en") -> frozenset[Meaning]:
    """Every complete explanation of some words; empty if one is left over, as a question mark is, or they are many."""
    if not said or len(said) > DECISION_WORDS_MAX:
        return frozenset()
    index = catalogue(offers, locale)
    return frozenset(_Walk(index.spelt(said), index).meanings())


def commit(text: str, offers: tuple[Offer, ...], locale: str = "en") -> Reading | None:
    """What all explanations of a text agree on, or None. The only source of accept, choose and refund."""
    if len(text) > DECISION_CHARS_MAX:
        return None
    said = words(text)
    found = explain(said, offers, locale) or _mended(said, offers, locale)
    agreed = {(m.intent, m.option) for m in found}
    if len(agreed) != 1:
        return None
    ((intent, option),) = agreed
    if intent == "unclear":
        return None
    return Reading(intent, 0.98 if any(m.exact for m in found) else 0.85, option)


def confirms(
    text: str, offers: tuple[Offer, ...], read_back: int | None, locale: str = "en"
) -> Literal["yes", "no", "unsure"]:
    """Whether a text is the explicit yes to one readback: of the offer `read_back`, or of a refund if None.

    A hedge, a weak "okay", a guessed misspelling, a question or another choice is unsure: it is asked again.
    """
    if len(text) > DECISION_CHARS_MAX:
        return "unsure"
    found = explain(words(text), offers, locale)
    if not found:
        return "unsure"
    if all(m.intent == "decline" for m in found):
        return "no"
    same: tuple[Intent, int | None] = ("refund", None) if read_back is None else ("choose", read_back)
    agreed = all((m.intent, m.option) in (("accept", None), same) for m in found)
    return "yes" if agreed and any(m.firm and m.exact for m in found) else "unsure"


def _mended(said: tuple[str, ...], offers: tuple[Offer, ...], locale: str) -> frozenset[Meaning]:
    """ "The first, sorry, I mean the second": both halves must be plain, the second must name its choice."""
    for mend in catalogue(offers, locale).lexicon.mends:
        for at in range(1, len(said) - len(mend)):
            if said[at : at + len(mend)] == mend and explain(said[:at], offers, locale):
                return frozenset(
                    m._replace(exact=False, firm=False)
                    for m in explain(said[at + len(mend) :], offers, locale)
                    if m.intent in ("choose", "refund")
                )
    return frozenset()


def mentioned(
    text: str, offers: tuple[Offer, ...], locale: str = "en", *, ordinals: bool = False
) -> tuple[int, ...]:
    """The offers that a text names beyond doubt, for a narrower question. `ordinals`: "the second" counts too."""
    said = words(text[:DECISION_CHARS_MAX])[:DECISION_WORDS_MAX]
    index = catalogue(offers, locale)
    named = {
        next(iter(slot.fits))
        for at in range(len(said))
        for slot in index.slots(said, at)
        if len(slot.fits) == 1
        and slot.exact
        and (slot.branded or slot.kind == "keyed" or (ordinals and slot.kind == "ordinal"))
    }
    return tuple(sorted(named))


_NOTHING = Meaning("unclear", None, firm=False, exact=True)


class _Walk:
    """All ways through one utterance."""

    def __init__(self, said: tuple[str, ...], index: Catalogue) -> None:
        self._said, self._index = said, index
        self._slots = [tuple(index.slots(said, at)) for at in range(len(said))]
        self._parts = [tuple(self._phrases(at)) for at in range(len(said))]

    def _phrases(self, at: int) -> Iterator[tuple[int, Part]]:
        lexicon = self._index.lexicon
        for length in range(1, min(lexicon.longest, len(self._said) - at) + 1):
            for part in lexicon.phrases.get(self._said[at : at + length], ()):
                yield at + length, part

    def meanings(self) -> Iterator[Meaning]:
        alone = self._heard_alone()
        if alone is not None:
            yield alone
        layers: list[set[Heard]] = [set() for _ in range(len(self._said) + 1)]
        layers[0].add(Heard())
        paths = 0
        for at, layer in enumerate(layers[:-1]):
            for heard in layer:
                for end, after in self._steps(at, heard):
                    layers[end].add(after)
                    paths += 1
            if paths > PATHS_MAX:
                return
        for heard in layers[-1]:
            meaning = self._meaning(heard)
            if meaning is not None:
                yield meaning

    def _heard_alone(self) -> Meaning | None:
        """ "To please" is a two: homophones count only where nothing else is said."""
        polite = [w for w in self._said if Part.POLITE not in self._index.lexicon.phrases.get((w,), ())]
        if len(polite) == 1 and len(self._said) > 1 and polite[0] == self._said[0]:
            n = self._index.lexicon.heard_as.get(polite[0])
            if n in self._index.all and len(self._index.all) > 1:
                return Meaning("choose", n, firm=False, exact=False)
        return None

    def _steps(self, at: int, heard: Heard) -> Iterator[tuple[int, Heard]]:
        for end, part in self._parts[at]:
            step = STEPS.get(part)
            after = None if step is None else step(heard)
            if after is not None:
                yield end, after._replace(trails=part is Part.TRAILING, counts=False)
        for slot in self._slots[at]:
            after = zero(heard) if slot.kind == "zero" else narrow(heard, slot)
            if after is not None:
                counts = slot.kind == "key"
                exact = after.exact and slot.exact
                yield slot.end, after._replace(exact=exact, trails=False, counts=counts)

    def _meaning(self, heard: Heard) -> Meaning | None:
        """The meaning of a complete explanation. One that means nothing still disagrees with the others."""
        if heard.doubt or heard.trails or (heard.stage is Stage.THE_ONE and not heard.points):
            return _NOTHING
        match heard.stage:
            case Stage.REFUND:
                firm = heard.yes == 2 and not heard.hedged
                return Meaning("refund", None, firm=firm, exact=heard.exact)
            case Stage.CHOICE | Stage.TAIL:
                return self._choice(heard)
            case Stage.AGREED | Stage.POINT | Stage.START:
                return self._answer(heard)
            case _:
                return None

    def _choice(self, heard: Heard) -> Meaning:
        if heard.fits is None or len(heard.fits) != 1 or heard.none or heard.no:
            return _NOTHING
        if len(self._index.all) == 1 and (heard.hedged or not (heard.wanted or heard.yes)):
            # With one offer a choice is a yes: an echo of its name, or a hedge, is none.
            return _NOTHING
        firm = heard.yes == 2 and not heard.hedged
        return Meaning("choose", next(iter(heard.fits)), firm=firm, exact=heard.exact)

    def _answer(self, heard: Heard) -> Meaning | None:
        if heard.none or heard.no:
            refused = heard.stage is Stage.START and not heard.hedged
            return Meaning("decline", None, firm=False, exact=True) if refused else _NOTHING
        if heard.hedged:
            return _NOTHING
        if not heard.yes:
            # Politeness alone says nothing; a greeting, or "do it" alone, could be an answer to somebody else.
            return _NOTHING if heard.greeted else None
        if (heard.greeted or heard.oh) and heard.stage is not Stage.AGREED:
            return _NOTHING
        return Meaning("accept", None, firm=heard.yes == 2, exact=heard.exact)
