"""Whoever wants no more contact is believed, however it is put."""

from pathlib import Path

import pytest

from state.understand import understand
from state.understand.optout import opts_out
from tests.understand.speech import BREAD

CONTACTS = (
    "calling",
    "ringing",
    "phoning",
    "texting",
    "messaging",
    "contacting",
    "bothering",
    "harassing",
    "emailing",
    "pestering",
)
SENTENCES = (
    *(f"stop {c} me" for c in CONTACTS),
    *(f"please stop {c} us" for c in CONTACTS),
    *(f"quit {c} this number" for c in CONTACTS),
    *(f"i want you to stop {c} me" for c in CONTACTS),
    *(f"will you stop {c} me please" for c in CONTACTS),
    *(f"{w} {c} me again" for w in ("don't", "do not", "never", "please don't ever") for c in ("call", "ring", "phone", "text", "contact", "message")),
    *(f"no more {c}" for c in ("calls", "texts", "messages", "phone calls", "emails")),
    *(f"i don't want {c}" for c in ("any more calls", "these texts", "to be called", "to be contacted", "your messages", "any phone calls from you")),
    *(f"{w} my number" for w in ("remove", "delete", "lose", "forget", "erase")),
    *(f"take me off {w}" for w in ("your list", "the list", "your calling list", "this")),
    "remove me from your database", "take this number off your system", "unsubscribe me", "i want to unsubscribe", "opt me out",
    "i'd like to opt out please", "i opt out", "leave me alone", "leave us in peace", "put me on your do not call list",
    "i never want to hear from you again", "i withdraw my consent", "i'm sick of these calls", "you're not allowed to call me, stop it",
    "2 and stop texting me", "yes but stop calling me after this", "the second one and never call again", "okay stop", "stp calling me", "unsubcribe",
    "stop", "STOP", "Stop.", "stopall", "UNSUBSCRIBE", "cancel", "end", "quit", "revoke", "optout", "stop it", "please stop", "stop all messages",
)  # fmt: skip
NOT_OPTING_OUT = (
    "stop by the house tomorrow", "don't stop", "don't call me now call after six", "don't call me before nine", "you never called me back",
    "i never got a text", "can i call you back", "call me later", "text me the link", "the bus stop is opposite", "is there a stop on my order",
    "don't ring the driver", "i don't want it", "leave it in the porch", "end of the street", "cancel it", "quit it with the swaps then ok",
    "the second one please", "don't forget to call me", "i haven't had a message", "just one call from the driver please",
)  # fmt: skip


def test_hardly_any_opt_out_is_missed():
    missed = [text for text in SENTENCES if understand(text, BREAD).intent != "optout"]
    assert len(missed) / len(SENTENCES) <= 0.02, missed


@pytest.mark.parametrize("text", NOT_OPTING_OUT)
def test_what_only_sounds_like_it_is_none(text):
    assert not opts_out(text)


def test_further_ways_of_putting_it_are_heard_and_their_neighbours_are_not():
    lines = (Path(__file__).parent / "data" / "opt_outs.txt").read_text().splitlines()[1:]
    told = [line.split("\t") for line in lines]
    missed = [text for meant, text in told if meant == "yes" and not opts_out(text)]
    false = [text for meant, text in told if meant == "no" and opts_out(text)]
    assert false == []
    assert missed == []


def test_opting_out_works_in_a_language_without_a_lexicon():
    assert understand("STOP", BREAD, "fr").intent == "optout"
