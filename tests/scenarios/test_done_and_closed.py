"""Done is not closed; what cannot go on is handed to people; and what became of a line."""

from datetime import timedelta

from schemas.commands import CaseChanged, EvidenceRequest, OrderUpdate
from schemas.events import Credited, Delivered, RefusedAtDoor
from schemas.words import (
    Actor,
    CaseState,
    Channel,
    CloseReason,
    Kind,
    Purpose,
    ReceiptState,
    RefundForm,
    Resolution,
    UpstreamDefault,
    WriteBackOutcome,
)
from state.policy import Default
from state.shelf import Shelf
from tests.builders import NOON, a_line, an_exception, pounds
from tests.scenarios.world import SHELF, World


def asked(now=NOON, **changes) -> World:
    world = World(now=now)
    given = {"occurred_at": now, "fulfilment_deadline_at": now + timedelta(minutes=10)}
    world.exception(an_exception(**(given | changes)))
    world.fast_forward(seconds=20)
    return world


# Done and closed.


def test_a_case_says_which_of_the_four_parts_are_missing():
    world = asked()
    assert world.last_change().missing == ("decision", "write_back", "evidence", "trigger")
    world.oms = world.fulfilment = None
    world.store_works = False
    world.taps("corner")
    assert world.last_change().missing == ("write_back", "evidence", "trigger")


def test_a_done_case_accepts_changes_until_the_deadline():
    world = asked()
    world.taps("corner")
    assert world.case().state is CaseState.DONE
    world.fast_forward(minutes=9)
    world.taps("hillside", version=1)
    world.expect_decision(Resolution.ALTERNATIVE, version=2)
    world.expect_done()


def test_a_done_case_closes_when_the_tote_does():
    world = asked(picked_until_at=NOON + timedelta(minutes=4))
    world.taps("corner")
    world.fast_forward(minutes=4)
    assert world.case().close_reason is CloseReason.DONE
    world.taps("hillside", version=1)
    assert world.last_verdict().reason == "already_closed"


def test_a_policy_may_forbid_changes():
    changed = SHELF["mid_pick_substitution@1"].model_copy(update={"changes_until_picked": False})
    others = [policy for policy in SHELF.by_key.values() if policy.id != changed.id]
    world = World(policies=Shelf([changed, *others]))
    world.exception(an_exception())
    world.taps("corner")
    world.taps("hillside", version=1)
    assert world.last_verdict().reason == "changes_not_possible"


def test_after_the_deadline_a_decision_that_is_still_under_way_cannot_be_changed():
    world = asked()
    world.store_works = False
    world.taps("corner")
    world.fast_forward(minutes=11)
    world.taps("hillside", version=1)
    assert world.last_verdict().reason == "too_late"


def test_an_answer_about_a_case_that_never_was_changes_nothing():
    world = asked()
    before = len(world.effects)
    world.taps("corner", case_id="x9")
    assert len(world.effects) == before
    world.expect_open()


def test_each_version_has_an_update_a_trigger_and_a_proof_of_its_own():
    world = asked()
    world.taps("corner")
    world.taps("hillside", version=1)
    assert [u.command_id for u in world.of(OrderUpdate)] == ["x1.d1", "x1.d2"]
    assert world.last_change().decision.replaces_version == 1
    world.expect_done()


def test_an_older_version_is_refused_with_what_stands():
    world = asked()
    world.taps("corner")
    world.taps("hillside", version=1)
    world.taps("corner", version=1)
    assert world.last_verdict().reason == "older_version"
    assert world.last_change().decision.version == 2


def test_a_case_is_not_closed_before_its_last_part_is_there():
    world = asked()
    world.store_works = False
    world.taps("corner")
    world.fast_forward(minutes=12)
    assert world.case().state is CaseState.DECIDED
    world.store_works = True
    world.evidence_stored(world.of(EvidenceRequest)[0])
    assert world.case().close_reason is CloseReason.DONE


def test_closing_is_silent():
    world = asked()
    world.taps("corner")
    world.fast_forward(seconds=10)
    before = len(world.sent())
    world.fast_forward(hours=3)
    assert len(world.sent()) == before
    assert world.case().state is CaseState.CLOSED


def test_a_late_default_says_what_was_decided_although_it_is_closed_by_then():
    world = World()
    world.exception(an_exception(fulfilment_deadline_at=NOON + timedelta(seconds=5)))
    world.fast_forward(seconds=10)
    assert world.last_change().late
    (push, *_) = world.sent(purpose=Purpose.DEFAULT)
    (case,) = push.cases
    assert (case.line_name, case.standing.resolution, case.options) == (
        "Oakmill Sourdough 400 g",
        Resolution.REFUNDED,
        (),
    )


def test_the_announcement_of_a_late_default_survives_the_next_exception():
    world = World()
    world.exception(an_exception(fulfilment_deadline_at=NOON))
    world.fast_forward(seconds=1)
    assert world.case().state is CaseState.CLOSED
    world.exception(an_exception("x2", line=a_line(line_id="L2")))
    world.fast_forward(seconds=10)
    assert {c.about for c in world.sent(purpose=Purpose.DEFAULT)} == {("x1",)}


# Handed to people.


def stuck() -> World:
    world = asked()
    world.oms = WriteBackOutcome.ORDER_NOT_MODIFIABLE
    world.taps("corner")
    return world


def test_a_stuck_case_is_one_task_with_its_reason_however_often_it_is_looked_at():
    world = stuck()
    world.fast_forward(days=1)
    (task,) = world.sent(Channel.PERSON)
    assert (task.purpose, task.about, task.reason) == (
        Purpose.UPDATE,
        ("x1",),
        "the order can no longer be modified",
    )
    assert world.last_change().stuck == task.reason


def test_a_task_that_was_declined_leaves_the_case_stuck_for_all_to_see():
    world = stuck()
    world.receipt(world.sent(Channel.PERSON)[0], ReceiptState.DECLINED)
    assert world.last_change().stuck == "the order can no longer be modified"


def test_where_neither_a_refund_nor_a_substitute_is_allowed_silence_ends_with_people():
    world = asked(refund_allowed=False, upstream_default=UpstreamDefault.AUTO_SUBSTITUTE)
    world.fast_forward(minutes=10)
    stuck = world.last_change().stuck
    assert stuck == "nobody answered, and neither a substitute nor a refund is allowed"
    assert world.of(OrderUpdate) == []
    assert len(world.sent(Channel.PERSON)) == 1


def test_where_no_refund_is_allowed_upstreams_own_cancelling_of_the_line_is_the_default():
    world = asked(refund_allowed=False, upstream_default=UpstreamDefault.CANCEL_LINE)
    world.fast_forward(minutes=10)
    world.expect_decision(Resolution.REFUNDED, actor=Actor.DEFAULT, refund_form=RefundForm.NOT_CHARGED)


def test_where_no_refund_is_allowed_not_even_upstreams_cancelling_gives_money_back():
    shipped = SHELF["refused_at_the_door@1"]
    refunding = shipped.model_copy(update={"default": Default(resolution=Resolution.REFUNDED)})
    world = World(policies=Shelf([refunding]))
    raised = {"kind": Kind.REFUSED_AT_DOOR, "fulfilment_deadline_at": NOON + timedelta(hours=2)}
    world.exception(
        an_exception(refund_allowed=False, upstream_default=UpstreamDefault.CANCEL_LINE, **raised)
    )
    world.fast_forward(hours=2)
    assert world.of(OrderUpdate) == []
    assert world.last_change().stuck != ""
    assert len(world.sent(Channel.PERSON)) == 1


def test_a_case_that_is_given_up_as_stuck_still_shows_what_is_missing():
    world = stuck()
    world.fast_forward(days=8)
    assert world.last_change().close_reason is CloseReason.STUCK
    assert world.last_change().missing == ("write_back", "evidence", "trigger")


# After the delivery.


def delivered(world: World, at=None, line_id: str = "L1") -> None:
    world.happens(
        Delivered(
            event_id=world.new_id(),
            order_id="order-1",
            line_id=line_id,
            quantity=1,
            charged=pounds(200),
            occurred_at=at or world.now,
        )
    )


def test_what_became_of_a_line_is_shown_with_its_case():
    world = asked()
    world.taps("corner")
    delivered(world)
    assert world.last_change().outcome == "delivered"
    refused = RefusedAtDoor(
        event_id="refused", order_id="order-1", line_id="L1", quantity=1, occurred_at=world.now
    )
    world.happens(refused)
    assert world.last_change().outcome == "refused"
    credit = Credited(
        event_id="credit", order_id="order-1", line_id="L1", amount=pounds(200), occurred_at=world.now
    )
    world.happens(credit)
    assert world.last_change().outcome == "credited"


def test_an_outcome_of_another_line_changes_nothing():
    world = asked()
    world.taps("corner")
    before = len(world.of(CaseChanged))
    delivered(world, line_id="L9")
    assert len(world.of(CaseChanged)) == before
