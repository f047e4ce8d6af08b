"""What each stretch of words can say about the options on offer: a key, a place, a name, a price, a size."""

from collections.abc import Iterator
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

from rapidfuzz.distance import OSA

from state.understand.lexicon import Lexicon, Part, lexicon
from state.understand.numbers import number_at, price_at, printed_size, size_at
from state.understand.records import Offer
from state.understand.words import stem, typos, words

Numbers = frozenset[int]


class Slot(NamedTuple):
    """Words up to `end` that leave the offers `fits`.

    `kind`: name, place (a name of what has no price), ordinal, measure, extreme, key (a bare number), keyed
    ("number two"), zero.
    """

    end: int
    kind: str
    fits: Numbers
    exact: bool = True
    branded: bool = False


class Catalogue:
    """The offers of one line, indexed by what a customer may call them. Built once per set of offers."""

    def __init__(self, offers: tuple[Offer, ...], lexicon: Lexicon) -> None:
        self.lexicon = lexicon
        self.offers = offers
        self.all: Numbers = frozenset(o.n for o in offers)
        self.name_kind = "name" if any(o.price_minor or o.brand for o in offers) else "place"
        self.brands = {o.n: words(o.brand) for o in offers}
        self.names = {o.n: words(o.name) for o in offers}
        self.sizes = {o.n: printed_size(o.size, lexicon) for o in offers}
        self.prices = {o.n: o.price_minor for o in offers}
        self.calls: dict[str, set[int]] = {}
        self.joined: dict[str, set[int]] = {}
        self.phrases: dict[tuple[str, ...], set[int]] = {}
        for offer in offers:
            self._index(offer.n)
        self.brand_words = {
            stem(w) for brand in self.brands.values() for w in brand if self._may_name(w)
        } & self.calls.keys()
        self.mistyped: dict[str, set[int]] = {}
        for word, fits in self.calls.items():
            for typo in typos(word) if len(word) >= 5 else ():
                self.mistyped.setdefault(typo, set()).update(fits)
        self.longest = max(map(len, self.phrases), default=1)

    def _may_name(self, word: str) -> bool:
        return word not in self.lexicon.function_words and word.isalpha() and len(word) > 1

    def _index(self, n: int) -> None:
        brand, name = self.brands[n], self.names[n]
        for text in (brand, name):
            runs = tuple(self._negated(text))
            for at, word in enumerate(text):
                if self._may_name(word) and not any(at in run for run in runs):
                    self.calls.setdefault(stem(word), set()).add(n)
            for start in range(len(text)):
                for end in range(start + 2, len(text) + 1):
                    part = text[start:end]
                    cut = any(0 < len(set(run) & set(range(start, end))) < len(run) for run in runs)
                    if not cut and (part == brand or any(map(self._may_name, part))):
                        self.phrases.setdefault(part, set()).add(n)
        self._index_joined(n)

    def _index_joined(self, n: int) -> None:
        """Names that recognisers part or run together: "cloud soft", "bakersrow"."""
        brand = self.brands[n]
        if brand:
            self.phrases.setdefault(brand, set()).add(n)
            if len("".join(brand)) >= 5:
                self.joined.setdefault("".join(brand), set()).add(n)
        for word in self.names[n]:
            if stem(word) in self.calls and len(word) >= 6:
                self.joined.setdefault(word, set()).add(n)

    def _negated(self, text: tuple[str, ...]) -> Iterator[range]:
        """The stretches that count only whole: "sugar" must not name "No Added Sugar"."""
        for at, word in enumerate(text):
            if word == "free":
                yield range(max(0, at - 1), at + 1)
            elif word in self.lexicon.negators:
                yield range(at, min(len(text), at + 2 + (text[at + 1 : at + 2] == ("added",))))

    def spelt(self, said: tuple[str, ...]) -> tuple[str, ...]:
        """The words with slips of the thumb mended, once for every reading of them."""
        known = self.lexicon.spelling
        return tuple(w if stem(w) in self.calls else known.get(w, w) for w in said)

    def slots(self, said: tuple[str, ...], at: int) -> Iterator[Slot]:
        """Every slot that starts at a word."""
        yield from self._numbered(said, at)
        yield from self._placed(said, at)
        yield from self._priced(said, at)
        yield from self._sized(said, at)
        yield from self._superlatives(said, at)
        elsewhere = self._elsewhere(said, at)
        for slot in self._named(said, at):
            if not slot.fits <= elsewhere:
                yield slot._replace(fits=slot.fits - elsewhere)

    def _numbered(self, said: tuple[str, ...], at: int) -> Iterator[Slot]:
        for end, value in number_at(said, at, self.lexicon):
            if value == 0:
                # A spoken "zero" may be the end of another number; the key is named or typed.
                if said[at] == "0":
                    yield Slot(end, "zero", frozenset())
            elif value == int(value) and value < 100:
                yield Slot(end, "key", self.all & {int(value)})
        for length in (2, 1):
            phrase = said[at : at + length]
            if len(phrase) == length and Part.KEY in self.lexicon.phrases.get(phrase, ()):
                yield from self._keyed(said, at + length)

    def _keyed(self, said: tuple[str, ...], at: int) -> Iterator[Slot]:
        if at >= len(said):
            return
        heard = self.lexicon.heard_as.get(said[at])
        if heard in self.all and at + 1 == len(said):
            yield Slot(at + 1, "keyed", frozenset({heard}), exact=False)
        for end, value in number_at(said, at, self.lexicon):
            if value == 0:
                yield Slot(end, "zero", frozenset())
            else:
                yield Slot(end, "keyed", frozenset(n for n in self.all if n == value))

    def _placed(self, said: tuple[str, ...], at: int) -> Iterator[Slot]:
        place = self.lexicon.ordinals.get(said[at])
        end = at + 1
        if (
            place is None
            and said[at].isdigit()
            and said[at + 1 : at + 2] in {("st",), ("nd",), ("rd",), ("th",)}
        ):
            place, end = int(said[at]) if 0 < len(said[at].lstrip("0")) < 3 else 99, at + 2
        if place is None:
            return
        order = [o.n for o in self.offers]
        if place == 0:
            # The middle is one only among three.
            yield Slot(end, "ordinal", frozenset(order[1:2]) if len(order) == 3 else frozenset())
        elif place == -1:
            yield Slot(end, "ordinal", frozenset(order[-1:]) if len(order) > 1 else frozenset())
        else:
            yield Slot(end, "ordinal", frozenset(order[place - 1 : place]))

    def _priced(self, said: tuple[str, ...], at: int) -> Iterator[Slot]:
        for end, minor in price_at(said, at, self.lexicon):
            fits = frozenset(n for n, price in self.prices.items() if price == minor and price > 0)
            if fits:
                yield Slot(end, "measure", fits)

    def _sized(self, said: tuple[str, ...], at: int) -> Iterator[Slot]:
        for end, size in size_at(said, at, self.lexicon):
            fits = frozenset(n for n, own in self.sizes.items() if own == size)
            if fits:
                yield Slot(end, "measure", fits)
        for end, amount in number_at(said, at, self.lexicon):
            # "the 500 one": without a unit only where no price, count or key could be meant.
            fits = frozenset(n for n, own in self.sizes.items() if own and own[1] == amount)
            if fits and amount >= 100:
                yield Slot(end, "measure", fits)

    def _superlatives(self, said: tuple[str, ...], at: int) -> Iterator[Slot]:
        for length in (2, 1):
            found = self.lexicon.extremes.get(" ".join(said[at : at + length]))
            if found and len(said) >= at + length:
                yield Slot(at + length, "extreme", self._extreme(*found))

        if (
            at
            and said[at] in self.lexicon.sizable
            and Part.THE in self.lexicon.phrases.get(said[at - 1 : at], ())
        ):
            yield Slot(at + 1, "extreme", self._extreme(self.lexicon.sizable[said[at]], comparative=False))

    def _extreme(self, measure: str, comparative: bool) -> Numbers:
        """The offer at one end. A comparative among three counts only if one alone beats the first."""
        values: dict[int, Decimal] = {}
        if measure.startswith("price"):
            values = {n: Decimal(price) for n, price in self.prices.items()}
        elif len({own[0] for own in self.sizes.values() if own}) == 1 and all(self.sizes.values()):
            values = {n: own[1] for n, own in self.sizes.items() if own}
        if len(values) < 2:
            return frozenset()
        sign = 1 if measure.endswith("+") else -1
        best = max(sign * v for v in values.values())
        fits = frozenset(n for n, v in values.items() if sign * v == best)
        if comparative and len(values) > 2:
            first = sign * values[self.offers[0].n]
            if sum(sign * v > first for v in values.values()) != 1:
                return frozenset()
        return fits if len(fits) == 1 else frozenset()

    def _elsewhere(self, said: tuple[str, ...], at: int) -> Numbers:
        """The places that are not meant by how they are said: "in the bin" is not behind it."""
        if self.name_kind != "place":
            return frozenset()
        while at and self._is(said[at - 1], Part.THE, Part.A):
            at -= 1
        where = said[at - 1] if at else ""
        if where not in self.lexicon.whereabouts:
            return frozenset()
        own = {n: self.lexicon.whereabouts.intersection(name) for n, name in self.names.items()}
        return frozenset(n for n in own if own[n] and where not in own[n])

    def _is(self, word: str, *parts: Part) -> bool:
        return not self.lexicon.phrases.get((word,), frozenset()).isdisjoint(parts)

    def _named(self, said: tuple[str, ...], at: int) -> Iterator[Slot]:
        for length in range(min(self.longest, len(said) - at), 0, -1):
            phrase = said[at : at + length]
            if phrase in self.phrases:
                branded = any(phrase == brand for brand in self.brands.values())
                yield Slot(at + length, self.name_kind, frozenset(self.phrases[phrase]), branded=branded)
        word = stem(said[at])
        if word in self.calls:
            if self._may_name(said[at]):
                yield Slot(
                    at + 1, self.name_kind, frozenset(self.calls[word]), branded=word in self.brand_words
                )
            return
        for length in (1, 2, 3):
            run = "".join(said[at : at + length])
            if run in self.joined and len(said) >= at + length:
                yield Slot(
                    at + length, self.name_kind, frozenset(self.joined[run]), exact=False, branded=True
                )
        if (said[at],) in self.lexicon.phrases or not said[at].isalpha():
            return
        if word in self.mistyped:
            yield Slot(at + 1, self.name_kind, frozenset(self.mistyped[word]), exact=False)
        elif len(word) >= 5:
            yield from self._misheard(word, at)

    def _misheard(self, word: str, at: int) -> Iterator[Slot]:
        """A brand that was nearly said. Descriptive words are never guessed: almond is no salmon."""
        near = [
            brand
            for brand in self.brand_words
            if len(brand) >= 5
            and OSA.distance(word, brand, score_cutoff=2) <= (2 if min(len(brand), len(word)) >= 8 else 1)
        ]
        if len(near) == 1:
            yield Slot(at + 1, self.name_kind, frozenset(self.calls[near[0]]), exact=False, branded=True)


@lru_cache(maxsize=1024)
def catalogue(offers: tuple[Offer, ...], lexicon_locale: str) -> Catalogue:
    """The index of a set of offers, kept for the turns that follow."""
    found = lexicon(lexicon_locale)
    if found is None:
        raise LookupError(f"No lexicon for {lexicon_locale!r}.")
    return Catalogue(offers, found)
