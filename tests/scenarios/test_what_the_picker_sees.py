"""Pickers and drivers know at once whether to wait, to move on or to act; and pickers never wait long."""

from datetime import timedelta

from schemas.words import HoldState, Kind, Resolution, WriteBackOutcome
from tests.builders import NOON, a_customer, a_line, an_exception, an_option
from tests.scenarios.world import World

TOTE_CLOSES_AT = NOON + timedelta(minutes=2)


def states(world: World, case_id: str = "x1") -> list[HoldState]:
    return [hold.state for hold in world.holds(case_id)]


def test_the_picker_learns_at_once_that_the_customer_is_being_asked():
    world = World()
    world.exception(an_exception())
    (hold,) = world.holds()
    assert (hold.state, hold.line_id, hold.default) == (HoldState.ASKING, "L1", Resolution.REFUNDED)
    assert hold.until_at == world.last_change().default_at


def test_the_picker_is_never_asked_to_wait_beyond_the_closing_of_the_tote():
    world = World()
    world.exception(an_exception(picked_until_at=TOTE_CLOSES_AT))
    assert [hold.until_at for hold in world.holds()] == [TOTE_CLOSES_AT]


def test_the_picker_is_never_asked_to_wait_beyond_the_deadline():
    world = World()
    world.exception(an_exception(fulfilment_deadline_at=NOON + timedelta(seconds=200)))
    (hold,) = world.holds()
    assert hold.until_at <= NOON + timedelta(seconds=190)


def test_an_answer_tells_the_picker_what_to_fetch():
    world = World()
    world.exception(an_exception())
    world.taps("hillside")
    hold = world.holds()[-1]
    assert (hold.state, hold.until_at) == (HoldState.DECIDED, None)
    assert [p.sku for chosen in hold.decision.chosen for p in chosen.components] == ["bread-hill"]


def test_silence_tells_the_picker_to_move_on():
    world = World()
    world.exception(an_exception())
    world.fast_forward(minutes=10)
    assert states(world) == [HoldState.ASKING, HoldState.MOVE_ON]


def test_what_needs_no_question_never_makes_the_picker_wait():
    recalled, unwanted = World(), World()
    recalled.exception(an_exception(kind=Kind.RECALLED))
    unwanted.exception(an_exception(), a_customer(never_substitute=True))
    assert states(recalled) == states(unwanted) == [HoldState.MOVE_ON]


def test_a_change_of_mind_reaches_the_picker_as_well():
    world = World()
    world.exception(an_exception())
    world.taps("hillside")
    world.taps("corner", version=1)
    assert states(world) == [HoldState.ASKING, HoldState.DECIDED, HoldState.DECIDED]
    assert world.holds()[-1].decision.version == 2


def test_a_later_deadline_moves_the_end_of_the_wait():
    world = World()
    world.exception(an_exception(fulfilment_deadline_at=NOON + timedelta(minutes=3)))
    world.amended(revision=1, fulfilment_deadline_at=NOON + timedelta(minutes=8))
    first, second = world.holds()
    assert first.until_at < second.until_at <= NOON + timedelta(minutes=8)


def test_an_earlier_closing_of_the_tote_shortens_the_wait():
    world = World()
    world.exception(an_exception())
    world.amended(revision=1, picked_until_at=TOTE_CLOSES_AT)
    assert world.holds()[-1].until_at == TOTE_CLOSES_AT


def test_a_choice_that_the_oms_did_not_take_is_taken_back_from_the_picker_too():
    world = World()
    world.exception(an_exception())
    world.taps("hillside")
    world.oms = WriteBackOutcome.ORDER_NOT_MODIFIABLE
    world.taps("corner", version=1)
    assert world.holds()[-1].decision.version == 1


def test_the_picker_learns_how_many_to_keep_of_what_is_there():
    world = World()
    five = a_line(quantity_ordered=5, quantity_available=3)
    world.exception(
        an_exception(kind=Kind.PARTLY_AVAILABLE, line=five, options=(an_option(quantity_default=2),))
    )
    world.fast_forward(minutes=10)
    decision = world.holds()[-1].decision
    assert (decision.keep_quantity, decision.refund_quantity) == (3, 2)


def test_each_line_has_a_hold_of_its_own():
    world = World()
    world.exception(an_exception())
    world.exception(an_exception("x2", line=a_line(line_id="L2", sku="jam", name="Jam")))
    world.taps("hillside")
    assert states(world, "x1") == [HoldState.ASKING, HoldState.DECIDED]
    assert states(world, "x2") == [HoldState.ASKING]
