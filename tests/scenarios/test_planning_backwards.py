"""The escalation is planned backwards from the deadline: what does not fit is shortened, then dropped."""

from datetime import timedelta

import pytest

from schemas.words import Actor, CaseState, Channel, HoldState, Kind, Purpose, ReceiptState, Resolution
from tests.builders import NOON, a_customer, a_second, an_exception
from tests.scenarios.world import World

DIGITAL = (Channel.PUSH, Channel.SMS, Channel.EMAIL)


def with_time_left(**span: float) -> World:
    """One missing loaf, so long before its deadline."""
    world = World()
    world.exception(an_exception(fulfilment_deadline_at=NOON + timedelta(**span)))
    return world


def test_with_time_enough_every_window_is_whole():
    world = with_time_left(minutes=10)
    world.fast_forward(seconds=20)
    assert world.last_change().step_due_at == NOON + timedelta(seconds=20 + 180)
    world.fast_forward(minutes=3)
    call = world.expect_call()
    assert world.last_change().step_due_at == NOON + timedelta(seconds=20 + 180 + 120)
    assert call.respond_by_at == NOON + timedelta(seconds=320)


def test_a_digital_window_that_does_not_fit_is_shortened_so_that_the_calls_stay_whole():
    world = with_time_left(minutes=4)
    world.fast_forward(seconds=20)
    world.expect_sent(Purpose.ASK, *DIGITAL)
    # 240 s less 10 s for the write and 120 s for two calls.
    world.fast_forward_to(NOON + timedelta(seconds=109))
    world.expect_no_call()
    world.fast_forward(seconds=1)
    world.receipt(world.expect_call(), ReceiptState.BUSY)
    world.fast_forward(seconds=10)
    world.expect_call(attempts=2)


def test_a_digital_window_of_less_than_half_a_minute_is_dropped_and_the_call_comes_first():
    world = with_time_left(seconds=160)
    world.fast_forward(seconds=16)
    world.expect_sent(Purpose.ASK)
    assert world.expect_call().attempt == 1


def test_attempts_are_dropped_one_by_one_when_even_the_calls_do_not_fit():
    world = with_time_left(seconds=120)
    world.fast_forward(seconds=12)
    world.receipt(world.expect_call(), ReceiptState.BUSY)
    world.fast_forward(minutes=2)
    world.expect_call(attempts=1)


def test_if_no_call_fits_the_default_is_applied_announced_and_written_at_once():
    world = with_time_left(seconds=90)
    world.expect_decision(Resolution.REFUNDED, actor=Actor.DEFAULT)
    assert [hold.state for hold in world.holds()] == [HoldState.MOVE_ON]
    world.fast_forward(seconds=5)
    world.expect_sent(Purpose.DEFAULT, *DIGITAL)
    world.expect_sent(Purpose.ASK)
    world.expect_no_call()
    world.expect_done()
    assert world.case().late


def test_an_exception_after_its_deadline_is_valid_and_takes_the_default():
    world = with_time_left(seconds=-5)
    world.fast_forward(seconds=5)
    world.expect_decision(Resolution.REFUNDED, actor=Actor.DEFAULT)
    world.expect_sent(Purpose.DEFAULT, *DIGITAL)
    world.expect_done()


@pytest.mark.parametrize("queue_seconds", [0, 60])
def test_no_call_is_dialled_when_it_could_not_end_before_the_deadline(queue_seconds):
    world = World()
    world.voice_queue(seconds=queue_seconds)
    world.exception(an_exception(fulfilment_deadline_at=NOON + timedelta(minutes=5)))
    world.fast_forward(minutes=5)
    last_dial_at = NOON + timedelta(minutes=5) - timedelta(seconds=10 + 60 + 25 + queue_seconds)
    assert all(call.issued_at <= last_dial_at for call in world.sent(Channel.VOICE))
    assert all(call.not_after_at <= last_dial_at for call in world.sent(Channel.VOICE))


def test_a_long_queue_of_calls_makes_the_call_earlier():
    world = World()
    world.voice_queue(seconds=60)
    world.exception(an_exception(fulfilment_deadline_at=NOON + timedelta(minutes=5)))
    # 300 s less 10 s, 60 s in the queue and 120 s for two calls.
    world.fast_forward_to(NOON + timedelta(seconds=109))
    world.expect_no_call()
    world.fast_forward(seconds=1)
    world.expect_call()


def test_while_calls_queue_the_waiting_driver_is_called_and_the_loaf_takes_its_default():
    world = World()
    world.voice_queue(seconds=210)
    world.exception(an_exception(fulfilment_deadline_at=NOON + timedelta(minutes=5)))
    world.exception(
        an_exception(
            "x2",
            order_id="order-2",
            kind=Kind.DRIVER_WAITING,
            fulfilment_deadline_at=NOON + timedelta(minutes=8),
        )
    )
    world.fast_forward(minutes=5)
    assert {call.order_id for call in world.sent(Channel.VOICE)} == {"order-2"}
    world.expect_decision(Resolution.REFUNDED, actor=Actor.DEFAULT)


def test_a_queue_that_grew_while_the_window_ran_is_counted_before_dialling():
    world = with_time_left(minutes=5, seconds=30)
    world.fast_forward(minutes=1)
    world.voice_queue(minutes=4)
    world.fast_forward(minutes=4)
    world.expect_no_call()
    world.expect_decision(Resolution.REFUNDED, actor=Actor.DEFAULT)


def test_a_retry_is_not_dialled_after_the_last_safe_moment():
    world = with_time_left(minutes=4)
    world.fast_forward_to(NOON + timedelta(seconds=110))
    call = world.expect_call()
    world.voice_queue(seconds=30)
    world.receipt(call, ReceiptState.RINGING, sequence=1)
    world.fast_forward(seconds=25)
    world.receipt(call, ReceiptState.NO_ANSWER, sequence=2)
    world.fast_forward(minutes=3)
    world.expect_call(attempts=1)


def test_a_country_that_the_policy_does_not_list_is_asked_digitally_only():
    world = World()
    exception = an_exception()
    abroad = exception.delivery.__class__(country="SE", zone="Europe/Stockholm")
    world.exception(an_exception(delivery=abroad))
    world.fast_forward(minutes=10)
    world.expect_sent(Purpose.ASK, *DIGITAL)
    world.expect_no_call()
    world.expect_decision(Resolution.REFUNDED, actor=Actor.DEFAULT)


def test_only_the_line_whose_time_has_come_takes_the_default():
    world = World()
    world.exception(an_exception(fulfilment_deadline_at=NOON + timedelta(minutes=4)))
    world.exception(a_second(fulfilment_deadline_at=NOON + timedelta(minutes=50)))
    world.fast_forward_to(NOON + timedelta(minutes=4))
    world.expect_decision(Resolution.REFUNDED, actor=Actor.DEFAULT)
    world.expect_open("x2")
    assert world.holds("x2")[-1].state is HoldState.ASKING


def test_when_the_earliest_line_is_answered_the_rest_gets_the_windows_of_its_own_deadline():
    world = World()
    world.exception(an_exception(fulfilment_deadline_at=NOON + timedelta(minutes=4)))
    world.exception(a_second(fulfilment_deadline_at=NOON + timedelta(minutes=50)))
    world.fast_forward(seconds=40)
    assert world.last_change("x2").step_due_at == NOON + timedelta(seconds=110)
    world.taps("corner")
    # The whole three minutes again, counted from the message.
    assert world.last_change("x2").step_due_at == NOON + timedelta(seconds=20 + 180)
    world.fast_forward_to(NOON + timedelta(seconds=199))
    world.expect_no_call()
    world.fast_forward(seconds=1)
    assert world.expect_call().about == ("x2",)


def test_a_question_that_was_cut_short_for_another_line_goes_on_when_that_line_is_over():
    world = World(customer=a_customer(channels=DIGITAL))
    world.exception(an_exception(fulfilment_deadline_at=NOON + timedelta(seconds=120)))
    world.exception(a_second(fulfilment_deadline_at=NOON + timedelta(minutes=50)))
    world.fast_forward_to(NOON + timedelta(seconds=110))
    assert world.case("x1").state is not CaseState.OPEN
    world.expect_open("x2")
    world.fast_forward_to(NOON + timedelta(seconds=12 + 179))
    world.expect_open("x2")
    world.fast_forward(seconds=1)
    world.expect_decision(Resolution.REFUNDED, "x2", actor=Actor.DEFAULT)
    world.expect_sent(Purpose.ASK, *DIGITAL)


def test_the_default_waits_for_the_last_window_and_no_longer():
    world = with_time_left(minutes=30)
    world.fast_forward_to(NOON + timedelta(seconds=319))
    world.expect_open()
    world.fast_forward(seconds=1)
    world.expect_decision(Resolution.REFUNDED, actor=Actor.DEFAULT)


def test_the_default_is_written_before_the_deadline_and_not_at_it():
    world = World(customer=a_customer(channels=DIGITAL))
    world.exception(an_exception(fulfilment_deadline_at=NOON + timedelta(minutes=2)))
    world.fast_forward_to(NOON + timedelta(seconds=109))
    world.expect_open()
    world.fast_forward(seconds=1)
    world.expect_decision(Resolution.REFUNDED, actor=Actor.DEFAULT)


def test_the_picker_is_told_until_when_to_wait_and_never_longer_than_the_tote_stays_open():
    world = World()
    world.exception(an_exception(picked_until_at=NOON + timedelta(minutes=2)))
    assert world.holds()[-1].until_at == NOON + timedelta(minutes=2)
    world = with_time_left(minutes=10)
    assert world.holds()[-1].until_at == NOON + timedelta(seconds=320)


def test_the_picker_of_the_other_line_hears_how_long_to_wait_now():
    world = World()
    world.exception(an_exception(fulfilment_deadline_at=NOON + timedelta(minutes=4)))
    world.exception(a_second(fulfilment_deadline_at=NOON + timedelta(minutes=50)))
    world.fast_forward(seconds=40)
    assert world.holds("x2")[-1].until_at == NOON + timedelta(seconds=230)
    world.taps("corner")
    assert world.holds("x2")[-1].until_at == NOON + timedelta(seconds=320)
