"""A missing loaf, from the empty shelf to the verified order."""

from schemas.commands import EvidenceRequest, FulfilmentTrigger, OrderUpdate
from schemas.words import Actor, Channel, HoldState, Purpose, ReceiptState, Resolution, TriggerKind
from tests.builders import an_exception
from tests.scenarios.world import World

DIGITAL = (Channel.PUSH, Channel.SMS, Channel.EMAIL)


def test_a_customer_who_taps_the_first_option_is_never_called():
    world = World()
    world.exception(an_exception())
    world.fast_forward(seconds=20)
    world.expect_sent(Purpose.ASK, *DIGITAL)
    world.taps("corner")
    world.fast_forward(hours=1)
    world.expect_no_call()
    world.expect_decision(Resolution.SUBSTITUTED, actor=Actor.CUSTOMER, channel=Channel.PAGE)
    world.expect_done()
    assert len(world.of(OrderUpdate)) == 1
    assert [t.kind for t in world.of(FulfilmentTrigger)] == [TriggerKind.RELEASE]
    assert len(world.of(EvidenceRequest)) == 1


def test_a_customer_who_does_not_answer_is_called_when_the_window_closes():
    world = World()
    world.exception(an_exception())
    world.fast_forward(seconds=20)
    world.fast_forward(seconds=179)
    world.expect_no_call()
    world.fast_forward(seconds=1)
    call = world.expect_call()
    world.receipt(call, ReceiptState.RINGING, sequence=1)
    world.receipt(call, ReceiptState.ANSWERED, sequence=2)
    world.says("hillside")
    world.receipt(call, ReceiptState.COMPLETED, sequence=3)
    world.expect_decision(Resolution.ALTERNATIVE, channel=Channel.VOICE)
    world.expect_done()


def test_nobody_answers_at_all_and_the_line_is_refunded_and_announced():
    world = World()
    world.exception(an_exception())
    world.fast_forward(minutes=10)
    world.expect_decision(Resolution.REFUNDED, actor=Actor.DEFAULT)
    world.expect_sent(Purpose.DEFAULT, *DIGITAL)
    assert world.case().announced == "push,sms,email"
    assert [hold.state for hold in world.holds()] == [HoldState.ASKING, HoldState.MOVE_ON]
    world.expect_done()
