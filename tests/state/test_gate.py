"""The gate by itself: every reason against an option, and all of them at once."""

from datetime import UTC, datetime, timedelta

import pytest

from schemas.facts import Attributes, Money
from schemas.words import Contents, Kind, OptionKind
from state.gate import Pricing, Question, judge, may_be_default
from state.rules import Conditions
from tests.builders import (
    NOON,
    SAFE,
    a_component,
    a_customer,
    a_delivery,
    a_line,
    a_way,
    an_exception,
    an_option,
    but,
    local,
    pounds,
)
from tests.scenarios.world import SHELF

MID_PICK = SHELF["mid_pick_substitution@1"]


def asked(raised=None, *, units: int = 1, **changes) -> Question:
    """The gate is asked about one piece of a missing loaf, for a customer without wishes, at noon."""
    given = {
        "exception": raised or an_exception(),
        "facts": a_customer(),
        "policy": MID_PICK,
        "conditions": Conditions(),
        "now": NOON,
        "units": units,
    }
    return Question(**(given | changes))


def reasons(option, question: Question) -> tuple[str, ...]:
    return judge(option, question).reasons


def test_a_plain_substitute_passes():
    verdict = judge(an_option(), asked())
    assert (verdict.is_admissible, verdict.pricing, verdict.dearer_minor) == (True, Pricing.NOT_DEARER, 0)


def test_every_reason_is_named_and_not_only_the_first():
    facts = a_customer(never_substitute=True, allergens=("milk",), blocked_skus=("bread-hill",))
    raised = an_exception(line=a_line(attributes=but(SAFE, dietary=("vegan",))))
    worst = an_option(
        attributes=Attributes(allergens=("milk",), age_class=18),
        unit_price=pounds(900),
        quantity_max=0,
        reserved_until_at=NOON,
    )
    assert reasons(worst, asked(raised, facts=facts)) == (
        "its stock reservation has ended",
        "the customer wants no substitutes",
        "Hillside Sourdough 400 g is blocked",
        "the allergens of Hillside Sourdough 400 g are unknown, and the customer named some to avoid",
        "Hillside Sourdough 400 g contains milk, which the customer avoids",
        "Hillside Sourdough 400 g is for ages from 18, the original from 0",
        "Hillside Sourdough 400 g is not vegan, and the original was",
        "only 0 of Hillside Sourdough 400 g can be had",
        "it is dearer by 700 than the 0 that may be added",
    )


def test_each_component_of_an_option_must_pass_by_itself():
    half = a_component(unit_price=pounds(100))
    both = an_option(components=(half, but(half, sku="b", name="B")))
    assert reasons(both, asked()) == ()
    assert reasons(both, asked(conditions=Conditions(blocked_skus=frozenset({"b"})))) == ("B is blocked",)


def test_all_that_is_wrong_with_a_product_stands_in_one_reason():
    harmful = an_option(attributes=but(SAFE, allergens=("nuts", "milk")))
    assert reasons(harmful, asked(facts=a_customer(allergens=("milk", "nuts")))) == (
        "Hillside Sourdough 400 g contains milk, nuts, which the customer avoids",
    )
    strict = an_exception(line=a_line(attributes=but(SAFE, dietary=("vegan", "halal"))))
    assert reasons(an_option(), asked(strict)) == (
        "Hillside Sourdough 400 g is not vegan, halal, and the original was",
    )


def test_each_component_costs_its_own_pieces():
    both = an_option(
        components=(
            a_component(quantity_default=2, unit_price=pounds(150)),
            a_component(sku="b", quantity_default=1, unit_price=pounds(99)),
        )
    )
    assert judge(both, asked()).cost_minor == 399


def test_an_option_without_any_product_is_none():
    assert reasons(but(an_option(), components=()), asked()) == ("it names no product",)


def test_a_block_counts_from_the_partition_and_from_the_customers_snapshot():
    blocked = ("Hillside Sourdough 400 g is blocked",)
    assert (
        reasons(an_option(), asked(conditions=Conditions(blocked_skus=frozenset({"bread-hill"})))) == blocked
    )
    assert reasons(an_option(), asked(facts=a_customer(blocked_skus=("bread-hill",)))) == blocked


def test_what_was_recalled_is_refused_only_in_a_recall():
    same = an_option(sku="bread-oak", name="Oakmill")
    assert reasons(same, asked()) == ()
    assert reasons(same, asked(an_exception(kind=Kind.RECALLED))) == ("Oakmill is what was recalled",)


def test_unknown_allergens_are_unsafe_only_for_whoever_avoids_some():
    unknown = an_option(attributes=Attributes(allergens_known=False))
    assert reasons(unknown, asked()) == ()
    assert len(reasons(unknown, asked(facts=a_customer(allergens=("nuts",))))) == 1


def test_an_equal_or_lower_age_class_passes():
    wine = an_exception(line=a_line(attributes=but(SAFE, age_class=18)))
    for age, passes in ((0, True), (16, True), (18, True), (21, False)):
        option = an_option(attributes=but(SAFE, age_class=age))
        assert judge(option, asked(wine)).is_admissible is passes


def test_dietary_marks_may_be_gained_and_not_lost():
    vegan = an_exception(line=a_line(attributes=but(SAFE, dietary=("vegan", "halal"))))
    for marks, passes in (
        (("vegan", "halal"), True),
        (("vegan", "halal", "organic"), True),
        (("vegan",), False),
    ):
        assert judge(an_option(attributes=but(SAFE, dietary=marks)), asked(vegan)).is_admissible is passes


def test_another_currency_is_no_price():
    (reason,) = reasons(an_option(unit_price=Money(200, "EUR")), asked())
    assert reason == "Hillside Sourdough 400 g is priced in EUR"


def test_the_stock_counts_for_the_pieces_that_are_asked_for():
    three = an_exception(line=a_line(quantity_ordered=3))
    scarce = an_option(quantity_default=6, quantity_max=4, unit_price=pounds(100))
    for units, passes in ((1, True), (2, True), (3, False)):
        assert judge(scarce, asked(three, units=units)).is_admissible is passes


def test_a_reservation_counts_until_ten_seconds_before_its_end():
    for seconds, passes in ((11, True), (10, False), (0, False), (-5, False)):
        option = an_option(reserved_until_at=NOON + timedelta(seconds=seconds))
        assert judge(option, asked()).is_admissible is passes


def test_a_slot_that_was_kept_free_until_now_can_no_longer_be_promised():
    kept = a_way("again", OptionKind.REDELIVER, slot_from_at=NOON + timedelta(hours=4))
    for seconds, found in ((11, ()), (10, ("its stock reservation has ended",))):
        way = but(kept, reserved_until_at=NOON + timedelta(seconds=seconds))
        assert reasons(way, at_the_door()) == found


# Prices.


@pytest.mark.parametrize(
    ("by", "cap", "pricing", "passes"),
    [
        (-1, None, Pricing.NOT_DEARER, True),
        (0, None, Pricing.NOT_DEARER, True),
        (1, None, Pricing.OLD_PRICE, True),
        (100, None, Pricing.OLD_PRICE, True),
        (101, None, Pricing.NEW_PRICE, False),
        (101, 100, Pricing.NEW_PRICE, False),
        (101, 101, Pricing.NEW_PRICE, True),
    ],
)
def test_a_difference_is_none_or_ours_or_within_the_customers_cap_or_too_much(by, cap, pricing, passes):
    facts = a_customer(price_cap=pounds(cap) if cap is not None else None)
    verdict = judge(an_option(unit_price=pounds(200 + by)), asked(facts=facts))
    assert (verdict.pricing, verdict.is_admissible, verdict.dearer_minor) == (pricing, passes, by)


def test_the_customers_own_cap_outranks_the_policys_in_both_directions():
    generous = MID_PICK.model_copy(update={"price": MID_PICK.price.model_copy(update={"cap_minor": 300})})
    dearer = an_option(unit_price=pounds(400))
    assert judge(dearer, asked(policy=generous)).is_admissible
    assert not judge(dearer, asked(policy=generous, facts=a_customer(price_cap=pounds(150)))).is_admissible
    assert not judge(dearer, asked(policy=generous, facts=a_customer(price_cap=pounds(0)))).is_admissible
    assert judge(dearer, asked(facts=a_customer(price_cap=pounds(200)))).is_admissible


def test_a_cap_in_another_currency_is_none():
    dearer = an_option(unit_price=pounds(400))
    assert not judge(dearer, asked(facts=a_customer(price_cap=Money(9_999, "EUR")))).is_admissible


def test_what_others_have_added_counts_against_the_cap():
    dearer, facts = an_option(unit_price=pounds(400)), a_customer(price_cap=pounds(300))
    assert judge(dearer, asked(facts=facts, added_minor=100)).is_admissible
    assert not judge(dearer, asked(facts=facts, added_minor=101)).is_admissible


def test_what_others_have_taken_counts_against_what_is_ours_to_bear():
    dearer = an_option(unit_price=pounds(260))
    assert judge(dearer, asked(absorbed_minor=40)).pricing is Pricing.OLD_PRICE
    assert not judge(dearer, asked(absorbed_minor=41)).is_admissible


def test_after_a_refused_authorisation_only_the_old_price_or_less_is_left():
    facts = a_customer(price_cap=pounds(500))
    for by, passes in ((0, True), (100, True), (200, False)):
        option = an_option(unit_price=pounds(200 + by))
        assert judge(option, asked(facts=facts, no_increase=True)).is_admissible is passes


# Deliveries.


def at_the_door(**delivery) -> Question:
    return asked(an_exception(kind=Kind.DELIVERY_MISSED, delivery=a_delivery(**delivery)))


UNATTENDED = (OptionKind.SAFE_PLACE, OptionKind.NEIGHBOUR, OptionKind.LOCKER)


@pytest.mark.parametrize("contents", [Contents.AGE_RESTRICTED, Contents.MEDICINE, Contents.HIGH_VALUE])
@pytest.mark.parametrize("kind", UNATTENDED)
def test_some_goods_are_never_left_alone(kind, contents):
    assert reasons(a_way("w", kind), at_the_door(contains=(contents,))) == (
        f"goods may not be left unattended: {contents}",
    )


def test_all_goods_that_may_not_be_left_alone_are_named():
    contains = (Contents.FROZEN, Contents.MEDICINE, Contents.HIGH_VALUE)
    assert reasons(a_way("w", OptionKind.LOCKER), at_the_door(contains=contains)) == (
        "goods may not be left unattended: medicine, high_value",
    )


@pytest.mark.parametrize("kind", UNATTENDED)
def test_other_goods_may_be_left(kind):
    assert reasons(a_way("w", kind), at_the_door(contains=(Contents.FROZEN,))) == ()


@pytest.mark.parametrize(
    ("utc_hour", "sale", "passes"),
    [
        (8, ("09:00", "22:00"), True),
        (7, ("09:00", "22:00"), False),
        (21, ("09:00", "22:00"), True),
        (22, ("09:00", "22:00"), False),
        (23, ("18:00", "02:00"), True),
        (10, ("18:00", "02:00"), False),
    ],
)
def test_hours_of_sale_are_local_and_may_pass_midnight(utc_hour, sale, passes):
    question = at_the_door(contains=(Contents.AGE_RESTRICTED,), sale_from=sale[0], sale_until=sale[1])
    slot = datetime(2026, 6, 18, utc_hour, tzinfo=UTC)
    way = a_way("again", OptionKind.REDELIVER, slot_from_at=slot)
    assert judge(way, question).is_admissible is passes


@pytest.mark.parametrize(
    ("clock", "sale", "passes"),
    [
        ("08:59", ("09:00", "22:00"), False),
        ("09:00", ("09:00", "22:00"), True),
        ("22:00", ("09:00", "22:00"), True),
        ("22:01", ("09:00", "22:00"), False),
        ("17:59", ("18:00", "02:00"), False),
        ("18:00", ("18:00", "02:00"), True),
        ("02:00", ("18:00", "02:00"), True),
        ("02:01", ("18:00", "02:00"), False),
        # Hours that end as they begin are no day and night.
        ("09:00", ("09:00", "09:00"), True),
        ("12:00", ("09:00", "09:00"), False),
    ],
)
def test_the_first_and_the_last_minute_of_sale_are_within_the_hours(clock, sale, passes):
    question = at_the_door(contains=(Contents.AGE_RESTRICTED,), sale_from=sale[0], sale_until=sale[1])
    way = a_way("again", OptionKind.REDELIVER, slot_from_at=local(f"2026-06-18 {clock}"))
    assert judge(way, question).is_admissible is passes


@pytest.mark.parametrize("half", [("09:00", ""), ("", "10:00")])
def test_half_of_the_hours_of_sale_are_none(half):
    question = at_the_door(contains=(Contents.AGE_RESTRICTED,), sale_from=half[0], sale_until=half[1])
    for hour in ("08:00", "23:00"):
        way = a_way("again", OptionKind.REDELIVER, slot_from_at=local(f"2026-06-18 {hour}"))
        assert judge(way, question).is_admissible


def test_the_whole_slot_must_lie_within_the_hours_of_sale():
    question = at_the_door(contains=(Contents.AGE_RESTRICTED,), sale_from="09:00", sale_until="22:00")
    evening = datetime(2026, 6, 18, 20, 30, tzinfo=UTC)
    way = a_way(
        "again", OptionKind.REDELIVER, slot_from_at=evening, slot_until_at=evening + timedelta(hours=1)
    )
    assert reasons(way, question) == ("age-restricted goods may not be handed over at that hour",)


def test_hours_of_sale_without_a_zone_count_as_closed():
    question = at_the_door(
        contains=(Contents.AGE_RESTRICTED,), sale_from="00:00", sale_until="23:59", zone="Nowhere/Land"
    )
    way = a_way("again", OptionKind.REDELIVER, slot_from_at=NOON + timedelta(hours=5))
    assert len(reasons(way, question)) == 1


def test_hours_of_sale_do_not_matter_without_age_restricted_goods():
    way = a_way("night", OptionKind.REDELIVER, slot_from_at=NOON + timedelta(hours=12))
    assert reasons(way, at_the_door(sale_from="09:00", sale_until="10:00")) == ()


@pytest.mark.parametrize("kind", [OptionKind.REDELIVER, OptionKind.PICKUP, OptionKind.SAFE_PLACE])
def test_nothing_is_handed_over_beyond_the_cold_chain(kind):
    until_at = NOON + timedelta(hours=2)
    question = at_the_door(cold_chain_until_at=until_at)
    start = NOON + timedelta(hours=1)
    in_time = a_way("w", kind, slot_from_at=start, slot_until_at=until_at)
    too_late = but(in_time, slot_until_at=until_at + timedelta(seconds=1))
    assert reasons(in_time, question) == ()
    assert reasons(too_late, question) == ("the cold chain would not hold until then",)


def test_a_return_needs_no_cold_chain():
    assert (
        reasons(a_way("back", OptionKind.RETURN), at_the_door(cold_chain_until_at=NOON - timedelta(hours=1)))
        == ()
    )


def test_a_slot_that_has_begun_is_no_slot_for_another_delivery():
    for seconds, passes in ((1, True), (0, False), (-1, False)):
        way = a_way("again", OptionKind.REDELIVER, slot_from_at=NOON + timedelta(seconds=seconds))
        assert reasons(way, at_the_door()) == (() if passes else ("its slot has begun",))


def test_a_substitute_is_no_answer_at_the_door_and_a_slot_none_on_the_shelf():
    assert reasons(an_option(), at_the_door()) == ("there is no line to substitute",)
    assert reasons(a_way("again", OptionKind.REDELIVER), asked()) == (
        "redeliver is no way out of item_unavailable",
    )


def test_a_refund_is_never_one_of_the_numbered_options():
    for question in (asked(), at_the_door()):
        assert reasons(a_way("money", OptionKind.REFUND), question) == ("the refund has a key of its own",)


def test_a_way_without_a_fee_costs_nothing():
    verdict = judge(a_way("again", OptionKind.REDELIVER), at_the_door())
    assert (verdict.pricing, verdict.cost_minor, verdict.dearer_minor) == (Pricing.NOT_DEARER, 0, 0)


def test_a_fee_is_capped_like_any_difference():
    way = a_way("again", OptionKind.REDELIVER, fee=pounds(300))
    assert not judge(way, at_the_door()).is_admissible
    paid = but(at_the_door(), facts=a_customer(price_cap=pounds(300)))
    assert judge(way, paid).pricing is Pricing.NEW_PRICE


# What may be taken unasked.


def test_only_an_admissible_equal_and_plain_substitute_may_be_a_default():
    assert may_be_default(an_option(), asked())
    assert not may_be_default(an_option(unit_price=pounds(201)), asked())
    assert not may_be_default(an_option(), asked(facts=a_customer(never_substitute=True)))
    assert not may_be_default(an_option(attributes=but(SAFE, allergens=("milk",))), asked())


def test_an_allergen_that_the_original_had_as_well_is_no_new_one():
    milk = but(SAFE, allergens=("milk",))
    same = asked(an_exception(line=a_line(attributes=milk)))
    assert may_be_default(an_option(attributes=milk), same)
    assert not may_be_default(an_option(attributes=but(SAFE, allergens=("milk", "nuts"))), same)


@pytest.mark.parametrize("delicate", [{"medicine": True}, {"infant": True}, {"age_class": 1}])
def test_nothing_is_taken_unasked_in_the_place_of_something_delicate(delicate):
    original = an_exception(line=a_line(attributes=but(SAFE, **delicate)))
    assert judge(an_option(), asked(original)).is_admissible
    assert not may_be_default(an_option(), asked(original))
