"""More goes missing after the first message: one update, and no window starts anew."""

from datetime import timedelta

from schemas.words import Channel, Purpose, ReceiptState, Resolution
from tests.builders import NOON, a_second, an_exception
from tests.scenarios.world import World

DIGITAL = (Channel.PUSH, Channel.SMS, Channel.EMAIL)


def asked() -> World:
    world = World()
    world.exception(an_exception())
    world.fast_forward(seconds=60)
    return world


def test_lines_added_after_the_message_are_gathered_into_one_update_a_channel():
    world = asked()
    world.exception(a_second("x2"))
    world.fast_forward(seconds=15)
    world.exception(a_second("x3", line_id="L3"))
    world.fast_forward(seconds=4)
    world.expect_sent(Purpose.UPDATE)
    world.fast_forward(seconds=1)
    for update in world.expect_sent(Purpose.UPDATE, *DIGITAL):
        assert update.about == ("x1", "x2", "x3")
    world.fast_forward(minutes=1)
    world.expect_sent(Purpose.UPDATE, *DIGITAL)


def test_the_running_window_keeps_its_end():
    world = asked()
    due_at = world.last_change().step_due_at
    world.exception(a_second("x2", fulfilment_deadline_at=NOON + timedelta(minutes=30)))
    assert world.last_change("x2").step_due_at == due_at
    world.fast_forward_to(due_at)
    assert set(world.expect_call().about) == {"x1", "x2"}


def test_a_nearer_deadline_ends_the_running_window_sooner():
    world = asked()
    world.exception(a_second("x2", fulfilment_deadline_at=NOON + timedelta(minutes=4)))
    world.fast_forward_to(NOON + timedelta(seconds=109))
    world.expect_no_call()
    world.fast_forward(seconds=1)
    assert world.expect_call().about == ("x2", "x1")


def test_a_line_added_while_the_telephone_rings_is_messaged_and_joins_the_next_call():
    world = asked()
    world.fast_forward_to(NOON + timedelta(seconds=200))
    call = world.expect_call()
    world.exception(a_second("x2"))
    world.fast_forward(seconds=20)
    world.expect_sent(Purpose.UPDATE, *DIGITAL)
    world.receipt(call, ReceiptState.NO_ANSWER)
    world.fast_forward(seconds=10)
    assert set(world.expect_call(attempts=2).about) == {"x1", "x2"}


def test_an_update_is_not_sent_for_a_line_that_was_found_again_meanwhile():
    world = asked()
    world.exception(a_second("x2"))
    world.fast_forward(seconds=5)
    world.withdrawn("x2")
    world.fast_forward(seconds=30)
    world.expect_sent(Purpose.UPDATE)
    world.expect_sent(Purpose.WITHDRAWAL)


def test_a_line_that_joins_after_everything_was_answered_gets_the_whole_escalation():
    world = asked()
    world.taps("corner")
    world.fast_forward(seconds=60)
    world.exception(a_second("x2"))
    world.fast_forward(seconds=20)
    assert {c.about for c in world.sent(purpose=Purpose.UPDATE)} == {("x2",)}
    world.fast_forward(minutes=3)
    assert world.expect_call().about == ("x2",)


def test_a_line_that_joined_late_keeps_its_whole_window_when_the_first_line_is_over():
    world = asked()
    world.fast_forward_to(NOON + timedelta(seconds=200))
    call = world.expect_call()
    world.picks_up(call)
    world.hangs_up(call)
    world.fast_forward_to(NOON + timedelta(seconds=230))
    world.exception(
        a_second("x2", occurred_at=world.now, fulfilment_deadline_at=NOON + timedelta(minutes=50))
    )
    world.fast_forward_to(NOON + timedelta(seconds=320))
    world.expect_decision(Resolution.REFUNDED, "x1")
    # Asked at 250 seconds, so its three minutes end at 430.
    world.fast_forward_to(NOON + timedelta(seconds=429))
    world.expect_open("x2")
    world.fast_forward(seconds=1)
    world.expect_decision(Resolution.REFUNDED, "x2")


def test_a_new_line_after_the_conversation_was_closed_opens_a_new_one():
    world = asked()
    world.taps("corner")
    world.fast_forward(minutes=10)
    first = world.last_change("x1").conversation_id
    world.exception(
        a_second("x2", occurred_at=world.now, fulfilment_deadline_at=world.now + timedelta(minutes=10))
    )
    assert world.last_change("x2").conversation_id != first
    world.fast_forward(seconds=20)
    assert {c.about for c in world.sent(purpose=Purpose.ASK)} == {("x1",), ("x2",)}
