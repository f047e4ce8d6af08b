"""Whoever says stop is believed at once, on every channel, and nothing else is held against them."""

from datetime import timedelta

import pytest

from schemas.commands import ChannelCancel
from schemas.events import Answer, ConsentChanged
from schemas.words import Actor, Channel, Purpose, ReceiptState, Resolution, Responder, Signal
from tests.builders import NOON, a_customer, a_second, an_exception
from tests.scenarios.world import World

PUSH, SMS, EMAIL, VOICE, PAGE = Channel.PUSH, Channel.SMS, Channel.EMAIL, Channel.VOICE, Channel.PAGE
OPT_OUTS = [Signal.OPT_OUT_KEYWORD, Signal.OPT_OUT_SENTENCE]


def asked(**facts) -> World:
    world = World(customer=a_customer(**facts))
    world.exception(an_exception())
    world.fast_forward(seconds=30)
    return world


def says_stop(world: World, signal=Signal.OPT_OUT_KEYWORD, channel=SMS, *answers: Answer) -> None:
    world.answers(*answers, channel=channel, signal=signal, spoken=channel is VOICE)


@pytest.mark.parametrize("signal", OPT_OUTS)
def test_after_stop_nobody_texts_or_calls_and_the_default_is_announced_elsewhere(signal):
    world = asked()
    world.messages_leave()
    says_stop(world, signal)
    asked_before = len(world.sent(SMS, Purpose.ASK))
    world.fast_forward(minutes=15)
    world.expect_no_call()
    assert len(world.sent(SMS, Purpose.ASK)) == asked_before
    world.expect_decision(Resolution.REFUNDED, actor=Actor.DEFAULT)
    world.expect_sent(Purpose.DEFAULT, PUSH, EMAIL)


def test_a_keyword_gets_no_text_from_us():
    world = asked()
    says_stop(world)
    world.fast_forward(minutes=15)
    world.expect_sent(Purpose.OPTOUT_ACK)
    assert [c.purpose for c in world.sent(SMS)] == [Purpose.ASK]


def test_a_sentence_gets_exactly_one_text():
    world = asked()
    says_stop(world, Signal.OPT_OUT_SENTENCE)
    says_stop(world, Signal.OPT_OUT_SENTENCE)
    world.fast_forward(minutes=15)
    world.expect_sent(Purpose.OPTOUT_ACK, SMS)


def test_stop_calling_me_spoken_on_the_telephone_counts_for_texts_as_well():
    world = asked()
    world.messages_leave()
    world.fast_forward(minutes=3)
    call = world.expect_call()
    world.picks_up(call)
    says_stop(world, Signal.OPT_OUT_SENTENCE, VOICE)
    world.hangs_up(call)
    world.fast_forward(minutes=15)
    world.expect_sent(Purpose.OPTOUT_ACK, SMS)
    world.expect_sent(Purpose.DEFAULT, PUSH, EMAIL)
    world.expect_call(attempts=1)


def test_stop_while_the_telephone_rings_takes_the_call_back():
    world = asked()
    world.messages_leave()
    world.fast_forward(minutes=3)
    call = world.expect_call()
    says_stop(world)
    assert [(c.cancels, c.reason) for c in world.of(ChannelCancel)] == [(call.command_id, "opted_out")]


def test_stop_takes_back_the_text_that_has_not_left():
    world = asked()
    says_stop(world)
    assert [(c.channel, c.reason) for c in world.of(ChannelCancel)] == [(SMS, "opted_out")]


def test_an_opt_out_does_not_hurry_the_default():
    world = asked(channels=(SMS, VOICE))
    says_stop(world)
    world.expect_open()
    world.fast_forward(seconds=160)
    world.expect_open()


@pytest.mark.parametrize("signal", OPT_OUTS)
def test_a_choice_in_the_same_message_counts_after_the_opt_out(signal):
    world = asked()
    says_stop(world, signal, SMS, Answer(key=1))
    world.expect_decision(Resolution.SUBSTITUTED, actor=Actor.CUSTOMER)
    world.fast_forward(minutes=15)
    world.expect_no_call()
    world.expect_sent(Purpose.CONFIRM, PUSH)


@pytest.mark.parametrize("signal", OPT_OUTS)
def test_a_choice_that_fails_in_the_same_message_is_not_answered_by_another_text(signal):
    world = asked()
    says_stop(world, signal, SMS, Answer(key=7))
    world.expect_open()
    world.expect_sent(Purpose.REPLY)


def test_the_customer_can_still_answer_on_the_page():
    world = asked()
    says_stop(world)
    world.taps("corner")
    world.expect_decision(Resolution.SUBSTITUTED, channel=PAGE)


def test_yes_and_start_opt_in_again_and_are_answered():
    world = asked()
    says_stop(world)
    world.answers(channel=SMS, signal=Signal.OPT_IN)
    world.expect_sent(Purpose.OPTIN_ACK, SMS)
    world.fast_forward(minutes=3)
    world.expect_call()


def test_yes_is_no_choice_by_itself_while_nobody_has_opted_out():
    world = asked()
    world.answers(channel=SMS, signal=Signal.OPT_IN)
    world.expect_open()
    world.expect_sent(Purpose.OPTIN_ACK)
    assert [reply.reason for reply in world.sent(SMS, Purpose.REPLY)] == ["unclear"]


def test_yes_opts_in_whoever_had_opted_out_long_ago():
    world = asked(opted_out=(SMS, VOICE))
    world.answers(channel=SMS, signal=Signal.OPT_IN)
    world.expect_sent(Purpose.OPTIN_ACK, SMS)
    world.fast_forward(minutes=10)
    world.expect_call()


def test_help_is_answered_and_changes_nothing():
    world = asked()
    world.answers(channel=SMS, signal=Signal.HELP)
    world.expect_sent(Purpose.HELP, SMS)
    world.expect_open()
    world.fast_forward(minutes=3)
    world.expect_call()


def test_help_is_answered_even_after_stop():
    world = asked()
    says_stop(world)
    world.answers(channel=SMS, signal=Signal.HELP)
    world.expect_sent(Purpose.HELP, SMS)


def test_an_opt_out_that_was_made_elsewhere_counts_in_the_running_conversation():
    world = asked()
    world.consent_changes(SMS, VOICE, opted_out=True)
    world.fast_forward(minutes=15)
    world.expect_no_call()
    world.expect_sent(Purpose.DEFAULT, PUSH, EMAIL)


def test_a_renewal_that_was_made_elsewhere_counts_as_well():
    world = asked(channels=(SMS, VOICE), opted_out=(SMS, VOICE))
    world.expect_sent(Purpose.ASK)
    world.consent_changes(SMS, VOICE, opted_out=False)
    world.fast_forward(minutes=10)
    world.expect_call()


def test_an_older_picture_of_the_customer_does_not_undo_an_opt_out():
    world = asked()
    says_stop(world)
    world.contact_changes(a_customer(locale="de-DE"))
    world.fast_forward(minutes=15)
    world.expect_no_call()


def test_the_opt_out_holds_for_the_next_missing_line_of_the_order():
    world = asked()
    says_stop(world)
    world.taps("corner")
    world.fast_forward(minutes=1)
    world.exception(an_exception("x2"))
    world.fast_forward(minutes=15)
    world.expect_no_call()
    assert [c.purpose for c in world.sent(SMS)] == [Purpose.ASK]


def test_whoever_opted_out_before_is_asked_by_push_and_e_mail_only():
    world = asked(opted_out=(SMS, VOICE))
    world.expect_sent(Purpose.ASK, PUSH, EMAIL)
    world.fast_forward(minutes=15)
    world.expect_no_call()


def test_stop_works_from_anybody_who_holds_the_telephone():
    world = asked()
    world.answers(channel=VOICE, responder=Responder.HOUSEHOLD, signal=Signal.OPT_OUT_SENTENCE)
    world.fast_forward(minutes=15)
    world.expect_no_call()


def test_a_text_that_was_held_back_by_an_opt_out_has_announced_nothing():
    world = World(customer=a_customer(channels=(SMS,)))
    world.exception(an_exception())
    world.fast_forward_to(NOON + timedelta(minutes=10))
    (announcement,) = world.expect_sent(Purpose.DEFAULT, SMS)
    says_stop(world, Signal.OPT_OUT_KEYWORD)
    world.receipt(announcement, ReceiptState.SUPPRESSED, reason="opted_out")
    assert world.case().announced == "not_possible"


def test_whoever_says_start_after_a_call_that_stop_held_back_is_called_about_the_next_line():
    world = World()
    world.exception(an_exception(picked_until_at=NOON + timedelta(minutes=30)))
    world.fast_forward_to(NOON + timedelta(seconds=200))
    call = world.expect_call()
    says_stop(world, Signal.OPT_OUT_KEYWORD)
    world.receipt(call, ReceiptState.SUPPRESSED, reason="opted_out")
    world.answers(channel=SMS, signal=Signal.OPT_IN)
    world.fast_forward(minutes=10)
    world.exception(a_second(fulfilment_deadline_at=world.now + timedelta(minutes=10)))
    world.fast_forward(minutes=4)
    assert world.expect_call(attempts=2).about == ("x2",)


def test_an_opt_out_of_e_mail_alone_leaves_the_next_call_as_it_was_planned():
    world = World()
    world.exception(an_exception())
    world.fast_forward_to(NOON + timedelta(seconds=200))
    world.receipt(world.expect_call(), ReceiptState.NO_ANSWER, sequence=2)
    world.happens(
        ConsentChanged(
            event_id="unsubscribed",
            order_id="order-1",
            channels=(Channel.EMAIL,),
            opted_out=True,
            occurred_at=world.now,
        )
    )
    world.fast_forward(seconds=30)
    world.expect_call(attempts=2)
