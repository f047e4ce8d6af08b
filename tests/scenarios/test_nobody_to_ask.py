"""Customers who are unknown, or whom nothing reaches: the clock runs all the same."""

from datetime import timedelta

from schemas.facts import CustomerFacts
from schemas.words import Actor, Channel, HoldState, Purpose, Resolution
from tests.builders import NOON, a_customer, an_exception
from tests.scenarios.world import World

PUSH, SMS, EMAIL, VOICE = Channel.PUSH, Channel.SMS, Channel.EMAIL, Channel.VOICE


def test_a_known_customer_without_any_channel_takes_the_default_at_once_and_a_note_says_so():
    world = World(customer=a_customer(channels=()))
    world.exception(an_exception())
    world.expect_decision(Resolution.REFUNDED, actor=Actor.DEFAULT)
    world.fast_forward(seconds=5)
    assert world.case().announced == "not_possible"
    assert world.sent() == []
    world.expect_done()


def test_an_unknown_customer_is_waited_for_until_the_deadline():
    world = World(customer=CustomerFacts())
    world.exception(an_exception())
    assert [hold.state for hold in world.holds()] == [HoldState.ASKING]
    world.fast_forward_to(NOON + timedelta(minutes=10) - timedelta(seconds=11))
    world.expect_open()
    world.fast_forward(seconds=1)
    world.expect_decision(Resolution.REFUNDED, actor=Actor.DEFAULT)
    world.fast_forward(seconds=5)
    assert world.case().announced == "not_possible"


def test_an_unknown_customer_who_becomes_known_is_asked_at_once():
    world = World(customer=CustomerFacts())
    world.exception(an_exception())
    world.fast_forward(seconds=60)
    world.contact_changes(a_customer())
    world.expect_sent(Purpose.ASK, PUSH, SMS, EMAIL)
    world.fast_forward(minutes=3)
    world.expect_call()


def test_an_unknown_customer_who_becomes_known_while_we_gather_is_asked_after_it():
    world = World(customer=CustomerFacts())
    world.exception(an_exception())
    world.fast_forward(seconds=10)
    world.contact_changes(a_customer())
    assert world.sent() == []
    world.fast_forward(seconds=10)
    world.expect_sent(Purpose.ASK, PUSH, SMS, EMAIL)


def test_an_unknown_customer_who_becomes_known_too_late_takes_the_default_and_hears_of_it():
    world = World(customer=CustomerFacts())
    world.exception(an_exception())
    world.fast_forward(minutes=9)
    world.contact_changes(a_customer())
    world.expect_decision(Resolution.REFUNDED, actor=Actor.DEFAULT)
    world.fast_forward(seconds=5)
    world.expect_sent(Purpose.DEFAULT, PUSH, SMS, EMAIL)


def test_a_new_address_in_the_middle_of_the_window_is_used_for_what_comes_next():
    world = World(customer=a_customer(channels=(EMAIL,)))
    world.exception(an_exception())
    world.fast_forward(seconds=60)
    world.contact_changes(a_customer(channels=(EMAIL, VOICE)))
    world.fast_forward(seconds=140)
    world.expect_call()


def test_a_late_exception_is_announced_once_on_every_channel_that_the_customer_allows():
    world = World(customer=a_customer(opted_out=(SMS,)))
    world.exception(an_exception(fulfilment_deadline_at=NOON + timedelta(seconds=5)))
    world.fast_forward(minutes=10)
    world.expect_sent(Purpose.DEFAULT, PUSH, EMAIL)
    assert world.case().late
    world.expect_done()


def test_a_customer_who_is_asked_and_does_not_answer_was_not_late():
    world = World()
    world.exception(an_exception())
    world.fast_forward(minutes=10)
    assert not world.case().late
