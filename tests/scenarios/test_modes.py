"""Shadow, pilot and holdout: who is contacted at all, and what is recorded of the others."""

from datetime import timedelta

import pytest

from schemas.commands import CaseChanged, LineHold, OrderUpdate
from schemas.words import Actor, Arm, Channel, CloseReason, Kind, Mode, Purpose, Resolution, UpstreamDefault
from state.policy import Pilot
from state.shelf import Shelf
from tests.builders import NOON, a_customer, an_exception
from tests.scenarios.world import SHELF, World

PUSH, SMS, EMAIL = Channel.PUSH, Channel.SMS, Channel.EMAIL


def a_world(customer=None, **changes) -> World:
    """The mid-pick policy with these changes; the others as shipped."""
    changed = SHELF["mid_pick_substitution@1"].model_copy(update=changes)
    others = [policy for policy in SHELF.by_key.values() if policy.id != changed.id]
    return World(policies=Shelf([*others, changed]), customer=customer)


def test_in_shadow_mode_nothing_leaves_and_the_register_shows_what_would_have():
    world = a_world(mode=Mode.SHADOW)
    world.exception(an_exception())
    world.fast_forward(minutes=10)
    assert {type(effect) for effect in world.effects} == {CaseChanged}
    shown = world.last_change()
    assert shown.mode is Mode.SHADOW
    assert shown.close_reason is CloseReason.SHADOW
    assert shown.would_have == (
        "ask by push",
        "ask by sms",
        "ask by email",
        "call by voice",
        "default by push",
        "default by sms",
        "default by email",
    )


def test_the_default_of_a_shadow_is_shown_and_never_written():
    world = a_world(mode=Mode.SHADOW)
    world.exception(an_exception())
    world.fast_forward(minutes=10)
    assert world.last_change().resolution is Resolution.REFUNDED
    assert world.of(OrderUpdate) == []
    assert world.of(LineHold) == []


@pytest.mark.parametrize(
    ("stores", "point", "contacted"),
    [
        pytest.param(("store-1",), 4_999, True, id="store and customer take part"),
        pytest.param(("store-1",), 5_000, False, id="the customer does not"),
        pytest.param(("store-2",), 0, False, id="the store does not"),
    ],
)
def test_a_pilot_contacts_its_stores_and_its_share_of_their_customers(stores, point, contacted):
    pilot = Pilot(stores=stores, share_per_10000=5_000)
    world = a_world(a_customer(pilot_point=point), mode=Mode.PILOT, pilot=pilot)
    world.exception(an_exception())
    world.fast_forward(seconds=20)
    assert bool(world.sent()) is contacted
    assert world.last_change().mode is (Mode.PILOT if contacted else Mode.SHADOW)


def test_a_customer_in_the_holdout_gets_what_upstream_would_have_done_and_hears_nothing():
    world = a_world(a_customer(arm_point=99), holdout_share_per_10000=100)
    world.exception(an_exception())
    world.fast_forward(minutes=20)
    world.expect_decision(Resolution.REFUNDED, actor=Actor.DEFAULT)
    assert world.sent() == []
    assert (world.last_change().arm, world.last_change().announced) == (Arm.HOLDOUT, "holdout")
    world.expect_done()


def test_a_customer_beyond_the_share_is_treated():
    world = a_world(a_customer(arm_point=100), holdout_share_per_10000=100)
    world.exception(an_exception())
    world.fast_forward(seconds=20)
    world.expect_sent(Purpose.ASK, PUSH, SMS, EMAIL)
    assert world.last_change().arm is Arm.TREATMENT


def test_where_upstream_would_have_substituted_the_holdout_gets_that_substitute():
    world = a_world(a_customer(), holdout_share_per_10000=100)
    world.exception(an_exception(upstream_default=UpstreamDefault.AUTO_SUBSTITUTE))
    world.expect_decision(Resolution.SUBSTITUTED, actor=Actor.DEFAULT)
    assert world.sent() == []


def test_a_customer_with_an_allergy_is_never_held_out():
    world = a_world(a_customer(allergens=("nuts",)), holdout_share_per_10000=10_000)
    world.exception(an_exception())
    world.fast_forward(seconds=20)
    world.expect_sent(Purpose.ASK, PUSH, SMS, EMAIL)


def test_a_waiting_driver_ends_the_holdout_of_the_order():
    world = a_world(a_customer(), holdout_share_per_10000=10_000)
    world.exception(an_exception())
    world.fast_forward(minutes=2)
    world.exception(
        an_exception(
            "d1",
            kind=Kind.DRIVER_WAITING,
            occurred_at=world.now,
            fulfilment_deadline_at=NOON + timedelta(minutes=9),
        )
    )
    world.fast_forward()
    world.expect_sent(Purpose.ASK, PUSH, SMS)
    assert world.last_change("d1").arm is Arm.TREATMENT
