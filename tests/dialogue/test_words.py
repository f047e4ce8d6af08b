"""The words of a call are whole before any is spoken, and the drawn law is the law."""

import subprocess
import sys
from pathlib import Path

import pytest

from state.dialogue.diagram import document
from state.dialogue.moves import MOVES, Cause
from state.dialogue.script import ENGLISH, PROMPTS, faults, script

PAGE = Path(__file__).parents[2] / "docs" / "dialogue.md"


def test_the_english_words_are_whole():
    assert faults(ENGLISH.texts) == []


def test_every_fault_of_a_script_is_named_at_once():
    texts = {
        **ENGLISH.texts,
        "noted": " ",
        "closing": "Bye {customer}",
        "readback": "Yes?",
        "unheard_of": "x",
        "goodbye": "Bye {retailer",
    }
    del texts["greeting"]
    found = "; ".join(faults(texts))
    assert "greeting: is missing" in found
    assert "noted: is missing" in found
    assert "closing: unknown placeholder {customer}" in found
    assert "readback: does not name {total}" in found
    assert "unheard_of: no call says this" in found
    assert "goodbye: a brace is not closed" in found
    with pytest.raises(ValueError, match="greeting: is missing"):
        script("en-GB", "2", texts)


@pytest.mark.parametrize("key", ["greeting", "greeting_unnamed", "incoming"])
def test_no_script_can_leave_out_who_calls_or_that_it_records(key):
    assert {"retailer", "recording"} <= PROMPTS[key].must


def test_what_speaks_to_machines_can_name_nothing_of_the_order():
    assert PROMPTS["voicemail"].may == {"retailer"}
    assert PROMPTS["screener"].may == {"retailer"}


def test_the_drawn_law_is_current():
    assert PAGE.read_text() == document()


def test_the_drawing_shows_every_cause_that_moves():
    drawn = document()
    assert all(cause in drawn for _, cause in MOVES if cause is not Cause.STAY)


def test_the_command_says_when_the_drawing_is_old():
    run = [sys.executable, "-c", "from streams.cli import main; main()", "dialogue", "diagram", "--check"]
    assert subprocess.run(run, capture_output=True, timeout=60, check=False).returncode == 0
