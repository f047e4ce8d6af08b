"""After the write: fulfilment is triggered, the proof is sealed, and neither waits for the other."""

import pytest

from schemas.commands import EvidenceRequest, FulfilmentTrigger
from schemas.events import Answer
from schemas.facts import OwnChoice
from schemas.words import (
    CaseState,
    Channel,
    EvidencePart,
    EvidencePath,
    Kind,
    ReceiptState,
    Resolution,
    Responder,
    TriggerKind,
    TriggerState,
    WriteBackOutcome,
)
from tests.builders import a_customer, an_exception
from tests.scenarios.world import World

MANIFEST, MESSAGES, CONFIRMATION = EvidencePart.MANIFEST, EvidencePart.MESSAGES, EvidencePart.CONFIRMATION
CALL_LOG, TRANSCRIPT, RECORDING = EvidencePart.CALL_LOG, EvidencePart.TRANSCRIPT, EvidencePart.RECORDING


def asked(**facts) -> World:
    world = World()
    world.exception(an_exception(), a_customer(**facts))
    world.fast_forward(seconds=20)
    return world


def on_the_phone() -> World:
    """Nobody answered in writing; the call was taken."""
    world = asked()
    world.fast_forward(minutes=3)
    call = world.expect_call()
    world.receipt(call, ReceiptState.RINGING, sequence=1)
    world.receipt(call, ReceiptState.ANSWERED, sequence=2)
    return world


def hangs_up(world: World, **more) -> None:
    world.receipt(world.sent(Channel.VOICE)[-1], ReceiptState.COMPLETED, sequence=3, **more)


# Triggers.


@pytest.mark.parametrize(
    ("option_id", "kind", "quantity"), [("corner", TriggerKind.RELEASE, 0), ("", TriggerKind.REFUND, 1)]
)
def test_each_resolution_pulls_its_own_trigger(option_id, kind, quantity):
    world = asked()
    if option_id:
        world.taps(option_id)
    else:
        world.texts("0")
    (trigger,) = world.of(FulfilmentTrigger)
    assert (trigger.kind, trigger.quantity, trigger.supersedes) == (kind, quantity, "")


def test_accepted_is_not_done():
    world = asked()
    world.fulfilment = TriggerState.ACCEPTED
    world.taps("corner")
    assert world.last_change().missing == ("trigger",)
    world.fulfilment_says(world.of(FulfilmentTrigger)[0], TriggerState.DONE)
    world.expect_done()


def test_a_late_acceptance_does_not_undo_what_is_done():
    world = asked()
    world.taps("corner")
    world.fulfilment_says(world.of(FulfilmentTrigger)[0], TriggerState.ACCEPTED)
    world.expect_done()


def test_a_refused_trigger_is_handed_to_people_and_may_still_be_done():
    world = asked()
    world.fulfilment = None
    world.taps("corner")
    (trigger,) = world.of(FulfilmentTrigger)
    world.fulfilment_says(trigger, TriggerState.REFUSED, reason="the van has left")
    assert world.last_change().stuck == "fulfilment refused: the van has left"
    assert len(world.sent(Channel.PERSON)) == 1
    world.fulfilment_says(trigger, TriggerState.DONE)
    world.expect_done()
    assert world.last_change().stuck == ""


def test_the_same_refusal_twice_is_one_task():
    world = asked()
    world.fulfilment = None
    world.taps("corner")
    for _ in range(2):
        world.fulfilment_says(world.of(FulfilmentTrigger)[0], TriggerState.REFUSED, "bin full")
    assert len(world.sent(Channel.PERSON)) == 1


def test_a_word_of_fulfilment_that_is_newer_than_we_are_changes_nothing():
    world = asked()
    world.fulfilment = None
    world.taps("corner")
    assert world.fulfilment_says(world.of(FulfilmentTrigger)[0], TriggerState.UNKNOWN) == []
    assert world.last_change().missing == ("trigger",)


def refused_and_repaired() -> World:
    """Fulfilment refused, and a person says that it was done by hand."""
    world = asked()
    world.fulfilment = None
    world.taps("corner")
    world.fulfilment_says(world.of(FulfilmentTrigger)[0], TriggerState.REFUSED, "bin full")
    world.receipt(world.sent(Channel.PERSON)[0], ReceiptState.DONE)
    return world


def test_a_refused_trigger_that_a_person_repaired_is_no_longer_stuck():
    world = refused_and_repaired()
    assert world.last_change().stuck == ""
    assert world.last_change().missing == ("trigger",), "only fulfilment's own word makes it done"
    world.fulfilment_says(world.of(FulfilmentTrigger)[0], TriggerState.DONE)
    world.expect_done()


def test_a_repair_of_which_fulfilment_says_nothing_is_stuck_again():
    world = refused_and_repaired()
    world.fast_forward(minutes=20)
    assert world.last_change().stuck == "nothing was heard of: trigger"
    assert len(world.sent(Channel.PERSON)) == 2


def test_a_change_pulls_a_new_trigger_that_names_the_one_it_supersedes():
    world = asked()
    world.taps("corner")
    world.taps("hillside", version=1)
    first, second = world.of(FulfilmentTrigger)
    assert (second.supersedes, second.decision_version) == (first.command_id, 2)
    world.expect_done()


def test_a_third_choice_supersedes_the_trigger_that_was_pulled_last():
    world = asked()
    world.taps("corner")
    world.oms = None
    world.taps("hillside", version=1)
    world.oms = WriteBackOutcome.APPLIED
    world.taps("corner", version=2)
    first, second = world.of(FulfilmentTrigger)
    assert (second.supersedes, second.decision_version) == (first.command_id, 3)


def test_the_receipt_of_an_earlier_trigger_does_not_count_for_the_later_one():
    world = asked()
    world.fulfilment = None
    world.taps("corner")
    world.taps("hillside", version=1)
    first, second = world.of(FulfilmentTrigger)
    world.fulfilment_says(first, TriggerState.DONE)
    assert world.last_change().missing == ("trigger",)
    world.fulfilment_says(second, TriggerState.DONE)
    world.expect_done()


def test_what_was_not_charged_yet_may_still_be_replaced_after_its_refund():
    world = asked()
    world.texts("0")
    world.fast_forward(seconds=30)
    world.taps("corner", version=1)
    world.expect_decision(Resolution.SUBSTITUTED, version=2)


def test_silence_of_the_fulfilment_makes_the_case_stuck_after_ten_minutes():
    world = asked()
    world.fulfilment = None
    world.taps("corner")
    world.fast_forward(minutes=9, seconds=59)
    assert world.last_change().stuck == ""
    world.fast_forward(seconds=1)
    assert world.last_change().stuck == "nothing was heard of: trigger"


# Evidence.


def test_a_tap_leaves_the_manifest_the_messages_and_the_confirmation():
    world = asked()
    world.taps("corner")
    (request,) = world.of(EvidenceRequest)
    assert request.path is EvidencePath.DIGITAL
    assert set(request.parts) == {MANIFEST, MESSAGES, CONFIRMATION}
    assert request.commands == world.record().commands


def test_a_default_has_no_confirmation_but_the_log_of_every_call():
    world = asked()
    world.fast_forward(minutes=10)
    (request,) = world.of(EvidenceRequest)
    assert request.path is EvidencePath.DEFAULT
    assert set(request.parts) == {MANIFEST, MESSAGES, CALL_LOG}


def test_a_default_without_any_call_has_no_log_of_calls():
    world = World()
    world.exception(an_exception(options=()))
    (request,) = world.of(EvidenceRequest)
    assert set(request.parts) == {MANIFEST, MESSAGES}


def test_a_stored_preference_leaves_its_own_path():
    world = asked(own_choices=(OwnChoice(sku="bread-oak", instead="bread-hill"),))
    (request,) = world.of(EvidenceRequest)
    assert request.path is EvidencePath.STORED_PREFERENCE
    assert set(request.parts) == {MANIFEST, MESSAGES}


def test_a_decision_of_staff_leaves_its_own_path():
    world = asked()
    answer = Answer(case_id="x1", option_id="corner", decision_version=0)
    world.answers(answer, channel=Channel.PERSON, responder=Responder.STAFF)
    (request,) = world.of(EvidenceRequest)
    assert request.path is EvidencePath.PERSON


def test_a_call_is_sealed_with_transcript_and_recording_after_it_ended():
    world = on_the_phone()
    world.says("corner")
    assert world.of(EvidenceRequest) == []
    hangs_up(world, recorded=True)
    (request,) = world.of(EvidenceRequest)
    assert request.path is EvidencePath.VOICE
    assert set(request.parts) == {MANIFEST, MESSAGES, CONFIRMATION, CALL_LOG, TRANSCRIPT, RECORDING}
    world.expect_done()


def test_whoever_refuses_the_recording_is_done_without_it():
    world = on_the_phone()
    world.says("corner")
    hangs_up(world, recording_refused=True)
    (request,) = world.of(EvidenceRequest)
    assert request.recording_refused
    assert RECORDING not in request.parts
    world.expect_done()


def test_the_write_does_not_wait_for_the_end_of_the_call():
    world = on_the_phone()
    world.says("corner")
    assert world.last_change().missing == ("evidence",)
    assert [t.kind for t in world.of(FulfilmentTrigger)] == [TriggerKind.RELEASE]


def test_a_call_whose_end_is_never_reported_is_sealed_all_the_same():
    world = on_the_phone()
    world.says("corner")
    world.fast_forward(minutes=7.5)
    assert len(world.of(EvidenceRequest)) == 1
    world.expect_done()


def test_the_recording_of_a_long_call_is_not_left_out():
    world = on_the_phone()
    world.says("corner")
    world.fast_forward(minutes=3)
    hangs_up(world, recorded=True)
    (request,) = world.of(EvidenceRequest)
    assert RECORDING in request.parts
    world.expect_done()


def test_a_tap_after_an_unanswered_call_keeps_the_log_of_that_call():
    world = asked()
    world.fast_forward(minutes=3)
    world.receipt(world.expect_call(), ReceiptState.NO_ANSWER, sequence=2)
    world.taps("corner")
    (request,) = world.of(EvidenceRequest)
    assert set(request.parts) == {MANIFEST, MESSAGES, CONFIRMATION, CALL_LOG}


def test_a_store_that_is_down_delays_neither_the_write_nor_the_release():
    world = asked()
    world.store_works = False
    world.taps("corner")
    assert world.last_change().missing == ("evidence",)
    assert world.case().written_at is not None
    assert world.case().triggered_at is not None


def test_evidence_that_stays_out_makes_the_case_stuck_after_fifteen_minutes_and_not_before():
    world = asked()
    world.store_works = False
    world.taps("corner")
    world.fast_forward(minutes=14, seconds=59)
    assert world.last_change().stuck == ""
    world.fast_forward(seconds=1)
    assert world.last_change().stuck == "nothing was heard of: evidence"
    assert len(world.sent(Channel.PERSON)) == 1


def test_evidence_that_comes_late_ends_the_trouble():
    world = asked()
    world.store_works = False
    world.taps("corner")
    world.fast_forward(minutes=30)
    world.evidence_stored(world.of(EvidenceRequest)[0])
    world.expect_done()
    assert world.last_change().stuck == ""


def test_evidence_that_lacks_a_part_says_which():
    world = asked()
    world.store_works = False
    world.taps("corner")
    world.evidence_stored(world.of(EvidenceRequest)[0], missing=(CONFIRMATION,))
    assert world.last_change().stuck == "the evidence lacks: confirmation"


def test_evidence_that_a_person_completed_is_waited_for_once_more():
    world = asked()
    world.store_works = False
    world.taps("corner")
    (request,) = world.of(EvidenceRequest)
    world.evidence_stored(request, missing=(CONFIRMATION,))
    world.receipt(world.sent(Channel.PERSON)[0], ReceiptState.DONE)
    assert (world.last_change().stuck, world.last_change().missing) == ("", ("evidence",))
    world.evidence_stored(request)
    world.expect_done()


def test_evidence_of_an_earlier_version_is_not_the_later_ones():
    world = asked()
    world.store_works = False
    world.taps("corner")
    world.taps("hillside", version=1)
    first, second = world.of(EvidenceRequest)
    world.evidence_stored(first)
    assert world.last_change().missing == ("evidence",)
    world.evidence_stored(second)
    world.expect_done()


def test_the_pointer_is_shown_with_the_case():
    world = asked()
    world.taps("corner")
    pointer = world.last_change().evidence
    assert (pointer.bucket, pointer.key) == ("evidence", world.of(EvidenceRequest)[0].command_id)


def test_a_stuck_case_is_not_lost_with_its_record():
    world = asked()
    world.store_works = False
    world.taps("corner")
    world.fast_forward(days=8)
    assert world.records == {}
    assert (world.last_change().state, world.last_change().close_reason) == (CaseState.CLOSED, "stuck")


def test_a_refund_at_the_door_is_triggered_as_one():
    world = World()
    world.exception(an_exception(kind=Kind.REFUSED_AT_DOOR))
    world.answers(Answer(case_id="x1", key=0, decision_version=0))
    assert [t.kind for t in world.of(FulfilmentTrigger)] == [TriggerKind.REFUND]
