"""What an utterance is heard against, and what it is taken to mean."""

from typing import Literal

import msgspec

Intent = Literal[
    "accept",
    "decline",
    "choose",
    "refund",
    "repeat",
    "question",
    "handoff",
    "optout",
    "wrong_person",
    "call_later",
    "machine",
    "unclear",
]

# These spend or return a customer's money, so only the explained path may name them.
COMMITS: frozenset[Intent] = frozenset({"accept", "choose", "refund"})

# What a customer would rather have: it re-ranks what may be offered, and never decides.
Wish = Literal["cheaper", "dearer", "bigger", "smaller", "other_brand", "more", "usual", "fewer"]

# What a question is about, as far as the dialogue can answer it.
Topic = Literal[
    "who", "machine", "scam", "why", "price", "allergens", "size", "options", "refund", "recording"
]

# Who is on the line, if not the customer.
Party = Literal["wrong_number", "absent", "household", "child", "relay"]


class Offer(msgspec.Struct, frozen=True):
    """One option as the customer was told it: key `n`, price in minor units, size as printed."""

    n: int
    name: str
    price_minor: int
    size: str = ""
    brand: str = ""


class Reading(msgspec.Struct, frozen=True, omit_defaults=True):
    """One meaning of an utterance.

    `option` is set only with `choose`. `confidence` is 0 to 1. `about` names the options that an uncommitted
    utterance mentions: enough to ask a narrower question, never enough to decide.
    """

    intent: Intent
    confidence: float
    option: int | None = None
    about: tuple[int, ...] = ()

    @property
    def commits(self) -> bool:
        return self.intent in COMMITS


def unclear(about: tuple[int, ...] = ()) -> Reading:
    return Reading("unclear", 0.0, about=about)
