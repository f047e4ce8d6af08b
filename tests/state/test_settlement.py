"""A decision with all that belongs to it, the one before it, and the update that carries it to the order system."""

from schemas.commands import OrderUpdate
from schemas.words import Channel, Kind, WriteBackOutcome
from tests.builders import an_exception
from tests.scenarios.world import World


def asked(raised=None) -> World:
    world = World()
    world.exception(raised or an_exception())
    world.fast_forward(seconds=20)
    return world


def test_a_decision_names_the_answer_and_what_was_read_back():
    world = asked()
    world.says("hillside")
    decision = world.case().decision
    assert (decision.readback, decision.channel) == ("read back and confirmed", Channel.VOICE)
    assert decision.response_id == world.last_verdict().response_id != ""


def test_the_version_that_stands_again_brings_back_all_that_was_reached_for_it():
    world = asked()
    world.taps("hillside")
    first = world.case()
    assert first.evidence is not None
    assert first.triggered_at is not None
    world.oms = None
    world.taps("corner", version=1)
    assert (world.case().evidence, world.case().triggered_at) == (None, None)
    world.oms_says(world.of(OrderUpdate)[-1], WriteBackOutcome.ORDER_NOT_MODIFIABLE)
    again = world.case()
    for part in ("decision", "write", "written_at", "trigger", "triggered_at", "proof", "evidence"):
        assert getattr(again, part) == getattr(first, part), part


def test_an_update_says_whose_order_it_is_and_for_a_delivery_names_no_line():
    world = asked()
    world.taps("hillside")
    (update,) = world.of(OrderUpdate)
    assert (update.customer_ref, update.store_id, update.line_id, update.expected_quantity) == (
        "customer-1",
        "store-1",
        "L1",
        1,
    )
    world = asked(an_exception(kind=Kind.DELIVERY_MISSED))
    world.taps("tomorrow")
    (update,) = world.of(OrderUpdate)
    assert (update.line_id, update.expected_quantity) == ("", 0)
