"""Answers piece by piece: parts that add up, caps that several parts share, a refund at the door that costs nothing."""

from datetime import timedelta

import pytest

from schemas.events import Answer
from schemas.facts import Chosen
from schemas.words import Channel, Kind, Purpose, ReceiptState, Resolution, Signal
from tests.builders import a_customer, a_line, a_second, an_exception, an_option, pounds
from tests.scenarios.world import World

THREE = a_line(quantity_ordered=3)


def asked(raised, **facts) -> World:
    world = World()
    world.exception(raised, a_customer(**facts))
    world.fast_forward(seconds=20)
    return world


def chooses(world: World, **answer) -> str:
    """Why the choice was refused; empty where it was taken."""
    world.answers(Answer(case_id="x1", decision_version=0, **answer))
    verdict = world.last_verdict()
    return "" if verdict.accepted else verdict.reason


def dearer(option_id: str, by: int):
    return an_option(
        option_id, sku=option_id, name=option_id, quantity_default=1, unit_price=pounds(200 + by)
    )


@pytest.mark.parametrize(("cap", "refused"), [(300, ""), (299, "not_available: it is dearer by 150")])
def test_several_parts_share_one_cap(cap, refused):
    two = a_line(quantity_ordered=2)
    each = (dearer("rye", 150), dearer("spelt", 150))
    world = asked(an_exception(line=two, options=each), price_cap=pounds(cap))
    both = (Chosen(option_id="rye", quantity=1), Chosen(option_id="spelt", quantity=1))
    reason = chooses(world, chosen=both, confirmed=True, total_shown=pounds(7_000))
    assert reason.startswith(refused)
    assert bool(reason) is bool(refused)


def test_an_option_without_a_number_takes_all_that_is_not_refunded():
    world = asked(an_exception(line=THREE, options=(an_option(quantity_default=3),)))
    assert not chooses(world, chosen=(Chosen(option_id="hillside", quantity=0),), refund_quantity=1)
    decision = world.expect_decision(Resolution.SUBSTITUTED, refund_quantity=1)
    assert [part.quantity for part in decision.chosen] == [2]


def test_an_answer_that_names_nothing_chooses_nothing():
    world = asked(an_exception())
    assert chooses(world) == "nothing_chosen"
    world.expect_open()


def test_a_refund_at_the_door_changes_no_price_by_itself():
    world = asked(an_exception(kind=Kind.DELIVERY_MISSED))
    assert not chooses(world, key=0)
    decision = world.expect_decision(Resolution.REFUNDED)
    assert decision.price_before == decision.price_after


def test_who_wants_a_person_and_has_decided_everything_is_called_about_the_newest_line():
    world = World()
    world.exception(an_exception())
    world.exception(a_second())
    world.fast_forward(seconds=20)
    world.texts("A1 B1")
    world.answers(channel=Channel.SMS, signal=Signal.PERSON_WANTED)
    (task,) = world.sent(purpose=Purpose.CALLBACK)
    assert task.about == ("x2",)


def test_no_call_back_is_promised_once_the_last_attempt_was_made():
    world = World()
    world.exception(an_exception())
    world.fast_forward(seconds=200)
    call = world.expect_call()
    world.receipt(call, ReceiptState.BUSY, sequence=1)
    world.fast_forward(seconds=10)
    last = world.expect_call(attempts=2)
    world.receipt(last, ReceiptState.RINGING, sequence=1)
    world.receipt(last, ReceiptState.ANSWERED, sequence=2)
    world.answers(
        channel=Channel.VOICE, signal=Signal.CALL_LATER, later_at=world.now + timedelta(milliseconds=1)
    )
    assert world.record().next_call_at is None
    world.expect_sent(Purpose.LINK, Channel.SMS)


def test_a_wrong_number_takes_back_texts_and_leaves_the_letter():
    world = asked(an_exception(), channels=(Channel.SMS, Channel.EMAIL))
    texts = [c.command_id for c in world.sent(Channel.SMS)]
    world.answers(channel=Channel.SMS, signal=Signal.WRONG_NUMBER)
    assert world.cancelled() == texts
    assert [send.channel for send in world.record().sends] == [Channel.EMAIL]
