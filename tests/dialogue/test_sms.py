"""Answers by text: keywords first, keys for one line, letters for several, sentences like a call's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.dialogue.sms import OpenLine, Pick, read
from tests.understand.speech import BREAD, ROLLS

ONE = (OpenLine("x1", "", BREAD),)
TWO = (OpenLine("x1", "A", BREAD), OpenLine("x2", "B", ROLLS))


@pytest.mark.parametrize("text", ["1", " 1 ", "1.", "1 pls", "1 thanks", "1!", "1 x"])
def test_a_bare_key_for_one_line_is_the_explicit_yes(text):
    assert read(text, ONE).picks == (Pick("x1", 1, explicit=True),)


def test_0_is_the_refund():
    assert read("0", ONE).picks == (Pick("x1", 0, explicit=True),)


@pytest.mark.parametrize(
    "text", ["A1 B0", "a1 b0", "a1,b0", "A 1 B 0", "A=1; B=0", "A1 and B0 please", "b0 a1", "A1B0"]
)
def test_several_lines_are_answered_by_their_letters(text):
    found = read(text, TWO)
    assert found.kind == "picks"
    assert set(found.picks) == {Pick("x1", 1, explicit=True), Pick("x2", 0, explicit=True)}


def test_one_of_several_lines_can_be_answered_alone():
    assert read("B3", TWO).picks == (Pick("x2", 3, explicit=True),)


@pytest.mark.parametrize(
    "text", ["1", "0", "yes", "the second one", "refund", "A1 A2", "C1", "A9", "A1 B9", "1 2", "A", "yes A"]
)
def test_what_does_not_say_which_line_is_asked_again(text):
    assert read(text, TWO).kind == "again"


@pytest.mark.parametrize("text", ["3", "9", "yes", "ok", "maybe", "12"])
def test_what_names_no_option_of_the_only_line_is_asked_again(text):
    assert read(text, ONE).kind == "again"


def test_a_sentence_is_understood_but_not_explicit():
    assert read("the cheaper one please", ONE).picks == (Pick("x1", 2, explicit=False),)
    assert read("just refund me", ONE).picks == (Pick("x1", 0, explicit=False),)


@pytest.mark.parametrize(
    "text",
    [
        "STOP",
        "stop",
        "Stop.",
        "UNSUBSCRIBE",
        "cancel",
        "END",
        "quit",
        "1 and stop texting me",
        "A1 B0 stop messaging me",
    ],
)
def test_an_opt_out_comes_first(text):
    assert read(text, TWO).kind == "optout"
    assert read(text, ONE).kind == "optout"


def test_yes_opts_in_only_while_opted_out():
    assert read("YES", ONE, opted_out=True).kind == "optin"
    assert read("YES", ONE).kind == "again"
    assert read("START", ONE).kind == "optin"
    assert read("HELP", ONE).kind == "help"


def test_a_refund_that_is_not_allowed_is_asked_again():
    line = (OpenLine("x1", "", BREAD, refund_allowed=False),)
    assert read("0", line).kind == "again"
    assert read("refund please", line).kind == "again"


def test_questions_and_persons_are_passed_on():
    assert read("is the second one vegan?", ONE).reading.intent == "question"
    assert read("let me talk to a person", ONE).reading.intent == "handoff"


@given(st.text(max_size=300), st.sampled_from([ONE, TWO, ()]))
def test_no_message_crashes_and_every_pick_was_offered(text, lines):
    keys = {(line.case_id, o.n) for line in lines for o in line.offers} | {
        (line.case_id, 0) for line in lines
    }
    assert {(p.case_id, p.n) for p in read(text, lines).picks} <= keys
