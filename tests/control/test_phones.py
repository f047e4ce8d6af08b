"""What picks up when a number is called, what it says to what it hears, and what customers start by themselves."""

from datetime import datetime

import pytest

from tests.control.outside import Order, Outside, Row, Seen, until

pytestmark = pytest.mark.real
YES = {"hears": "Am I speaking", "say": "yes speaking", "wait_ms": 100}
PHONES: dict[str, Row] = {
    "keys": {"picks_up": "person", "turns": [{"hears": ".", "keys": "1", "times": 60}]},
    "speech": {
        "picks_up": "person",
        "amd": "unknown",
        "turns": [
            YES,
            {"hears": "press the number", "say": "the corner one please"},
            {"hears": "new total", "say": "yes please"},
        ],
    },
    "silence": {"picks_up": "person", "turns": [{"hears": ".", "silence": True}]},
    "hangup": {"picks_up": "person", "turns": [{"hears": ".", "hangup": True}]},
    "sequence": {"picks_up": ["busy", "person"], "turns": [{"hears": ".", "keys": "1", "times": 60}]},
    "no_answer": {"picks_up": "no_answer"},
    "voicemail": {"picks_up": "voicemail"},
    "screener": {
        "picks_up": "screener",
        "asks": "Who is calling?",
        "accepts": "Greengrocer",
        "turns": [{"hears": ".", "keys": "1", "times": 60}],
    },
    "reject": {"picks_up": "reject"},
}


class Ringing:
    """Each phone belongs to somebody whom no text reaches, so that all of them are called at once."""

    def __init__(self, outside: Outside) -> None:
        self.outside = outside
        self.orders = {name: outside.order("sms", "voice") for name in PHONES}
        for name, order in self.orders.items():
            outside.control("twilio", "PUT", f"phones/{order.phone}", {"ring_ms": 2000, **PHONES[name]})
        unreached = [
            {"match": {"address": order.phone, "resource": "messages"}, "then": "reject:21614"}
            for order in self.orders.values()
        ]
        outside.control("twilio", "PUT", "faults", unreached)
        outside.troubled(*self.orders.values())

    def states(self, name: str, last: str, n: int = 1) -> list[Row]:
        """Every state of the calls to this phone, once `n` of them have ended so."""
        phone = self.orders[name].phone
        self.outside.expects("twilio", "call_state", n, to=phone, state=last)
        return self.outside.book("twilio", "call_state", to=phone)

    def of(self, name: str, kind: str, n: int = 1) -> list[Row]:
        [call, *_] = self.outside.expects("twilio", "call_state", to=self.orders[name].phone)
        return self.outside.expects("twilio", kind, n, provider_id=call["provider_id"])

    def phone(self, name: str) -> Row:
        return self.outside.control("twilio", "GET", f"phones/{self.orders[name].phone}")

    def decided(self, name: str) -> Row:
        return decided(self.outside, self.orders[name])


def decided(outside: Outside, order: Order) -> Row:
    return outside.case(order, lambda case: case["decision"])["decision"]


@pytest.fixture(scope="module")
def ringing(outside: Outside) -> Ringing:
    return Ringing(outside)


def test_a_person_presses_keys_and_every_state_utterance_and_key_is_in_the_book(ringing: Ringing) -> None:
    decision = ringing.decided("keys")
    assert (decision["actor"], decision["channel"]) == ("customer", "voice")
    states = ringing.states("keys", "completed")
    assert [entry["state"] for entry in states] == ["initiated", "ringing", "in-progress", "completed"]
    instants = [datetime.fromisoformat(entry["at"]) for entry in states]
    assert instants == sorted(instants)
    assert states[-1]["hung_up_by"] in ("agent", "caller")
    heard = [entry["text"] for entry in ringing.of("keys", "agent_says", 2)]
    assert "Greengrocer" in heard[0]
    assert {entry["keys"] for entry in ringing.of("keys", "caller_presses")} == {"1"}
    call = states[0]["provider_id"]
    assert ringing.outside.expects("twilio", "recording", call_sid=call, state="in-progress")
    reported = ringing.outside.expects("twilio", "callback", about=call)
    assert {entry["command_id"].partition("~")[0] for entry in reported if entry["command_id"]} == {
        ringing.orders["keys"].order_id
    }
    command = ringing.outside.command(ringing.orders["keys"], channel="voice")
    assert (command["purpose"], command["about"]) == ("call", [ringing.orders["keys"].case_id])
    played = ringing.phone("keys")["played"]
    assert {(one["turn"], one["call_sid"]) for one in played} == {(0, call)}
    assert all(one["heard"] for one in played)


def test_a_person_speaks_and_a_detection_that_is_unsure_counts_as_a_person(ringing: Ringing) -> None:
    decision = ringing.decided("speech")
    assert [one["option_id"] for one in decision["chosen"]] == ["corner"]
    assert ringing.of("speech", "amd")[0]["answered_by"] == "unknown"
    said = [entry["text"] for entry in ringing.of("speech", "caller_says")]
    assert "the corner one please" in said
    assert [one["turn"] for one in ringing.phone("speech")["played"]] == [0, 1, 2]


def test_silence_and_a_hang_up_are_played(ringing: Ringing) -> None:
    assert ringing.of("silence", "caller_is_silent")
    assert {one["turn"] for one in ringing.phone("silence")["played"]} == {0}
    states = ringing.states("hangup", "completed")
    assert next(entry for entry in states if entry["state"] == "completed")["hung_up_by"] == "caller"
    assert ringing.of("hangup", "caller_hangs_up")


def test_a_sequence_answers_each_call_in_its_own_way(ringing: Ringing) -> None:
    ringing.decided("sequence")
    states = ringing.states("sequence", "completed")
    assert [entry["state"] for entry in states if entry["state"] in ("busy", "in-progress")] == [
        "busy",
        "in-progress",
    ]
    assert ringing.phone("sequence")["calls"] == 2


def test_nobody_and_a_rejection_are_told_apart_from_an_answer(ringing: Ringing) -> None:
    assert "in-progress" not in {entry["state"] for entry in ringing.states("no_answer", "no-answer")}
    assert "in-progress" not in {entry["state"] for entry in ringing.states("reject", "busy")}


def test_a_voicemail_hears_no_basket(ringing: Ringing) -> None:
    assert ringing.of("voicemail", "amd")[0]["answered_by"].startswith("machine")
    ringing.states("voicemail", "completed")
    heard = " ".join(entry["text"] for entry in ringing.of("voicemail", "agent_says"))
    assert "Greengrocer" in heard
    assert "Sourdough" not in heard


def test_a_screener_asks_and_lets_through_whoever_says_the_right_thing(ringing: Ringing) -> None:
    assert ringing.of("screener", "caller_says")[0]["text"] == "Who is calling?"
    assert ringing.decided("screener")["channel"] == "voice"


def test_a_script_that_no_phone_can_play_is_refused_in_words(outside: Outside) -> None:
    for script, fault in (
        ({"picks_up": "a ghost"}, "picks_up"),
        ({"turns": [{"hears": "("}]}, "subpattern"),
    ):
        refused = outside.tries("twilio", "PUT", "phones/+447400999999", script)
        assert refused.status_code == 400
        assert fault in refused.json()["error"]


class Themselves:
    """Customers who write and call of their own accord while their question is open."""

    def __init__(self, outside: Outside) -> None:
        self.outside = outside
        self.texts, self.help, self.stops, self.found, self.more = (outside.order("sms") for _ in range(5))
        self.calls = outside.order("sms", "voice")
        self.all = (self.texts, self.help, self.stops, self.found, self.more, self.calls)
        outside.troubled(*self.all)
        for order in self.all:
            outside.expects("twilio", "request", to=order.phone)

    def text(self, order: Order, body: str) -> Row:
        return self.outside.control("twilio", "POST", "inbound-sms", {"from": order.phone, "body": body})


@pytest.fixture(scope="module")
def themselves(outside: Outside) -> Themselves:
    return Themselves(outside)


def test_a_text_of_a_customer_is_signed_and_delivered(themselves: Themselves) -> None:
    answer = themselves.text(themselves.texts, "1")
    assert answer["status"] == 200
    [delivered] = themselves.outside.book("twilio", "callback", purpose="inbound_sms", about=answer["sid"])
    assert (delivered["status"], delivered["params"]["Body"]) == (200, "1")
    assert decided(themselves.outside, themselves.texts)["channel"] == "sms"
    assert themselves.outside.command(themselves.texts, purpose="confirm")["about"] == [
        themselves.texts.case_id
    ]


def test_what_follows_from_an_exception_belongs_to_its_trace_up_to_the_evidence(
    themselves: Themselves,
) -> None:
    # The question follows from a deadline, the answer from a webhook of a provider that knows no trace.
    outside, order = themselves.outside, themselves.texts
    outside.awaits("EvidenceStored", order_id=order.order_id)
    outside.awaits("TriggerReceived", order_id=order.order_id)
    outside.case(order, lambda case: case["state"] in ("done", "closed"))
    topics = {
        *("case.events.v1", "channel.sms.v1", "line.holds.v1", "oms.updates.v1", "fulfilment.triggers.v1"),
        *("fulfilment.receipts.v1", "evidence.requests.v1", "case.changes.v1", "case.evidence.v1"),
    }

    def ours() -> list[Seen]:
        return [one for one in outside.read() if one.value.get("order_id") == order.order_id]

    # What is in one topic may be read before what was written earlier to another.
    until(lambda: {one.topic for one in ours()} >= topics, f"something of it on each of {topics}")
    assert {one.topic for one in ours()} == topics
    assert {one.headers.get("traceparent", b"").decode() for one in ours()} == {order.traceparent}
    asked = outside.book("oms", "request", order=order.order_id)
    assert {entry["headers"].get("traceparent") for entry in asked} == {order.traceparent}


def test_a_customer_calls_names_the_order_and_decides(themselves: Themselves) -> None:
    order = themselves.calls
    turns = [
        {"hears": "last four characters", "keys": order.order_id[-4:]},
        {"hears": "press", "keys": "1", "times": 20},
        {"hears": ".", "keys": "1", "times": 20},
    ]
    body = {"from": order.phone, "turns": turns}
    sid = themselves.outside.control("twilio", "POST", "inbound-call", body)["sid"]
    assert decided(themselves.outside, order)["channel"] == "voice"
    states = themselves.outside.expects("twilio", "call_state", 3, provider_id=sid)
    assert [entry["state"] for entry in states] == ["ringing", "in-progress", "completed"]


def test_commands_say_their_purpose_and_what_they_are_about(themselves: Themselves) -> None:
    outside = themselves.outside
    themselves.text(themselves.help, "HELP")
    outside.command(themselves.help, purpose="help")
    themselves.text(themselves.stops, "please stop texting me about this")
    outside.command(themselves.stops, purpose="optout_ack")
    themselves.text(themselves.stops, "START")
    outside.command(themselves.stops, purpose="optin_ack")
    withdrawn = {
        "event_id": f"{themselves.found.order_id}-found",
        "order_id": themselves.found.order_id,
        "exception_id": themselves.found.case_id,
        "revision": 1,
        "reason": "found",
        "occurred_at": outside.now(),
    }
    outside.sends("order.exceptions.v1", themselves.found.order_id, "ExceptionWithdrawn", withdrawn)
    assert outside.command(themselves.found, purpose="withdrawal")["about"] == [themselves.found.case_id]
    outside.troubled(themselves.more, exception="X2")
    assert f"{themselves.more.order_id}-X2" in outside.command(themselves.more, purpose="update")["about"]


def test_no_topic_but_that_of_contacts_tells_who_somebody_is(outside: Outside) -> None:
    until(lambda: len(outside.read()) == len(outside.read()), "a moment without records")
    known = [one for one in outside.seen if one.topic.startswith("channel.")]
    assert {one.value["purpose"] for one in known if one.kind == "ChannelCommand"} <= {
        *("ask", "call", "update", "confirm", "default", "withdrawal", "reply", "help", "optout_ack"),
        *("optin_ack", "callback", "link", "satisfaction"),
    }
    private = [word.encode() for word in ("+447400", "447400", "shopper-", "device-", "Quentin")]
    for one in outside.seen:
        assert not [word for word in private if word in one.raw], (one.topic, one.kind)
