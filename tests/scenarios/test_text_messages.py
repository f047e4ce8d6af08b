"""Answering by text message: a number, a letter and a number, or what we ask again."""

from datetime import timedelta

import pytest

from schemas.events import Answer
from schemas.words import Actor, Channel, Purpose, Resolution, Signal
from tests.builders import NOON, a_customer, a_second, an_exception, an_option, pounds
from tests.scenarios.world import World

SMS = Channel.SMS


def asked(*exceptions) -> World:
    world = World()
    for exception in exceptions or (an_exception(),):
        world.exception(exception)
    world.fast_forward(seconds=60)
    return world


@pytest.mark.parametrize(("key", "option_id"), [("1", "corner"), ("2", "hillside")])
def test_with_one_line_open_a_number_is_the_choice(key, option_id):
    world = asked()
    world.texts(key)
    decision = world.expect_decision(world.case().decision.resolution, channel=SMS, actor=Actor.CUSTOMER)
    assert decision.chosen[0].option_id == option_id


def test_zero_is_the_refund():
    world = asked()
    world.texts("0")
    world.expect_decision(Resolution.REFUNDED, actor=Actor.CUSTOMER, refund_quantity=1)


def test_several_lines_are_lettered_and_answered_in_one_text():
    world = asked(an_exception(), a_second())
    world.texts("A1 B0")
    world.expect_decision(Resolution.SUBSTITUTED, "x1")
    world.expect_decision(Resolution.REFUNDED, "x2", actor=Actor.CUSTOMER)


def test_the_letters_of_an_order_stay_with_their_lines():
    world = asked(an_exception(), a_second())
    world.texts("A1")
    world.fast_forward(seconds=10)
    world.exception(a_second("x3", line_id="L3"))
    world.fast_forward(seconds=20)
    (update,) = world.sent(SMS, Purpose.UPDATE)
    assert [(case.case_id, case.letter) for case in update.cases] == [("x2", "B"), ("x3", "C")]


def test_a_bare_number_with_several_lines_open_is_asked_again_with_all_of_them():
    world = asked(an_exception(), a_second())
    world.texts("1")
    world.expect_open("x1")
    world.expect_open("x2")
    (reply,) = world.expect_sent(Purpose.REPLY, SMS)
    assert reply.reason == "which_one"
    assert [case.letter for case in reply.cases] == ["A", "B"]


def test_a_number_that_was_not_on_offer_is_told_so_with_what_is():
    world = asked()
    world.texts("7")
    world.expect_open()
    (reply,) = world.expect_sent(Purpose.REPLY, SMS)
    assert reply.reason == "unknown_key"
    assert [option.key for option in reply.cases[0].options] == [1, 2]


def test_a_letter_that_was_never_given_is_told_so_and_the_other_answer_still_counts():
    world = asked(an_exception(), a_second())
    world.texts("A1 Q1")
    world.expect_decision(Resolution.SUBSTITUTED, "x1")
    world.expect_open("x2")
    assert [reply.reason for reply in world.sent(SMS, Purpose.REPLY)] == ["unknown_letter"]


def test_a_bare_number_means_the_line_that_is_still_open():
    world = asked(an_exception(), a_second())
    world.texts("A1")
    world.texts("1")
    world.expect_decision(Resolution.SUBSTITUTED, "x2")
    world.expect_decision(Resolution.SUBSTITUTED, "x1", version=1)


def test_a_bare_number_means_the_open_conversation_and_not_an_earlier_one():
    world = asked()
    world.texts("1")
    world.fast_forward(minutes=11)
    later = a_second(occurred_at=world.now, fulfilment_deadline_at=world.now + timedelta(minutes=10))
    world.exception(later)
    world.fast_forward(seconds=30)
    world.texts("0")
    world.expect_decision(Resolution.REFUNDED, "x2")
    world.expect_decision(Resolution.SUBSTITUTED, "x1", version=1)


def test_text_that_nobody_understands_is_asked_again():
    world = asked()
    world.answers(channel=SMS, signal=Signal.UNCLEAR)
    world.expect_open()
    (reply,) = world.expect_sent(Purpose.REPLY, SMS)
    assert reply.reason == "unclear"
    assert reply.cases[0].options != ()


def test_a_choice_in_free_words_is_answered_with_the_keys_and_decided_by_one():
    world = asked()
    world.answers(Answer(case_id="x1", key=1), channel=SMS, spoken=True)
    world.expect_open()
    (reply,) = world.expect_sent(Purpose.REPLY, SMS)
    assert reply.reason == "not_confirmed"
    assert [option.key for option in reply.cases[0].options] == [1, 2]
    world.texts("1")
    world.expect_decision(Resolution.SUBSTITUTED, channel=SMS, actor=Actor.CUSTOMER)


@pytest.mark.parametrize("channel", [Channel.PAGE, Channel.APP, Channel.VOICE])
def test_only_whoever_wrote_a_text_is_answered_by_text(channel):
    world = asked()
    world.answers(Answer(case_id="x1", key=7), channel=channel)
    world.expect_sent(Purpose.REPLY)
    assert world.last_verdict().reason == "unknown_key"


def test_a_dearer_choice_by_text_is_asked_once_more_with_the_new_total():
    world = World(customer=a_customer(channels=(SMS,), price_cap=pounds(500)))
    world.exception(an_exception(options=(an_option("rye", unit_price=pounds(350)),)))
    world.fast_forward(seconds=60)
    world.texts("1")
    world.expect_open()
    assert [reply.reason for reply in world.sent(SMS, Purpose.REPLY)] == ["confirm_total: 6150 GBP"]
    world.texts("1")
    world.expect_decision(Resolution.SUBSTITUTED, price_after=pounds(350))


def test_a_refund_after_a_dearer_choice_needs_no_second_yes():
    world = World(customer=a_customer(channels=(SMS,), price_cap=pounds(500)))
    world.exception(an_exception(options=(an_option("rye", unit_price=pounds(350)),)))
    world.fast_forward(seconds=60)
    world.texts("1")
    world.texts("0")
    world.expect_decision(Resolution.REFUNDED, actor=Actor.CUSTOMER)
    world.texts("1")
    world.expect_decision(Resolution.REFUNDED, actor=Actor.CUSTOMER)


def test_a_text_in_time_is_never_lost_because_its_window_has_just_closed():
    world = asked()
    world.fast_forward_to(NOON + timedelta(seconds=319))
    world.texts("1")
    world.fast_forward(minutes=10)
    world.expect_decision(Resolution.SUBSTITUTED, actor=Actor.CUSTOMER, version=1)


def test_a_bare_number_when_several_lines_are_decided_is_asked_again():
    world = asked(an_exception(), a_second())
    world.texts("A1 B1")
    world.texts("0")
    world.expect_decision(Resolution.SUBSTITUTED, "x1", version=1)
    world.expect_decision(Resolution.SUBSTITUTED, "x2", version=1)
    assert [reply.reason for reply in world.sent(SMS, Purpose.REPLY)] == ["which_one"]
