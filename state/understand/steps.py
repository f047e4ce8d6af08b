"""The arrows of the gate: what each part of an answer makes of the words before it."""

from collections.abc import Callable
from enum import IntEnum
from typing import NamedTuple

from state.understand.lexicon import Part
from state.understand.slots import Numbers, Slot


class Stage(IntEnum):
    START = 0
    LEAD = 1  # "I'll have": a bare number could be a quantity
    PICK = 2  # "go for": a bare number is a key
    THE = 3
    THE_ONE = 4  # "the one", which needs what follows
    POINT = 5  # "that one", which needs a yes when it stands alone
    LINK = 6  # "from", which needs a name
    CHOICE = 7
    TAIL = 8  # after the choice: a second naming must agree with it
    AGREED = 9
    REFUND = 10


class Heard(NamedTuple):
    """What the words so far have said."""

    stage: Stage = Stage.START
    fits: Numbers | None = None
    yes: int = 0  # 1 weak, 2 firm
    no: bool = False
    none: bool = False
    never: bool = False
    hedged: bool = False
    greeted: bool = False
    oh: bool = False
    wanted: bool = False  # "I'll have", "please", a key: more than an echo of a name
    polite: bool = False
    bid: bool = False  # the lead was a bare imperative
    doubt: bool = False
    # What may follow "leave it" or "with a": there an ordinal is a date, and a shop is where somebody is.
    only: frozenset[str] | None = None
    points: bool = False
    trails: bool = False  # the last word was one after which more was to come
    counts: bool = False  # the last word was a bare number, which with a name behind it counts pieces
    exact: bool = True
    corrects: bool = False  # a lead took a no back: "no, I'll have the second"
    after_no: bool = False  # the word before was a bare no, which may negate the next


Step = Callable[[Heard], Heard | None]
_PLACES = frozenset({"place"})
_NAMES = frozenset({"place", "name"})
_CLOSED = (Stage.CHOICE, Stage.TAIL, Stage.AGREED, Stage.REFUND)


def _filler(heard: Heard) -> Heard | None:
    if heard.stage in (Stage.THE_ONE, Stage.LINK):
        return None
    return _closed(heard)


def _closed(heard: Heard) -> Heard:
    """After a choice, words that only surround it open its tail."""
    return heard._replace(stage=Stage.TAIL) if heard.stage is Stage.CHOICE else heard


def _polite(heard: Heard) -> Heard | None:
    if heard.stage in (Stage.THE, Stage.THE_ONE, Stage.LINK):
        return None
    after = _closed(heard)._replace(wanted=True, polite=True, after_no=False)
    return after._replace(yes=1) if after.stage is Stage.AGREED and not after.yes else after


def _greeting(heard: Heard) -> Heard | None:
    return heard._replace(greeted=True) if heard.stage is Stage.START else None


def _oh(heard: Heard) -> Heard | None:
    return heard._replace(oh=True) if heard.stage is Stage.START else None


def _agreeing(strength: int, *, agreed: bool = False) -> Step:
    def step(heard: Heard) -> Heard | None:
        if heard.stage in (Stage.LEAD, Stage.PICK, Stage.THE, Stage.THE_ONE, Stage.LINK):
            return None
        if heard.no or heard.none:
            # "No yes do it" and "neither is fine" are asked again.
            return None
        after = _closed(heard)._replace(yes=max(heard.yes, strength), after_no=False)
        if strength == 2:
            after = after._replace(oh=False)
        if agreed and heard.stage in (Stage.START, Stage.POINT):
            after = after._replace(stage=Stage.AGREED)
        return after

    return step


def _mild(heard: Heard) -> Heard | None:
    return _closed(heard) if heard.stage in (Stage.START, Stage.POINT, *_CLOSED) else None


def _tail(heard: Heard) -> Heard | None:
    if heard.stage is Stage.POINT:
        return heard._replace(stage=Stage.AGREED, yes=max(heard.yes, 1))
    if heard.stage in _CLOSED:
        after = heard._replace(wanted=True, yes=max(heard.yes, 1))
        return _closed(after)
    return None


def _hedge(heard: Heard) -> Heard | None:
    if heard.stage in (Stage.THE_ONE, Stage.LINK, Stage.THE):
        return None
    return _closed(heard)._replace(hedged=True)


def _no(heard: Heard) -> Heard | None:
    # A no after a choice, a yes or a lead takes them back in a way that nobody should guess at.
    if heard.stage is not Stage.START:
        return None
    # "Yeah nah" and both thumbs at once mean nothing that could be acted upon.
    return heard._replace(no=True, after_no=True, doubt=heard.doubt or heard.yes > 0)


def _refusing(*, of_what_follows: bool) -> Step:
    def step(heard: Heard) -> Heard | None:
        if heard.stage is not Stage.START or heard.yes:
            return None
        return heard._replace(none=True, after_no=of_what_follows)

    return step


def _never(heard: Heard) -> Heard | None:
    return (
        heard._replace(never=True, none=True, doubt=heard.doubt or heard.yes > 0)
        if heard.stage is Stage.START
        else None
    )


def _lead(stage: Stage, *, bid: bool = False, place: bool = False) -> Step:
    def step(heard: Heard) -> Heard | None:
        if heard.stage is not Stage.START or heard.none:
            return None
        # "No, I'll have the second" corrects; the no is spent.
        return heard._replace(
            stage=stage,
            wanted=True,
            no=False,
            corrects=heard.no,
            after_no=False,
            bid=bid,
            only=_PLACES if place else None,
        )

    return step


def _urge(heard: Heard) -> Heard | None:
    if heard.stage not in (Stage.START, Stage.AGREED) or heard.no or heard.none or heard.oh:
        return None
    return heard._replace(stage=Stage.AGREED, yes=max(heard.yes, int(heard.polite)), after_no=False)


def _it(heard: Heard) -> Heard | None:
    if heard.corrects or heard.only is not None:
        # "No, I'll take it" may refuse or agree; "I'll collect it" answers something else.
        return None
    if heard.stage in (Stage.LEAD, Stage.PICK) and not heard.none:
        # "Do it" may belong to anything; "I'll take it" takes the offer.
        says_so = heard.stage is Stage.LEAD and not heard.bid
        return heard._replace(stage=Stage.AGREED, yes=max(heard.yes, int(says_so or heard.polite)))
    if heard.stage is Stage.START and not (heard.no or heard.none):
        return heard._replace(stage=Stage.POINT)
    return None


def _the(heard: Heard) -> Heard | None:
    if heard.stage in (Stage.START, Stage.LEAD, Stage.PICK, Stage.LINK, Stage.TAIL, Stage.CHOICE):
        return heard._replace(stage=Stage.THE, points=False)
    return None


def _that(heard: Heard) -> Heard | None:
    after = _the(heard)
    return None if after is None else after._replace(points=True)


def _head(heard: Heard) -> Heard | None:
    if heard.stage is Stage.CHOICE:
        return heard
    if heard.stage is Stage.THE:
        return heard._replace(stage=Stage.THE_ONE)
    return None


def _link(heard: Heard) -> Heard | None:
    if heard.stage is Stage.START and not (heard.no or heard.none or heard.oh):
        return heard._replace(stage=Stage.LINK, only=_PLACES)
    if heard.stage in (Stage.LEAD, Stage.PICK, Stage.THE_ONE, Stage.CHOICE, Stage.LINK):
        return heard._replace(stage=Stage.LINK)
    return None


def _a(heard: Heard) -> Heard | None:
    placed = heard.stage is Stage.LEAD and heard.only is not None
    return heard._replace(only=heard.only or _NAMES) if placed or heard.stage is Stage.LINK else None


def _doubt(heard: Heard) -> Heard | None:
    return heard._replace(doubt=True)


def narrow(heard: Heard, slot: Slot) -> Heard | None:
    if (
        heard.stage in (Stage.AGREED, Stage.REFUND, Stage.POINT)
        or heard.none
        or (heard.oh and not heard.wanted)
    ):
        return None
    if heard.no:
        # "No the second" may refuse the second or correct to it.
        return None
    if heard.only is not None and slot.kind not in heard.only:
        return None
    if slot.kind == "extreme" and heard.stage is Stage.LEAD:
        # "Make it bigger" wishes for another size; "make it the bigger one" chooses.
        return None
    if heard.counts and slot.kind != "place":
        # "Two fusilli" and "two sizes bigger" are so many, and no key.
        return None
    key = slot.kind == "key"
    if key and heard.stage not in (Stage.START, Stage.PICK, Stage.TAIL):
        return None
    left = slot.fits if heard.fits is None else heard.fits & slot.fits
    if not left:
        return None
    return heard._replace(
        stage=Stage.TAIL if key else Stage.CHOICE,
        fits=left,
        only=None,
        wanted=heard.wanted or slot.kind in ("key", "keyed"),
    )


def zero(heard: Heard) -> Heard | None:
    if heard.stage in (Stage.START, Stage.PICK) and not (heard.no or heard.none or heard.oh):
        return heard._replace(stage=Stage.REFUND)
    return None


def _refund(heard: Heard) -> Heard | None:
    asked_for = heard.stage in (Stage.START, Stage.LEAD, Stage.PICK, Stage.THE) and heard.only is None
    # "No refund" refuses it, and "that refund" is one that somebody waits for.
    other = heard.after_no or heard.never or (heard.stage is Stage.THE and heard.points)
    return heard._replace(stage=Stage.REFUND) if asked_for and not other and heard.fits is None else None


def _refund_it(heard: Heard) -> Heard | None:
    if heard.stage is Stage.START and not heard.never:
        return heard._replace(stage=Stage.REFUND)
    return None


STEPS: dict[Part, Step] = {
    Part.FILLER: _filler,
    Part.TRAILING: _filler,
    Part.POLITE: _polite,
    Part.GREETING: _greeting,
    Part.YES: _agreeing(2),
    Part.WEAK_YES: _agreeing(1),
    Part.MILD: _mild,
    Part.OH: _oh,
    Part.AGREE: _agreeing(2, agreed=True),
    Part.URGE: _urge,
    Part.TAIL: _tail,
    Part.HEDGE: _hedge,
    Part.NO: _no,
    Part.NEVER: _never,
    Part.NONE: _refusing(of_what_follows=False),
    Part.REFUSE: _refusing(of_what_follows=True),
    Part.PICK: _lead(Stage.PICK),
    Part.TAKE: _lead(Stage.LEAD),
    Part.BID: _lead(Stage.LEAD, bid=True),
    Part.PLACE: _lead(Stage.LEAD, bid=True, place=True),
    Part.IT: _it,
    Part.THE: _the,
    Part.THAT: _that,
    Part.HEAD: _head,
    Part.A: _a,
    Part.DOUBT: _doubt,
    Part.LINK: _link,
    Part.REFUND: _refund,
    Part.REFUND_IT: _refund_it,
}
