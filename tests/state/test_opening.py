"""What a record holds once an exception arrived: first, later, again, after amendments and older conversations."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from schemas.events import ExceptionAccepted, ExceptionAmended, ExceptionWithdrawn, ResponseReceived
from schemas.facts import CustomerFacts, OwnChoice
from schemas.words import (
    Actor,
    Arm,
    CaseState,
    Channel,
    CloseReason,
    Kind,
    Mode,
    Resolution,
    Responder,
    UpstreamDefault,
    WithdrawalReason,
)
from state.conversation import Announcement, Call, Conversation, Seen, Send, Task
from state.decide import Deadline, QuarantineRecord, decide
from state.opening import EXCEPTIONS_MAX
from state.rules import Conditions, Rules
from tests.builders import NOON, a_customer, a_line, an_exception, an_option, but, pounds
from tests.scenarios.world import SHELF, World

RULES = Rules(SHELF, Conditions())
FIVE = a_line(quantity_ordered=5, quantity_available=3)


def accepted(raised, facts: CustomerFacts | None = None) -> ExceptionAccepted:
    return ExceptionAccepted(
        event_id=raised.event_id, order_id=raised.order_id, exception=raised, facts=facts or a_customer()
    )


def opened(raised=None, facts: CustomerFacts | None = None, *, record=None, now=NOON) -> Conversation:
    """The record after an exception."""
    moved, _ = decide(record, accepted(raised or an_exception(), facts), now, RULES)
    return moved


def amended(revision: int, exception_id: str = "x1", **changes) -> ExceptionAmended:
    return ExceptionAmended(
        event_id=f"amended-{exception_id}-{revision}",
        order_id="order-1",
        exception_id=exception_id,
        revision=revision,
        occurred_at=NOON,
        **changes,
    )


def withdrawn(revision: int = 0, exception_id: str = "x1") -> ExceptionWithdrawn:
    return ExceptionWithdrawn(
        event_id=f"withdrawn-{exception_id}",
        order_id="order-1",
        exception_id=exception_id,
        revision=revision,
        reason=WithdrawalReason.FOUND,
        occurred_at=NOON,
    )


def after(*events, record=None, now=NOON) -> Conversation:
    for event in events:
        record, _ = decide(record, event, now, RULES)
    return record


def closed() -> Conversation:
    """Its only case was found again before anything was said."""
    return after(withdrawn(), record=opened())


# The first exception.


def test_a_conversation_takes_its_names_from_its_first_exception():
    facts = a_customer(locale="en-GB")
    record = opened(an_exception(customer_ref="c-7", store_id="s-7"), facts)
    assert (record.order_id, record.conversation_id) == ("order-1", "order-1~x1")
    assert (record.customer_ref, record.store_id) == ("c-7", "s-7")
    assert (record.opened_at, record.facts, record.remove_at) == (NOON, facts, None)
    (case,) = record.cases
    assert (case.case_id, case.opened_at, case.policy) == ("x1", NOON, "mid_pick_substitution@1")
    assert (case.mode, case.round, record.arm) == (Mode.LIVE, 1, Arm.TREATMENT)


def test_a_second_exception_joins_and_brings_newer_facts():
    record = opened()
    newer = a_customer(locale="de-DE")
    joined = opened(
        an_exception("x2", line=a_line(line_id="L2"), customer_ref="other", store_id="other"),
        newer,
        record=record,
        now=NOON + timedelta(seconds=5),
    )
    assert (joined.conversation_id, joined.customer_ref, joined.store_id, joined.opened_at) == (
        "order-1~x1",
        "customer-1",
        "store-1",
        NOON,
    )
    assert joined.facts == newer
    assert [(case.case_id, case.opened_at) for case in joined.cases] == [
        ("x1", NOON),
        ("x2", NOON + timedelta(seconds=5)),
    ]
    assert [seen.exception_id for seen in joined.seen] == ["x1", "x2"]


def test_a_record_without_an_exception_is_forgotten_after_a_week():
    for event in (withdrawn(), amended(1)):
        record = after(event)
        assert (record.cases, record.remove_at) == ([], NOON + timedelta(days=7))
        assert (record.conversation_id, record.customer_ref, record.store_id) == ("", "", "")
        assert record.due_at == NOON + timedelta(days=7)
        gone, effects = decide(record, Deadline(record.due_at, record.due_version), record.due_at, RULES)
        assert (gone, effects) == (None, [])


def test_an_exception_that_was_withdrawn_first_leaves_with_its_retention():
    days = SHELF["mid_pick_substitution@1"].retention.closed_days
    later = NOON + timedelta(days=1)
    assert opened(record=after(withdrawn()), now=later).remove_at == later + timedelta(days=days)


def test_an_exception_that_came_in_time_keeps_the_record():
    assert opened(record=after(amended(1))).remove_at is None


@pytest.mark.parametrize("point", [0, 1])
def test_the_holdout_begins_below_its_share(point):
    held = SHELF["mid_pick_substitution@1"].model_copy(update={"holdout_share_per_10000": 1})
    rules = Rules(SHELF.__class__([held]), Conditions())
    record, _ = decide(None, accepted(an_exception(), a_customer(arm_point=point)), NOON, rules)
    assert record.arm is (Arm.HOLDOUT if point < 1 else Arm.TREATMENT)


# The next conversation of an order.


def test_a_new_conversation_begins_with_nothing_of_the_one_before():
    record = closed()
    record.commands = 40
    record.satisfaction_at = record.satisfaction_until_at = NOON + timedelta(days=1)
    record.spoke = record.recorded = record.recording_refused = True
    record.used = record.failed = (Channel.PUSH,)
    record.sends, record.tasks = (Send(3, Channel.SMS),), (Task(4, "x1", "why"),)
    record.announcements = (Announcement(6, Channel.SMS, ("x1",)),)
    record.call = Call(5)
    record.opened_steps, record.calls, record.calls_max, record.calls_ended = ("digital",), 2, 2, True
    later = NOON + timedelta(minutes=1)
    fresh = opened(
        an_exception("x2", customer_ref="c-2", store_id="s-2"), a_customer(), record=record, now=later
    )
    assert (fresh.conversation_id, fresh.customer_ref, fresh.store_id) == ("order-1~x2", "c-2", "s-2")
    assert fresh.opened_at == later
    assert fresh.commands == 1, "the picker's hold is its first command"
    assert (fresh.satisfaction_at, fresh.satisfaction_until_at) == (None, None)
    assert (fresh.spoke, fresh.recorded, fresh.recording_refused) == (False, False, False)
    assert (fresh.used, fresh.failed, fresh.sends, fresh.tasks) == ((), (), (), ())
    assert (fresh.announcements, fresh.call) == ((), None)
    assert (fresh.opened_steps, fresh.calls, fresh.calls_max, fresh.calls_ended) == ((), 0, 0, False)


def test_what_was_seen_said_and_refused_stays_known_across_conversations():
    record = closed()
    record.opted_out = (Channel.SMS,)
    fresh = opened(an_exception("x2"), record=record)
    assert [seen.exception_id for seen in fresh.seen] == ["x1", "x2"]
    assert fresh.opted_out == (Channel.SMS,)
    assert opened(record=fresh) is fresh, "the old exception is still a repeat"


def test_the_escalation_begins_afresh_only_when_nothing_is_open():
    record = opened()
    record.opened_steps, record.calls = ("digital",), 1
    joined = opened(an_exception("x2", line=a_line(line_id="L2")), record=record)
    assert (joined.opened_steps, joined.calls) == (("digital",), 1)
    record = opened()
    record.cases[0].state = CaseState.DECIDED
    record.opened_steps, record.calls = ("digital",), 1
    joined = opened(an_exception("x2", line=a_line(line_id="L2")), record=record)
    assert (joined.opened_steps, joined.calls) == ((), 0)


@pytest.mark.parametrize(
    ("raised", "facts"),
    [
        (an_exception("x2", kind=Kind.RECALLED), a_customer()),
        (an_exception("x2"), a_customer(allergens=("nuts",))),
    ],
    ids=["a recall", "an allergy"],
)
def test_what_touches_safety_ends_the_holdout(raised, facts):
    record = opened()
    record.arm = Arm.HOLDOUT
    assert opened(raised, facts, record=record).arm is Arm.TREATMENT
    assert opened(an_exception("x2"), record=record).arm is Arm.HOLDOUT


# Repeats and revisions.


def test_a_repeat_changes_nothing_at_all():
    record = opened()
    for again in (an_exception(), but(an_exception(), event_id="another")):
        moved, effects = decide(record, accepted(again), NOON + timedelta(minutes=1), RULES)
        assert moved is record
        assert effects == []


def test_other_words_under_the_same_id_and_revision_are_set_aside():
    record = opened(an_exception(revision=2))
    other = an_exception(revision=2, order_total=pounds(7_000))
    moved, effects = decide(record, accepted(other), NOON, RULES)
    assert moved is record
    assert effects == [QuarantineRecord(("id_reused: x1 was seen with other content",))]
    # An older revision is late and not wrong, whatever it says.
    assert decide(record, accepted(an_exception(revision=1)), NOON, RULES) == (record, [])


def test_an_exception_of_a_kind_without_a_policy_is_set_aside_and_opens_nothing():
    moved, effects = decide(None, accepted(an_exception(kind=Kind.UNKNOWN, line=None)), NOON, RULES)
    assert moved is None
    (set_aside,) = effects
    assert set_aside.reasons[0].startswith("no_policy: ")
    assert "unknown" in set_aside.reasons[0]


def test_an_order_takes_so_many_exceptions_and_still_knows_each_of_them_again():
    raised = [an_exception(f"x{n}", line=a_line(line_id=f"L{n}")) for n in range(EXCEPTIONS_MAX + 1)]
    record = None
    for exception in raised[:-1]:
        record = opened(exception, record=record)
    assert len(record.cases) == len(record.seen) == EXCEPTIONS_MAX
    moved, effects = decide(record, accepted(raised[-1]), NOON, RULES)
    assert moved is record
    assert effects == [QuarantineRecord(("order_full: 256 exceptions were seen of order-1",))]
    # What was seen first is still a repeat, and no second case.
    assert decide(record, accepted(raised[0]), NOON, RULES) == (record, [])
    # Newer facts of one of them are no further exception.
    later = but(raised[0], revision=1, fulfilment_deadline_at=NOON + timedelta(minutes=40))
    assert opened(later, record=record).case("x0").exception.revision == 1


def test_the_whole_exception_again_brings_each_of_its_newer_facts():
    record = opened(an_exception(line=FIVE, kind=Kind.PARTLY_AVAILABLE))
    rye = an_option("rye", sku="rye", name="Rye Loaf 400 g")
    fresh = an_exception(
        line=but(FIVE, quantity_available=4),
        kind=Kind.PARTLY_AVAILABLE,
        revision=3,
        options=(rye,),
        fulfilment_deadline_at=NOON + timedelta(minutes=40),
        picked_until_at=NOON + timedelta(minutes=50),
    )
    (case,) = opened(fresh, record=record).cases
    assert case.exception.revision == 3
    assert case.exception.line.quantity_available == 4
    assert case.exception.options == (rye,)
    assert case.exception.fulfilment_deadline_at == NOON + timedelta(minutes=40)
    assert case.exception.picked_until_at == NOON + timedelta(minutes=50)


def test_an_exception_at_the_door_is_amended_without_any_line():
    record = opened(an_exception(kind=Kind.DELIVERY_MISSED))
    later = NOON + timedelta(minutes=40)
    fresh = an_exception(kind=Kind.DELIVERY_MISSED, revision=1, fulfilment_deadline_at=later)
    (case,) = opened(fresh, record=record).cases
    assert (case.exception.line, case.exception.fulfilment_deadline_at) == (None, later)


def test_a_newer_revision_is_remembered_for_its_own_exception_only():
    record = opened(an_exception("x2", line=a_line(line_id="L2")), record=opened())
    untouched = record.seen[1]
    fresh = an_exception(revision=1, fulfilment_deadline_at=NOON + timedelta(minutes=40))
    moved = opened(fresh, record=record)
    assert [(seen.exception_id, seen.revision) for seen in moved.seen] == [("x1", 1), ("x2", 0)]
    assert moved.seen[1] == untouched
    again, effects = decide(moved, accepted(fresh), NOON, RULES)
    assert (again is moved, effects) == (True, []), "the newer revision is known by its content too"
    _, effects = decide(moved, accepted(but(fresh, order_total=pounds(1))), NOON, RULES)
    assert effects == [QuarantineRecord(("id_reused: x1 was seen with other content",))]


def test_a_newer_revision_of_a_closed_case_is_remembered_and_moves_nothing():
    record = closed()
    fresh = an_exception(revision=1, fulfilment_deadline_at=NOON + timedelta(minutes=40))
    moved, effects = decide(record, accepted(fresh), NOON, RULES)
    assert (moved.seen[0].revision, effects) == (1, [])
    assert moved.cases[0].exception.revision == 0


# What arrived before its exception.


def test_amendments_that_came_first_are_applied_in_their_order_and_then_forgotten():
    later = NOON + timedelta(minutes=40)
    record = after(
        amended(1, fulfilment_deadline_at=NOON + timedelta(minutes=20)),
        amended(5, "x9", fulfilment_deadline_at=later),
        amended(3, fulfilment_deadline_at=later),
        amended(2, picked_until_at=later),
    )
    moved = opened(an_exception(revision=1), record=record)
    exception = moved.cases[0].exception
    assert (exception.revision, exception.fulfilment_deadline_at) == (3, later)
    assert [early.exception_id for early in moved.early] == ["x9"], "the other's wait on"


def test_an_amendment_that_says_no_more_than_the_exception_is_dropped():
    record = after(amended(1, fulfilment_deadline_at=NOON + timedelta(minutes=40)))
    exception = opened(an_exception(revision=1), record=record).cases[0].exception
    assert exception.fulfilment_deadline_at == NOON + timedelta(minutes=10)


def test_an_early_amendment_is_remembered_once_and_sixteen_of_them_at_most():
    record = after(amended(1))
    assert after(amended(1), record=record) is record
    many = after(*[amended(1, f"x{n}") for n in range(20)])
    assert [early.exception_id for early in many.early] == [f"x{n}" for n in range(4, 20)]


def test_an_amendment_of_what_was_seen_and_has_no_case_is_no_early_one():
    record = after(withdrawn())
    record.seen = (Seen("x1", 0),)
    assert after(amended(1), record=record) is record


def test_a_withdrawal_that_came_first_is_remembered_once():
    record = after(withdrawn(2))
    assert record.withdrawn == (Seen("x1", 2),)
    assert after(withdrawn(2), record=record) is record


@pytest.mark.parametrize(("revision", "ends"), [(0, False), (1, True), (2, True)])
def test_a_withdrawal_ends_an_exception_of_its_own_revision_or_an_older_one(revision, ends):
    late = opened(an_exception(revision=1), record=after(withdrawn(revision)))
    moved = after(withdrawn(revision), record=opened(an_exception(revision=1)))
    for record in (late, moved):
        assert record.cases[0].close_reason is (CloseReason.WITHDRAWN if ends else CloseReason.NONE)
    other = opened(an_exception("x2", revision=1), record=after(withdrawn(revision)))
    assert other.cases[0].is_open


@pytest.mark.parametrize(("there", "ends"), [(4, False), (5, True), (6, True)])
def test_an_exception_without_anything_short_is_none(there, ends):
    (case,) = opened(an_exception(line=but(FIVE, quantity_available=there))).cases
    assert case.close_reason is (CloseReason.WITHDRAWN if ends else CloseReason.NONE)


def test_what_fails_at_the_door_is_the_delivery_whichever_line_is_named():
    (case,) = opened(an_exception(kind=Kind.DELIVERY_MISSED, line=a_line())).cases
    assert case.exception.line is None
    (case,) = opened().cases
    assert case.exception.line == a_line()


@pytest.mark.parametrize("there", [0, 1, 3])
def test_of_a_recalled_line_nothing_counts_as_there(there):
    (case,) = opened(an_exception(kind=Kind.RECALLED, line=but(FIVE, quantity_available=there))).cases
    assert (case.exception.line.quantity_available, case.quantity_short) == (0, 5)
    (case,) = after(amended(1, quantity_available=5), record=opened(case.exception)).cases
    assert case.quantity_short == 5


def test_a_recall_that_names_no_line_is_taken_up_as_well():
    (case,) = opened(an_exception(kind=Kind.RECALLED, line=None)).cases
    assert case.exception.line is None


# Rounds.


def test_a_substitute_that_failed_is_the_next_round_of_the_same_wish():
    record = opened()
    record.cases[0].round = 4
    again = an_exception("x2", supersedes="x1", line=a_line(line_id="L2"))
    assert opened(again, record=record).cases[1].round == 5
    unknown = an_exception("x2", supersedes="x7", line=a_line(line_id="L2"))
    assert opened(unknown, record=record).cases[1].round == 1


# The first move.


def test_the_holdout_gets_what_upstream_would_do_and_no_word_of_ours():
    record = opened()
    record.arm = Arm.HOLDOUT
    raised = an_exception("x2", line=a_line(line_id="L2"), upstream_default=UpstreamDefault.AUTO_SUBSTITUTE)
    case = opened(raised, record=record).cases[1]
    assert (case.decision.resolution, case.decision.actor) == (Resolution.SUBSTITUTED, Actor.DEFAULT)
    assert case.announced == "holdout"


@pytest.mark.parametrize("known", [True, False])
def test_a_deadline_that_has_passed_is_late_and_one_that_is_near_is_not(known):
    limit = SHELF["mid_pick_substitution@1"].write_margin
    for left, late in ((limit, True), (limit + timedelta(minutes=3), False)):
        raised = an_exception(fulfilment_deadline_at=NOON + left)
        (case,) = opened(raised, a_customer(known=known)).cases
        assert (case.late, case.is_open) == (late, not late)


def test_an_own_choice_that_costs_more_is_asked_about():
    wish = a_customer(own_choices=(OwnChoice(sku="bread-oak", instead="bread-hill"),), price_cap=pounds(500))
    (case,) = opened(an_exception(options=(an_option(),)), wish).cases
    assert (case.decision.resolution, case.decision.actor) == (
        Resolution.SUBSTITUTED,
        Actor.STORED_PREFERENCE,
    )
    (case,) = opened(an_exception(options=(an_option(unit_price=pounds(400)),)), wish).cases
    assert case.is_open


def test_only_an_open_question_lets_the_picker_wait():
    world = World()
    world.exception(an_exception())
    world.exception(an_exception("x2", line=a_line(line_id="L2"), options=()))
    assert [hold.state for hold in world.holds("x1")] == ["asking"]
    assert [hold.state for hold in world.holds("x2")] == ["move_on"]


# Responses.


def response(n: int) -> ResponseReceived:
    return ResponseReceived(
        event_id=f"response-{n}",
        order_id="order-1",
        channel=Channel.SMS,
        responder=Responder.CUSTOMER,
        received_at=NOON,
    )


def test_the_last_sixty_four_responses_are_told_apart():
    record = after(*[response(n) for n in range(64)], record=opened())
    assert len(record.responses) == 64
    assert after(response(0), record=record) is record
    record = after(response(64), record=record)
    assert len(record.responses) == 64
    assert after(response(1), record=record) is record
    assert after(response(0), record=record) is not record, "the oldest one was forgotten"


def test_a_response_to_an_order_without_a_case_is_dropped():
    record = after(withdrawn())
    assert after(response(1), record=record) is record


def test_the_record_that_goes_in_is_left_as_it_was():
    record = opened()
    before = replace(record, cases=[replace(case) for case in record.cases])
    after(withdrawn(), record=record)
    assert record == before
