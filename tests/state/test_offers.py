"""Offers: letters, keys, prices and totals as they are put before a customer."""

from datetime import timedelta
from itertools import islice

import pytest

from schemas.facts import Option
from schemas.words import Kind
from state.offers import _letter
from tests.builders import NOON, a_component, a_customer, a_line, an_exception, an_option, grams, pounds
from tests.scenarios.world import World


def asked(raised=None, **facts) -> World:
    world = World()
    world.exception(raised or an_exception(), a_customer(**facts))
    world.fast_forward(seconds=20)
    return world


def another(n: int):
    return an_exception(f"x{n}", line=a_line(line_id=f"L{n}", sku=f"s{n}", name=f"Article {n}"))


def test_a_single_line_needs_no_letter():
    assert asked().shown().letter == ""


def test_several_lines_are_lettered_worst_deadline_first():
    world = World()
    for n in (1, 2, 3):
        world.exception(another(n))
    world.fast_forward(seconds=20)
    assert [(c.letter, c.case_id) for c in world.sent()[0].cases] == [("A", "x1"), ("B", "x2"), ("C", "x3")]


def test_a_letter_stays_with_its_case_and_is_not_given_twice():
    world = World()
    world.exception(another(1))
    world.exception(another(2))
    world.fast_forward(seconds=20)
    world.texts("A1")
    world.exception(another(3))
    world.fast_forward(seconds=20)
    assert [(c.letter, c.case_id) for c in world.sent()[-1].cases] == [("B", "x2"), ("C", "x3")]
    world.texts("A2")
    assert world.case("x1").decision.version == 2, "A still means the first line, whose choice is changed"


def test_letters_go_on_after_z():
    letters = list(islice((_letter(n) for n in range(1, 100)), 99))
    assert letters[:3] == ["A", "B", "C"]
    assert letters[25:28] == ["Z", "AA", "AB"]
    assert letters[51:53] == ["AZ", "BA"]
    assert len(set(letters)) == 99


@pytest.mark.parametrize(
    ("amount", "less"), [(400, False), (360, False), (359, True), (100, True), (800, False)]
)
def test_under_nine_tenths_of_the_content_is_labelled_less(amount, less):
    (option,) = asked(an_exception(options=(an_option(content=grams(amount)),))).shown().options
    assert option.less_content is less


def test_content_that_cannot_be_compared_is_not_labelled():
    for content in (None, grams(400)):
        line = a_line(content=None) if content else a_line()
        (option,) = asked(an_exception(line=line, options=(an_option(content=content),))).shown().options
        assert not option.less_content


def test_less_is_judged_by_all_the_missing_pieces_together():
    three = a_line(quantity_ordered=3)
    two_for_three = an_option(quantity_default=2)
    (option,) = asked(an_exception(line=three, options=(two_for_three,))).shown().options
    assert option.less_content
    assert option.quantity == 2


def test_price_and_total_are_those_of_the_whole_choice():
    five = a_line(quantity_ordered=5, quantity_available=3)
    raised = an_exception(
        kind=Kind.PARTLY_AVAILABLE,
        line=five,
        options=(an_option(quantity_default=2, unit_price=pounds(180)),),
    )
    (option,) = asked(raised).shown().options
    assert (option.price, option.total) == (pounds(360), pounds(5_960))


def test_an_offer_says_what_stands_and_from_which_version_it_may_be_changed():
    world = asked()
    world.taps("corner")
    world.fast_forward(seconds=10)
    shown = world.shown()
    assert (shown.decision_version, shown.standing.chosen[0].option_id) == (1, "corner")
    assert [option.key for option in shown.options] == [1, 2]


def test_an_option_of_several_products_names_them_all():
    both = an_option(
        components=(
            a_component(name="Rolls", unit_price=pounds(100)),
            a_component(sku="b", name="Butter", unit_price=pounds(100)),
        )
    )
    (option,) = asked(an_exception(options=(both,))).shown().options
    assert option.name == "Rolls + Butter"


def test_what_is_promised_is_what_will_be_in_the_bag():
    two = a_line(quantity_ordered=2)
    one_for_two = an_option("big", quantity_default=1)
    (option,) = asked(an_exception(line=two, options=(one_for_two,))).shown().options
    assert (option.quantity, option.name) == (1, "Hillside Sourdough 400 g")


def test_a_bundle_names_how_many_of_each_it_holds():
    rolls = a_component(sku="rolls", name="Hillside Rolls", quantity_default=2, unit_price=pounds(50))
    bundle = Option(option_id="bundle", components=(a_component(unit_price=pounds(100)), rolls))
    (option,) = asked(an_exception(options=(bundle,))).shown().options
    assert (option.quantity, option.name) == (1, "Hillside Sourdough 400 g + 2 x Hillside Rolls")


# What a call needs to speak about an option.


def spoken(option, **line):
    world = asked(an_exception(line=a_line(**line), options=(option,)))
    world.fast_forward(minutes=4)
    return world.expect_call().cases[0].options[0].spoken


def test_a_call_is_told_brand_size_price_and_how_long_the_stock_is_kept():
    until_at = NOON + timedelta(minutes=9)
    said = spoken(an_option(content=grams(500), unit_price=pounds(250), reserved_until_at=until_at))
    assert (said.brand, said.size, said.unit_price_minor) == ("Hillside", "500 g", 500)
    assert (said.totals_minor, said.reserved_until_at) == ((6_000,), until_at)


def test_a_call_is_told_the_total_for_each_number_of_pieces():
    said = spoken(an_option(quantity_default=3, unit_price=pounds(190)), quantity_ordered=3)
    assert said.totals_minor == (5_590, 5_780, 5_970)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (grams(999), "999 g"),
        (grams("12.5"), "12.5 g"),
        (grams(1_000), "1 kg"),
        (grams(1_500), "1.5 kg"),
        (None, ""),
    ],
)
def test_sizes_are_spoken_in_the_unit_that_is_said(content, words):
    assert spoken(an_option(content=content)).size == words
