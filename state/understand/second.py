"""What a second understanding may propose, and how little of it is taken: it asks better, it never decides."""

import msgspec

from state.understand import COMMITS, Intent, Offer, Reading

# The key of the refund: a proposal to refund becomes the question whether to refund.
REFUND_KEY = 0
PROPOSAL_BYTES_MAX = 16_384


class AskedOption(msgspec.Struct, frozen=True):
    n: int
    name: str
    price_minor: int
    size: str
    brand: str


class Asked(msgspec.Struct, frozen=True):
    """The request: an utterance and what was offered; nothing about the customer. `version` names this schema."""

    text: str
    locale: str
    options: tuple[AskedOption, ...]
    version: int = 1


class Proposal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The answer. Nothing else is read, whatever else is sent."""

    intent: Intent
    confidence: float
    option: int | None = None


_proposal = msgspec.json.Decoder(Proposal).decode


class Unusable(ValueError):
    """The other side answered something that is no proposal."""


def asked(text: str, offers: tuple[Offer, ...], locale: str) -> Asked:
    options = tuple(AskedOption(o.n, o.name, o.price_minor, o.size, o.brand) for o in offers)
    return Asked(text[:1_000], locale, options)


def proposal(body: bytes, offers: tuple[Offer, ...]) -> Proposal:
    """The proposal in an answer, or `Unusable` naming what is wrong with it."""
    if len(body) > PROPOSAL_BYTES_MAX:
        raise Unusable(f"{len(body)} bytes are no proposal")
    try:
        found = _proposal(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        raise Unusable(str(fault)) from fault
    if not 0 <= found.confidence <= 1:
        raise Unusable("confidence is not between 0 and 1")
    if (found.intent == "choose") != (found.option is not None):
        raise Unusable("an option comes with choose, and only with it")
    if found.option is not None and found.option not in {o.n for o in offers}:
        raise Unusable("the option was not offered")
    return found


def wants_second(reading: Reading) -> bool:
    """Whether a second opinion is worth its time: only where the first hears nothing it could act upon."""
    return reading.intent == "unclear" and not reading.about


def disposed(first: Reading, second: Proposal | None) -> Reading:
    """The reading that the dialogue acts upon.

    What the first path decided stands. A proposed choice or refund is only what the next question is about: it
    still needs its readback and an explicit yes, which the gate alone can hear. A proposed yes is nothing.
    """
    if second is None or not wants_second(first):
        return first
    if second.intent == "choose" and second.option is not None:
        return Reading("unclear", first.confidence, about=(second.option,))
    if second.intent == "refund":
        return Reading("unclear", first.confidence, about=(REFUND_KEY,))
    if second.intent in COMMITS:
        return first
    return Reading(second.intent, second.confidence)
