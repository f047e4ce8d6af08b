"""Last mile: each thing that goes wrong at a door has its own options, and its own limits."""

from datetime import timedelta

import pytest

from schemas.commands import FulfilmentTrigger, OrderUpdate
from schemas.events import Answer
from schemas.facts import Chosen, Money
from schemas.words import (
    Actor,
    Channel,
    Contents,
    Kind,
    OptionKind,
    Purpose,
    Resolution,
    Responder,
    TriggerKind,
)
from tests.builders import NOON, a_customer, a_delivery, a_way, an_exception, pounds
from tests.scenarios.world import World

TONIGHT = NOON + timedelta(hours=6)
TOMORROW = NOON + timedelta(hours=20)


def at_the_door(kind: Kind, *options, minutes: int = 30, **changes):
    given = {"kind": kind, "fulfilment_deadline_at": NOON + timedelta(minutes=minutes)}
    return an_exception(**(given | ({"options": options} if options else {}) | changes))


def asked(raised) -> World:
    """The exception is raised, and the first messages have left."""
    world = World()
    world.exception(raised)
    world.fast_forward(seconds=10)
    return world


def triggers(world: World) -> list[TriggerKind]:
    return [trigger.kind for trigger in world.of(FulfilmentTrigger)]


def test_nobody_was_at_home_and_the_customer_takes_another_slot():
    world = asked(
        at_the_door(
            Kind.DELIVERY_MISSED,
            a_way("tomorrow", OptionKind.REDELIVER, slot_from_at=TOMORROW),
            a_way("tonight", OptionKind.REDELIVER, slot_from_at=TONIGHT),
        )
    )
    assert world.options() == ["tonight", "tomorrow"]
    world.taps("tonight")
    world.expect_decision(Resolution.REDELIVER, actor=Actor.CUSTOMER)
    assert triggers(world) == [TriggerKind.REDELIVER]
    world.fast_forward(hours=1)
    world.expect_done()


def test_nobody_was_at_home_and_nobody_answers_so_the_goods_go_back():
    world = asked(at_the_door(Kind.DELIVERY_MISSED))
    world.fast_forward(minutes=30)
    assert len(world.sent(Channel.VOICE)) == 1
    world.expect_decision(Resolution.RETURNED, actor=Actor.DEFAULT)
    world.expect_sent(Purpose.DEFAULT, Channel.PUSH, Channel.SMS, Channel.EMAIL)
    assert triggers(world) == [TriggerKind.RETURN]
    world.expect_done()


def test_a_locked_gate_is_opened_by_instructions_that_travel_as_a_reference_only():
    world = asked(at_the_door(Kind.ACCESS_ISSUE, a_way("code", OptionKind.INSTRUCTIONS), minutes=10))
    world.taps("code", reference="ref-7")
    world.expect_decision(Resolution.INSTRUCTIONS, reference="ref-7")
    (trigger,) = world.of(FulfilmentTrigger)
    assert (trigger.kind, trigger.reference) == (TriggerKind.INSTRUCTIONS, "ref-7")


def test_a_safe_place_is_an_instruction_to_the_driver():
    world = asked(
        at_the_door(Kind.DELIVERY_MISSED, a_way("porch", OptionKind.SAFE_PLACE, reference="place-1"))
    )
    world.taps("porch")
    world.expect_decision(Resolution.INSTRUCTIONS, reference="place-1")
    assert triggers(world) == [TriggerKind.INSTRUCTIONS]


def test_an_address_is_changed_only_by_somebody_who_is_logged_in():
    world = asked(at_the_door(Kind.ADDRESS_ISSUE, a_way("move", OptionKind.ADDRESS_CHANGE)))
    world.taps("move")
    assert world.last_verdict().reason == "login_needed"
    world.expect_open()
    moved = Answer(case_id="x1", option_id="move", decision_version=0, reference="address-9")
    world.answers(moved, channel=Channel.APP, logged_in=True)
    world.expect_decision(Resolution.INSTRUCTIONS, reference="address-9")


def test_on_the_phone_nobody_changes_an_address():
    world = asked(at_the_door(Kind.ADDRESS_ISSUE, a_way("move", OptionKind.ADDRESS_CHANGE)))
    world.fast_forward(minutes=10)
    world.says("move")
    assert world.last_verdict().reason == "login_needed"
    world.expect_open()


@pytest.mark.parametrize("kind", [OptionKind.SAFE_PLACE, OptionKind.NEIGHBOUR, OptionKind.LOCKER])
def test_wine_is_never_left_unattended(kind):
    world = asked(
        at_the_door(
            Kind.DELIVERY_MISSED,
            a_way("left", kind),
            a_way("tomorrow", OptionKind.REDELIVER, slot_from_at=TOMORROW),
            delivery=a_delivery(contains=(Contents.AGE_RESTRICTED,)),
        )
    )
    assert world.options() == ["tomorrow"]
    assert "unattended" in world.shown().refused[0].reasons[0]
    world.taps("left")
    assert world.last_verdict().reason.startswith("not_available")
    world.expect_open()


def test_what_failed_an_age_check_is_age_restricted_whatever_upstream_lists_of_the_parcel():
    night, morning = NOON + timedelta(hours=10), NOON + timedelta(hours=20, minutes=30)
    world = asked(
        at_the_door(
            Kind.AGE_CHECK_FAILED,
            a_way("porch", OptionKind.SAFE_PLACE),
            a_way("night", OptionKind.REDELIVER, slot_from_at=night),
            a_way("morning", OptionKind.REDELIVER, slot_from_at=morning),
            delivery=a_delivery(sale_from="09:00", sale_until="22:00"),
        )
    )
    assert world.options() == ["morning"]
    world.taps("porch")
    assert world.last_verdict().reason.startswith("not_available")
    world.expect_open()


def test_wine_is_brought_again_only_within_the_hours_of_sale():
    # The tap is open from 9 to 22 in London, where noon UTC is one o'clock.
    night, morning = NOON + timedelta(hours=10), NOON + timedelta(hours=20, minutes=30)
    world = asked(
        at_the_door(
            Kind.AGE_CHECK_FAILED,
            a_way("night", OptionKind.REDELIVER, slot_from_at=night),
            a_way("morning", OptionKind.REDELIVER, slot_from_at=morning),
            delivery=a_delivery(contains=(Contents.AGE_RESTRICTED,), sale_from="09:00", sale_until="22:00"),
        )
    )
    assert world.options() == ["morning"]


def test_a_failed_age_check_ends_in_a_return_and_never_in_a_holdout():
    world = World()
    raised = at_the_door(Kind.AGE_CHECK_FAILED)
    world.exception(raised, a_customer(arm_point=0))
    world.fast_forward(minutes=30)
    world.expect_decision(Resolution.RETURNED)
    assert world.record().arm == "treatment"


def test_frozen_goods_are_not_promised_beyond_their_cold_chain():
    world = asked(
        at_the_door(
            Kind.DELIVERY_MISSED,
            a_way(
                "tonight",
                OptionKind.REDELIVER,
                slot_from_at=NOON + timedelta(hours=2),
                slot_until_at=NOON + timedelta(hours=3),
            ),
            a_way("tomorrow", OptionKind.REDELIVER, slot_from_at=TOMORROW),
            delivery=a_delivery(contains=(Contents.FROZEN,), cold_chain_until_at=NOON + timedelta(hours=4)),
        )
    )
    assert world.options() == ["tonight"]


def test_goods_whose_cold_chain_has_ended_can_still_be_sent_back():
    world = asked(
        at_the_door(
            Kind.DELIVERY_MISSED,
            a_way("porch", OptionKind.SAFE_PLACE),
            a_way("back", OptionKind.RETURN),
            delivery=a_delivery(contains=(Contents.CHILLED,), cold_chain_until_at=NOON),
        )
    )
    assert world.options() == ["back"]
    world.taps("back")
    world.expect_decision(Resolution.RETURNED, actor=Actor.CUSTOMER)
    assert triggers(world) == [TriggerKind.RETURN]


def test_a_slot_that_begins_before_the_answer_can_no_longer_be_chosen():
    soon = NOON + timedelta(minutes=8)
    world = asked(
        at_the_door(
            Kind.DELIVERY_MISSED,
            a_way("soon", OptionKind.REDELIVER, slot_from_at=soon),
            a_way("tomorrow", OptionKind.REDELIVER, slot_from_at=TOMORROW),
        )
    )
    assert world.options() == ["soon", "tomorrow"]
    world.fast_forward(minutes=8)
    world.taps("soon")
    assert "its slot has begun" in world.last_verdict().reason
    world.taps("tomorrow")
    world.expect_decision(Resolution.REDELIVER)


def test_a_pickup_is_chosen_and_the_shop_keeps_the_goods():
    world = asked(at_the_door(Kind.DELIVERY_MISSED, a_way("shop", OptionKind.PICKUP)))
    world.taps("shop")
    world.expect_decision(Resolution.PICKUP)
    assert triggers(world) == [TriggerKind.PICKUP]


def test_what_was_refused_at_the_door_is_refunded_for_good():
    world = asked(at_the_door(Kind.REFUSED_AT_DOOR, minutes=120))
    world.fast_forward(minutes=2)
    world.answers(Answer(case_id="x1", key=0, decision_version=0))
    decision = world.expect_decision(Resolution.REFUNDED)
    assert decision.refund_form == "refund"
    world.taps("tomorrow", version=1)
    assert world.last_verdict().reason == "refund_is_final"
    assert len(world.of(OrderUpdate)) == 1


def test_whoever_refused_at_the_door_is_never_called():
    world = asked(at_the_door(Kind.REFUSED_AT_DOOR, minutes=120))
    world.fast_forward(hours=3)
    world.expect_no_call()
    world.expect_decision(Resolution.RETURNED, actor=Actor.DEFAULT)


def test_a_waiting_driver_makes_the_phone_ring_after_a_minute():
    world = World()
    world.exception(at_the_door(Kind.DRIVER_WAITING, minutes=5))
    world.wakes()
    world.expect_sent(Purpose.ASK, Channel.PUSH, Channel.SMS)
    world.fast_forward(seconds=59)
    world.expect_no_call()
    world.fast_forward(seconds=1)
    world.expect_call()


def test_a_fee_for_another_slot_is_paid_only_after_a_yes_to_the_new_total():
    raised = at_the_door(
        Kind.DELIVERY_MISSED,
        a_way("tomorrow", OptionKind.REDELIVER, slot_from_at=TOMORROW, fee=pounds(499)),
    )
    world = World()
    world.exception(raised, a_customer(price_cap=pounds(500)))
    world.fast_forward(seconds=10)
    (option,) = world.shown().options
    assert (option.price, option.total) == (pounds(499), pounds(6_499))
    world.taps("tomorrow")
    assert world.last_verdict().reason == "total_not_confirmed"
    world.taps("tomorrow", confirmed=True, total_shown=pounds(6_499))
    assert world.expect_decision(Resolution.REDELIVER).price_after == Money(499, "GBP")


def test_no_picker_is_told_anything_about_a_delivery():
    world = asked(at_the_door(Kind.DELIVERY_MISSED))
    world.taps("tomorrow")
    assert world.holds() == []


def test_where_no_refund_is_allowed_at_the_door_none_is_given_except_by_staff():
    world = asked(at_the_door(Kind.DELIVERY_MISSED, refund_allowed=False))
    refund = Answer(case_id="x1", key=0, decision_version=0)
    world.answers(refund)
    assert world.last_verdict().reason == "refund_not_possible"
    world.answers(refund, channel=Channel.PERSON, responder=Responder.STAFF)
    world.expect_decision(Resolution.REFUNDED, actor=Actor.STAFF)


def test_one_delivery_goes_one_way_only():
    ways = (a_way("shop", OptionKind.PICKUP), a_way("tomorrow", OptionKind.REDELIVER, slot_from_at=TOMORROW))
    world = asked(at_the_door(Kind.DELIVERY_MISSED, *ways))
    both = (Chosen(option_id="shop", quantity=1), Chosen(option_id="tomorrow", quantity=1))
    world.answers(Answer(case_id="x1", chosen=both, decision_version=0))
    assert world.last_verdict().reason == "quantities"
    world.expect_open()
