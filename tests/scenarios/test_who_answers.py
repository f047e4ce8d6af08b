"""Who picks up the telephone decides what may be said and what counts."""

from datetime import timedelta

import pytest

from schemas.events import Answer
from schemas.words import Actor, Channel, ContactMode, Purpose, ReceiptState, Resolution, Responder, Signal
from tests.builders import NOON, a_customer, an_exception
from tests.scenarios.world import World

PUSH, SMS, EMAIL, VOICE = Channel.PUSH, Channel.SMS, Channel.EMAIL, Channel.VOICE
YES = Answer(case_id="x1", option_id="corner", decision_version=0, confirmed=True, readback="read back")


def answered(**facts):
    """Somebody picked up."""
    world = World(customer=a_customer(**facts))
    world.exception(an_exception())
    world.fast_forward_to(NOON + timedelta(seconds=200))
    call = world.expect_call()
    world.picks_up(call)
    return world, call


def speaks(world: World, responder: Responder, *answers: Answer, signal: Signal = Signal.NONE) -> None:
    world.answers(*answers, channel=VOICE, responder=responder, signal=signal, spoken=True)


def test_a_wrong_number_hears_nothing_and_is_neither_called_nor_texted_again():
    world, call = answered(channels=(SMS, EMAIL, VOICE))
    speaks(world, Responder.STRANGER, signal=Signal.WRONG_NUMBER)
    world.hangs_up(call)
    before = len(world.sent(SMS))
    world.fast_forward(minutes=10)
    world.expect_call(attempts=1)
    assert len(world.sent(SMS)) == before
    world.expect_decision(Resolution.REFUNDED, actor=Actor.DEFAULT)
    assert world.case().announced == "email"


def test_a_wrong_number_stays_silent_when_a_text_turns_out_to_have_arrived_there():
    world = World(customer=a_customer(channels=(SMS, EMAIL, VOICE)))
    world.exception(an_exception())
    world.fast_forward(seconds=20)
    (text,) = world.sent(SMS)
    world.receipt(text, ReceiptState.SENT)
    world.answers(channel=SMS, responder=Responder.STRANGER, signal=Signal.WRONG_NUMBER)
    world.receipt(text, ReceiptState.DELIVERED)
    world.fast_forward(minutes=10)
    assert world.sent(SMS) == [text]
    assert world.case().announced == "email"


def test_a_wrong_number_stays_silent_when_the_customer_installs_the_app():
    world, call = answered(channels=(SMS, EMAIL, VOICE))
    speaks(world, Responder.STRANGER, signal=Signal.WRONG_NUMBER)
    world.hangs_up(call)
    before = len(world.sent(SMS))
    world.contact_changes(a_customer(channels=(PUSH, SMS, EMAIL, VOICE)))
    world.fast_forward(minutes=10)
    assert len(world.sent(SMS)) == before
    assert world.case().announced == "push,email"


def test_a_number_that_was_removed_and_given_anew_is_used_again():
    world = World(customer=a_customer(channels=(SMS, EMAIL, VOICE)))
    world.exception(an_exception())
    world.fast_forward(seconds=30)
    world.answers(channel=SMS, responder=Responder.STRANGER, signal=Signal.WRONG_NUMBER)
    world.contact_changes(a_customer(channels=(EMAIL,)))
    world.contact_changes(a_customer(channels=(SMS, EMAIL, VOICE)))
    world.fast_forward(minutes=10)
    assert SMS in {command.channel for command in world.sent(purpose=Purpose.DEFAULT)}


def test_a_call_to_a_wrong_number_is_taken_back_while_it_rings():
    world = World()
    world.exception(an_exception())
    world.fast_forward(seconds=20)
    world.messages_leave()
    world.fast_forward(minutes=3)
    call = world.expect_call()
    world.answers(channel=SMS, responder=Responder.STRANGER, signal=Signal.WRONG_NUMBER)
    assert world.cancelled() == [call.command_id]


def test_a_wrong_number_on_the_only_telephone_leaves_nothing_to_wait_for():
    world = World(customer=a_customer(channels=(SMS, VOICE)))
    world.exception(an_exception())
    world.fast_forward(seconds=60)
    world.answers(channel=SMS, responder=Responder.STRANGER, signal=Signal.WRONG_NUMBER)
    world.expect_decision(Resolution.REFUNDED, actor=Actor.DEFAULT)
    world.fast_forward(seconds=5)
    assert world.case().announced == "not_possible"


def test_when_the_holder_is_absent_a_link_without_details_is_left_and_nobody_rings_again():
    world, call = answered()
    speaks(world, Responder.HOUSEHOLD, signal=Signal.HOLDER_ABSENT)
    world.hangs_up(call)
    (link,) = world.expect_sent(Purpose.LINK, SMS)
    assert link.cases == ()
    world.fast_forward(minutes=10)
    world.expect_call(attempts=1)


@pytest.mark.parametrize("responder", [Responder.CHILD, Responder.HOUSEHOLD, Responder.STRANGER])
def test_whoever_is_not_entitled_decides_nothing(responder):
    world, _ = answered()
    speaks(world, responder, YES)
    world.expect_open()
    assert world.last_verdict().reason == "not_entitled"


def test_a_child_ends_the_call_and_is_not_called_again():
    world, call = answered()
    speaks(world, Responder.CHILD)
    world.hangs_up(call)
    world.fast_forward(minutes=10)
    world.expect_call(attempts=1)


@pytest.mark.parametrize("responder", [Responder.DELEGATE, Responder.HOUSEHOLD])
def test_a_registered_delegate_may_decide(responder):
    world, _ = answered(has_delegate=True)
    speaks(world, responder, YES)
    world.expect_decision(Resolution.SUBSTITUTED, actor=Actor.DELEGATE)


def test_a_child_decides_nothing_even_where_a_delegate_is_registered():
    world, _ = answered(has_delegate=True)
    speaks(world, Responder.CHILD, YES)
    world.expect_open()


def test_a_relay_operator_speaks_for_the_customer():
    world, call = answered(contact_mode=ContactMode.RELAY)
    speaks(world, Responder.RELAY_OPERATOR, YES)
    world.hangs_up(call)
    world.expect_decision(Resolution.SUBSTITUTED, actor=Actor.CUSTOMER)


def test_a_customer_who_wants_no_voice_is_never_called():
    world = World(customer=a_customer(contact_mode=ContactMode.NO_VOICE))
    world.exception(an_exception())
    world.fast_forward(minutes=10)
    world.expect_sent(Purpose.ASK, PUSH, SMS, EMAIL)
    world.expect_no_call()


def test_a_customer_who_wants_text_messages_only_gets_nothing_else():
    world = World(customer=a_customer(contact_mode=ContactMode.SMS_ONLY))
    world.exception(an_exception())
    world.fast_forward(minutes=10)
    assert {command.channel for command in world.sent()} == {SMS}


def test_a_text_only_customer_whose_text_fails_takes_the_default():
    world = World(customer=a_customer(contact_mode=ContactMode.SMS_ONLY))
    world.exception(an_exception())
    world.fast_forward(seconds=20)
    world.receipt(world.expect_sent(Purpose.ASK, SMS)[0], ReceiptState.FAILED, reason="30006")
    world.expect_decision(Resolution.REFUNDED, actor=Actor.DEFAULT)


def test_staff_decide_through_their_own_tool_only():
    world = World()
    world.exception(an_exception())
    world.fast_forward(seconds=60)
    world.answers(YES, channel=Channel.PAGE, responder=Responder.STAFF)
    world.expect_open()
    world.answers(YES, channel=Channel.PERSON, responder=Responder.STAFF)
    world.expect_decision(Resolution.SUBSTITUTED, actor=Actor.STAFF)
