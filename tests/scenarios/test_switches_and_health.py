"""Operations can stop a channel, a store or a kind within seconds; a provider's trouble is not the customer's."""

import pytest

from schemas.words import Actor, Channel, Kind, Purpose, ReceiptState, Resolution, SwitchScope
from tests.builders import a_customer, an_exception
from tests.scenarios.world import World

PUSH, SMS, EMAIL, VOICE = Channel.PUSH, Channel.SMS, Channel.EMAIL, Channel.VOICE


def missing_loaf(world: World, **span: float) -> None:
    world.exception(an_exception())
    world.fast_forward(**span)


def test_a_channel_that_is_switched_off_is_left_out():
    world = World()
    world.switch(SwitchScope.CHANNEL, "sms")
    missing_loaf(world, minutes=20)
    assert SMS not in {command.channel for command in world.sent()}
    world.expect_sent(Purpose.ASK, PUSH, EMAIL)


def test_a_channel_that_is_switched_off_is_no_reason_to_call_at_once():
    world = World(customer=a_customer(channels=(SMS, VOICE)))
    world.switch(SwitchScope.CHANNEL, "sms")
    missing_loaf(world, seconds=199)
    world.expect_no_call()
    world.fast_forward(seconds=1)
    world.expect_call()


def test_calls_that_are_switched_off_are_not_made_even_in_the_middle_of_an_escalation():
    world = World()
    missing_loaf(world, seconds=60)
    world.switch(SwitchScope.CHANNEL, "voice")
    world.fast_forward(minutes=10)
    world.expect_no_call()
    world.expect_decision(Resolution.REFUNDED, actor=Actor.DEFAULT)


def test_a_second_attempt_is_not_made_once_calls_are_switched_off():
    world = World()
    missing_loaf(world, seconds=200)
    world.switch(SwitchScope.CHANNEL, "voice")
    world.receipt(world.expect_call(), ReceiptState.BUSY)
    world.fast_forward(minutes=10)
    world.expect_call(attempts=1)


@pytest.mark.parametrize(
    ("scope", "name"), [(SwitchScope.STORE, "store-1"), (SwitchScope.KIND, Kind.ITEM_UNAVAILABLE.value)]
)
def test_nobody_is_contacted_from_a_store_or_about_a_kind_that_is_switched_off(scope, name):
    world = World()
    world.switch(scope, name)
    missing_loaf(world, minutes=20)
    assert world.sent() == []
    world.expect_decision(Resolution.REFUNDED, actor=Actor.DEFAULT)
    assert world.case().announced == "not_possible"


@pytest.mark.parametrize(
    ("scope", "name"), [(SwitchScope.STORE, "store-2"), (SwitchScope.KIND, Kind.RECALLED.value)]
)
def test_the_switch_of_another_store_or_kind_stops_nothing(scope, name):
    world = World()
    world.switch(scope, name)
    missing_loaf(world, seconds=20)
    world.expect_sent(Purpose.ASK, PUSH, SMS, EMAIL)


def test_a_switch_that_is_turned_back_lets_the_next_customer_be_asked():
    world = World()
    world.switch(SwitchScope.STORE, "store-1")
    world.switch(SwitchScope.STORE, "store-1", on=False)
    missing_loaf(world, seconds=20)
    world.expect_sent(Purpose.ASK, PUSH, SMS, EMAIL)


def test_while_the_voice_provider_is_down_nobody_waits_for_a_call():
    world = World()
    world.provider(VOICE, healthy=False)
    missing_loaf(world, seconds=199)
    world.expect_open()
    world.fast_forward(seconds=1)
    world.expect_no_call()
    world.expect_decision(Resolution.REFUNDED, actor=Actor.DEFAULT)


def test_a_voice_provider_that_recovers_in_time_is_used():
    world = World()
    missing_loaf(world, seconds=60)
    world.provider(VOICE, healthy=False)
    world.fast_forward(seconds=60)
    world.provider(VOICE, healthy=True)
    world.fast_forward(seconds=80)
    world.expect_call()


def test_a_text_provider_that_is_down_does_not_send_customers_to_the_telephone_early():
    world = World(customer=a_customer(channels=(SMS, VOICE)))
    world.provider(SMS, healthy=False)
    missing_loaf(world, seconds=199)
    world.expect_no_call()


def test_the_customer_can_answer_while_everything_is_switched_off():
    world = World()
    world.switch(SwitchScope.STORE, "store-1")
    missing_loaf(world, seconds=30)
    world.taps("corner")
    world.expect_decision(Resolution.SUBSTITUTED, actor=Actor.CUSTOMER)
    world.expect_done()
