"""The order of options is lexicographic, total, and explains itself."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from schemas.facts import Content, OwnChoice
from schemas.words import OptionKind
from state.pricing import content_of, pieces
from state.ranking import Rank, rank
from tests.builders import NOON, a_component, a_customer, a_line, a_way, an_option, grams, pounds

LINE = a_line()


def ranked(option, line=LINE, facts=None) -> Rank:
    short = line.quantity_ordered - line.quantity_available if line is not None else 0
    content = content_of(option, short, short)
    cost_minor = sum(pieces(c, short, short) * c.unit_price.minor for c in option.components)
    return rank(option, line, facts or a_customer(), short, cost_minor, content)


def order(*options, line=LINE, facts=None) -> list[str]:
    return [option.option_id for option in sorted(options, key=lambda o: ranked(o, line, facts))]


def test_each_criterion_outranks_all_that_follow():
    own = an_option("e", sku="wish", content=grams(100), unit_price=pounds(1))
    brand = an_option("d", brand="Oakmill", content=grams(100), unit_price=pounds(1))
    size = an_option("c", unit_price=pounds(1))
    near = an_option("b", content=grams(500), unit_price=pounds(250))
    far = an_option("a", content=grams(500), unit_price=pounds(100))
    wish = a_customer(own_choices=(OwnChoice(sku="bread-oak", instead="wish"),))
    assert order(far, near, size, brand, own, facts=wish) == ["e", "d", "c", "b", "a"]


def test_what_is_equal_in_everything_is_ordered_by_its_id():
    assert order(an_option("b"), an_option("a"), an_option("c")) == ["a", "b", "c"]


def test_the_unit_price_and_not_the_price_says_what_is_near():
    big = an_option("big", content=grams(800), unit_price=pounds(400))
    small = an_option("small", content=grams(200), unit_price=pounds(200))
    assert order(small, big) == ["big", "small"]


def test_a_wish_for_another_product_is_none_for_this_line():
    wish = a_customer(own_choices=(OwnChoice(sku="milk", instead="bread-hill"),))
    assert ranked(an_option(), facts=wish).not_own_choice


def test_an_option_of_two_brands_is_not_the_same_brand():
    mixed = an_option(components=(a_component(brand="Oakmill"), a_component(sku="b")))
    assert ranked(mixed).other_brand
    assert not ranked(an_option(brand="Oakmill")).other_brand


def test_a_line_without_brand_has_no_same_brand():
    assert ranked(an_option(brand=""), a_line(brand="")).other_brand


def test_two_halves_are_the_same_size():
    halves = an_option(content=grams(200), quantity_default=2)
    assert not ranked(halves).other_size
    assert ranked(an_option(content=grams(200))).other_size


def test_other_units_are_not_compared_by_content():
    litres = an_option(content=Content(400, "ml"), unit_price=pounds(230))
    assert ranked(litres).other_size
    assert ranked(litres).price_distance == 30


def test_the_reasons_are_said_in_words():
    assert ranked(an_option(brand="Oakmill")).why == "same brand, same size, unit price apart by 0.000"
    dearer = an_option(content=grams(500), unit_price=pounds(300))
    assert ranked(dearer).why == "unit price apart by 0.100"


def test_deliveries_are_ordered_by_the_start_of_their_slot_and_those_without_come_last():
    early = a_way("z", OptionKind.REDELIVER, slot_from_at=NOON)
    late = a_way("y", OptionKind.REDELIVER, slot_from_at=NOON + timedelta(hours=1))
    assert order(a_way("a", OptionKind.RETURN), late, early, line=None) == ["z", "y", "a"]


OPTIONS = st.builds(
    lambda i, brand, amount, price, packs: an_option(
        str(i), brand=brand, content=grams(amount), unit_price=pounds(price), quantity_default=packs
    ),
    st.integers(0, 9),
    st.sampled_from(["Oakmill", "Hillside", ""]),
    st.integers(1, 2_000),
    st.integers(0, 5_000),
    st.integers(1, 3),
)


@given(st.lists(OPTIONS, max_size=6, unique_by=lambda o: o.option_id), st.randoms())
def test_the_order_does_not_depend_on_the_order_of_arrival(options, random):
    shuffled = list(options)
    random.shuffle(shuffled)
    assert order(*options) == order(*shuffled)


def test_at_the_door_what_the_van_can_still_do_comes_before_the_earliest_slot() -> None:
    late = a_way("late", OptionKind.REDELIVER, slot_from_at=NOON + timedelta(hours=30))
    early = a_way("early", OptionKind.REDELIVER, slot_from_at=NOON + timedelta(hours=20))
    porch, home = a_way("porch", OptionKind.SAFE_PLACE), a_way("x-return", OptionKind.RETURN)
    ways = {way.option_id: rank(way, None, a_customer(), 1, 0, None) for way in (home, late, early, porch)}
    assert sorted(ways, key=ways.__getitem__) == ["porch", "early", "late", "x-return"]
    whys = [ways[name].why for name in ("porch", "early", "x-return")]
    assert whys == ["still on this trip", "by its slot", "as given"]
