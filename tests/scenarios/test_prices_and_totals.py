"""Nobody pays more than was ordered, unless the new total was shown and agreed to."""

from schemas.commands import OrderUpdate
from schemas.events import Answer
from schemas.facts import Chosen, Money
from schemas.words import Channel, PriceKind, Purpose, Resolution
from tests.builders import a_customer, a_line, an_exception, an_option, grams, pounds
from tests.scenarios.world import World

ANOTHER = {"exception_id": "x2", "line": a_line(line_id="L2", sku="jam-oak", name="Oakmill Jam")}


def dearer(by: int, option_id: str = "hillside", **changes):
    return an_option(option_id, unit_price=pounds(200 + by), **changes)


def asked(*raised, **facts) -> World:
    """These exceptions are raised, and the first messages have left."""
    world = World()
    for exception in raised:
        world.exception(exception, a_customer(**facts))
    world.fast_forward(seconds=20)
    return world


def test_a_cheaper_substitute_costs_the_lower_price():
    world = asked(an_exception(options=(dearer(-50),)))
    assert world.shown().options[0].total == pounds(5_950)
    world.taps("hillside")
    decision = world.expect_decision(Resolution.SUBSTITUTED)
    assert (decision.price_before, decision.price_after) == (pounds(200), pounds(150))


def test_a_small_difference_is_ours_and_the_customer_pays_the_old_price():
    world = asked(an_exception(options=(dearer(100),)))
    (option,) = world.shown().options
    assert option.at_old_price
    assert (option.price, option.total, option.dearer) == (pounds(200), pounds(6_000), None)
    world.texts("1")
    decision = world.expect_decision(Resolution.SUBSTITUTED)
    assert (decision.price_after, decision.absorbed) == (pounds(200), pounds(100))


def test_nothing_dearer_than_that_is_offered_to_somebody_without_a_cap_of_their_own():
    world = asked(an_exception(options=(dearer(101), dearer(0, "corner"))))
    assert world.options() == ["corner"]
    assert "dearer by 101 than the 0" in world.refused("hillside")


def test_within_the_customers_own_cap_it_is_offered_with_the_difference_and_the_new_total():
    world = asked(an_exception(options=(dearer(300),)), price_cap=pounds(300))
    (option,) = world.shown().options
    assert (option.price, option.dearer, option.total) == (pounds(500), pounds(300), pounds(6_300))


def test_a_tap_beside_the_new_total_is_the_yes_to_it():
    world = asked(an_exception(options=(dearer(300),)), price_cap=pounds(300))
    world.taps("hillside", confirmed=True, total_shown=pounds(6_300))
    assert world.expect_decision(Resolution.SUBSTITUTED).price_after == pounds(500)


def test_a_tap_without_the_new_total_does_not_raise_it():
    world = asked(an_exception(options=(dearer(300),)), price_cap=pounds(300))
    world.taps("hillside")
    assert world.last_verdict().reason == "total_not_confirmed"
    world.expect_open()


def test_by_sms_a_rising_total_is_named_and_asked_for_once_more():
    world = asked(an_exception(options=(dearer(300),)), price_cap=pounds(300))
    world.texts("1")
    (reply,) = world.expect_sent(Purpose.REPLY, Channel.SMS)
    assert reply.reason == "confirm_total: 6300 GBP"
    world.expect_open()
    world.texts("1")
    world.expect_decision(Resolution.SUBSTITUTED, channel=Channel.SMS)
    world.expect_sent(Purpose.REPLY, Channel.SMS)


def test_by_sms_another_key_is_another_choice_and_no_yes_to_the_total():
    world = asked(
        an_exception(options=(dearer(300, "oakmill", brand="Oakmill"), dearer(0))), price_cap=pounds(300)
    )
    assert world.options() == ["oakmill", "hillside"]
    world.texts("1")
    world.texts("2")
    world.expect_decision(Resolution.ALTERNATIVE)
    assert world.case().decision.price_after == pounds(200)


def test_by_sms_a_total_that_rose_again_meanwhile_is_asked_for_again():
    world = asked(
        an_exception(options=(dearer(300),)),
        an_exception(**ANOTHER, options=(dearer(200, "jam"),)),
        price_cap=pounds(500),
    )
    world.texts("A1")
    world.taps("jam", case_id="x2", confirmed=True, total_shown=pounds(6_200))
    world.texts("A1")
    assert [r.reason for r in world.sent(purpose=Purpose.REPLY)] == [
        "confirm_total: 6300 GBP",
        "confirm_total: 6500 GBP",
    ]
    world.expect_open("x1")
    world.texts("A1")
    world.expect_decision(Resolution.SUBSTITUTED)


def test_the_cap_counts_for_the_whole_order_and_not_for_each_line():
    world = asked(
        an_exception(options=(dearer(300),)),
        an_exception(**ANOTHER, options=(dearer(300, "jam"),)),
        price_cap=pounds(500),
    )
    world.taps("hillside", confirmed=True, total_shown=pounds(6_300))
    world.taps("jam", case_id="x2", confirmed=True, total_shown=pounds(6_600))
    assert "dearer by 300 than the 500" in world.last_verdict("x2").reason
    world.expect_open("x2")


def test_the_cap_counts_every_part_of_a_choice_beside_the_orders_other_decisions():
    two = a_line(line_id="L2", sku="jam-oak", name="Oakmill Jam", quantity_ordered=2, quantity_available=0)
    sorts = (dearer(150, "jam", quantity_default=2), dearer(150, "jelly", sku="jelly", quantity_default=2))
    world = asked(
        an_exception(options=(dearer(200),)),
        an_exception(exception_id="x2", line=two, options=sorts),
        price_cap=pounds(400),
    )
    world.taps("hillside", confirmed=True, total_shown=pounds(6_200))
    both = (Chosen(option_id="jam", quantity=1), Chosen(option_id="jelly", quantity=1))
    world.answers(
        Answer(case_id="x2", decision_version=0, chosen=both, confirmed=True, total_shown=pounds(6_500))
    )
    assert "dearer by 150 than the 400" in world.last_verdict("x2").reason
    world.expect_open("x2")


def test_what_a_choice_added_itself_does_not_count_against_its_change():
    world = asked(
        an_exception(options=(dearer(300), dearer(300, "oakmill", sku="bread-oak"))),
        an_exception(**ANOTHER, options=(dearer(0, "jam"),)),
        price_cap=pounds(500),
    )
    world.taps("hillside", confirmed=True, total_shown=pounds(6_300))
    world.taps("oakmill", version=1, confirmed=True, total_shown=pounds(6_300))
    assert [part.option_id for part in world.case("x1").decision.chosen] == ["oakmill"]


def test_a_line_that_was_refunded_is_no_leave_to_spend_its_money_elsewhere():
    world = asked(an_exception(), an_exception(**ANOTHER, options=(dearer(150, "jam"), dearer(0, "plain"))))
    world.answers(Answer(case_id="x1", key=0, decision_version=0))
    world.taps("jam", case_id="x2", confirmed=True, total_shown=pounds(6_000))
    assert world.last_verdict("x2").reason.startswith("not_available")


def test_every_total_counts_the_orders_other_decisions():
    world = asked(an_exception(options=(dearer(-50),)), an_exception(**ANOTHER))
    world.taps("hillside")
    world.fast_forward(minutes=4)
    call = world.expect_call()
    assert [case.case_id for case in call.cases] == ["x2"]
    assert call.cases[0].options[0].total == pounds(5_950)


def test_a_total_that_rose_after_the_page_was_shown_is_refused_with_the_truth():
    world = asked(
        an_exception(options=(dearer(0),)),
        an_exception(**ANOTHER, options=(dearer(200, "jam"),)),
        price_cap=pounds(200),
    )
    world.taps("jam", case_id="x2", confirmed=True, total_shown=pounds(6_200))
    world.taps("hillside", confirmed=True, total_shown=pounds(6_000))
    assert world.last_verdict().reason == "total_changed"
    world.taps("hillside", confirmed=True, total_shown=pounds(6_200))
    world.expect_decision(Resolution.SUBSTITUTED)


def test_a_total_that_fell_meanwhile_is_no_reason_to_ask_again():
    world = asked(an_exception(options=(dearer(-50),)), an_exception(**ANOTHER))
    world.taps("hillside")
    world.taps("hillside", case_id="x2", confirmed=True, total_shown=pounds(6_000))
    world.expect_decision(Resolution.ALTERNATIVE, "x2")


def test_a_total_in_another_currency_is_no_yes():
    world = asked(an_exception(options=(dearer(300),)), price_cap=pounds(300))
    world.taps("hillside", confirmed=True, total_shown=Money(9_999, "EUR"))
    assert world.last_verdict().reason == "total_changed"


def test_two_options_together_do_not_take_more_than_is_ours_to_bear_on_a_line():
    two = a_line(quantity_ordered=2)
    options = (
        dearer(100, quantity_default=2),
        dearer(100, "corner", quantity_default=2, sku="corner"),
        dearer(0, "plain", quantity_default=2, sku="plain"),
    )
    world = asked(an_exception(line=two, options=options))
    assert world.options() == ["plain"]
    both = (Chosen(option_id="hillside", quantity=1), Chosen(option_id="corner", quantity=1))
    world.answers(Answer(case_id="x1", chosen=both, decision_version=0))
    assert world.last_verdict().reason.startswith("not_available")
    world.expect_open()
    one = (Chosen(option_id="hillside", quantity=1), Chosen(option_id="plain", quantity=1))
    world.answers(Answer(case_id="x1", chosen=one, decision_version=0))
    world.expect_decision(Resolution.ALTERNATIVE, absorbed=pounds(100), price_after=pounds(400))


def test_by_weight_the_price_shown_and_written_is_the_most_that_it_may_cost():
    grapes = a_line(
        sku="grapes", name="Grapes, loose", price_kind=PriceKind.BY_WEIGHT, unit_price=pounds(320)
    )
    red = an_option("red", sku="grapes-red", price_kind=PriceKind.BY_WEIGHT, unit_price=pounds(320))
    heavier = an_option("black", sku="grapes-black", price_kind=PriceKind.BY_WEIGHT, unit_price=pounds(480))
    world = asked(an_exception(line=grapes, options=(red, heavier)))
    assert world.options() == ["red"]
    assert world.shown().options[0].price == pounds(320)
    world.taps("red")
    (update,) = world.of(OrderUpdate)
    assert update.decision.price_after == pounds(320)
    assert update.decision.chosen[0].components[0].unit_price == pounds(320)


def test_a_substitute_never_carries_a_fee():
    world = asked(an_exception(options=(an_option(fee=pounds(99)),)))
    assert world.shown().options[0].total == pounds(6_000)
    world.taps("hillside")
    assert world.expect_decision(Resolution.SUBSTITUTED).price_after == pounds(200)


def test_a_smaller_pack_for_the_same_money_is_ranked_after_a_full_one_and_labelled():
    small = an_option("small", content=grams(300), sku="bread-small")
    world = asked(an_exception(options=(small, an_option())))
    full, less = world.shown().options
    assert (full.option_id, full.less_content) == ("hillside", False)
    assert (less.option_id, less.less_content) == ("small", True)
