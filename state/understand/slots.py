"""What each stretch of words can say about the options on offer: a key, a place, a name, a price, a size."""

import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from functools import lru_cache
from itertools import chain
from typing import NamedTuple

from rapidfuzz.distance import OSA

from state.understand.lexicon import Lexicon, lexicon
from state.understand.numbers import number_at, price_at, printed_size, printed_sizes, size_at
from state.understand.records import Offer
from state.understand.words import stem, typos, words

Numbers = frozenset[int]

_ORDINAL_ENDINGS = {("st",), ("nd",), ("rd",), ("th",)}
_SOUNDS = (("ph", "f"), ("gh", ""), ("ck", "k"), ("c", "k"), ("z", "s"))
_DETERMINERS = (("the",), ("a",), ("my",), ("our",))


class Slot(NamedTuple):
    """Words up to `end` that leave the offers `fits`. `kind` is its name in the grammar (`data/grammar_en.txt`)."""

    end: int
    kind: str
    fits: Numbers
    exact: bool = True


class Catalogue:
    """The offers of one line, indexed by what a customer may call them. Built once per set of offers."""

    def __init__(self, offers: tuple[Offer, ...], lexicon: Lexicon) -> None:
        self.lexicon = lexicon
        self.offers = offers
        self.all: Numbers = frozenset(o.n for o in offers)
        self.places = not any(o.price_minor or o.brand for o in offers)
        self.brands = {o.n: words(o.brand) for o in offers}
        self.names = {o.n: words(o.name) for o in offers}
        self.sizes = {o.n: printed_size(o.size, lexicon) for o in offers}
        self.printed = {o.n: printed_sizes(f"{o.name} {o.size}", lexicon) for o in offers}
        self.prices = {o.n: o.price_minor for o in offers}
        self.where = {n: self.lexicon.whereabouts.intersection(name) for n, name in self.names.items()}
        self.place_words = {word for name in self.names.values() for word in name}
        self.calls: dict[str, set[int]] = {}
        self.joined: list[tuple[str, int]] = []
        self.wholes: set[tuple[str, ...]] = set()
        self.phrases: dict[tuple[str, ...], set[int]] = {}
        for offer in offers:
            self._index(offer.n)
        self.mistyped: dict[str, set[int]] = {}
        for word, fits in self.calls.items():
            for typo in typos(word) if len(word) >= 5 else ():
                self.mistyped.setdefault(typo, set()).update(fits)
        self.called = self.calls.keys() | {w for phrase in self.phrases for w in phrase}
        self.longest = max(map(len, self.phrases), default=1)

    def _may_name(self, word: str) -> bool:
        """Whether a word of a name is no word of the language that decides: "Perfect" by itself is no brand."""
        spoken = self.lexicon.function_words | self.lexicon.grammar.vocabulary
        return word not in spoken and word.isalpha() and len(word) > 1

    def _index(self, n: int) -> None:
        brand, name = self.brands[n], self.names[n]
        for text in (brand, name):
            runs = tuple(self._negated(text))
            for start in range(len(text)):
                for end in range(start + 1, len(text) + 1):
                    part = text[start:end]
                    cut = any(0 < len(set(run) & set(range(start, end))) < len(run) for run in runs)
                    if cut or not any(map(self._may_name, part)):
                        continue
                    if len(part) > 1 or part == brand:
                        self.phrases.setdefault(tuple(map(stem, part)), set()).add(n)
                    elif part[0] not in brand:
                        # A word of a longer brand names nothing: "the corner" is no Corner Shop.
                        self.calls.setdefault(stem(part[0]), set()).add(n)
            self.wholes.add(tuple(map(stem, text)))
        if any(map(self._may_name, brand)):
            self.joined.append(("".join(brand), n))

    def _negated(self, text: tuple[str, ...]) -> Iterator[range]:
        """The stretches that count only whole: "sugar" must not name "No Added Sugar"."""
        for at, word in enumerate(text):
            if word == "free" and text[at + 1 : at + 2] != ("range",):
                yield range(max(0, at - 1), at + 1)
            elif word in self.lexicon.negators:
                yield range(at, min(len(text), at + 2 + (text[at + 1 : at + 2] == ("added",))))

    def calls_another(self, said: tuple[str, ...], chosen: int | None) -> bool:
        """Whether words that choose one offer are the brand of another: "number one", beside a brand of that name."""
        own = f" {' '.join(self.names.get(chosen or 0, ()) + self.brands.get(chosen or 0, ()))} "
        line = f" {' '.join(said)} "
        others = (f" {' '.join(brand)} " for n, brand in self.brands.items() if brand and n != chosen)
        return chosen is not None and any(brand in line and brand not in own for brand in others)

    def spelt(self, said: tuple[str, ...]) -> tuple[str, ...]:
        """The words with slips of the thumb mended, once for every reading of them; hesitations left out.

        A hesitation at the end stays: whoever ends on one has not ended.
        """
        known, thinking = self.lexicon.spelling, self.lexicon.hesitations
        heard = [w for w in said[:-1] if w not in thinking] + list(said[-1:])
        return tuple(w if stem(w) in self.called else known.get(w, w) for w in heard)

    def slots(self, said: tuple[str, ...], at: int) -> Iterator[Slot]:
        """Every slot that starts at a word and leaves an offer."""
        found = chain(
            self._numbered(said, at),
            self._in_order(said, at),
            self._measured(said, at),
            self._superlatives(said, at),
            self._placed(said, at) if self.places else self._named(said, at),
        )
        return (slot for slot in found if slot.fits)

    def _numbered(self, said: tuple[str, ...], at: int) -> Iterator[Slot]:
        for end, value in number_at(said, at, self.lexicon):
            yield Slot(end, "KEY", frozenset(n for n in self.all if n == value))
        if at > 0:
            yield Slot(at + 1, "HEARD", self.all & {self.lexicon.heard_as.get(said[at], 0)}, exact=False)

    def _in_order(self, said: tuple[str, ...], at: int) -> Iterator[Slot]:
        place = self.lexicon.ordinals.get(said[at])
        end = at + 1
        if place is None and said[at].isdecimal() and said[end : end + 1] in _ORDINAL_ENDINGS:
            place, end = int(said[at][:4]), at + 2
        order = [o.n for o in self.offers]
        if place == 0:
            # The middle is one only among three.
            yield Slot(end, "ORDINAL", frozenset(order[1:2]) if len(order) == 3 else frozenset())
        elif place == -1:
            yield Slot(end, "ORDINAL", frozenset(order[-1:]) if len(order) > 1 else frozenset())
        elif place is not None:
            fits = frozenset(order[place - 1 : place])
            yield Slot(end, "ORDINAL", fits)
            if said[at] not in self.lexicon.exclaimed:
                yield Slot(end, "WORD", fits)
            if end == at + 2:
                # "2nd", typed, is a key; a spoken "second" may begin a sentence.
                yield Slot(end, "KEY", fits)

    def _measured(self, said: tuple[str, ...], at: int) -> Iterator[Slot]:
        for end, minor in price_at(said, at, self.lexicon):
            yield Slot(end, "PRICE", frozenset(n for n, price in self.prices.items() if price == minor > 0))
        for end, size in size_at(said, at, self.lexicon):
            if size[0] != "count" or said[at] in self.lexicon.packs or said[end - 1] in self.lexicon.packs:
                fits = frozenset(n for n, own in self.printed.items() if size in own)
                yield Slot(end, "SIZE", fits)
                # Typed as it is printed; who says so many grams may weigh anything.
                if size[0] == "share" or (said[at].isdecimal() and size[0] in {"mass", "volume"}):
                    yield Slot(end, "WORD", fits)
        for end, amount in number_at(said, at, self.lexicon):
            if amount >= 100:
                fits = frozenset(n for n, own in self.sizes.items() if own and own[1] == amount)
                yield Slot(end, "AMOUNT", fits)
            if amount >= 4 and amount not in self.all:
                yield Slot(
                    end, "COUNT", frozenset(n for n, own in self.printed.items() if ("count", amount) in own)
                )

    def _superlatives(self, said: tuple[str, ...], at: int) -> Iterator[Slot]:
        for length in (2, 1):
            found = self.lexicon.extremes.get(" ".join(said[at : at + length]))
            if found and len(said) >= at + length:
                yield Slot(at + length, "MORE" if found[1] else "MOST", self._extreme(*found))
        if said[at] in self.lexicon.sizable:
            yield Slot(at + 1, "SIZABLE", self._extreme(self.lexicon.sizable[said[at]], comparative=False))

    def _extreme(self, measure: str, comparative: bool) -> Numbers:
        """The offer at one end; "cheaper" of two."""
        values: dict[int, Decimal] = {}
        if measure.startswith("price"):
            values = {n: Decimal(price) for n, price in self.prices.items()}
        elif len({own[0] for own in self.sizes.values() if own}) == 1 and all(self.sizes.values()):
            values = {n: own[1] for n, own in self.sizes.items() if own}
        if len(values) < 2 or (comparative and len(values) > 2):
            return frozenset()
        sign = 1 if measure.endswith("+") else -1
        best = max(sign * v for v in values.values())
        fits = frozenset(n for n, v in values.items() if sign * v == best)
        return fits if len(fits) == 1 else frozenset()

    def _placed(self, said: tuple[str, ...], at: int) -> Iterator[Slot]:
        """Where or when, with its preposition: "in the bin" is not behind it, and "on Saturday" is Saturday."""
        where = said[at] if said[at] in self.lexicon.whereabouts else ""
        start = at + bool(where)
        start += said[start : start + 1] in (_DETERMINERS if where else _DETERMINERS[:1])
        for end in range(start + 1, min(start + 4, len(said)) + 1):
            kind, meant = self.lexicon.at_the_door.get(" ".join(said[start:end]), ("", ""))
            if kind:
                yield Slot(
                    end, kind, self._there(where, (n for n, name in self.names.items() if meant in name))
                )
        for slot in self._named(said, start) if start < len(said) else ():
            if slot.kind == "NAME" and all(word in self.place_words for word in said[start : slot.end]):
                yield slot._replace(kind="PLACE", fits=self._there(where, slot.fits))

    def _there(self, where: str, numbers: Iterable[int]) -> Numbers:
        """Those of the offers whose place has the preposition that was said, if one was."""
        return frozenset(n for n in numbers if not where or where in (self.where[n] or {"on"}))

    def _named(self, said: tuple[str, ...], at: int) -> Iterator[Slot]:
        for length in range(min(self.longest, len(said) - at), 0, -1):
            phrase = tuple(map(stem, said[at : at + length]))
            if phrase in self.phrases:
                fits = frozenset(self.phrases[phrase])
                yield Slot(at + length, "BRAND" if phrase in self.wholes else "PHRASE", fits)
                yield Slot(at + length, "NAME", fits)
        word = stem(said[at])
        if word in self.calls:
            yield from self._called(word, Slot(at + 1, "NAME", frozenset(self.calls[word])))
        elif self._may_name(said[at]):
            near = self.mistyped.get(word) or self._sounding(word)
            yield from self._called(word, Slot(at + 1, "NAME", frozenset(near), exact=False))
            # A recogniser writes one word as two: "sour dough".
            halves = stem("".join(said[at : at + 2]))
            if len(said) > at + 1 and halves in self.calls:
                yield from self._called(
                    halves, Slot(at + 2, "NAME", frozenset(self.calls[halves]), exact=False)
                )
            yield from self._misheard(said, at)

    def _called(self, word: str, slot: Slot) -> Iterator[Slot]:
        """A word of a name, and by itself a phrase unless people exclaim it: "everyday" is no answer."""
        yield slot
        if word not in self.lexicon.exclaimed:
            yield slot._replace(kind="WORD")

    def _sounding(self, word: str) -> set[int]:
        """The offers that have a long word which was nearly said: "margarita"."""
        return {
            n
            for call, fits in self.calls.items()
            if len(call) >= 8 and len(word) >= 8 and _sounds_like(word, call)
            for n in fits
        }

    def _misheard(self, said: tuple[str, ...], at: int) -> Iterator[Slot]:
        """A brand that was nearly said, or in more words or fewer: "claud soft", "bakersrow".

        Descriptive words are never guessed: almond is no salmon.
        """
        for end in range(at + 1, min(at + 3, len(said)) + 1):
            if not self._may_name(said[end - 1]):
                return
            run, later = "".join(said[at:end]), "".join(said[at + 1 : end])
            near = [(brand, n) for brand, n in self.joined if _sounds_like(run, brand)]
            if near:
                # A word more, before or behind, is a word of its own: "ew bakersrow", "bakersrow eh".
                if len(near) == 1 and not _sounds_like(later, near[0][0]):
                    yield Slot(end, "BRAND", frozenset({near[0][1]}), exact=False)
                return


def _sounds_like(run: str, brand: str) -> bool:
    """Whether a run of letters is a brand with its vowels misheard, or with a slip of the thumb.

    Another consonant makes another brand: "Southfield" is no Northfield, "Redmill" no Redhill.
    """
    shorter = min(len(run), len(brand))
    if shorter < 5 or OSA.distance(run, brand, score_cutoff=2) > (2 if shorter >= 8 else 1):
        return False
    return _heard(run) == _heard(brand) or run in typos(brand)


def _heard(run: str) -> str:
    """What is left of a word without the vowels that are easily misheard, and with one letter for each sound.

    In a short word the first vowel stays, since it is stressed: "puppy" is no Poppy.
    """
    for letters, sound in _SOUNDS:
        run = run.replace(letters, sound)
    vowel = re.search("[aeiouy]", run)
    kept = vowel.end() if vowel and len(run) < 8 else 1
    return run[:kept] + re.sub(r"[aeiouyhw]|(.)(?=\1)", "", run[kept:])


@lru_cache(maxsize=1024)
def catalogue(offers: tuple[Offer, ...], lexicon_locale: str) -> Catalogue:
    """The index of a set of offers, kept for the turns that follow."""
    found = lexicon(lexicon_locale)
    if found is None:
        raise LookupError(f"No lexicon for {lexicon_locale!r}.")
    return Catalogue(offers, found)
