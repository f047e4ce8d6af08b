"""Webhooks become what was heard, and words become TwiML that carries nothing personal in its attributes."""

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.voice.gather import (
    SPEECH_CHARS_MAX,
    Addresses,
    connected,
    detected,
    heard,
    interrupted,
    rendered,
)
from state.dialogue.events import Answered, Committed, Detected, Hangup, Keys, Say, Silence, Utterance
from state.dialogue.hear import hear
from state.dialogue.script import ENGLISH
from tests.dialogue.builders import a_call

TO = Addresses(
    "https://shop.example/turn?a=1&b=2",
    "https://shop.example/transfer",
    "wss://shop.example/relay",
    "https://shop.example/done",
)


@pytest.mark.parametrize(
    ("parameters", "event"),
    [
        ({"SpeechResult": "number two", "Confidence": "0.87"}, Utterance("number two", 0.87)),
        ({"SpeechResult": "yes"}, Utterance("yes")),
        ({"SpeechResult": "yes", "Confidence": "0.0"}, Utterance("yes")),
        ({"SpeechResult": "yes", "Confidence": "NaN"}, Utterance("yes")),
        ({"SpeechResult": "yes", "Confidence": "seven"}, Utterance("yes")),
        ({"Digits": "2"}, Keys("2")),
        ({"Digits": "*"}, Keys("*")),
        ({"Digits": "1", "SpeechResult": "no"}, Keys("1")),
        ({"Digits": "x"}, Silence()),
        ({}, Silence()),
        ({"SpeechResult": "   "}, Silence()),
        ({"CallStatus": "completed", "SpeechResult": "yes"}, Hangup()),
        ({"CallStatus": "in-progress"}, Silence()),
    ],
)
def test_a_webhook_says_what_was_heard(parameters, event):
    assert heard(parameters) == event


def test_four_kilobytes_of_speech_are_cut():
    assert len(heard({"SpeechResult": "yes " * 5_000}).text) <= SPEECH_CHARS_MAX


@pytest.mark.parametrize(
    ("answered_by", "what"),
    [
        ("human", "person"),
        ("machine_start", "machine"),
        ("machine_end_beep", "machine"),
        ("machine_end_other", "machine"),
        ("fax", "fax"),
        ("unknown", "unknown"),
        ("", "unknown"),
        ("alien", "unknown"),
    ],
)
def test_whatever_detection_is_unsure_about_is_a_person(answered_by, what):
    assert detected({"AnsweredBy": answered_by}) == Detected(what)


def test_a_turn_speaks_and_listens_to_keys_and_speech_at_once():
    _, say = hear(a_call(), Answered(), ENGLISH)
    gather = ET.fromstring(rendered(say, TO, "en-GB")).find("Gather")
    assert gather.get("input") == "dtmf speech"
    assert gather.get("actionOnEmptyResult") == "true"
    assert gather.get("bargeIn") == "true"
    assert gather.get("action") == TO.turn_url
    assert gather.find("Say").text == say.text


def test_an_answer_that_came_too_early_has_not_heard_the_total():
    session = a_call()
    for event in (Answered(), Utterance("yes"), Keys("2")):
        session, say = hear(session, event, ENGLISH)
    early, late = interrupted(say, 900), interrupted(say, 60_000)
    assert late is None
    session, _ = hear(session, early, ENGLISH)
    session, say = hear(session, Keys("1"), ENGLISH)
    assert "£41.60" in say.text
    assert say.outcomes == ()
    session, say = hear(session, Keys("1"), ENGLISH)
    assert any(isinstance(o, Committed) for o in say.outcomes)


def test_no_name_stands_in_an_attribute():
    _, say = hear(a_call(called="Zebedee"), Answered(), ENGLISH)
    assert "Zebedee" in say.text
    for element in ET.fromstring(rendered(say, TO, "en-GB")).iter():
        assert "Zebedee" not in "".join(element.attrib.values())


def test_an_end_hangs_up_and_a_transfer_goes_on_elsewhere():
    def say(ending):
        return Say("Goodbye.", "en-GB/1", (), ending=ending)

    over = ET.fromstring(rendered(say("hang_up"), TO, "en-GB"))
    assert [e.tag for e in over] == ["Say", "Hangup"]
    moved = ET.fromstring(rendered(say("transfer"), TO, "en-GB"))
    assert [e.tag for e in moved] == ["Say", "Redirect"]
    assert moved.find("Redirect").text == TO.transfer_url


def test_a_code_may_have_four_keys():
    _, say = hear(a_call(incoming=True, order_tail="5678"), Answered(), ENGLISH)
    assert ET.fromstring(rendered(say, TO, "en-GB")).find("Gather").get("numDigits") == "4"


def test_the_relay_is_given_keys_and_interruptions_and_no_greeting():
    relay = ET.fromstring(connected(TO, "en-GB", ("Baker's Row", "Corner, Shop"))).find(
        "Connect/ConversationRelay"
    )
    assert relay.get("url") == "wss://shop.example/relay"
    assert relay.get("dtmfDetection") == "true"
    assert relay.get("interruptible") == "any"
    assert relay.get("hints") == "Baker's Row, Corner  Shop"
    assert relay.get("welcomeGreeting") is None


@given(st.text(max_size=200), st.tuples(st.text(max_size=20)))
def test_any_words_make_well_formed_twiml(text, hints):
    ET.fromstring(rendered(Say(text, "en-GB/1", (), hints=hints), TO, "en-GB"))


@given(
    st.dictionaries(
        st.sampled_from(["Digits", "SpeechResult", "Confidence", "CallStatus", "AnsweredBy"]),
        st.text(max_size=100),
    )
)
def test_no_webhook_crashes(parameters):
    heard(parameters)
    detected(parameters)
