"""What is chosen without asking: quantities kept, differences borne, and whose word counts where nobody answers."""

from schemas.facts import OwnChoice
from schemas.words import Actor, Kind, Resolution, UpstreamDefault
from tests.builders import a_customer, a_line, an_exception, an_option, pounds
from tests.scenarios.world import World

FIVE = a_line(quantity_ordered=5, quantity_available=3)
PERMITTED = a_customer(substitute_by_default=True)


def unanswered(raised, facts=None) -> World:
    world = World()
    world.exception(raised, facts)
    world.fast_forward(minutes=15)
    return world


def test_a_permitted_substitute_replaces_what_is_missing_and_keeps_what_is_there():
    raised = an_exception(line=FIVE, kind=Kind.PARTLY_AVAILABLE, options=(an_option(quantity_default=2),))
    decision = unanswered(raised, PERMITTED).expect_decision(Resolution.SUBSTITUTED, actor=Actor.DEFAULT)
    assert (decision.keep_quantity, decision.chosen[0].quantity, decision.refund_quantity) == (3, 2, 0)
    assert decision.absorbed is None


def test_the_difference_of_an_own_choice_is_borne_by_us():
    wish = a_customer(own_choices=(OwnChoice(sku="bread-oak", instead="bread-hill"),))
    for price, absorbed in ((250, pounds(50)), (200, None)):
        raised = an_exception(options=(an_option(unit_price=pounds(price)),))
        decision = unanswered(raised, wish).expect_decision(Resolution.SUBSTITUTED)
        assert (decision.actor, decision.absorbed) == (Actor.STORED_PREFERENCE, absorbed)


def test_a_permission_counts_in_the_second_round_as_well():
    world = World()
    world.exception(an_exception(), PERMITTED)
    world.taps("hillside")
    world.exception(an_exception("x2", supersedes="x1", options=(an_option("corner", sku="c"),)), PERMITTED)
    world.fast_forward(minutes=15)
    world.expect_decision(Resolution.SUBSTITUTED, "x2", actor=Actor.DEFAULT)


def test_upstreams_wish_to_substitute_does_not_count_where_nobody_permitted_it():
    raised = an_exception(upstream_default=UpstreamDefault.AUTO_SUBSTITUTE)
    unanswered(raised).expect_decision(Resolution.REFUNDED, actor=Actor.DEFAULT)
