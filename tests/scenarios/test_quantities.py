"""Quantities are part of the choice, and always add up to what was ordered."""

import pytest

from schemas.events import Answer
from schemas.facts import Chosen
from schemas.words import Kind, Resolution
from tests.builders import a_line, an_exception, an_option, grams, pounds
from tests.scenarios.world import World

FIVE = a_line(quantity_ordered=5, quantity_available=3)
HILLSIDE = an_option(quantity_default=2)
CORNER = an_option("corner", sku="bread-corner", name="Corner Loaf 400 g", quantity_default=2)


def asked(**changes) -> World:
    """Five loaves were ordered, three are there; two kinds could replace the others."""
    given = {"kind": Kind.PARTLY_AVAILABLE, "line": FIVE, "options": (HILLSIDE, CORNER)}
    world = World()
    world.exception(an_exception(**(given | changes)))
    world.fast_forward(seconds=20)
    return world


def choose(world: World, **answer) -> None:
    world.answers(Answer(case_id="x1", decision_version=0, **answer))


def pieces(world: World) -> tuple[int, dict[str, int], int]:
    """Kept, replaced by option, refunded."""
    decision = world.case().decision
    replaced = {part.option_id: part.quantity for part in decision.chosen}
    assert decision.keep_quantity + sum(replaced.values()) + decision.refund_quantity == 5
    return decision.keep_quantity, replaced, decision.refund_quantity


def test_three_of_five_are_kept_and_two_replaced():
    world = asked()
    assert world.shown().quantity_short == 2
    world.taps("hillside")
    assert pieces(world) == (3, {"hillside": 2}, 0)


def test_three_of_five_are_kept_and_two_refunded():
    world = asked()
    world.texts("0")
    assert pieces(world) == (3, {}, 2)
    world.expect_decision(Resolution.REFUNDED, price_after=pounds(600))


def test_the_two_may_be_of_two_kinds():
    world = asked()
    both = (Chosen(option_id="hillside", quantity=1), Chosen(option_id="corner", quantity=1))
    choose(world, chosen=both)
    assert pieces(world) == (3, {"hillside": 1, "corner": 1}, 0)
    world.expect_decision(Resolution.ALTERNATIVE)


def test_one_is_replaced_and_the_other_refunded():
    world = asked()
    choose(world, chosen=(Chosen(option_id="hillside", quantity=1),))
    assert pieces(world) == (3, {"hillside": 1}, 1)


def test_fewer_may_be_kept_than_there_are():
    world = asked(options=(an_option(quantity_default=2, quantity_max=9),))
    choose(world, option_id="hillside", keep_quantity=1)
    assert pieces(world) == (1, {"hillside": 4}, 0)


def test_silence_keeps_what_there_is_and_refunds_the_rest():
    world = asked()
    world.fast_forward(minutes=10)
    assert pieces(world) == (3, {}, 2)


@pytest.mark.parametrize(
    "answer",
    [
        {"option_id": "hillside", "keep_quantity": 4},
        {"option_id": "hillside", "keep_quantity": -1},
        {"option_id": "hillside", "refund_quantity": 2},
        {"option_id": "hillside", "refund_quantity": -1},
        {"chosen": (Chosen(option_id="hillside", quantity=3),)},
        {"chosen": (Chosen(option_id="hillside", quantity=-1),)},
        {"chosen": (Chosen(option_id="hillside", quantity=1),), "refund_quantity": 0},
        {"chosen": (Chosen(option_id="hillside", quantity=0), Chosen(option_id="corner", quantity=0))},
        {"chosen": (Chosen(option_id="hillside", quantity=1), Chosen(option_id="hillside", quantity=1))},
    ],
)
def test_an_answer_that_does_not_add_up_is_refused(answer):
    world = asked()
    choose(world, **answer)
    assert world.last_verdict().reason == "quantities"
    world.expect_open()


def test_two_packs_of_500_g_replace_one_of_1_kg():
    kilo = a_line(sku="rice", name="Rice 1 kg", content=grams(1_000), unit_price=pounds(300))
    halves = an_option(
        "halves", name="Rice 500 g", content=grams(500), unit_price=pounds(150), quantity_default=2
    )
    world = asked(kind=Kind.ITEM_UNAVAILABLE, line=kilo, options=(halves,))
    (option,) = world.shown().options
    assert (option.price, option.less_content) == (pounds(300), False)
    assert "same size" in option.ranked_because
    world.taps("halves")
    (chosen,) = world.expect_decision(Resolution.SUBSTITUTED).chosen
    assert (chosen.quantity, chosen.components[0].pieces) == (1, 2)


def test_more_pieces_than_can_be_had_are_not_offered():
    world = asked(options=(an_option(quantity_default=2, quantity_max=1), CORNER))
    assert world.options() == ["corner"]
    assert "only 1 of Hillside" in world.refused("hillside")


def test_of_what_is_scarce_a_part_may_still_be_taken():
    world = asked(options=(an_option(quantity_default=2, quantity_max=1), CORNER))
    both = (Chosen(option_id="hillside", quantity=1), Chosen(option_id="corner", quantity=1))
    choose(world, chosen=both)
    assert pieces(world) == (3, {"hillside": 1, "corner": 1}, 0)


def test_where_no_refund_is_allowed_a_part_of_it_is_not_either():
    world = asked(refund_allowed=False)
    choose(world, chosen=(Chosen(option_id="hillside", quantity=1),))
    assert world.last_verdict().reason == "refund_not_possible"
    world.expect_open()


def test_several_lines_are_answered_each_by_itself_in_one_message():
    world = asked()
    world.exception(an_exception("x2", line=a_line(line_id="L2", sku="jam", name="Jam")))
    world.fast_forward(seconds=20)
    assert [(case.letter, case.case_id) for case in world.sent()[-1].cases] == [("A", "x1"), ("B", "x2")]
    world.texts("A1 B0")
    world.expect_decision(Resolution.SUBSTITUTED, "x1")
    world.expect_decision(Resolution.REFUNDED, "x2")


def test_a_wrong_answer_about_one_line_does_not_spoil_the_other():
    world = asked()
    world.exception(an_exception("x2", line=a_line(line_id="L2", sku="jam", name="Jam")))
    world.fast_forward(seconds=20)
    world.texts("A9 B0")
    world.expect_open("x1")
    assert world.last_verdict("x1").reason == "unknown_key"
    world.expect_decision(Resolution.REFUNDED, "x2")


def test_a_case_that_is_decided_does_not_stop_the_questions_about_the_others():
    world = asked()
    world.exception(an_exception("x2", line=a_line(line_id="L2", sku="jam", name="Jam")))
    world.fast_forward(seconds=20)
    world.taps("hillside")
    world.fast_forward(minutes=4)
    assert [case.case_id for case in world.expect_call().cases] == ["x2"]
