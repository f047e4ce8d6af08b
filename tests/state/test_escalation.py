"""The clock by itself: whole milliseconds, late wake-ups, windows that are cut and go on, and standing still."""

from datetime import timedelta

from schemas.words import Channel, Purpose, Resolution
from state.escalation import begin_afresh, clock_fires
from state.turn import Turn
from tests.builders import NOON, a_customer, a_line, an_exception, but
from tests.scenarios.world import World
from tests.state.test_opening import RULES, opened

SECOND = timedelta(seconds=1)


def a_second(**changes):
    return an_exception("x2", line=a_line(line_id="L2", sku="jam", name="Jam"), **changes)


def test_the_gather_window_ends_on_a_whole_millisecond():
    raised = an_exception(fulfilment_deadline_at=NOON + timedelta(seconds=165, milliseconds=15))
    assert opened(raised).gather_until_at == NOON + timedelta(seconds=16, milliseconds=501)


def test_a_fresh_beginning_leaves_nothing_of_the_escalation_before():
    record = opened()
    record.opened_steps, record.calls, record.calls_max, record.calls_ended = ("digital",), 1, 2, True
    record.running, record.next_call_at = True, NOON
    begin_afresh(record)
    assert (record.opened_steps, record.calls, record.calls_max, record.calls_ended) == ((), 0, 0, False)
    assert (record.running, record.plan, record.next_call_at) == (False, (), None)


def test_a_step_that_we_slept_through_is_still_asked_about():
    record = opened()
    (digital, *rest) = record.plan
    record.gather_until_at = None
    record.plan = (but(digital, opens_at=NOON, due_at=NOON + SECOND), *rest)
    turn = Turn(record, NOON + 5 * SECOND, RULES)
    clock_fires(turn)
    assert (record.opened_steps, record.running) == (("digital",), True)
    assert record.cases[0].asked
    assert record.plan[0].due_at == NOON + SECOND, "its end is the next thing to fall due"


def test_when_nobody_has_to_be_asked_any_more_everything_stands_still():
    world = World()
    world.exception(an_exception())
    world.fast_forward(seconds=200)
    assert world.record().running
    world.withdrawn()
    record = world.record()
    assert (record.plan, record.running, record.gather_until_at, record.next_call_at) == (
        (),
        False,
        None,
        None,
    )


def test_who_can_no_longer_be_reached_at_all_gets_every_default_at_once():
    world = World()
    world.exception(an_exception())
    world.exception(a_second())
    world.fast_forward(seconds=30)
    world.contact_changes(a_customer(channels=()))
    for case_id in ("x1", "x2"):
        world.expect_decision(Resolution.REFUNDED, case_id)


def test_an_earlier_deadline_that_joins_shortens_the_window_of_the_calls():
    world = World()
    world.exception(an_exception())
    world.fast_forward(seconds=200)
    before_at = world.record().plan[0].due_at
    world.exception(a_second(fulfilment_deadline_at=before_at - 20 * SECOND))
    (call,) = world.record().plan
    assert (call.name, call.due_at) == ("call", before_at - 30 * SECOND)


def test_a_window_that_was_cut_for_another_line_goes_on_without_asking_again():
    world = World()
    world.exception(an_exception())
    world.fast_forward(seconds=30)
    world.exception(a_second(fulfilment_deadline_at=NOON + timedelta(seconds=100)))
    world.fast_forward_to(NOON + timedelta(seconds=89))
    asked = [c for c in world.sent() if c.purpose in (Purpose.ASK, Purpose.UPDATE)]
    world.fast_forward_to(NOON + timedelta(seconds=95))
    world.expect_decision(Resolution.REFUNDED, "x2")
    world.expect_open("x1")
    world.fast_forward_to(NOON + timedelta(seconds=195))
    assert [c for c in world.sent() if c.purpose in (Purpose.ASK, Purpose.UPDATE)] == asked
    world.expect_no_call()
    world.fast_forward_to(NOON + timedelta(seconds=200))
    world.expect_call()
    assert {c.channel for c in asked} == {Channel.PUSH, Channel.SMS, Channel.EMAIL}
