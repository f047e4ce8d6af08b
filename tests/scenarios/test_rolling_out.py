"""Rolling a policy out: mixed modes in one order, what a holdout gets, and which policy a case keeps."""

from datetime import timedelta

import pytest

from schemas.commands import OrderUpdate
from schemas.words import (
    Actor,
    Arm,
    Channel,
    CloseReason,
    Kind,
    Mode,
    Resolution,
    UpstreamDefault,
    WriteBackOutcome,
)
from state.shelf import Shelf
from tests.builders import NOON, a_customer, a_line, an_exception, an_option, pounds
from tests.scenarios.world import SHELF, World

MID_PICK = "mid_pick_substitution@1"


def a_world_in_which(policy: str = MID_PICK, **changes) -> World:
    """The shipped policies, with one of them changed."""
    changed = SHELF[policy].model_copy(update=changes)
    return World(policies=Shelf([changed, *[p for p in SHELF.by_key.values() if p.key != policy]]))


# Shadow.


def test_a_shadow_is_removed_after_its_retention_like_any_other():
    world = a_world_in_which(mode=Mode.SHADOW)
    world.exception(an_exception())
    world.fast_forward(days=8)
    assert world.records == {}


def test_a_live_recall_beside_a_shadowed_shortage_is_announced_and_only_the_recall():
    world = a_world_in_which(mode=Mode.SHADOW)
    world.exception(an_exception())
    world.exception(an_exception("x2", kind=Kind.RECALLED, line=a_line(line_id="L2", sku="jam")))
    world.fast_forward(minutes=10)
    assert {command.about for command in world.sent()} == {("x2",)}
    assert {case.case_id for command in world.sent() for case in command.cases} == {"x2"}
    assert [update.case_id for update in world.of(OrderUpdate)] == ["x2"]


def test_of_two_open_lines_only_the_live_one_is_asked_about():
    world = a_world_in_which(mode=Mode.SHADOW)
    world.exception(an_exception())
    live = a_line(line_id="L2", sku="jam", name="Jam")
    world.exception(an_exception("x2", line=live, policy_hint="next_day_substitution"))
    world.fast_forward(seconds=20)
    asks = world.sent()
    assert [command.about for command in asks] == [("x2",)] * 3
    assert {case.case_id for command in asks for case in command.cases} == {"x2"}
    assert world.last_change("x1").would_have == ("ask by push", "ask by sms", "ask by email")


def test_a_shadowed_recall_beside_a_live_shortage_stays_in_the_shadow():
    world = a_world_in_which("recall@1", mode=Mode.SHADOW)
    world.exception(an_exception())
    world.exception(an_exception("x2", kind=Kind.RECALLED, line=a_line(line_id="L2", sku="jam")))
    world.fast_forward(seconds=20)
    assert {command.about for command in world.sent()} == {("x1",)}
    world.taps("corner")
    world.expect_done("x1")
    assert world.last_change("x2").close_reason is CloseReason.SHADOW


# Holdout.


def held_out(raised=None, policy: str = MID_PICK, **facts) -> World:
    """A tenth of the customers is held out, and this one is among them."""
    world = a_world_in_which(policy, holdout_share_per_10000=1_000)
    world.exception(raised or an_exception(), a_customer(arm_point=999, **facts))
    return world


@pytest.mark.parametrize(
    ("upstream", "resolution"),
    [
        (UpstreamDefault.CANCEL_LINE, Resolution.REFUNDED),
        (UpstreamDefault.AUTO_SUBSTITUTE, Resolution.SUBSTITUTED),
        (UpstreamDefault.CANCEL_ORDER, Resolution.CANCEL_ORDER),
        (UpstreamDefault.RETURN_TO_DEPOT, Resolution.RETURNED),
    ],
)
def test_each_upstream_default_has_its_own_end_in_the_holdout(upstream, resolution):
    world = held_out(an_exception(upstream_default=upstream))
    world.expect_decision(resolution, actor=Actor.DEFAULT)


def test_a_held_out_case_says_so_when_it_closes():
    world = held_out()
    world.fast_forward(minutes=10)
    assert world.last_change().close_reason is CloseReason.HOLDOUT


def test_not_even_upstreams_substitute_may_be_dearer_or_unsafe():
    dearer = an_option(unit_price=pounds(260))
    world = held_out(an_exception(options=(dearer,), upstream_default=UpstreamDefault.AUTO_SUBSTITUTE))
    world.expect_decision(Resolution.REFUNDED)


@pytest.mark.parametrize(
    ("kind", "policy"),
    [
        (Kind.RECALLED, "recall@1"),
        (Kind.AGE_CHECK_FAILED, "age_check_failed@1"),
        (Kind.DRIVER_WAITING, "driver_waiting@1"),
    ],
)
def test_nobody_is_held_out_where_the_harm_is_not_only_money(kind, policy):
    world = held_out(an_exception(kind=kind), policy)
    world.fast_forward(seconds=20)
    assert world.last_change().arm is Arm.TREATMENT
    assert world.sent()


def test_a_recall_ends_the_holdout_of_its_conversation():
    world = held_out()
    world.exception(
        an_exception("x2", kind=Kind.RECALLED, line=a_line(line_id="L2", sku="jam")),
        a_customer(arm_point=999),
    )
    world.fast_forward(seconds=10)
    assert {command.about for command in world.sent()} == {("x2",)}


def test_trouble_with_a_held_out_order_still_reaches_people():
    world = a_world_in_which(holdout_share_per_10000=1_000)
    world.oms = WriteBackOutcome.ORDER_NOT_MODIFIABLE
    world.exception(an_exception(), a_customer(arm_point=0))
    assert [command.channel for command in world.sent()] == [Channel.PERSON]


# Which policy.


def test_a_case_keeps_the_policy_that_it_opened_with():
    world = World()
    world.exception(an_exception())
    newer = SHELF[MID_PICK].model_copy(update={"version": 2})
    newer.__dict__.pop("key", None)
    world.rules = type(world.rules)(Shelf([*SHELF.by_key.values(), newer]), world.rules.conditions)
    world.exception(an_exception("x2", line=a_line(line_id="L2")))
    assert [world.case(x).policy for x in ("x1", "x2")] == [MID_PICK, "mid_pick_substitution@2"]


def test_a_shortage_that_is_known_hours_ahead_is_asked_about_quietly():
    world = World()
    world.exception(an_exception(fulfilment_deadline_at=NOON + timedelta(hours=5)))
    assert world.case().policy == "next_day_substitution@1"
    world.fast_forward(minutes=29)
    world.expect_no_call()


def test_upstream_may_name_the_policy():
    world = World()
    world.exception(an_exception(policy_hint="next_day_substitution"))
    assert world.case().policy == "next_day_substitution@1"
    other = World()
    other.exception(an_exception(policy_hint="recall"))
    assert other.case().policy == MID_PICK, "a hint for another kind is none"
