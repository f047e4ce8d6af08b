"""A message that cannot arrive is no reason to wait; an opt-out or a provider's trouble is."""

from datetime import timedelta

import pytest

from schemas.words import Actor, Channel, Purpose, ReceiptState, Resolution
from tests.builders import NOON, a_customer, an_exception
from tests.scenarios.world import World

PUSH, SMS, EMAIL, VOICE = Channel.PUSH, Channel.SMS, Channel.EMAIL, Channel.VOICE
DIGITAL = (PUSH, SMS, EMAIL)


def asked(*channels: Channel, **facts) -> World:
    """A customer with these channels was just asked about a loaf."""
    world = World(customer=a_customer(channels=channels or (*DIGITAL, VOICE), **facts))
    world.exception(an_exception())
    world.fast_forward(seconds=20)
    return world


def fails(world: World, *channels: Channel, state=ReceiptState.FAILED, reason="30006") -> None:
    for command in world.sent(purpose=Purpose.ASK):
        if command.channel in channels:
            world.receipt(command, state, reason=reason)


def test_when_every_message_failed_the_customer_is_called_at_once():
    world = asked()
    fails(world, PUSH, SMS)
    world.expect_no_call()
    fails(world, EMAIL)
    world.expect_call()


@pytest.mark.parametrize("only", DIGITAL)
def test_when_the_only_channel_failed_the_customer_is_called_at_once(only):
    world = asked(only, VOICE)
    fails(world, only)
    world.expect_call()


@pytest.mark.parametrize("code", ["21211", "21214", "21217", "21612", "21614", "30004", "30007"])
def test_every_final_answer_of_the_provider_counts_as_failed(code):
    world = asked(SMS, VOICE)
    fails(world, SMS, reason=code)
    world.expect_call()


def test_a_text_that_was_refused_when_it_was_claimed_counts_as_failed():
    world = asked(SMS, VOICE)
    fails(world, SMS, state=ReceiptState.SUPPRESSED, reason="no_address")
    world.expect_call()


@pytest.mark.parametrize("reason", ["cap", "quiet", "kill_switch", "too_late", "decided"])
def test_what_we_held_back_ourselves_is_no_failure_of_the_customers_address(reason):
    world = asked(SMS, VOICE)
    fails(world, SMS, state=ReceiptState.SUPPRESSED, reason=reason)
    world.fast_forward(seconds=179)
    world.expect_no_call()


def test_a_provider_that_is_down_does_not_flood_the_telephones():
    world = asked(SMS, EMAIL, VOICE)
    fails(world, SMS, EMAIL, state=ReceiptState.PROVIDER_DOWN)
    world.fast_forward(seconds=179)
    world.expect_no_call()
    world.fast_forward(seconds=1)
    world.expect_call()


def test_a_text_of_which_nobody_knows_whether_it_left_is_not_sent_again():
    world = asked(SMS, VOICE)
    fails(world, SMS, state=ReceiptState.AMBIGUOUS)
    world.fast_forward(seconds=179)
    world.expect_sent(Purpose.ASK, SMS)
    world.expect_no_call()


def test_the_providers_word_for_an_opt_out_is_an_opt_out_and_no_failure():
    world = asked(SMS, VOICE)
    fails(world, SMS, reason="opted_out")
    world.fast_forward(minutes=10)
    world.expect_no_call()
    assert world.cancelled() == []
    world.expect_decision(Resolution.REFUNDED, actor=Actor.DEFAULT)
    assert world.case().announced == "not_possible"


def test_if_only_opted_out_channels_are_left_the_clock_goes_on():
    world = asked(PUSH, SMS, VOICE, opted_out=(SMS,))
    fails(world, PUSH)
    world.expect_call()
    world = asked(SMS, VOICE, opted_out=(SMS,))
    world.fast_forward(seconds=179)
    world.expect_no_call()
    world.fast_forward(seconds=1)
    world.expect_call()


def test_without_any_digital_channel_the_call_comes_after_the_gather_window():
    world = World(customer=a_customer(channels=(VOICE,)))
    world.exception(an_exception())
    world.fast_forward(seconds=19)
    world.expect_no_call()
    world.fast_forward(seconds=1)
    world.expect_call()


def test_no_window_ever_waits_for_a_delivery_receipt():
    world = asked()
    world.fast_forward_to(NOON + timedelta(seconds=200))
    world.expect_call()


def test_a_message_that_arrives_late_after_all_mends_its_channel():
    world = asked(PUSH, SMS, VOICE)
    fails(world, PUSH)
    fails(world, PUSH, state=ReceiptState.DELIVERED)
    fails(world, SMS)
    world.expect_no_call()


def test_undeliverable_everywhere_and_no_telephone_means_the_default_at_once():
    world = asked(SMS, EMAIL)
    fails(world, SMS, EMAIL)
    world.expect_decision(Resolution.REFUNDED, actor=Actor.DEFAULT)
    world.fast_forward(seconds=5)
    assert world.case().announced == "not_possible"


def announced(*failing: Channel, customer: tuple[Channel, ...] = (Channel.PUSH, Channel.SMS)) -> World:
    """Nobody answered, the default was announced, and some of the announcements never arrived."""
    world = asked(*customer)
    world.fast_forward(minutes=10)
    for command in world.sent(purpose=Purpose.DEFAULT):
        failed = command.channel in failing
        world.receipt(command, ReceiptState.FAILED if failed else ReceiptState.DELIVERED)
    return world


def test_an_announcement_that_did_not_arrive_is_none():
    assert announced().last_change().announced == "push,sms"
    assert announced(Channel.SMS).last_change().announced == "push"


def test_a_default_that_reached_nobody_is_said_to_be_unannounced():
    assert announced(Channel.PUSH, Channel.SMS).last_change().announced == "not_possible"


def test_an_announcement_to_somebody_who_had_said_stop_is_none():
    world = asked(Channel.PUSH, Channel.SMS)
    world.fast_forward(minutes=10)
    text = world.sent(Channel.SMS, Purpose.DEFAULT)[0]
    world.receipt(text, ReceiptState.FAILED, reason="opted_out")
    assert world.last_change().announced == "push"
