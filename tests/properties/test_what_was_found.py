"""Histories that the search found to break a law, kept by name."""

from schemas.events import KillSwitchChanged
from schemas.words import Channel, Kind, Purpose, SwitchScope, WriteBackOutcome
from tests.builders import NOON, a_customer, a_line, an_exception, an_option, pounds
from tests.properties.moves import Life
from tests.properties.vocabulary import SHELF

MINUTE_MS = 60_000


def a_missing_loaf(life: Life, *, minutes: int = 10, **changes) -> None:
    life.raises(0, an_exception(**changes), a_customer(), minutes * MINUTE_MS, 5)


def sent(life: Life) -> list[Purpose]:
    return [effect.purpose for _, effect in life.effects if hasattr(effect, "purpose")]


def test_the_record_of_a_shadowed_case_is_removed_in_the_end():
    life = Life(SHELF)
    a_missing_loaf(life, policy_hint="shadow")
    life.ends()


def test_a_record_with_a_stuck_case_beside_a_closed_one_is_removed_in_the_end():
    life = Life(SHELF)
    a_missing_loaf(life)
    a_missing_loaf(life, minutes=20)
    life.passes(30 * MINUTE_MS)
    life.oms(0, 0, WriteBackOutcome.REJECTED, None)
    life.oms(0, 1, WriteBackOutcome.APPLIED, None)
    life.all_goes_well(0)
    life.ends()


def test_an_amendment_that_came_before_its_exception_does_not_skip_the_gather_window():
    life = Life(SHELF)
    a_missing_loaf(life)
    life.amends(0, 1, 3, 60 * MINUTE_MS, None, None)
    life.raises(0, an_exception(kind=Kind.DELIVERY_MISSED), a_customer(), 20 * MINUTE_MS, 0)
    assert sent(life) == []
    life.ends()


def test_fewer_pieces_that_would_cost_more_apiece_are_asked_about_again():
    life = Life(SHELF)
    large = an_option("large", unit_price=pounds(450))
    a_missing_loaf(life, line=a_line(quantity_ordered=3), options=(large,), minutes=60)
    life.passes(20_000)
    life.taps(0, 0, 0, Channel.PAGE)
    life.oms(0, 0, WriteBackOutcome.LINE_CHANGED, 1)
    life.ends()


def test_a_refusal_of_the_oms_that_comes_twice_is_shown_once():
    life = Life(SHELF)
    a_missing_loaf(life)
    life.taps(0, 0, 0, Channel.PAGE)
    life.oms(0, 0, WriteBackOutcome.REJECTED, None)
    life.repeats(0)
    life.ends()


def test_a_line_that_joined_is_not_asked_about_once_the_store_is_switched_off():
    life = Life(SHELF)
    a_missing_loaf(life)
    life.passes(30_000)
    asked = sent(life)
    a_missing_loaf(life)
    switch = KillSwitchChanged(
        event_id="", occurred_at=NOON, scope=SwitchScope.STORE, name="store-1", on=True
    )
    life.condition(switch)
    life.passes(MINUTE_MS)
    assert sent(life) == asked
    life.ends()
