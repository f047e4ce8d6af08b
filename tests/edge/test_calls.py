"""Calls that really go through: scripted callers over HTTP, the edge, Postgres, and what `decide` makes of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from schemas.events import CustomerConsent, ExceptionRaised
from schemas.words import Channel, Kind, OptionKind, Resolution, Responder, Signal
from state.policy import Policy
from state.shelf import Shelf
from tests.builders import NOON, a_line, a_second, a_way, an_exception, an_option, pounds
from tests.connectors.providers import US
from tests.edge.telephone import SAM, YES, Telephone
from tests.scenarios.world import SHELF, World
from tests.streams.rig import until

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("postgres")]


STAFF = "+441632960555"


@pytest.fixture(params=["gather", "relay"])
def manner(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Both transports; over a socket it is we who notice silence, with more patience than these callers need."""
    return {"transport": "relay", "pace": 0.1} if request.param == "relay" else {}


@pytest.fixture
def phone(dsn: str, tmp_path: Path, manner: dict[str, Any]) -> Iterator[Telephone]:
    with Telephone(dsn, tmp_path, **manner) as phone:
        yield phone


def a_missed_delivery(**changes: Any) -> ExceptionRaised:
    given = {
        "kind": Kind.DELIVERY_MISSED,
        "line": None,
        "options": (a_way("porch", OptionKind.SAFE_PLACE), a_way("again", OptionKind.REDELIVER)),
        "fulfilment_deadline_at": NOON + timedelta(minutes=60),
    }
    return an_exception(**(given | changes))


def test_a_caller_approves_with_keys_alone(phone: Telephone) -> None:
    phone.talk(
        {"hears": "Am I speaking", "keys": "1"},
        {"hears": "press the number", "keys": "1"},
        {"hears": "your new total is", "keys": "1"},
        exceptions=[an_exception()],
    )
    decision = phone.world.expect_decision(Resolution.SUBSTITUTED, channel=Channel.VOICE)
    assert "your new total is £60.00" in decision.readback
    assert phone.said[-1].startswith("Noted, thank you. That is all.")
    phone.without_errors()


def test_a_caller_chooses_another_by_speech_that_was_recognised_badly(phone: Telephone) -> None:
    phone.talk(
        YES,
        {"hears": "press the number", "say": "erm the hill side sour dough please", "confidence": 0.61},
        {"hears": "your new total is", "say": "yes please"},
        exceptions=[an_exception()],
    )
    decision = phone.world.expect_decision(Resolution.ALTERNATIVE)
    assert [part.option_id for part in decision.chosen] == ["hillside"]
    [response] = phone.responses
    assert response.spoken
    assert phone.heard_of(response) == "yes please"


def test_a_refund_is_read_back_with_the_total_that_is_left(phone: Telephone) -> None:
    phone.talk(
        YES,
        {"hears": "press the number", "say": "just refund me"},
        {"hears": "new total is £58.00", "say": "yes"},
        exceptions=[an_exception()],
    )
    phone.world.expect_decision(Resolution.REFUNDED)


def test_fewer_pieces_are_taken_and_the_rest_is_refunded_at_the_exact_total(phone: Telephone) -> None:
    line = a_line(quantity_ordered=3, unit_price=pounds(200))
    options = (an_option(quantity_default=3, unit_price=pounds(150)),)
    phone.talk(
        YES,
        {"hears": "Shall I take it", "say": "just two of them"},
        {"hears": "new total is £57.00", "say": "yes"},
        exceptions=[an_exception(line=line, options=options)],
    )
    decision = phone.world.expect_decision(Resolution.SUBSTITUTED)
    assert (decision.chosen[0].quantity, decision.refund_quantity) == (2, 1)
    assert (decision.price_before, decision.price_after) == (pounds(600), pounds(300))


@pytest.mark.parametrize("words", ["just one please", "make it one", "only one of those thanks"])
def test_fewer_is_heard_however_politely_it_is_said(dsn: str, tmp_path: Path, words: str) -> None:
    line = a_line(quantity_ordered=3, unit_price=pounds(200))
    options = (an_option(quantity_default=3, unit_price=pounds(150)),)
    with Telephone(dsn, tmp_path) as phone:
        phone.talk(
            YES,
            {"hears": "Shall I take it", "say": words},
            {"hears": "So that is 1 .*new total is £55.50", "say": "yes"},
            exceptions=[an_exception(line=line, options=options)],
        )
        decision = phone.world.expect_decision(Resolution.SUBSTITUTED)
        assert (decision.chosen[0].quantity, decision.refund_quantity) == (1, 2)


def test_a_delivery_that_failed_is_cancelled_by_voice_after_a_readback(phone: Telephone) -> None:
    phone.talk(
        YES,
        {"hears": "cancel it and not pay", "say": "just give me a refund"},
        {"hears": "cancelled, and you do not pay", "say": "yes please"},
        exceptions=[a_missed_delivery()],
    )
    decision = phone.world.expect_decision(Resolution.REFUNDED, channel=Channel.VOICE)
    assert "it is cancelled" in decision.readback
    phone.without_errors()


def test_where_the_shop_gives_no_refund_the_caller_is_told_so_and_can_ask_for_a_person(
    phone: Telephone,
) -> None:
    phone.talk(
        YES,
        {"hears": "Say or press the number", "say": "refund please"},
        {"hears": "does not offer a refund.*'person'", "say": "person please"},
        exceptions=[a_missed_delivery(refund_allowed=False)],
    )
    phone.world.expect_open()
    assert Signal.PERSON_WANTED in [response.signal for response in phone.responses]


def test_stop_by_text_ends_the_call_that_is_being_spoken(phone: Telephone) -> None:
    phone.twilio.put(f"numbers/{US}", {"sms_url": f"{phone.url}/twilio/sms"})
    command = phone.asked_to_call(an_exception())
    # Nothing but the text makes this caller's call move on.
    phone.rings(command, YES, {"hears": "press the number", "keys": "1", "wait_ms": 3_600_000})
    phone.twilio.expect("agent_says", where=lambda entry: "press the number" in entry["text"])
    phone.twilio.post("inbound-sms", {"from": SAM, "body": "STOP"})
    phone.over(command.command_id)
    assert phone.said[-1].startswith("We will not call or text you")
    assert [response.signal for response in phone.responses] == [Signal.OPT_OUT_KEYWORD]
    phone.world.expect_open()
    phone.without_errors()


def in_own_words(**call: str) -> Shelf:
    """The shipped policies, each with these words for calls."""

    def changed(policy: Policy) -> Policy:
        english = policy.scripts["en-GB"].model_copy(update={"call": call})
        # A copy would keep what the first one has worked out from its words.
        return Policy.model_construct(**{**dict(policy), "scripts": {**policy.scripts, "en-GB": english}})

    return Shelf([changed(policy) for policy in SHELF.by_key.values()])


def test_a_call_speaks_the_words_of_its_policy_and_the_transcript_says_which(
    dsn: str, tmp_path: Path, manner: dict[str, Any]
) -> None:
    world = World(policies=in_own_words(noted="Grand, that's done."))
    with Telephone(dsn, tmp_path, world, **manner) as phone:
        phone.talk(
            {"hears": "Am I speaking", "keys": "1"},
            {"hears": "press the number", "keys": "1"},
            {"hears": "your new total is", "keys": "1"},
            exceptions=[an_exception()],
        )
        phone.world.expect_decision(Resolution.SUBSTITUTED, channel=Channel.VOICE)
        assert phone.said[-1].startswith("Grand, that's done.")
        assert {turn["script"] for turn in phone.transcript()} == {"en-GB/mid_pick_substitution@1.1"}


def test_one_call_settles_every_open_line_of_the_order(phone: Telephone) -> None:
    phone.talk(
        YES,
        {"hears": "Oakmill.*press the number", "keys": "2"},
        {"hears": "So that is.*press 1", "keys": "1"},
        {"hears": "Shall I take it", "say": "refund please"},
        {"hears": "So I take", "say": "yes"},
        exceptions=[an_exception(), a_second()],
    )
    phone.world.expect_decision(Resolution.ALTERNATIVE, "x1")
    phone.world.expect_decision(Resolution.REFUNDED, "x2")


def test_who_hangs_up_in_the_middle_of_a_readback_has_decided_nothing(phone: Telephone) -> None:
    phone.talk(
        YES,
        {"hears": "press the number", "keys": "1"},
        {"hears": "your new total is", "hangup": True},
        exceptions=[an_exception()],
    )
    phone.world.expect_open()
    assert phone.responses == []
    phone.without_errors()


def test_a_voicemail_is_left_a_callback_without_a_word_of_the_basket(phone: Telephone) -> None:
    phone.talk(exceptions=[an_exception()], picks_up="voicemail")
    assert "look at our message or app, or call us back" in phone.said[-1]
    assert not any("Oakmill" in text for text in phone.said)
    assert "voicemail" in phone.told(phone.world.expect_call().command_id)
    phone.world.expect_open()
    phone.without_errors()


def test_a_screener_is_told_who_calls_and_counts_as_no_answer_if_it_never_connects(phone: Telephone) -> None:
    phone.talk(exceptions=[an_exception()], picks_up="screener")
    assert any("an automated assistant, with a question about today's order" in text for text in phone.said)
    assert not any("Oakmill" in text for text in phone.said)
    assert phone.told(phone.world.expect_call().command_id)[-1] == "screened"
    assert phone.world.record().next_call_at is not None


def test_a_screener_that_connects_is_followed_by_the_whole_call(phone: Telephone) -> None:
    phone.talk(
        {"hears": "Am I speaking", "keys": "1"},
        {"hears": "press the number", "keys": "1"},
        {"hears": "your new total is", "keys": "1"},
        exceptions=[an_exception()],
        picks_up="screener",
        accepts="question about today's order",
    )
    phone.world.expect_decision(Resolution.SUBSTITUTED)


def test_stop_is_written_before_it_is_answered_and_ends_the_call(phone: Telephone) -> None:
    phone.talk(
        YES, {"hears": "press the number", "say": "stop calling me please"}, exceptions=[an_exception()]
    )
    [response] = phone.responses
    assert response.signal is Signal.OPT_OUT_SENTENCE
    assert [fact.opted_out for fact in phone.facts if isinstance(fact, CustomerConsent)] == [True]
    assert "We will not call or text you" in phone.said[-1]
    assert set(phone.vault.facts("customer-1").opted_out) == {Channel.SMS, Channel.VOICE}


def test_somebody_else_hears_nothing_of_the_order_and_is_never_called_again(phone: Telephone) -> None:
    phone.talk(
        {"hears": "Am I speaking", "say": "no sorry you have the wrong number"},
        {"hears": "wrong number", "keys": "1"},
        exceptions=[an_exception()],
    )
    assert not any("Oakmill" in text for text in phone.said)
    [response] = phone.responses
    assert (response.signal, response.responder) == (Signal.WRONG_NUMBER, Responder.STRANGER)
    assert set(phone.vault.facts("customer-1").opted_out) == {Channel.SMS, Channel.VOICE}


def test_who_wants_a_person_and_nobody_is_free_gets_a_task_and_a_link(phone: Telephone) -> None:
    phone.talk(YES, {"hears": "press the number", "keys": "9"}, exceptions=[an_exception()])
    assert [response.signal for response in phone.responses] == [Signal.PERSON_WANTED, Signal.HELP]
    assert "Oakmill Sourdough 400 g: open; offered" in phone.heard_of(phone.responses[0])
    [task] = phone.world.sent(Channel.PERSON)
    assert "open; offered Corner Loaf" in phone.calls.handed_over(task.conversation_id)


def test_silence_ends_in_a_message_and_no_decision(phone: Telephone) -> None:
    phone.talk(exceptions=[an_exception()])
    assert "I cannot hear you" in phone.said[-1]
    phone.world.expect_open()


def test_a_yes_before_the_total_was_spoken_decides_nothing(
    dsn: str, tmp_path: Path, manner: dict[str, Any]
) -> None:
    # Of this voice nothing can have been heard when the answer comes.
    with Telephone(dsn, tmp_path, **({"pace": 1_000} | manner)) as phone:
        phone.talk(
            YES,
            {"hears": "press the number", "keys": "1"},
            {"hears": "your new total is", "say": "yes", "interrupts": True},
            {"hears": "your new total is", "hangup": True},
            exceptions=[an_exception()],
        )
        assert phone.responses == []
        phone.world.expect_open()


def test_a_decision_that_came_meanwhile_is_told_and_not_asked_again(phone: Telephone) -> None:
    command = phone.asked_to_call(an_exception())
    # Its sender was frozen before its socket, and thaws only now.
    phone.rings(command, first=lambda: phone.meanwhile(lambda world: world.taps("corner")))
    phone.over(command.command_id)
    assert "Nothing about your order needs an answer right now" in phone.said[-1]
    assert not any("Oakmill" in text for text in phone.said)
    assert phone.responses == []


def test_what_decide_refuses_is_not_called_noted(phone: Telephone) -> None:
    command = phone.asked_to_call(an_exception())
    # A recall that the call's words were made before.
    phone.meanwhile(lambda world: world.blocked("bread-corner"))
    phone.rings(
        command,
        YES,
        {"hears": "press the number", "keys": "1"},
        {"hears": "your new total is", "keys": "1"},
        {"hears": "has just run out", "keys": "1"},
        {"hears": "your new total is", "say": "yes"},
    )
    phone.over(command.command_id)
    decision = phone.world.expect_decision(Resolution.ALTERNATIVE)
    assert [part.option_id for part in decision.chosen] == ["hillside"]
    assert "I am sorry, that one has just run out." in " ".join(phone.said)
    assert sum("Noted" in text for text in phone.said) == 1


def test_a_line_that_is_decided_elsewhere_is_told_and_the_next_is_asked(phone: Telephone) -> None:
    command = phone.asked_to_call(an_exception(), a_second())
    phone.rings(
        command,
        {"hears": "Am I speaking", "say": "yes", "wait_ms": 200_000},
        {"hears": "Shall I take it", "keys": "1"},
        {"hears": "your new total is", "keys": "1"},
    )
    phone.twilio.expect("agent_says", provider_id=phone.call_sid)
    phone.meanwhile(lambda world: world.taps("corner"))
    phone.over(command.command_id)
    assert "Oakmill" not in " ".join(phone.said)
    phone.world.expect_decision(Resolution.SUBSTITUTED, "x2")


def test_who_is_put_through_is_announced_to_the_colleague_with_what_was_said(
    dsn: str, tmp_path: Path, manner: dict[str, Any]
) -> None:
    with Telephone(dsn, tmp_path, staff_number=STAFF, **manner) as phone:
        phone.twilio.put(f"phones/{STAFF}", {"picks_up": "person", "ring_ms": 500})
        phone.talk(
            YES, {"hears": "press the number", "say": "can I talk to a person"}, exceptions=[an_exception()]
        )
        [whispered] = [
            entry["text"]
            for entry in phone.twilio.book("agent_says")
            if entry["provider_id"] != phone.call_sid
        ]
        assert whispered == "1 x Oakmill Sourdough 400 g: open; offered Corner Loaf, Hillside Sourdough."
        assert "put you through to a colleague" in phone.said[-1]
        assert Signal.PERSON_WANTED in [response.signal for response in phone.responses]
        phone.without_errors()


def test_a_colleague_who_does_not_answer_leaves_the_customer_with_a_link(
    dsn: str, tmp_path: Path, manner: dict[str, Any]
) -> None:
    with Telephone(dsn, tmp_path, staff_number=STAFF, **manner) as phone:
        phone.twilio.put(f"phones/{STAFF}", {"picks_up": "busy"})
        phone.talk(YES, {"hears": "press the number", "keys": "9"}, exceptions=[an_exception()])
        assert "No colleague is free now" in phone.said[-1]
        assert [response.signal for response in phone.responses] == [Signal.PERSON_WANTED, Signal.HELP]


def test_a_customer_who_calls_back_says_the_orders_last_characters_and_decides(phone: Telephone) -> None:
    phone.talk(exceptions=[an_exception()], picks_up="voicemail")
    phone.calls_in(
        {"hears": "last four characters", "keys": "3371"},
        {"hears": "does not match", "say": "d e r 1"},
        {"hears": "press the number", "keys": "1"},
        {"hears": "your new total is", "keys": "1"},
    )
    phone.world.expect_decision(Resolution.SUBSTITUTED, channel=Channel.VOICE)
    # While the code was given, the transcript paused.
    heard = str([turn["heard"] for turn in phone.transcript()])
    assert "3371" not in heard
    assert "d e r 1" not in heard
    phone.without_errors()


def test_a_customer_who_calls_and_hangs_up_has_decided_nothing(phone: Telephone) -> None:
    phone.talk(exceptions=[an_exception()], picks_up="busy")
    phone.calls_in(
        {"hears": "last four characters", "keys": "der1"},
        {"hears": "last four characters|does not match", "say": "der1"},
        {"hears": "press the number", "keys": "1"},
        {"hears": "your new total is", "hangup": True},
    )
    until(lambda: phone.stage(phone.call_sid) == "ended", "the report of the end")
    phone.world.expect_open()
    phone.without_errors()


def test_whoever_calls_without_the_code_hears_nothing_of_the_order(phone: Telephone) -> None:
    phone.talk(exceptions=[an_exception()], picks_up="busy")
    phone.calls_in({"hears": "last four characters|does not match", "say": "nine nine nine nine", "times": 5})
    assert "Oakmill" not in " ".join(phone.said)
    assert phone.responses == []
    assert "I cannot find that order" in phone.said[-1]


def test_a_caller_whom_we_never_contacted_is_told_so(phone: Telephone) -> None:
    phone.calls_in(sender="+447700900999")
    assert "I cannot find that order" in phone.said[-1]
    phone.without_errors()


@contextmanager
def a_second_understanding(answer: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """Its address, and what it was asked."""
    asked: list[bytes] = []

    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/", asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_second_understanding_proposes_and_the_readback_disposes(
    dsn: str, tmp_path: Path, manner: dict[str, Any]
) -> None:
    proposal = b'{"intent": "choose", "confidence": 0.9, "option": 2}'
    with (
        a_second_understanding(proposal) as (url, asked),
        Telephone(dsn, tmp_path, second_url=url, **manner) as phone,
    ):
        phone.talk(
            YES,
            {"hears": "press the number", "say": "the posh one"},
            {"hears": "So that is Hillside", "say": "yes"},
            exceptions=[an_exception()],
        )
        assert len(asked) == 1
        # It is told what was offered, and nothing about the customer.
        assert b"Hillside" in asked[0]
        assert b"Sam" not in asked[0]
        phone.world.expect_decision(Resolution.ALTERNATIVE)
