"""Hears that somebody wants no more contact; errs towards believing it."""

from state.understand.lexicon import lexicon
from state.understand.words import SEARCH_CHARS_MAX, words

_TAIL_CHARS = 600


def opts_out(text: str, locale: str = "en") -> bool:
    """Whether a text revokes consent: a keyword alone, or a sentence to that effect anywhere in it.

    A longer text is searched at its beginning and its end, so that the time is bounded.
    """
    spoken = lexicon(locale) or lexicon("en")
    if spoken is None:
        raise LookupError("The lexicon of English is missing.")
    if len(text) > SEARCH_CHARS_MAX:
        text = f"{text[: SEARCH_CHARS_MAX - _TAIL_CHARS]} {text[-_TAIL_CHARS:]}"
    said = words(text)
    if len(said) == 1 and said[0] in spoken.opt_out_words:
        return True
    line = " ".join(said)
    for exception in spoken.opt_out_exceptions:
        line = exception.sub(" ", line)
    line = " ".join(line.split())
    return any(pattern.search(line) for pattern in spoken.opt_out_patterns)
