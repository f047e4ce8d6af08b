"""Blocks of products: what they keep from being asked, shown and written."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace

from connectors.blocks import Blocks, blocked_among, keep
from schemas.commands import OfferedCase, OfferedOption
from schemas.events import ProductBlocked
from schemas.facts import Chosen, Money, Replacement
from schemas.words import Channel, Kind, Purpose
from tests.connectors.around import an_update
from tests.connectors.builders import NOON, Rig, SteppedClock, a_command, checks

pytestmark = pytest.mark.real


@pytest.fixture
def rig(dsn: str) -> Iterator[Rig]:
    rig = Rig(dsn, SteppedClock())
    yield rig
    rig.close()


def claimed(rig: Rig) -> list[str]:
    return [one.command_id for one in rig.claims.claim(Channel.SMS, 10, checks())]


def a_block(sku: str = "soya", *, blocked: bool = True, at: datetime = NOON) -> ProductBlocked:
    return ProductBlocked(event_id="b1", sku=sku, blocked=blocked, occurred_at=at)


def test_what_offers_a_blocked_product_is_not_asked_and_other_news_leaves_it_out(rig: Rig) -> None:
    options = tuple(
        OfferedOption(
            key=key,
            option_id=sku,
            name=sku,
            quantity=1,
            price=Money(180, "GBP"),
            total=Money(900, "GBP"),
            skus=(sku,),
        )
        for key, sku in enumerate(("soya", "oat"), start=1)
    )
    case = OfferedCase(case_id="E1", kind=Kind.ITEM_UNAVAILABLE, decision_version=0, options=options)
    told = a_command("A1~E1.2", purpose=Purpose.DEFAULT, cases=(case,))
    rig.claims.file([a_command(cases=(case,)), told])
    with rig.pool.connection() as connection:
        keep(connection, a_block())
    assert claimed(rig) == ["A1~E1.2"]
    assert rig.told() == ["suppressed:blocked"]
    [shown] = Blocks(rig.pool).shown(told).cases
    assert [option.option_id for option in shown.options] == ["oat"]


def test_of_two_words_on_a_product_the_newer_counts_whichever_comes_last(rig: Rig) -> None:
    with rig.pool.connection() as connection:
        keep(connection, a_block(blocked=False, at=NOON + timedelta(minutes=1)))
        keep(connection, a_block())
        assert blocked_among(connection, ["soya", "oat"]) == frozenset()
        keep(connection, a_block(at=NOON + timedelta(minutes=2)))
        assert blocked_among(connection, ["soya", "oat"]) == {"soya"}


def test_a_decision_for_a_blocked_product_is_not_written(rig: Rig) -> None:
    soya = Replacement(sku="soya", name="Soya", pieces=2, unit_price=Money(180, "GBP"))
    update = an_update(NOON)
    chosen = (Chosen(option_id="o1", quantity=1, components=(soya,)),)
    update = replace(update, decision=replace(update.decision, chosen=chosen))
    assert Blocks(rig.pool).against(update) == ""
    with rig.pool.connection() as connection:
        keep(connection, a_block())
    assert Blocks(rig.pool).against(update) == "blocked"
    assert Blocks(rig.pool).against(an_update(NOON)) == ""
