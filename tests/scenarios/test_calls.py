"""The telephone: busy, unanswered, a machine, a person, and never two calls at once."""

from datetime import timedelta

import pytest

from schemas.commands import ChannelCancel, EvidenceRequest
from schemas.words import Actor, Channel, Kind, Purpose, ReceiptState, Resolution, Signal
from tests.builders import NOON, a_second, an_exception
from tests.scenarios.world import World

RETRIED = [ReceiptState.BUSY, ReceiptState.NO_ANSWER, ReceiptState.SCREENED, ReceiptState.PROVIDER_DOWN]


def ringing(world: World | None = None):
    """Nobody answered the messages, and the telephone rings."""
    world = world or World()
    world.exception(an_exception())
    world.fast_forward(seconds=20)
    world.messages_leave()
    world.fast_forward_to(NOON + timedelta(seconds=200))
    call = world.expect_call()
    world.receipt(call, ReceiptState.RINGING, sequence=1)
    return world, call


@pytest.mark.parametrize("state", RETRIED)
def test_a_call_that_reached_nobody_is_tried_again_after_a_pause(state):
    world, call = ringing()
    world.receipt(call, state, sequence=2)
    world.fast_forward(seconds=9)
    world.expect_call(attempts=1)
    world.fast_forward(seconds=1)
    assert world.expect_call(attempts=2).attempt == 2


def test_a_call_that_we_took_back_ourselves_is_none_of_the_next_lines():
    world, call = ringing()
    world.taps("corner")
    world.exception(a_second(fulfilment_deadline_at=NOON + timedelta(minutes=20)))
    world.receipt(call, ReceiptState.SUPPRESSED, sequence=2, reason="decided")
    world.fast_forward(minutes=5)
    assert world.expect_call(attempts=2).about == ("x2",)


def test_a_pause_is_counted_from_the_end_of_the_attempt():
    world, call = ringing()
    world.fast_forward(seconds=20)
    world.receipt(call, ReceiptState.NO_ANSWER, sequence=2)
    world.fast_forward_to(NOON + timedelta(seconds=229))
    world.expect_call(attempts=1)
    world.fast_forward(seconds=1)
    world.expect_call(attempts=2)


def test_after_the_last_attempt_the_default_waits_for_the_end_of_the_window():
    world, call = ringing()
    world.receipt(call, ReceiptState.BUSY, sequence=2)
    world.fast_forward(seconds=10)
    world.receipt(world.expect_call(attempts=2), ReceiptState.BUSY)
    world.fast_forward_to(NOON + timedelta(seconds=319))
    world.expect_open()
    world.fast_forward(seconds=1)
    world.expect_decision(Resolution.REFUNDED, actor=Actor.DEFAULT)
    world.expect_call(attempts=2)


def test_a_left_voicemail_ends_the_calls():
    world, call = ringing()
    world.receipt(call, ReceiptState.ANSWERED, sequence=2)
    world.receipt(call, ReceiptState.VOICEMAIL, sequence=3)
    world.hangs_up(call)
    world.fast_forward(minutes=10)
    world.expect_call(attempts=1)


def test_a_call_of_which_nobody_knows_whether_it_rang_is_never_repeated():
    world, call = ringing()
    world.receipt(call, ReceiptState.AMBIGUOUS, sequence=2)
    world.fast_forward(minutes=10)
    world.expect_call(attempts=1)
    world.expect_decision(Resolution.REFUNDED, actor=Actor.DEFAULT)


def test_an_ambiguous_call_that_turns_out_to_be_alive_takes_the_answer():
    world, call = ringing()
    world.receipt(call, ReceiptState.AMBIGUOUS, sequence=2)
    world.receipt(call, ReceiptState.ANSWERED, sequence=3)
    world.says("corner")
    world.hangs_up(call)
    world.expect_decision(Resolution.SUBSTITUTED, channel=Channel.VOICE)
    world.expect_call(attempts=1)


def test_a_number_that_does_not_exist_is_not_dialled_again():
    world, call = ringing()
    world.receipt(call, ReceiptState.FAILED, sequence=2, reason="21211")
    world.fast_forward(minutes=10)
    world.expect_call(attempts=1)


@pytest.mark.parametrize("reason", ["cap", "quiet", "live_call"])
def test_a_call_that_was_held_back_when_it_was_claimed_is_not_asked_for_again(reason):
    world, call = ringing()
    world.receipt(call, ReceiptState.SUPPRESSED, sequence=2, reason=reason)
    world.fast_forward(minutes=10)
    world.expect_call(attempts=1)
    world.expect_decision(Resolution.REFUNDED, actor=Actor.DEFAULT)


def test_an_answer_on_another_channel_takes_back_the_ringing_call_once():
    world, call = ringing()
    world.taps("corner")
    assert [(c.cancels, c.reason) for c in world.of(ChannelCancel)] == [(call.command_id, "decided")]
    world.receipt(call, ReceiptState.CANCELLED, sequence=2)
    world.fast_forward(minutes=10)
    world.expect_call(attempts=1)


def test_an_answer_on_another_channel_is_told_to_the_call_in_progress_once():
    world, call = ringing()
    world.receipt(call, ReceiptState.ANSWERED, sequence=2)
    world.taps("corner")
    assert world.cancelled() == [call.command_id]
    world.hangs_up(call)
    world.fast_forward(minutes=10)
    assert world.cancelled() == [call.command_id]


def test_whoever_decides_on_the_telephone_is_not_interrupted_by_the_news_of_it():
    world, call = ringing()
    world.receipt(call, ReceiptState.ANSWERED, sequence=2)
    world.says("corner")
    world.hangs_up(call)
    assert world.cancelled() == []


def test_a_call_about_two_lines_goes_on_when_only_one_of_them_is_answered_elsewhere():
    world = World()
    world.exception(a_second())
    world, call = ringing(world)
    world.taps("corner")
    assert world.cancelled() == []
    world.receipt(call, ReceiptState.ANSWERED, sequence=2)
    world.says("barley", case_id="x2")
    world.expect_decision(Resolution.SUBSTITUTED, "x2", channel=Channel.VOICE)


def test_one_call_covers_every_open_line_worst_deadline_first():
    world = World()
    world.exception(a_second("x0", fulfilment_deadline_at=NOON + timedelta(minutes=20)))
    _, call = ringing(world)
    assert call.about == ("x1", "x0")
    assert [case.letter for case in call.cases] == ["A", "B"]


def test_after_a_hang_up_what_was_agreed_stands_and_the_rest_takes_its_default():
    world = World()
    world.exception(a_second())
    world, call = ringing(world)
    world.receipt(call, ReceiptState.ANSWERED, sequence=2)
    world.says("corner")
    world.hangs_up(call)
    world.fast_forward(minutes=10)
    world.expect_decision(Resolution.SUBSTITUTED, "x1", actor=Actor.CUSTOMER)
    world.expect_decision(Resolution.REFUNDED, "x2", actor=Actor.DEFAULT)
    world.expect_call(attempts=1)


def test_a_readback_without_a_yes_decides_nothing():
    world, call = ringing()
    world.receipt(call, ReceiptState.ANSWERED, sequence=2)
    world.says("corner", confirmed=False)
    assert world.last_verdict().reason == "not_confirmed"
    world.hangs_up(call)
    world.expect_open()


def test_the_end_of_a_call_that_is_heard_of_before_its_beginning_starts_no_second_call():
    world, call = ringing()
    world.hangs_up(call)
    world.receipt(call, ReceiptState.ANSWERED, sequence=2)
    world.fast_forward(minutes=10)
    world.expect_call(attempts=1)


def test_a_call_state_that_comes_late_or_twice_changes_nothing():
    world, call = ringing()
    world.receipt(call, ReceiptState.BUSY, sequence=2)
    world.receipt(call, ReceiptState.RINGING, sequence=1)
    world.receipt(call, ReceiptState.BUSY, sequence=2)
    world.fast_forward(seconds=10)
    second = world.expect_call(attempts=2)
    world.receipt(call, ReceiptState.BUSY, sequence=2)
    world.fast_forward(seconds=30)
    world.expect_call(attempts=2)
    assert world.record().call.n == int(second.command_id.rpartition(".")[2])


def test_a_second_call_is_never_made_while_the_first_may_still_be_alive():
    world, _ = ringing()
    world.fast_forward(seconds=80)
    world.expect_call(attempts=1)


def call_me_later(world: World, call, **span: float) -> None:
    world.receipt(call, ReceiptState.ANSWERED, sequence=2)
    world.answers(channel=Channel.VOICE, signal=Signal.CALL_LATER, later_at=world.now + timedelta(**span))
    world.hangs_up(call)


def missed_delivery():
    world = World()
    world.exception(
        an_exception(kind=Kind.DELIVERY_MISSED, fulfilment_deadline_at=NOON + timedelta(minutes=60))
    )
    world.fast_forward(seconds=605)
    call = world.expect_call()
    world.receipt(call, ReceiptState.RINGING, sequence=1)
    return world, call


def test_call_me_in_two_minutes_is_done_while_there_is_time():
    world, call = missed_delivery()
    call_me_later(world, call, minutes=2)
    world.fast_forward(seconds=119)
    world.expect_call(attempts=1)
    world.fast_forward(seconds=1)
    world.expect_call(attempts=2)


def test_call_me_later_than_the_plan_allows_is_answered_with_a_link():
    world, call = missed_delivery()
    call_me_later(world, call, minutes=30)
    world.expect_sent(Purpose.LINK, Channel.SMS)
    world.fast_forward(minutes=60)
    world.expect_call(attempts=1)


def test_the_next_line_is_not_called_about_beside_a_call_that_may_still_be_alive():
    world, call = ringing()
    world.receipt(call, ReceiptState.AMBIGUOUS, sequence=2)
    world.taps("corner")
    world.fast_forward(seconds=30)
    world.exception(a_second())
    world.fast_forward(minutes=4)
    world.expect_call(attempts=1)
    world.expect_open("x2")


def test_the_next_line_is_called_about_once_the_end_of_that_call_is_known():
    world, call = ringing()
    world.taps("corner")
    world.receipt(call, ReceiptState.CANCELLED, sequence=2)
    world.fast_forward(seconds=30)
    world.exception(a_second())
    world.fast_forward(minutes=4)
    assert world.expect_call(attempts=2).about == ("x2",)


def test_a_call_that_was_taken_back_is_not_taken_back_again_by_stop():
    world, call = ringing()
    world.taps("corner")
    world.answers(channel=Channel.SMS, signal=Signal.OPT_OUT_KEYWORD)
    assert world.cancelled() == [call.command_id]


def test_that_it_rings_is_old_news_once_somebody_has_answered():
    world, call = ringing()
    world.receipt(call, ReceiptState.ANSWERED, sequence=3)
    world.receipt(call, ReceiptState.RINGING, sequence=2)
    world.says("corner")
    # The evidence waits for the end of a conversation that is under way.
    assert world.of(EvidenceRequest) == []
    world.hangs_up(call)
    assert len(world.of(EvidenceRequest)) == 1


def test_call_me_later_before_anybody_has_called_is_answered_with_a_link():
    world = World()
    world.exception(an_exception())
    world.fast_forward(seconds=60)
    world.answers(channel=Channel.SMS, signal=Signal.CALL_LATER)
    world.expect_sent(Purpose.LINK, Channel.SMS)
    world.fast_forward_to(NOON + timedelta(seconds=200))
    world.expect_call()


def test_an_opt_out_that_is_found_when_a_call_is_claimed_is_one_for_texts_as_well():
    world, call = ringing()
    world.receipt(call, ReceiptState.SUPPRESSED, sequence=2, reason="opted_out")
    world.fast_forward(minutes=10)
    world.expect_call(attempts=1)
    world.expect_sent(Purpose.DEFAULT, Channel.PUSH, Channel.EMAIL)


def test_a_call_that_still_rings_when_the_default_is_applied_is_taken_back():
    world, call = ringing()
    world.fast_forward_to(NOON + timedelta(seconds=319))
    assert world.cancelled() == []
    world.fast_forward(seconds=1)
    assert world.cancelled() == [call.command_id]


def test_a_customer_who_is_talking_when_the_time_is_over_can_still_choose():
    world, call = ringing()
    world.receipt(call, ReceiptState.ANSWERED, sequence=2)
    world.fast_forward_to(NOON + timedelta(seconds=320))
    world.expect_decision(Resolution.REFUNDED, actor=Actor.DEFAULT)
    # What was asked before the default is asked again with the truth, and then it counts.
    world.says("corner", version=0)
    assert world.last_verdict().reason == "older_version"
    world.says("corner", version=1)
    world.expect_decision(Resolution.SUBSTITUTED, actor=Actor.CUSTOMER, version=2)
