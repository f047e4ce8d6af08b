"""A word that only a newer writer knows never loosens a rule: in doubt nothing is offered, told or dialled."""

from schemas.words import Channel, ContactMode, Contents, Kind, OptionKind, PriceKind, Purpose, Responder
from tests.builders import a_customer, a_delivery, a_way, an_exception, an_option
from tests.scenarios.world import World


def asked(exception, facts=None):
    world = World()
    world.exception(exception, facts)
    world.fast_forward(seconds=20)
    return world


def test_a_product_that_is_priced_in_an_unknown_way_is_not_offered():
    other = an_option("corner", sku="bread-corner", name="Corner Loaf 400 g", brand="Corner")
    world = asked(an_exception(options=(an_option(price_kind=PriceKind.UNKNOWN), other)))
    assert world.options() == ["corner"]
    assert "priced in a way that this version does not know" in world.refused("hillside")


def test_a_parcel_with_unknown_contents_is_not_left_unattended():
    ways = (a_way("porch", OptionKind.SAFE_PLACE), a_way("shop", OptionKind.PICKUP))
    world = asked(
        an_exception(
            kind=Kind.DELIVERY_MISSED, options=ways, delivery=a_delivery(contains=(Contents.UNKNOWN,))
        )
    )
    assert world.options() == ["shop"]
    assert "may not be left unattended: unknown" in world.refused("porch")


def test_a_customer_with_an_unknown_contact_mode_is_asked_but_not_called():
    world = asked(an_exception(), a_customer(contact_mode=ContactMode.UNKNOWN))
    world.expect_sent(Purpose.ASK, Channel.PUSH, Channel.SMS, Channel.EMAIL)
    world.fast_forward(minutes=10)
    world.expect_no_call()


def test_an_unknown_kind_of_responder_neither_decides_nor_learns_what_was_ordered():
    world = asked(an_exception())
    world.texts("1", responder=Responder.UNKNOWN)
    world.expect_open()
    (told,) = world.sent(Channel.SMS, Purpose.REPLY)
    assert told.cases == ()
