"""The Twilio simulator against the real SDK and real webhooks."""

import re
import wave
from array import array
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import requests
from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from tests.world.listener import Form, Listener
from tests.world.simulators.process import Simulator
from tests.world.simulators.twilio.account import ACCOUNT_SID, AUTH_TOKEN
from tests.world.simulators.twilio.documented import faults, unknown_parameters

pytestmark = pytest.mark.real
US, ANN, BOB = "+441632960000", "+447700900001", "+447700900002"
COMMAND = "A1~E1.3"


@pytest.fixture(scope="module")
def twilio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    simulator = Simulator("twilio", tmp_path_factory.mktemp("twilio"), "--calls-per-second", "0", pace=0.01)
    simulator.start()
    yield simulator
    simulator.stop()


@pytest.fixture
def product(twilio: Simulator) -> Iterator[Listener]:
    with Listener(AUTH_TOKEN) as listener:
        twilio.faults()
        for number in (ANN, BOB):
            twilio.put(f"phones/{number}", {})
        twilio.put(f"numbers/{US}", {"sms_url": f"{listener.url}/sms", "voice_url": f"{listener.url}/voice"})
        yield listener


def a_client(twilio: Simulator, timeout_s: float) -> Client:
    client = Client(ACCOUNT_SID, AUTH_TOKEN, http_client=TwilioHttpClient(timeout=timeout_s))
    client.api.base_url = twilio.url
    return client


@pytest.fixture
def client(twilio: Simulator) -> Client:
    return a_client(twilio, 30.0)


def text(client: Client, product: Listener, to: str = ANN, **more: Any) -> Any:
    return client.messages.create(
        to=to,
        from_=US,
        body="We are out of oat milk",
        status_callback=f"{product.url}/twilio/status/{COMMAND}",
        validity_period=120,
        **more,
    )


def dial(client: Client, product: Listener, to: str = ANN, **more: Any) -> Any:
    return client.calls.create(
        to=to,
        from_=US,
        url=f"{product.url}/voice",
        status_callback=f"{product.url}/twilio/status/{COMMAND}",
        status_callback_event=["initiated", "ringing", "answered", "completed"],
        **more,
    )


def states(twilio: Simulator, sid: str) -> list[str]:
    return [entry["state"] for entry in twilio.book(provider_id=sid) if "state" in entry]


def ended(twilio: Simulator, sid: str) -> dict[str, Any]:
    final = {"completed", "busy", "no-answer", "failed", "canceled"}
    return twilio.expect("call_state", provider_id=sid, where=lambda e: e["state"] in final)[0]


# Messages


def test_a_text_is_delivered_and_its_states_are_reported_in_order_and_signed(
    client: Client, product: Listener, twilio: Simulator
) -> None:
    message = text(client, product)
    assert message.status == "queued"
    product.expect(f"/twilio/status/{COMMAND}", 2)
    assert [form["MessageStatus"] for form in product.on(f"/twilio/status/{COMMAND}")] == [
        "sent",
        "delivered",
    ]
    assert all(signed for _, _, signed in product.heard)
    fetched = client.messages(message.sid).fetch()
    assert (fetched.status, fetched.to, fetched.direction) == ("delivered", ANN, "outbound-api")
    assert fetched.date_created.tzinfo
    written = twilio.book("request", provider_id=message.sid)[0]
    assert (written["command_id"], written["to"], written["status"]) == (COMMAND, ANN, 201)


def test_a_text_can_be_listed_redacted_and_deleted(
    client: Client, product: Listener, twilio: Simulator
) -> None:
    since = datetime.now(UTC) - timedelta(seconds=30)  # noqa: TID251
    message = text(client, product, BOB)
    twilio.expect("message_state", provider_id=message.sid, state="delivered")
    listed = client.messages.list(to=BOB, date_sent_after=since, limit=5)
    assert message.sid in [one.sid for one in listed]
    assert client.messages(message.sid).update(body="").body == ""
    assert client.messages(message.sid).delete()
    with pytest.raises(TwilioRestException) as gone:
        client.messages(message.sid).fetch()
    assert gone.value.status == 404


def test_lists_come_in_pages(client: Client, product: Listener) -> None:
    sent = {text(client, product, "+447700900077").sid for _ in range(5)}
    assert {one.sid for one in client.messages.list(to="+447700900077", page_size=2)} == sent


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"to": "0770", "from_": US, "body": "x"}, 21211),
        ({"to": ANN, "body": "x"}, 21603),
        ({"to": ANN, "from_": US, "body": ""}, 21602),
        ({"to": ANN, "from_": US, "body": "x" * 1601}, 21617),
    ],
)
def test_a_faulty_text_is_refused_with_the_documented_code(
    client: Client, form: dict[str, Any], code: int
) -> None:
    with pytest.raises(TwilioRestException) as refused:
        client.messages.create(**form)
    assert (refused.value.status, refused.value.code) == (400, code)


def test_wrong_credentials_open_nothing(twilio: Simulator) -> None:
    client = Client(ACCOUNT_SID, "wrong")
    client.api.base_url = twilio.url
    with pytest.raises(TwilioRestException) as refused:
        client.messages.create(to=ANN, from_=US, body="x")
    assert (refused.value.status, refused.value.code) == (401, 20003)


def test_whoever_texts_stop_is_unsubscribed_at_the_provider_until_start(
    client: Client, product: Listener, twilio: Simulator
) -> None:
    assert twilio.post("inbound-sms", {"from": ANN, "body": "Stop"})["status"] == 200
    assert product.on("/sms")[0]["OptOutType"] == "STOP"
    with pytest.raises(TwilioRestException) as refused:
        text(client, product)
    assert refused.value.code == 21610
    twilio.post("inbound-sms", {"from": ANN, "body": "START"})
    assert text(client, product).sid


def test_a_text_from_a_customer_is_signed_and_its_reply_is_sent(product: Listener, twilio: Simulator) -> None:
    product.twiml["/sms"] = "<Response><Message>Thank you, 2 it is</Message></Response>"
    twilio.post("inbound-sms", {"from": BOB, "body": "2"})
    path, form, signed = product.heard[-1]
    assert (path, form["Body"], form["From"], signed) == ("/sms", "2", BOB, True)
    assert twilio.expect("reply_sms", to=BOB)[-1]["body"] == "Thank you, 2 it is"


# Faults


def test_a_429_leaves_nothing_behind(client: Client, product: Listener, twilio: Simulator) -> None:
    twilio.faults({"match": {"address": ANN}, "then": "http_429", "count": 1})
    with pytest.raises(TwilioRestException) as refused:
        text(client, product)
    assert (refused.value.status, refused.value.code) == (429, 20429)
    assert text(client, product).sid


def test_a_rejection_has_the_code_that_was_asked_for(
    client: Client, product: Listener, twilio: Simulator
) -> None:
    twilio.faults({"match": {"order": "A1"}, "then": "reject:21408"})
    with pytest.raises(TwilioRestException) as refused:
        text(client, product)
    assert refused.value.code == 21408


def test_an_order_is_matched_whole_and_not_by_its_beginning(
    client: Client, product: Listener, twilio: Simulator
) -> None:
    twilio.faults({"match": {"order": "A"}, "then": "http_429"})
    assert text(client, product).sid


def test_the_nth_request_alone_is_struck(client: Client, product: Listener, twilio: Simulator) -> None:
    twilio.faults({"match": {"nth": 2, "resource": "messages"}, "then": "http_429"})
    assert text(client, product).sid
    with pytest.raises(TwilioRestException):
        text(client, product)
    assert text(client, product).sid


def test_a_timeout_after_acceptance_still_sends_the_text(product: Listener, twilio: Simulator) -> None:
    twilio.faults({"match": {"order": "A1"}, "then": "accept_then_timeout"})
    with pytest.raises(requests.exceptions.ReadTimeout):
        text(a_client(twilio, 1.0), product)
    product.expect(f"/twilio/status/{COMMAND}", 2)
    assert product.on(f"/twilio/status/{COMMAND}")[-1]["MessageStatus"] == "delivered"


def test_a_500_after_acceptance_still_dials(client: Client, product: Listener, twilio: Simulator) -> None:
    twilio.faults({"match": {"resource": "calls"}, "then": "accept_then_500"})
    with pytest.raises(TwilioRestException) as failed:
        dial(client, product)
    assert failed.value.status == 500
    # The sync client has sent it once.
    product.expect(f"/twilio/status/{COMMAND}", 1)
    assert len({form["CallSid"] for form in product.on(f"/twilio/status/{COMMAND}")}) == 1


def test_an_undelivered_text_says_why(client: Client, product: Listener, twilio: Simulator) -> None:
    twilio.faults({"match": {"address": ANN}, "then": "undelivered:30003", "after_ms": 50})
    text(client, product)
    final = product.expect(f"/twilio/status/{COMMAND}", 2)[-1]
    assert (final["MessageStatus"], final["ErrorCode"]) == ("undelivered", "30003")


def test_callbacks_can_be_withheld_doubled_and_reversed(
    client: Client, product: Listener, twilio: Simulator
) -> None:
    path = f"/twilio/status/{COMMAND}"
    twilio.faults({"callbacks": {"none": True}})
    quiet = text(client, product)
    twilio.expect("callback_withheld", 2, about=quiet.sid)
    assert product.on(path) == []
    twilio.faults({"callbacks": {"times": 2, "order": "reversed"}})
    text(client, product)
    product.expect(path, 4)
    assert [f["MessageStatus"] for f in product.on(path)] == ["delivered", "delivered", "sent", "sent"]


def test_listings_fail_or_lie_when_told_to(client: Client, product: Listener, twilio: Simulator) -> None:
    text(client, product)
    twilio.faults({"listing": "empty"})
    assert client.messages.list(to=ANN) == []
    twilio.faults({"listing": "http_500"})
    with pytest.raises(TwilioException, match="HTTP 500"):
        client.messages.list(to=ANN)
    twilio.faults({"listing": "ok"})
    assert client.messages.list(to=ANN)


def test_an_unknown_fault_is_refused_in_words(twilio: Simulator) -> None:
    with pytest.raises(ValueError, match="unknown fault 'explode'"):
        twilio.faults({"then": "explode"})


def test_the_book_survives_a_restart_of_the_simulator(tmp_path: Path) -> None:
    simulator = Simulator("twilio", tmp_path)
    simulator.start()
    simulator.faults({"listing": "empty"})
    simulator.kill()
    simulator.start()
    simulator.faults()
    assert [entry["seq"] for entry in simulator.book("faults")] == [1, 2]
    simulator.stop()


# Calls


def test_a_call_that_is_answered_goes_through_its_states_and_gathers_a_key(
    client: Client, product: Listener, twilio: Simulator
) -> None:
    twilio.put(f"phones/{ANN}", {"picks_up": "person", "turns": [{"hears": "press 1", "keys": "1"}]})
    product.twiml["/voice"] = (
        '<Response><Gather input="dtmf speech" numDigits="1" action="/chosen?step=1"><Say>No oat milk.</Say>'
        "<Say>Press 1 for soya.</Say></Gather><Say>unreached</Say></Response>"
    )
    product.twiml["/chosen"] = "<Response><Say>Thank you</Say><Hangup/></Response>"
    call = dial(client, product)
    over = ended(twilio, call.sid)
    assert states(twilio, call.sid) == ["initiated", "ringing", "in-progress", "completed"]
    assert over["hung_up_by"] == "agent"
    chosen = product.on("/chosen?step=1")[0]
    assert (chosen["Digits"], chosen["CallSid"], chosen["CallStatus"]) == ("1", call.sid, "in-progress")
    product.expect(f"/twilio/status/{COMMAND}", 4)
    reported = product.on(f"/twilio/status/{COMMAND}")
    assert [f["CallStatus"] for f in reported] == ["initiated", "ringing", "in-progress", "completed"]
    assert [f["SequenceNumber"] for f in reported] == ["0", "1", "2", "3"]
    assert int(reported[-1]["CallDuration"]) > 1
    assert all(signed for _, _, signed in product.heard)
    assert [e["text"] for e in twilio.book("agent_says", provider_id=call.sid)][-1] == "Thank you"
    assert client.calls(call.sid).fetch().status == "completed"
    assert twilio.get(f"phones/{ANN}")["played"][0]["turn"] == 0


def test_speech_is_gathered_with_its_confidence(client: Client, product: Listener, twilio: Simulator) -> None:
    twilio.put(
        f"phones/{ANN}", {"picks_up": "person", "turns": [{"say": "the soya one please", "confidence": 0.5}]}
    )
    product.twiml["/voice"] = (
        '<Response><Gather input="speech" action="/heard"><Say>Which?</Say></Gather></Response>'
    )
    dial(client, product)
    form = product.expect("/heard")[0]
    assert (form["SpeechResult"], float(form["Confidence"])) == ("the soya one please", 0.5)


def test_silence_falls_through_or_is_an_empty_result(
    client: Client, product: Listener, twilio: Simulator
) -> None:
    twilio.put(f"phones/{ANN}", {"picks_up": "person"})
    product.twiml["/voice"] = (
        '<Response><Gather action="/never"><Say>One?</Say></Gather>'
        '<Gather input="dtmf speech" action="/empty" actionOnEmptyResult="true"></Gather></Response>'
    )
    dial(client, product)
    form = product.expect("/empty")[0]
    assert (form["Digits"], form["SpeechResult"]) == ("", "")
    assert product.on("/never") == []


@pytest.mark.parametrize(
    ("picks_up", "status"),
    [("busy", "busy"), ("no_answer", "no-answer"), ("reject", "busy"), ("failed", "failed")],
)
def test_a_call_that_nobody_takes_says_how(
    client: Client, product: Listener, twilio: Simulator, picks_up: str, status: str
) -> None:
    twilio.put(f"phones/{BOB}", {"picks_up": picks_up})
    call = dial(client, product, BOB, timeout=10)
    assert ended(twilio, call.sid)["state"] == status
    assert product.on("/voice") == []


def test_a_sequence_answers_each_call_in_its_own_way(
    client: Client, product: Listener, twilio: Simulator
) -> None:
    twilio.put(f"phones/{ANN}", {"picks_up": ["busy", "person"]})
    product.twiml["/voice"] = "<Response><Say>Hello</Say></Response>"
    assert ended(twilio, dial(client, product).sid)["state"] == "busy"
    assert ended(twilio, dial(client, product).sid)["state"] == "completed"
    assert ended(twilio, dial(client, product).sid)["state"] == "completed"


def test_a_ringing_call_can_be_cancelled_and_an_answered_one_ended(
    client: Client, product: Listener, twilio: Simulator
) -> None:
    # Nobody waits for the end of what is paced to seconds here: it is there to be cut short.
    twilio.put(f"phones/{ANN}", {"picks_up": "person", "ring_ms": 599_000})
    call = dial(client, product, timeout=600)
    twilio.expect("call_state", provider_id=call.sid, state="ringing")
    client.calls(call.sid).update(status="canceled")
    assert ended(twilio, call.sid)["state"] == "canceled"
    twilio.put(f"phones/{ANN}", {"picks_up": "person"})
    product.twiml["/voice"] = '<Response><Pause length="2000"/></Response>'
    call = dial(client, product)
    product.expect("/voice")
    client.calls(call.sid).update(status="completed")
    assert ended(twilio, call.sid)["hung_up_by"] == "agent"


def test_a_call_in_progress_is_redirected_by_twiml_or_url(
    client: Client, product: Listener, twilio: Simulator
) -> None:
    twilio.put(f"phones/{ANN}", {"picks_up": "person"})
    product.twiml["/voice"] = '<Response><Pause length="2000"/></Response>'
    product.twiml["/instead"] = "<Response><Say>By url</Say></Response>"
    call = dial(client, product)
    product.expect("/voice")
    client.calls(call.sid).update(
        twiml=f"<Response><Say>Already done</Say><Redirect>{product.url}/instead</Redirect></Response>"
    )
    ended(twilio, call.sid)
    said = [entry["text"] for entry in twilio.book("agent_says", provider_id=call.sid)]
    assert said == ["Already done", "By url"]


def test_a_caller_may_hang_up_in_the_middle(client: Client, product: Listener, twilio: Simulator) -> None:
    twilio.put(f"phones/{ANN}", {"picks_up": "person", "turns": [{"hears": "robot", "hangup": True}]})
    product.twiml["/voice"] = (
        '<Response><Say>I am a robot</Say><Gather action="/x"><Say>Which?</Say></Gather></Response>'
    )
    call = dial(client, product)
    assert ended(twilio, call.sid)["hung_up_by"] == "caller"
    assert product.on("/x") == []


def test_voicemail_is_detected_beside_the_call(client: Client, product: Listener, twilio: Simulator) -> None:
    twilio.put(f"phones/{ANN}", {"picks_up": "voicemail", "turns": [{"say": "never said"}]})
    product.twiml["/voice"] = (
        '<Response><Gather input="speech" timeout="3000"><Say>Hello?</Say></Gather></Response>'
    )
    call = dial(
        client,
        product,
        machine_detection="Enable",
        async_amd="true",
        async_amd_status_callback=f"{product.url}/twilio/amd",
    )
    form = product.expect("/twilio/amd")[0]
    assert (form["CallSid"], form["AnsweredBy"]) == (call.sid, "machine_start")
    client.calls(call.sid).update(twiml="<Response><Say>Please call us back</Say></Response>")
    ended(twilio, call.sid)
    assert twilio.book("caller_says", provider_id=call.sid) == []
    assert client.calls(call.sid).fetch().answered_by == "machine_start"


def test_detection_can_be_told_to_be_unsure(client: Client, product: Listener, twilio: Simulator) -> None:
    twilio.put(f"phones/{ANN}", {"picks_up": "person", "amd": "unknown"})
    product.twiml["/voice"] = '<Response><Pause length="300"/></Response>'
    dial(
        client,
        product,
        machine_detection="Enable",
        async_amd="true",
        async_amd_status_callback=f"{product.url}/twilio/amd",
    )
    assert product.expect("/twilio/amd")[0]["AnsweredBy"] == "unknown"


def test_a_screener_asks_and_connects_only_whoever_says_the_right_thing(
    client: Client, product: Listener, twilio: Simulator
) -> None:
    turns = [{"hears": "press 1", "keys": "1"}]
    twilio.put(f"phones/{ANN}", {"picks_up": "screener", "accepts": "Greengrocer.*order", "turns": turns})

    def talk(form: Form) -> str:
        heard = form.get("SpeechResult", "")
        if form.get("Digits"):
            return "<Response><Hangup/></Response>"
        say = "This is Greengrocer about your order." if "calling" in heard else "Press 1."
        return f'<Response><Gather input="dtmf speech" action="/voice"><Say>{say}</Say></Gather></Response>'

    product.twiml["/voice"] = talk
    call = dial(client, product)
    ended(twilio, call.sid)
    said = [entry["text"] for entry in twilio.book("caller_says", provider_id=call.sid)]
    assert said == ["Please say your name and why you are calling.", "Hello?"]
    assert [entry["keys"] for entry in twilio.book("caller_presses", provider_id=call.sid)] == ["1"]


def sides(sound: wave.Wave_read) -> tuple["array[int]", "array[int]"]:
    samples = array("h", sound.readframes(sound.getnframes()))
    return samples[0::2], samples[1::2]


def loud_s(side: "array[int]") -> float:
    return sum(abs(sample) > 500 for sample in side) / 8000


def test_a_recording_is_announced_fetched_as_wav_and_deleted(
    client: Client, product: Listener, twilio: Simulator
) -> None:
    twilio.put(f"phones/{ANN}", {"picks_up": "person", "turns": [{"say": "yes please"}]})
    product.twiml["/voice"] = (
        '<Response><Start><Recording recordingStatusCallback="/twilio/recording"/></Start>'
        '<Gather input="speech" action="/done"><Say>Recorded. Soya instead?</Say></Gather></Response>'
    )
    product.twiml["/done"] = "<Response><Hangup/></Response>"
    call = dial(client, product)
    form = product.expect("/twilio/recording")[0]
    assert (form["RecordingStatus"], form["CallSid"], form["RecordingChannels"]) == (
        "completed",
        call.sid,
        "2",
    )
    media = requests.get(form["RecordingUrl"], auth=(ACCOUNT_SID, AUTH_TOKEN), timeout=30)
    with wave.open(BytesIO(media.content)) as sound:
        assert (sound.getnchannels(), sound.getframerate()) == (2, 8000)
        assert sound.getnframes() / 8000 == pytest.approx(int(form["RecordingDuration"]), abs=0.6)
        agent, caller = sides(sound)
    # Two voices, one after the other, as long as such sentences take.
    assert loud_s(agent) > 0.8
    assert loud_s(caller) > 0.3
    assert not any(ours and theirs for ours, theirs in zip(agent, caller, strict=True))
    assert requests.get(form["RecordingUrl"], timeout=30).status_code == 401
    assert client.recordings(form["RecordingSid"]).fetch().duration == form["RecordingDuration"]
    assert client.recordings(form["RecordingSid"]).delete()
    assert requests.get(form["RecordingUrl"], auth=(ACCOUNT_SID, AUTH_TOKEN), timeout=30).status_code == 404


def test_a_call_is_handed_to_another_number(client: Client, product: Listener, twilio: Simulator) -> None:
    twilio.put(f"phones/{ANN}", {"picks_up": "person"})
    twilio.put(f"phones/{BOB}", {"picks_up": "person"})
    product.twiml["/voice"] = f'<Response><Dial action="/after"><Number>{BOB}</Number></Dial></Response>'
    dial(client, product)
    assert product.expect("/after")[0]["DialCallStatus"] == "completed"


def test_a_customer_calls_us(product: Listener, twilio: Simulator) -> None:
    product.twiml["/voice"] = (
        '<Response><Gather numDigits="4" action="/code"><Say>Last four?</Say></Gather></Response>'
    )
    sid = twilio.post("inbound-call", {"from": ANN, "turns": [{"hears": "last four", "keys": "4711"}]})["sid"]
    form = product.expect("/code")[0]
    assert (form["Digits"], form["Direction"], form["From"], form["CallSid"]) == ("4711", "inbound", ANN, sid)


@pytest.mark.parametrize(
    ("twiml", "code"),
    [("<Response><Say>unclosed", 12100), ("<Response><Teleport/></Response>", 12200), ("<html/>", 12100)],
)
def test_faulty_twiml_ends_the_call_and_is_in_the_book(
    client: Client, product: Listener, twilio: Simulator, twiml: str, code: int
) -> None:
    twilio.put(f"phones/{ANN}", {"picks_up": "person"})
    product.twiml["/voice"] = twiml
    call = dial(client, product)
    assert ended(twilio, call.sid)["hung_up_by"] == "provider"
    assert twilio.book("twiml_error", about=call.sid)[0]["code"] == code


def test_calls_leave_one_after_another_at_the_accounts_rate(tmp_path: Path, product: Listener) -> None:
    simulator = Simulator("twilio", tmp_path, "--calls-per-second", "5")
    simulator.start()
    client = Client(ACCOUNT_SID, AUTH_TOKEN)
    client.api.base_url = simulator.url
    calls = [dial(client, product, BOB) for _ in range(3)]
    simulator.expect("call_state", 3, state="initiated")
    at = [datetime.fromisoformat(e["at"]) for e in simulator.book("call_state", state="initiated")]
    assert (at[-1] - at[0]).total_seconds() > 0.35
    assert client.calls(calls[0].sid).fetch().status in ("queued", "ringing")
    simulator.stop()


# ConversationRelay


def relayed(product: Listener, attributes: str = "") -> str:
    url = product.url.replace("http", "ws") + "/relay"
    return (
        '<Response><Connect action="/after">'
        f'<ConversationRelay url="{url}" dtmfDetection="true" {attributes}>'
        '<Parameter name="ref" value="r1"/></ConversationRelay></Connect></Response>'
    )


def test_a_relayed_talk_goes_both_ways_and_ends_with_its_data(
    client: Client, product: Listener, twilio: Simulator
) -> None:
    turns = [{"hears": "soya or oat", "say": "soya"}, {"hears": "right", "keys": "12"}]
    twilio.put(f"phones/{ANN}", {"picks_up": "person", "turns": turns})

    def relay(frame: dict[str, Any]) -> list[Any]:
        match frame:
            case {"type": "setup"}:
                return [
                    {"type": "text", "token": "Soya ", "last": False},
                    {"type": "text", "token": "or oat?", "last": True},
                ]
            case {"type": "prompt"}:
                return [{"type": "text", "token": "Soya, right?", "last": True}]
            case {"type": "dtmf", "digit": "2"}:
                return [{"type": "end", "handoffData": '{"reason":"done"}'}]
        return []

    product.relay = relay
    product.twiml["/voice"] = relayed(product)
    call = dial(client, product)
    after = product.expect("/after")[0]
    assert (after["SessionStatus"], after["HandoffData"]) == ("ended", '{"reason":"done"}')
    kinds = [(f["type"], f.get("voicePrompt") or f.get("digit")) for f in product.frames]
    assert kinds == [("setup", None), ("prompt", "soya"), ("dtmf", "1"), ("dtmf", "2")]
    assert product.frames[0]["callSid"] == call.sid
    assert product.frames[0]["customParameters"] == {"ref": "r1"}
    assert ("/relay", {}, True) in product.heard


def test_an_interruption_says_how_far_the_agent_came(
    client: Client, product: Listener, twilio: Simulator
) -> None:
    turns = [{"hears": "or oat", "say": "oat", "interrupts": True}]
    twilio.put(f"phones/{ANN}", {"picks_up": "person", "turns": turns})
    product.relay = lambda frame: (
        [{"type": "text", "token": "Would you like soya or oat milk instead?", "last": True}]
        if frame["type"] == "setup"
        else [{"type": "end"}]
        if frame["type"] == "prompt"
        else []
    )
    product.twiml["/voice"] = relayed(product, 'interruptible="speech"')
    dial(client, product)
    product.expect("/after")
    assert [f["type"] for f in product.frames] == ["setup", "interrupt", "prompt"]
    assert product.frames[1]["utteranceUntilInterrupt"] == "Would you like soya "


def test_a_malformed_frame_is_answered_and_the_talk_goes_on(
    client: Client, product: Listener, twilio: Simulator
) -> None:
    twilio.put(f"phones/{ANN}", {"picks_up": "person"})
    product.relay = lambda frame: (
        ["{nonsense"] if frame["type"] == "setup" else [{"type": "end"}] if frame["type"] == "error" else []
    )
    product.twiml["/voice"] = relayed(product)
    call = dial(client, product)
    product.expect("/after")
    assert twilio.book("twiml_error", about=call.sid)[0]["code"] == 64107
    assert re.match("Invalid message received", product.frames[-1]["description"])


def test_a_socket_that_closes_fails_the_session_and_the_action_is_asked(
    client: Client, product: Listener, twilio: Simulator
) -> None:
    twilio.put(f"phones/{ANN}", {"picks_up": "person"})
    product.relay = lambda _frame: [None]
    product.twiml["/voice"] = relayed(product)
    dial(client, product)
    assert product.expect("/after")[0]["SessionStatus"] == "failed"


def test_a_caller_who_hangs_up_ends_a_relayed_talk(
    client: Client, product: Listener, twilio: Simulator
) -> None:
    twilio.put(f"phones/{ANN}", {"picks_up": "person", "turns": [{"hangup": True}]})
    product.relay = lambda frame: [{"type": "text", "token": "Hello"}] if frame["type"] == "setup" else []
    product.twiml["/voice"] = relayed(product)
    call = dial(client, product)
    assert ended(twilio, call.sid)["hung_up_by"] == "caller"


def test_messages_calls_and_recordings_look_as_twilios_own_description_says(
    client: Client, product: Listener, twilio: Simulator
) -> None:
    twilio.put(f"phones/{ANN}", {"picks_up": "person", "turns": [{"say": "yes please"}]})
    product.twiml["/voice"] = (
        '<Response><Gather input="speech" action="/done"><Say>Soya?</Say></Gather></Response>'
    )
    product.twiml["/done"] = "<Response><Hangup/></Response>"
    message, call = text(client, product), dial(client, product, record=True)
    twilio.expect("call_state", provider_id=call.sid, where=lambda entry: entry["state"] == "completed")
    base, auth = f"{twilio.url}/2010-04-01/Accounts/{ACCOUNT_SID}", (ACCOUNT_SID, AUTH_TOKEN)

    def read(path: str) -> Any:
        return requests.get(f"{base}{path}", auth=auth, timeout=30).json()

    [of_call] = read(f"/Calls/{call.sid}/Recordings.json")["recordings"]
    assert faults("message", read(f"/Messages/{message.sid}.json")) == []
    assert faults("call", read(f"/Calls/{call.sid}.json")) == []
    assert faults("recording of a call", of_call) == []
    assert faults("recording", read(f"/Recordings/{of_call['sid']}.json")) == []


def test_the_description_misses_a_property_too_many_or_too_few_and_a_strange_parameter() -> None:
    assert len(faults("message", {"status": "lost", "colour": "blue"})) > 2
    path = f"/2010-04-01/Accounts/{ACCOUNT_SID}/Calls/CA{'0' * 32}.json"
    asked = {"method": "POST", "path": path, "body": "Twiml=x&Colour=blue"}
    assert unknown_parameters(asked) == {"Colour"}
    assert unknown_parameters(asked | {"path": path.replace("Calls", "Songs")}) == {"Twiml", "Colour"}
