"""What a customer wished once, and what is never handed to somebody without a yes."""

import pytest

from schemas.commands import OrderUpdate
from schemas.events import ContactChanged
from schemas.facts import Attributes, Option, OwnChoice
from schemas.words import Actor, Channel, Group, Purpose, Resolution
from tests.builders import SAFE, a_component, a_customer, a_line, an_exception, an_option, but, pounds
from tests.scenarios.world import World

DIGITAL = (Channel.PUSH, Channel.SMS, Channel.EMAIL)
WANTS_HILLSIDE = OwnChoice(sku="bread-oak", instead="bread-hill")
WITH_SESAME = Attributes(allergens_known=True, allergens=("sesame",))
UNKNOWN = Attributes(allergens_known=False)


def unanswered(raised, facts) -> World:
    """The exception is raised, and nobody ever answers."""
    world = World()
    world.exception(raised, facts)
    world.fast_forward(hours=1)
    return world


def asked(raised, facts) -> World:
    world = World()
    world.exception(raised, facts)
    world.fast_forward(seconds=20)
    return world


# Stored wishes.


def test_a_stored_own_choice_decides_without_asking_and_is_announced():
    world = asked(an_exception(), a_customer(own_choices=(WANTS_HILLSIDE,)))
    world.expect_decision(Resolution.SUBSTITUTED, actor=Actor.STORED_PREFERENCE)
    world.expect_sent(Purpose.ASK)
    world.expect_sent(Purpose.DEFAULT, *DIGITAL)
    world.fast_forward(hours=1)
    world.expect_no_call()
    world.expect_done()


def test_a_stored_own_choice_may_be_changed_afterwards():
    world = asked(an_exception(), a_customer(own_choices=(WANTS_HILLSIDE,)))
    world.taps("corner", version=1)
    world.expect_decision(Resolution.ALTERNATIVE, version=2, actor=Actor.CUSTOMER)


def test_a_stored_own_choice_that_costs_more_is_asked_for_and_stands_first():
    dearer = an_option(unit_price=pounds(350))
    corner = an_option("corner", sku="bread-corner", name="Corner Loaf 400 g", brand="Corner")
    facts = a_customer(own_choices=(WANTS_HILLSIDE,), price_cap=pounds(200))
    world = asked(an_exception(options=(corner, dearer)), facts)
    world.expect_open()
    assert world.options() == ["hillside", "corner"]
    assert world.shown().options[0].ranked_because.startswith("own choice")


def test_a_stored_own_choice_is_taken_where_the_difference_is_ours_to_bear():
    dearer = an_option(unit_price=pounds(260))
    world = asked(an_exception(options=(dearer,)), a_customer(own_choices=(WANTS_HILLSIDE,)))
    decision = world.expect_decision(Resolution.SUBSTITUTED, actor=Actor.STORED_PREFERENCE)
    assert (decision.price_after, decision.absorbed) == (pounds(200), pounds(60))


def test_a_stored_own_choice_that_is_not_among_the_options_changes_nothing():
    world = asked(an_exception(), a_customer(own_choices=(OwnChoice(sku="bread-oak", instead="x"),)))
    world.expect_open()


def test_what_comes_in_a_bundle_with_the_own_choice_is_asked_about():
    hillside = a_component(unit_price=pounds(150))
    bundle = Option(option_id="bundle", components=(hillside, a_component(sku="jam", unit_price=pounds(50))))
    world = asked(an_exception(options=(bundle,)), a_customer(own_choices=(WANTS_HILLSIDE,)))
    world.expect_open()
    assert world.options() == ["bundle"]


def test_an_own_choice_that_holds_what_the_customer_avoids_is_never_taken():
    world = asked(
        an_exception(options=(an_option(attributes=WITH_SESAME),)),
        a_customer(own_choices=(WANTS_HILLSIDE,), allergens=("sesame",)),
    )
    world.expect_decision(Resolution.REFUNDED, actor=Actor.DEFAULT)


def test_whoever_wants_no_substitutes_gets_the_money_back_without_a_question():
    world = asked(an_exception(), a_customer(never_substitute=True))
    world.expect_decision(Resolution.REFUNDED, actor=Actor.DEFAULT)
    world.expect_sent(Purpose.ASK)
    world.expect_sent(Purpose.DEFAULT, *DIGITAL)
    assert "no substitutes" in world.refused("corner")


def test_a_stored_permission_gives_the_best_substitute_to_somebody_who_does_not_answer():
    world = unanswered(an_exception(), a_customer(substitute_by_default=True))
    world.expect_decision(Resolution.SUBSTITUTED, actor=Actor.DEFAULT)
    assert world.case().decision.chosen[0].option_id == "corner"
    world.expect_sent(Purpose.DEFAULT, *DIGITAL)


def test_a_stored_permission_does_not_spare_the_question():
    world = asked(an_exception(), a_customer(substitute_by_default=True))
    world.expect_open()
    world.expect_sent(Purpose.ASK, *DIGITAL)


def test_without_a_stored_permission_silence_is_a_refund():
    world = unanswered(an_exception(), a_customer())
    world.expect_decision(Resolution.REFUNDED, actor=Actor.DEFAULT)


# Never by default.


@pytest.mark.parametrize(
    ("line", "option"),
    [
        pytest.param(a_line(), an_option(unit_price=pounds(201)), id="dearer"),
        pytest.param(a_line(), an_option(attributes=WITH_SESAME), id="an allergen more"),
        pytest.param(a_line(), an_option(attributes=UNKNOWN), id="allergens unknown"),
        pytest.param(a_line(), an_option(attributes=but(SAFE, infant=True)), id="infant food"),
        pytest.param(a_line(), an_option(attributes=but(SAFE, medicine=True)), id="medicine"),
        pytest.param(
            a_line(attributes=but(SAFE, age_class=18)),
            an_option(attributes=but(SAFE, age_class=18)),
            id="age-restricted",
        ),
        pytest.param(a_line(attributes=but(SAFE, infant=True)), an_option(), id="instead of infant food"),
        pytest.param(a_line(attributes=but(SAFE, medicine=True)), an_option(), id="instead of medicine"),
        pytest.param(a_line(groups=(Group.GIFT,)), an_option(), id="a gift"),
    ],
)
def test_nobody_gets_by_default(line, option):
    world = unanswered(an_exception(line=line, options=(option,)), a_customer(substitute_by_default=True))
    assert world.sent(purpose=Purpose.ASK), "it may well be offered"
    world.expect_decision(Resolution.REFUNDED, actor=Actor.DEFAULT)


def test_a_default_passes_over_what_is_delicate_and_takes_the_next():
    best = an_option("best", brand="Oakmill", attributes=but(SAFE, infant=True))
    world = unanswered(an_exception(options=(best, an_option())), a_customer(substitute_by_default=True))
    world.expect_decision(Resolution.SUBSTITUTED, actor=Actor.DEFAULT)
    assert world.case().decision.chosen[0].option_id == "hillside"


# Allergens, diets and ages.


def test_a_product_with_an_avoided_allergen_is_not_offered():
    sesame = an_option("sesame", attributes=WITH_SESAME)
    world = asked(an_exception(options=(sesame, an_option())), a_customer(allergens=("sesame", "milk")))
    assert world.options() == ["hillside"]
    assert "contains sesame" in world.refused("sesame")


@pytest.mark.parametrize("avoided", ["Sesame", "SESAME ", "\uff53esame"])
def test_an_allergen_is_the_same_however_it_is_written(avoided):
    sesame = an_option("sesame", attributes=WITH_SESAME)
    world = asked(an_exception(options=(sesame, an_option())), a_customer(allergens=(avoided,)))
    assert world.options() == ["hillside"]
    assert "contains sesame" in world.refused("sesame")


def test_unknown_allergens_count_as_unsafe_for_somebody_who_avoids_some():
    unknown = an_option("unknown", attributes=UNKNOWN)
    world = asked(an_exception(options=(unknown, an_option())), a_customer(allergens=("milk",)))
    assert world.options() == ["hillside"]
    assert "unknown" in world.refused("unknown")


def test_unknown_allergens_are_offered_to_somebody_who_avoids_none():
    world = asked(an_exception(options=(an_option(attributes=UNKNOWN),)), a_customer())
    assert world.options() == ["hillside"]


def test_an_allergen_that_becomes_known_after_the_offer_is_refused_at_the_answer():
    world = asked(
        an_exception(options=(an_option(attributes=WITH_SESAME), an_option("plain", sku="plain"))),
        a_customer(),
    )
    world.happens(
        ContactChanged(
            event_id="contact",
            order_id="order-1",
            facts=a_customer(allergens=("sesame",)),
            occurred_at=world.now,
        )
    )
    world.taps("hillside")
    assert "contains sesame" in world.last_verdict().reason
    world.taps("plain")
    world.expect_decision(Resolution.ALTERNATIVE)


def test_a_vegan_line_is_replaced_by_vegan_products_only():
    vegan = a_line(attributes=but(SAFE, dietary=("vegan",)))
    world = asked(
        an_exception(
            line=vegan,
            options=(
                an_option("plain"),
                an_option("vegan", attributes=but(SAFE, dietary=("vegan", "organic"))),
            ),
        ),
        a_customer(),
    )
    assert world.options() == ["vegan"]
    assert "is not vegan" in world.refused("plain")


def test_the_age_class_of_a_substitute_never_rises():
    beer = an_option("beer", attributes=but(SAFE, age_class=18))
    world = asked(an_exception(options=(beer, an_option())), a_customer())
    assert world.options() == ["hillside"]
    world.taps("beer")
    assert "ages from 18" in world.last_verdict().reason
    assert world.of(OrderUpdate) == []
