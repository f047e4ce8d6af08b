"""The words of a message: the policy's approved text, filled with what the command is about."""

from datetime import timedelta

from msgspec.structs import replace

from connectors.wording import Wording
from schemas.commands import OfferedCase, OfferedOption
from schemas.facts import Chosen, Decision, Money, Replacement
from schemas.words import Actor, Channel, Kind, Purpose, Resolution
from state.shelf import load
from tests.connectors.builders import NOON, a_command

write = Wording(
    "Greengrocer", load().by_key.__getitem__, lambda command: f"https://x.test/c/{command.order_id}"
)

SOYA = OfferedOption(
    key=1, option_id="o1", name="Soya 1 l", quantity=2, price=Money(360, "GBP"), total=Money(2410, "GBP")
)
OAT = OfferedCase(
    case_id="E1",
    kind=Kind.ITEM_UNAVAILABLE,
    decision_version=0,
    line_name="Oat 1 l",
    quantity_short=2,
    options=(SOYA,),
)


def text(**changes: object) -> str:
    command = a_command(cases=(OAT,), respond_by_at=NOON + timedelta(minutes=5))
    return write(replace(command, **changes), "Europe/Berlin").body


def test_a_question_names_the_items_the_keys_the_total_and_the_time_where_the_customer_is() -> None:
    asked = text()
    assert "2 x Oat 1 l" in asked
    assert "1 = 2 x Soya 1 l (£3.60, new total £24.10); 0 = refund." in asked
    assert "13:05" in asked
    assert asked.endswith("https://x.test/c/A1")


def test_several_lines_are_lettered() -> None:
    asked = text(cases=(replace(OAT, letter="A"), replace(OAT, letter="B", line_name="Tea")))
    assert "A: Oat 1 l. A1 = 2 x Soya" in asked
    assert "B: Tea. B1 = 2 x Soya" in asked
    assert "B0 = refund" in asked


def test_less_content_and_scarce_stock_are_said() -> None:
    scarce = replace(SOYA, less_content=True, while_stocks_last=True)
    assert "(£3.60, new total £24.10, less content, while stocks last)" in text(
        cases=(replace(OAT, options=(scarce,)),)
    )


def test_no_refund_is_offered_where_none_is_allowed() -> None:
    assert "0 = refund" not in text(cases=(replace(OAT, refund_allowed=False),))


def test_a_confirmation_says_what_was_decided_and_the_new_total() -> None:
    soya = Replacement(sku="soya", name="Soya 1 l", pieces=1, unit_price=Money(180, "GBP"))
    decision = Decision(
        decision_id="E1.d1",
        case_id="E1",
        version=1,
        resolution=Resolution.SUBSTITUTED,
        keep_quantity=1,
        chosen=(Chosen(option_id="o1", quantity=1, components=(soya,)),),
        actor=Actor.CUSTOMER,
        policy="p@1",
        decided_at=NOON,
    )
    told = text(purpose=Purpose.CONFIRM, cases=(replace(OAT, standing=decision, total=Money(2410, "GBP")),))
    assert "we deliver 1 x Oat 1 l, 1 x Soya 1 l instead. New total £24.10" in told


def test_of_a_gift_neither_contents_nor_prices_stand_in_a_text() -> None:
    soya = Replacement(sku="soya", name="Soya 1 l", pieces=2, unit_price=Money(180, "GBP"))
    decision = Decision(
        decision_id="E1.d1",
        case_id="E1",
        version=1,
        resolution=Resolution.SUBSTITUTED,
        chosen=(Chosen(option_id="o1", quantity=2, components=(soya,)),),
        actor=Actor.CUSTOMER,
        policy="p@1",
        decided_at=NOON,
    )
    gift = replace(OAT, gift=True, letter="A", standing=decision, total=Money(2410, "GBP"))
    for purpose in (Purpose.ASK, Purpose.CONFIRM, Purpose.DEFAULT, Purpose.WITHDRAWAL, Purpose.REPLY):
        told = text(purpose=purpose, cases=(gift,))
        for secret in ("Oat", "Soya", "£", "24.10"):
            assert secret not in told
    asked = text(cases=(gift,))
    assert "part of a gift" in asked
    assert "A0 = refund; (more on the page)." in asked
    assert asked.endswith("https://x.test/c/A1")


def test_another_language_has_its_own_words_and_its_own_way_with_numbers() -> None:
    asked = text(script="mid_pick_substitution@1/de-DE/1", locale="de-DE")
    assert "0 = Erstattung" in asked
    assert "24,10" in asked


def test_a_call_has_no_text_of_its_own() -> None:
    assert text(channel=Channel.VOICE, purpose=Purpose.CALL) == ""


def test_braces_in_a_products_name_are_only_letters() -> None:
    assert "{retailer} {0}" in text(cases=(replace(OAT, line_name="{retailer} {0}"),))
