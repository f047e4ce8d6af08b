"""Utterance and options in, intent and option out, by three paths: opt-out, gate, classifier."""

from state.understand.classify import Model, shipped
from state.understand.cues import party
from state.understand.explain import commit, confirms, mentioned
from state.understand.lexicon import lexicon
from state.understand.optout import opts_out
from state.understand.records import COMMITS, Intent, Offer, Reading, unclear
from state.understand.words import SEARCH_CHARS_MAX, words

__all__ = ["COMMITS", "Intent", "Offer", "Reading", "confirms", "mentioned", "understand"]

# Below this lead the classifier is guessing, and a guess is asked again.
NAMED_MIN = 0.2
# From here on the classifier is not overruled by a turn of phrase.
_SURE = 0.6


def understand(
    text: str, offers: tuple[Offer, ...], locale: str = "en", *, model: Model | None = None
) -> Reading:
    """What a customer means by `text`, having been offered `offers`. `model` is the shipped one, if none is given.

    With one offer accept and choose are the same decision; with several a bare yes names none, and is unclear.
    A language without a lexicon can opt out, and is otherwise unclear. Any text of any length is answered.
    """
    if opts_out(text, locale):
        return Reading("optout", 0.95)
    spoken = lexicon(locale)
    if spoken is None:
        return unclear()
    committed = commit(text, offers, locale)
    if committed is not None and (committed.intent != "accept" or len(offers) < 2):
        return committed
    about = mentioned(text, offers, locale)
    intent, confidence = (model or shipped()).name(text)
    if intent == "decline" and not spoken.negations.intersection(words(text[:SEARCH_CHARS_MAX])):
        intent = "unclear"
    if intent == "unclear" and confidence < _SURE and party(text, locale) == "wrong_number":
        return Reading("wrong_person", 0.5, about=about)
    if confidence >= NAMED_MIN and intent != "unclear":
        return Reading(intent, confidence, about=about)
    if "?" in text:
        return Reading("question", 0.5, about=about)
    return Reading("unclear", confidence if intent == "unclear" else 0.0, about=about)
