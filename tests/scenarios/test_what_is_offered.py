"""Which options are put before the customer, in which order, and why."""

from datetime import timedelta

from schemas.words import Actor, Channel, Group, Kind, OptionKind, Purpose, Resolution, WriteBackOutcome
from tests.builders import NOON, a_customer, a_line, a_way, an_exception, an_option, grams, pounds
from tests.scenarios.world import World

DIGITAL = (Channel.PUSH, Channel.SMS, Channel.EMAIL)


def asked(raised, **facts) -> World:
    world = World()
    world.exception(raised, a_customer(**facts))
    world.fast_forward(seconds=20)
    return world


def test_at_most_three_options_are_offered_and_how_many_more_there_are():
    five = tuple(an_option(f"loaf-{n}", sku=f"loaf-{n}", name=f"Loaf {n}") for n in range(5))
    world = asked(an_exception(options=five))
    assert world.options() == ["loaf-0", "loaf-1", "loaf-2"]
    assert world.shown().more == 2
    assert [option.key for option in world.shown().options] == [1, 2, 3]


def test_one_of_the_others_may_be_chosen_as_well():
    five = tuple(an_option(f"loaf-{n}", sku=f"loaf-{n}", name=f"Loaf {n}") for n in range(5))
    world = asked(an_exception(options=five))
    world.taps("loaf-4")
    world.expect_decision(Resolution.ALTERNATIVE)


def test_the_same_brand_comes_first_then_the_same_size_then_the_nearest_unit_price():
    options = (
        an_option("near", sku="a", content=grams(500), unit_price=pounds(230)),
        an_option("far", sku="b", content=grams(500), unit_price=pounds(100)),
        an_option("size", sku="c", unit_price=pounds(120)),
        an_option("brand", sku="d", brand="Oakmill", content=grams(800)),
    )
    world = asked(an_exception(options=options))
    assert world.options() == ["brand", "size", "near"]
    assert [option.ranked_because for option in world.shown().options] == [
        "same brand, unit price apart by 0.250",
        "same size, unit price apart by 0.200",
        "unit price apart by 0.040",
    ]


def test_the_first_option_is_approved_and_any_other_is_an_alternative():
    first, second = asked(an_exception()), asked(an_exception())
    first.texts("1")
    second.texts("2")
    first.expect_decision(Resolution.SUBSTITUTED)
    second.expect_decision(Resolution.ALTERNATIVE)


def test_a_key_means_what_it_meant_in_the_last_message():
    world = asked(an_exception())
    assert world.options() == ["corner", "hillside"]
    world.texts("2")
    assert world.case().decision.chosen[0].option_id == "hillside"


def test_a_key_stays_with_its_option_when_another_one_is_gone():
    ending = an_option("ending", sku="a", brand="Oakmill", reserved_until_at=NOON + timedelta(minutes=3))
    world = asked(an_exception(options=(ending, an_option("next", sku="b"), an_option("zest", sku="c"))))
    assert world.options() == ["ending", "next", "zest"]
    world.fast_forward(minutes=4)
    world.expect_call()
    assert [(option.key, option.option_id) for option in world.shown().options] == [(2, "next"), (3, "zest")]
    world.texts("1")
    assert world.last_verdict().reason == "not_available: its stock reservation has ended"
    world.texts("2")
    assert world.case().decision.chosen[0].option_id == "next"


def test_nobody_is_called_when_the_last_option_is_gone_meanwhile():
    ending = an_option(reserved_until_at=NOON + timedelta(minutes=3))
    world = asked(an_exception(options=(ending,)))
    world.fast_forward(minutes=4)
    world.expect_no_call()
    world.expect_decision(Resolution.REFUNDED, actor=Actor.DEFAULT)
    assert world.sent(purpose=Purpose.DEFAULT)


def test_a_key_that_was_not_offered_is_answered_truthfully():
    world = asked(an_exception())
    world.texts("7")
    (reply,) = world.expect_sent(Purpose.REPLY, Channel.SMS)
    assert reply.reason == "unknown_key"
    world.expect_open()


def test_an_option_is_not_offered_in_the_last_ten_seconds_of_its_reservation():
    # The first message leaves twenty seconds after noon.
    kept = an_option("kept", sku="a", reserved_until_at=NOON + timedelta(seconds=31))
    ending = an_option("ending", sku="b", reserved_until_at=NOON + timedelta(seconds=30))
    world = asked(an_exception(options=(kept, ending)))
    assert world.options() == ["kept"]
    assert world.refused("ending") == "its stock reservation has ended"


def test_an_answer_after_the_reservation_is_told_so_and_may_choose_again():
    kept = an_option("kept", sku="a", reserved_until_at=NOON + timedelta(seconds=60))
    world = asked(an_exception(options=(kept, an_option())))
    world.fast_forward(seconds=30)
    world.taps("kept")
    assert world.last_verdict().reason == "not_available: its stock reservation has ended"
    world.taps("hillside")
    world.expect_decision(Resolution.SUBSTITUTED)


def test_a_reservation_that_ends_after_the_decision_keeps_nobody_from_writing_it():
    kept = an_option("kept", sku="a", reserved_until_at=NOON + timedelta(seconds=60))
    world = World()
    world.oms = WriteBackOutcome.ORDER_BEING_MODIFIED
    world.exception(an_exception(options=(kept,)))
    world.fast_forward(seconds=20)
    world.taps("kept")
    world.fast_forward(seconds=60)
    world.oms = WriteBackOutcome.APPLIED
    world.fast_forward(minutes=1)
    decision = world.expect_decision(Resolution.SUBSTITUTED)
    assert [part.option_id for part in decision.chosen] == ["kept"]
    world.expect_done()


def test_without_a_reservation_an_offer_stands_only_while_stocks_last():
    kept = an_option("kept", sku="a", reserved_until_at=NOON + timedelta(hours=1))
    world = asked(an_exception(options=(an_option(), kept)))
    stocks = {option.option_id: option.while_stocks_last for option in world.shown().options}
    assert stocks == {"hillside": True, "kept": False}


def test_where_a_refund_is_all_that_is_left_it_is_applied_and_told_without_a_question():
    world = asked(an_exception(options=()))
    world.expect_decision(Resolution.REFUNDED, actor=Actor.DEFAULT)
    world.expect_sent(Purpose.ASK)
    world.expect_sent(Purpose.DEFAULT, *DIGITAL)
    world.fast_forward(hours=1)
    world.expect_no_call()
    world.expect_done()


def test_a_refund_among_the_options_is_still_a_refund_under_its_own_key():
    refund = a_way("money", OptionKind.REFUND)
    world = asked(an_exception(options=(refund, an_option())))
    assert world.options() == ["hillside"]
    assert world.shown().refund_allowed
    world.taps("money")
    decision = world.expect_decision(Resolution.REFUNDED)
    assert (decision.refund_quantity, decision.chosen) == (1, ())


def test_a_line_is_not_replaced_by_another_delivery():
    world = asked(an_exception(options=(a_way("tomorrow", OptionKind.REDELIVER), an_option())))
    assert world.options() == ["hillside"]


def test_an_option_of_a_kind_that_we_do_not_know_yet_is_not_offered():
    raised = an_exception(
        kind=Kind.DELIVERY_MISSED,
        options=(a_way("drone", OptionKind.UNKNOWN), a_way("shop", OptionKind.PICKUP)),
    )
    assert asked(raised).options() == ["shop"]


def test_a_refund_that_is_not_allowed_is_neither_offered_nor_taken():
    world = asked(an_exception(refund_allowed=False))
    assert not world.shown().refund_allowed
    world.texts("0")
    assert world.last_verdict().reason == "refund_not_possible"
    world.expect_open()


def test_where_neither_an_option_nor_a_refund_is_left_people_take_over():
    world = World()
    world.blocked("bread-hill")
    world.exception(an_exception(options=(an_option(),), refund_allowed=False))
    assert world.last_change().stuck == "no option is admissible, and no refund is allowed"
    (task,) = world.sent(Channel.PERSON)
    assert task.about == ("x1",)


def test_only_the_buyer_of_a_gift_hears_what_is_in_it():
    gift = a_line(groups=(Group.GIFT,))
    secret = asked(an_exception(line=gift), recipient_differs=True).shown()
    assert secret.gift
    assert secret.line_name == "Oakmill Sourdough 400 g", "the buyer is the one who is asked"
    assert not asked(an_exception(line=gift)).shown().gift
    assert not asked(an_exception(), recipient_differs=True).shown().gift


def test_whoever_waits_for_somebody_elses_present_hears_no_price_at_the_door():
    raised = an_exception(kind=Kind.DELIVERY_MISSED, fulfilment_deadline_at=NOON + timedelta(minutes=30))
    assert asked(raised, recipient_differs=True).shown().gift


def test_all_that_was_refused_is_kept_with_every_reason():
    bad = an_option("bad", unit_price=pounds(900), quantity_max=0)
    world = asked(an_exception(options=(bad, an_option())))
    assert world.refused("bad") == (
        "only 0 of Hillside Sourdough 400 g can be had; it is dearer by 700 than the 0 that may be added"
    )
    (kept,) = world.shown().refused
    assert kept.option_id == "bad"


def test_every_channel_shows_the_same_offer():
    world = asked(an_exception())
    offers = [command.cases for command in world.sent(purpose=Purpose.ASK)]
    assert len(offers) == 3
    assert offers[0] == offers[1] == offers[2]
