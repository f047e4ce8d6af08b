"""A customer may ask for a person: that is a task with receipts, and it never stops the clock by itself."""

from datetime import timedelta

from schemas.events import Answer
from schemas.words import (
    Actor,
    Channel,
    Purpose,
    ReceiptState,
    Resolution,
    Responder,
    Signal,
    UpstreamDefault,
)
from tests.builders import NOON, a_second, an_exception
from tests.scenarios.world import World

PERSON = Channel.PERSON


def person_wanted(world: World | None = None):
    """A customer who was asked wants to speak to somebody."""
    world = world or World()
    world.exception(an_exception())
    world.fast_forward(seconds=60)
    world.answers(channel=Channel.SMS, signal=Signal.PERSON_WANTED)
    return world, world.sent(PERSON)[-1]


def staff_decide(world: World, option_id: str = "corner") -> None:
    answer = Answer(case_id="x1", option_id=option_id, confirmed=True)
    world.answers(answer, channel=PERSON, responder=Responder.STAFF)


def test_what_a_colleague_decides_was_put_to_nobody_by_that():
    world, _ = person_wanted()
    staff_decide(world)
    told = world.last_change()
    assert (told.decision.actor, told.presented) == (Actor.STAFF, False)


def test_a_wish_for_a_person_becomes_one_task_however_often_it_is_said():
    world, task = person_wanted()
    world.answers(channel=Channel.SMS, signal=Signal.PERSON_WANTED)
    assert [(c.purpose, c.about) for c in world.sent(PERSON)] == [(Purpose.CALLBACK, ("x1",))]
    assert task.reason == "the customer asks for a person"


def test_a_task_that_nobody_takes_does_not_stop_the_default():
    world, _ = person_wanted()
    world.fast_forward(minutes=10)
    world.expect_decision(Resolution.REFUNDED, actor=Actor.DEFAULT)


def test_a_task_that_was_taken_stops_the_machine():
    world, task = person_wanted()
    world.receipt(task, ReceiptState.TAKEN)
    world.fast_forward_to(NOON + timedelta(minutes=9))
    world.expect_no_call()
    world.expect_open()


def test_staff_decide_for_the_customer_and_the_customer_is_told():
    world, task = person_wanted()
    world.receipt(task, ReceiptState.TAKEN)
    staff_decide(world)
    world.receipt(task, ReceiptState.DONE)
    world.expect_decision(Resolution.SUBSTITUTED, actor=Actor.STAFF, channel=PERSON)
    world.expect_done()
    world.fast_forward(seconds=5)
    world.expect_sent(Purpose.CONFIRM, Channel.SMS)


def test_a_declined_task_goes_back_to_the_machine():
    world, task = person_wanted()
    world.receipt(task, ReceiptState.TAKEN)
    world.fast_forward_to(NOON + timedelta(seconds=210))
    world.expect_no_call()
    world.receipt(task, ReceiptState.DECLINED)
    world.expect_call()
    world.fast_forward(minutes=10)
    world.expect_decision(Resolution.REFUNDED, actor=Actor.DEFAULT)


def test_a_task_that_was_declined_before_anybody_took_it_changes_nothing():
    world, task = person_wanted()
    world.receipt(task, ReceiptState.DECLINED)
    world.fast_forward_to(NOON + timedelta(seconds=199))
    world.expect_no_call()
    world.fast_forward(seconds=1)
    world.expect_call()


def test_a_person_who_lets_the_deadline_pass_leaves_a_case_that_is_stuck_with_its_reason():
    world, task = person_wanted()
    world.receipt(task, ReceiptState.TAKEN)
    world.fast_forward(minutes=10)
    world.expect_open()
    assert world.last_change().stuck == "a person took the case and let its deadline pass"
    assert len(world.sent(PERSON)) == 2


def test_a_stuck_case_can_still_be_decided_by_staff():
    world, task = person_wanted()
    world.receipt(task, ReceiptState.TAKEN)
    world.fast_forward(minutes=10)
    staff_decide(world)
    world.expect_decision(Resolution.SUBSTITUTED, actor=Actor.STAFF)
    assert world.last_change().stuck == ""


def test_a_person_who_declines_after_the_deadline_leaves_the_default():
    world, task = person_wanted()
    world.receipt(task, ReceiptState.TAKEN)
    world.fast_forward(minutes=10)
    world.receipt(task, ReceiptState.DECLINED)
    world.fast_forward(seconds=1)
    world.expect_decision(Resolution.REFUNDED, actor=Actor.DEFAULT)


def test_what_a_person_has_taken_is_left_to_that_person_whatever_changes():
    world, task = person_wanted()
    world.receipt(task, ReceiptState.TAKEN)
    world.amended(revision=1, options=())
    world.expect_open()


def test_a_wish_for_a_person_is_one_task_that_names_every_open_line():
    world = World()
    world.exception(a_second())
    world, task = person_wanted(world)
    assert [set(command.about) for command in world.sent(PERSON)] == [{"x1", "x2"}]
    world.receipt(task, ReceiptState.TAKEN)
    world.fast_forward_to(NOON + timedelta(seconds=210))
    world.expect_no_call()
    world.receipt(task, ReceiptState.DECLINED)
    assert set(world.expect_call().about) == {"x1", "x2"}


def test_the_other_lines_of_the_order_go_on_without_the_person():
    world, task = person_wanted()
    world.receipt(task, ReceiptState.TAKEN)
    world.exception(a_second(fulfilment_deadline_at=NOON + timedelta(minutes=11)))
    world.fast_forward_to(NOON + timedelta(seconds=280))
    assert world.expect_call().about == ("x2",)


def test_lines_that_get_stuck_together_are_one_task():
    world = World()
    nothing_allowed = {"refund_allowed": False, "upstream_default": UpstreamDefault.AUTO_SUBSTITUTE}
    world.exception(an_exception(**nothing_allowed))
    world.exception(a_second(**nothing_allowed))
    world.fast_forward(minutes=10)
    assert [set(command.about) for command in world.sent(PERSON)] == [{"x1", "x2"}]


def test_the_customer_can_still_decide_while_a_person_has_the_case():
    world, task = person_wanted()
    world.receipt(task, ReceiptState.TAKEN)
    world.taps("corner")
    world.expect_decision(Resolution.SUBSTITUTED, actor=Actor.CUSTOMER)


def test_a_new_line_beside_one_that_a_person_has_is_asked_about_from_the_first_step_on():
    world, task = person_wanted()
    world.receipt(task, ReceiptState.TAKEN)
    world.fast_forward(seconds=30)
    world.exception(a_second("x2"))
    world.fast_forward(seconds=20)
    assert {c.about for c in world.sent(purpose=Purpose.UPDATE)} == {("x2",)}
    world.fast_forward(seconds=179)
    world.expect_no_call()
