"""Pieces, costs and contents: whole pieces only, and nothing lost between them."""

from hypothesis import given
from hypothesis import strategies as st

from schemas.facts import Chosen
from state.pricing import content_of, delta_minor, pieces, replacements, rescaled
from tests.builders import a_component, a_line, an_option, grams, pounds

COUNT = st.integers(1, 50)


def test_a_part_of_a_piece_counts_as_a_whole_one():
    three_for_two = a_component(quantity_default=3)
    assert [pieces(three_for_two, units, 2) for units in (0, 1, 2)] == [0, 2, 3]


def test_where_nothing_is_short_nothing_is_replaced():
    assert pieces(a_component(), 1, 0) == 0


@given(COUNT, COUNT, COUNT)
def test_more_units_never_need_fewer_pieces_and_all_need_the_default(default, units, short):
    component = a_component(quantity_default=default)
    assert pieces(component, units, short) <= pieces(component, units + 1, short)
    assert pieces(component, short, short) == default


def test_a_decision_changes_the_total_by_what_is_paid_less_what_is_not_delivered():
    line = a_line(quantity_ordered=5, quantity_available=3)
    option = an_option(quantity_default=2, unit_price=pounds(230))
    one = Chosen(option_id="hillside", quantity=1, components=replacements(option, 1, 2))
    assert delta_minor((one,), line, refund_quantity=1, absorbed_minor=0) == 230 - 2 * 200
    assert delta_minor((one,), line, refund_quantity=1, absorbed_minor=30) == -200
    assert delta_minor((), line, refund_quantity=2, absorbed_minor=0) == -400


def test_replacements_say_what_is_to_be_fetched():
    (part,) = replacements(an_option(quantity_default=4, unit_price=pounds(50)), 1, 2)
    assert (part.sku, part.pieces, part.unit_price) == ("bread-hill", 2, pounds(50))


def test_options_follow_the_number_of_missing_pieces():
    (scaled,) = rescaled((an_option(quantity_default=4, quantity_max=9),), 4, 3)
    assert (scaled.components[0].quantity_default, scaled.components[0].quantity_max) == (3, 9)
    same = (an_option(),)
    assert rescaled(same, 2, 2) is same
    assert rescaled(same, 0, 2) is same


@given(COUNT, COUNT, COUNT)
def test_rescaled_options_never_replace_fewer_than_before_in_proportion(default, old, new):
    (scaled,) = rescaled((an_option(quantity_default=default),), old, new)
    assert scaled.components[0].quantity_default * old >= default * new or old == new


def test_contents_add_up_only_where_all_are_known_and_of_one_unit():
    two = an_option(quantity_default=2)
    assert content_of(two, 1, 1) == grams(800)
    mixed = an_option(components=(a_component(), a_component(sku="b", content=grams(100))))
    assert content_of(mixed, 1, 1) == grams(500)
    assert content_of(an_option(content=None), 1, 1) is None
    unknown = an_option(components=(a_component(), a_component(sku="b", content=None)))
    assert content_of(unknown, 1, 1) is None
