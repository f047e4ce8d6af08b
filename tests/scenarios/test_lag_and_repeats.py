"""Whatever comes twice, late or in the wrong order changes nothing; an answer given in time is never late."""

from datetime import timedelta

from schemas.commands import OrderUpdate
from schemas.events import Answer, ReceiptReceived, ResponseReceived
from schemas.words import Actor, Channel, Purpose, ReceiptState, Resolution
from state.decide import Deadline, decide
from tests.builders import NOON, a_second, an_exception
from tests.scenarios.world import World

DIGITAL = (Channel.PUSH, Channel.SMS, Channel.EMAIL)


def asked() -> World:
    world = World()
    world.exception(an_exception())
    world.fast_forward(seconds=30)
    return world


def test_an_answer_given_in_time_wins_over_its_deadline_however_late_it_is_read():
    world = asked()
    world.fast_forward_to(NOON + timedelta(seconds=300))
    # We were down for an hour; the answer stood in the log a second before the default was due.
    world.sleeps(hours=1)
    with world.appended_at(NOON + timedelta(seconds=319)):
        world.taps("corner")
    world.wakes()
    world.expect_decision(Resolution.SUBSTITUTED, actor=Actor.CUSTOMER, version=1)
    world.expect_sent(Purpose.DEFAULT)


def test_an_answer_given_too_late_finds_the_default():
    world = asked()
    world.fast_forward_to(NOON + timedelta(seconds=300))
    world.sleeps(hours=1)
    with world.appended_at(NOON + timedelta(seconds=321)):
        world.taps("corner")
    world.wakes()
    world.expect_decision(Resolution.REFUNDED, actor=Actor.DEFAULT, version=1)
    assert world.last_verdict().reason == "older_version"


def test_an_answer_at_the_very_moment_of_the_deadline_finds_the_default():
    world = asked()
    world.fast_forward_to(NOON + timedelta(seconds=300))
    world.sleeps(minutes=5)
    with world.appended_at(NOON + timedelta(seconds=320)):
        world.taps("corner")
    world.expect_decision(Resolution.REFUNDED, actor=Actor.DEFAULT)


def test_after_a_long_standstill_everything_that_fell_due_is_made_up_for_from_the_present():
    world = World()
    world.exception(an_exception())
    world.sleeps(minutes=4)
    world.wakes()
    # The message leaves now, and what is left of the time is planned anew.
    world.expect_sent(Purpose.ASK, *DIGITAL)
    world.expect_no_call()
    world.fast_forward(minutes=6)
    assert world.sent(Channel.VOICE) != []
    assert all(call.issued_at <= NOON + timedelta(seconds=600 - 95) for call in world.sent(Channel.VOICE))
    world.expect_decision(Resolution.REFUNDED, actor=Actor.DEFAULT)


def test_after_a_standstill_beyond_the_deadline_only_the_default_is_left():
    world = World()
    world.exception(an_exception())
    world.sleeps(hours=2)
    world.wakes()
    world.expect_decision(Resolution.REFUNDED, actor=Actor.DEFAULT)
    world.expect_sent(Purpose.ASK)
    world.expect_no_call()
    world.fast_forward(seconds=5)
    world.expect_sent(Purpose.DEFAULT, *DIGITAL)


def test_an_exception_that_is_delivered_twice_is_asked_about_once():
    world = asked()
    assert world.exception(an_exception()) == []
    world.fast_forward(minutes=1)
    world.expect_sent(Purpose.ASK, *DIGITAL)


def test_an_answer_that_is_delivered_twice_is_written_once():
    world = asked()
    for _ in range(2):
        world.answers(Answer(case_id="x1", option_id="corner", decision_version=0), event_id="tap-1")
    world.expect_decision(Resolution.SUBSTITUTED, version=1)
    assert len(world.of(OrderUpdate)) == 1


def test_an_answer_that_is_delivered_again_after_a_change_does_not_undo_it():
    world = asked()
    first = Answer(case_id="x1", option_id="corner", decision_version=0)
    world.answers(first, event_id="tap-1")
    world.taps("hillside", version=1)
    world.answers(first, event_id="tap-1")
    world.expect_decision(Resolution.ALTERNATIVE, version=2)


def test_a_failure_that_is_reported_twice_makes_one_call():
    world = asked()
    for _ in range(2):
        for command in world.sent(purpose=Purpose.ASK):
            world.receipt(command, ReceiptState.FAILED, reason="30006")
    world.expect_call(attempts=1)


def test_an_answer_before_the_exception_is_not_invented():
    world = World()
    world.taps("corner")
    assert world.records == {}
    world.exception(an_exception())
    world.fast_forward(seconds=20)
    world.expect_open()


def test_a_receipt_for_a_message_of_another_conversation_moves_nothing():
    world = asked()
    stray = ReceiptReceived(
        event_id="stray",
        order_id="order-1",
        command_id="order-1~another.1",
        channel=Channel.SMS,
        state=ReceiptState.FAILED,
        occurred_at=world.now,
    )
    assert world.happens(stray) == []


def test_a_timer_of_a_step_that_was_left_does_nothing():
    world = World()
    world.exception(an_exception())
    record = world.record()
    stale = Deadline(record.due_at, record.due_version)
    world.fast_forward(seconds=30)
    standing = world.record()
    moved, effects = decide(standing, stale, world.now, world.rules)
    assert moved is standing
    assert effects == []


def test_an_answer_to_an_order_whose_record_is_long_gone_changes_nothing():
    world = asked()
    world.taps("corner")
    world.fast_forward(days=30)
    assert world.records == {}
    assert world.taps("hillside", version=1) == []
    assert world.records == {}


def test_sixty_four_answers_are_remembered_and_none_of_them_counts_twice():
    world = asked()
    world.exception(a_second())
    for n in range(64):
        world.answers(Answer(case_id="x1", option_id="unheard-of"), event_id=f"tap-{n}")
    before = len(world.effects)
    for n in range(64):
        world.answers(Answer(case_id="x1", option_id="corner", decision_version=0), event_id=f"tap-{n}")
    assert len(world.effects) == before


def test_the_same_history_asks_for_the_same_things_under_the_same_names():
    def told() -> list[object]:
        world = asked()
        world.exception(a_second())
        world.fast_forward(minutes=3)
        world.texts("A1")
        world.fast_forward(minutes=20)
        return world.effects

    assert told() == told()


def test_a_message_that_says_nothing_of_a_choice_leaves_the_question_open():
    world = asked()
    world.happens(
        ResponseReceived(event_id="hm", order_id="order-1", channel=Channel.PAGE, received_at=world.now)
    )
    world.expect_open()
