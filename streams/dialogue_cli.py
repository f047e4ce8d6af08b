"""`saveline dialogue`: draws the law of a call, and lets a person type to the agent."""

import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
from cyclopts import App

from state.dialogue.diagram import document
from state.dialogue.events import Answered, AnyHeard, Hangup, Keys, Silence, Utterance
from state.dialogue.hear import hear
from state.dialogue.sample import sample_call
from state.dialogue.script import ENGLISH
from state.dialogue.session import Session, started

app = App(name="dialogue", help="The voice agent's state diagram.")

_PAGE = Path(__file__).resolve().parents[1] / "docs" / "dialogue.md"


@app.command
def diagram(*, check: bool = False) -> int:
    """Write docs/dialogue.md from the law of the call; with --check only say whether it is current."""
    drawn = document()
    if not check:
        _PAGE.write_text(drawn)
        return 0
    if _PAGE.exists() and _PAGE.read_text() == drawn:
        return 0
    sys.stderr.write("docs/dialogue.md is not what the law says: run 'saveline dialogue diagram'.\n")
    return 1


@app.command
def talk(*, session: Path | None = None) -> int:
    """Type to the agent: a sentence, keys as digits, an empty line for silence, end of input to hang up.

    `session` is a JSON file of a `Session`; without it a sample order is talked about.
    """
    call = sample_call() if session is None else msgspec.json.decode(session.read_bytes(), type=Session)
    call = started(call)
    for event in _typed():
        call, say = hear(call, event, ENGLISH)
        if say.text:
            sys.stdout.write(f"\n  {say.text}\n")
        for outcome in say.outcomes:
            sys.stdout.write(f"  [{msgspec.json.encode(outcome).decode()}]\n")
        if say.ending:
            sys.stdout.write(f"  ({say.ending.replace('_', ' ')})\n")
            return 0
        sys.stdout.write("> ")
        sys.stdout.flush()
    return 0


def _typed() -> Iterator[AnyHeard]:
    yield Answered()
    for line in sys.stdin:
        said = line.strip()
        if not said:
            yield Silence()
        elif set(said) <= set("0123456789*#"):
            yield Keys(said)
        else:
            yield Utterance(said)
    yield Hangup()
