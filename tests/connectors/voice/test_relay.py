"""Frames of the relay are read or named as malformed; words leave sentence by sentence."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.voice.relay import (
    Dtmf,
    Ear,
    End,
    Error,
    Interrupt,
    Language,
    MalformedFrame,
    Play,
    Prompt,
    SendDigits,
    Setup,
    ended,
    listened,
    read,
    spoken,
    spoken_ms,
    written,
)
from state.dialogue.events import Answered, Interruption, Keys, Say, Utterance


def test_each_frame_of_the_provider_is_read():
    setup = {
        "type": "setup",
        "sessionId": "VX1",
        "callSid": "CA1",
        "from": "+1",
        "to": "+2",
        "callStatus": "RINGING",
        "customParameters": {"command": "c"},
        "news": 1,
    }
    assert read(json.dumps(setup)) == Setup("VX1", "CA1", {"command": "c"})
    assert read('{"type":"prompt","voicePrompt":"two","lang":"en-GB","last":true}') == Prompt(
        "two", "en-GB", last=True
    )
    assert read('{"type":"dtmf","digit":"1"}') == Dtmf("1")
    assert read(
        '{"type":"interrupt","utteranceUntilInterrupt":"So that","durationUntilInterruptMs":460}'
    ) == Interrupt("So that", 460)
    assert read('{"type":"error","description":"oops"}') == Error("oops")


@pytest.mark.parametrize(
    ("raw", "fault"),
    [
        ("", "truncated"),
        ("not json", "malformed"),
        ("[]", "Expected `object`"),
        ("{}", "type"),
        ('{"type":"dance"}', "dance"),
        ('{"type":"prompt"}', "voicePrompt"),
        ('{"type":"prompt","voicePrompt":5}', "voicePrompt"),
        ('{"type":"dtmf","digit":"12"}', "digit"),
        ('{"type":"dtmf","digit":"A"}', "digit"),
        ('{"type":"dtmf","digit":""}', "digit"),
        ('{"type":"setup"}', "sessionId"),
        (b"\xff\xfe", "malformed"),
        ('{"type":"prompt","voicePrompt":"' + "y" * 70_000 + '"}', "bytes"),
    ],
)
def test_what_is_no_frame_is_named(raw, fault):
    with pytest.raises(MalformedFrame, match=fault) as caught:
        read(raw)
    assert caught.value.code == 64107


def test_a_prompt_in_parts_is_one_utterance():
    ear, heard = listened(Ear(), Prompt("number", last=False), 1)
    assert heard is None
    assert listened(ear, Prompt("two", last=True), 1) == (Ear(), Utterance("number two"))


def test_one_key_is_enough_for_a_choice_and_four_for_a_code():
    assert listened(Ear(), Dtmf("2"), 1) == (Ear(), Keys("2"))
    ear, heard = Ear(), None
    for digit in "5678":
        assert heard is None
        ear, heard = listened(ear, Dtmf(digit), 4)
    assert heard == Keys("5678")


def test_a_hash_ends_a_code_early():
    ear, _ = listened(Ear(), Dtmf("5"), 4)
    assert listened(ear, Dtmf("#"), 4) == (Ear(), Keys("5#"))


def test_an_interruption_tells_how_much_was_heard():
    assert listened(Ear(), Interrupt("So that is"), 1) == (Ear(), Interruption("So that is"))


def test_a_setup_answers_and_an_error_says_nothing():
    assert listened(Ear(), Setup("VX1", "CA1"), 1) == (Ear(), Answered())
    assert listened(Ear("so"), Error("oops"), 1) == (Ear("so"), None)


def test_words_leave_sentence_by_sentence_and_only_the_last_is_last():
    frames = spoken(Say("Hello. Is that £2.40? Say yes", "en-GB/1", ()), "en-GB")
    assert "".join(f.token for f in frames) == "Hello. Is that £2.40? Say yes"
    assert [f.last for f in frames][-1] is True
    assert not any(f.last for f in frames[:-1])


def test_silence_has_no_frames():
    assert spoken(Say("", "en-GB/1", ()), "en-GB") == ()


def test_the_end_names_a_reason_and_nobody():
    end = ended(Say("Goodbye.", "en-GB/1", (), ending="transfer"))
    assert json.loads(written(end)) == {"type": "end", "handoffData": '{"reason":"transfer"}'}
    assert ended(Say("Go on.", "en-GB/1", ())) is None
    assert spoken_ms(Say("Goodbye.", "en-GB/1", ())) > 0


def test_the_other_frames_are_written_as_agreed():
    assert json.loads(written(Play("https://x/y.wav"))) == {"type": "play", "source": "https://x/y.wav"}
    assert json.loads(written(SendDigits("12#"))) == {"type": "sendDigits", "digits": "12#"}
    assert json.loads(written(Language("en-GB", "en-GB"))) == {
        "type": "language",
        "ttsLanguage": "en-GB",
        "transcriptionLanguage": "en-GB",
    }
    assert json.loads(written(End())) == {"type": "end"}


@given(st.one_of(st.binary(max_size=200), st.text(max_size=200)))
def test_nothing_from_the_socket_crashes(raw):
    with contextlib.suppress(MalformedFrame):
        read(raw)
