"""What a call promises at every moment: it discloses first, commits only a readback that was heard, and always ends."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.dialogue.events import (
    Answered,
    Committed,
    Detected,
    Ended,
    HandedOff,
    Hangup,
    Interruption,
    Keys,
    NotThem,
    OptedOut,
    OptionGone,
    Presented,
    RecordingRefused,
    SettledElsewhere,
    Silence,
    StoppedElsewhere,
    Utterance,
)
from state.dialogue.hear import hear, second_wanted
from state.dialogue.moves import MOVES, Cause, moved
from state.dialogue.script import ENGLISH
from state.dialogue.session import TURNS_MAX, Stage, decoded, encoded
from state.understand.second import Proposal
from tests.dialogue.builders import a_call, a_line, an_option, bread, coffee, doorstep, rolls


def call(session, *events):
    """The session and everything said and brought about, after some events."""
    said, outcomes, say = [], [], None
    for event in events:
        session, say = hear(session, Utterance(event) if isinstance(event, str) else event, ENGLISH)
        said.append(say.text)
        outcomes += say.outcomes
    return session, said, outcomes, say


def committed(outcomes):
    return [o for o in outcomes if isinstance(o, Committed)]


def test_the_first_words_name_the_retailer_the_machine_and_the_recording():
    _, (greeting,), outcomes, say = call(a_call(), Answered())
    assert "Greenleaf" in greeting
    assert "AI voice" in greeting
    assert "recorded" in greeting
    assert "Sourdough" not in greeting
    assert say.record == ""
    assert outcomes == []


def test_recording_starts_only_after_its_announcement():
    _, _, _, say = call(a_call(), Answered(), "yes")
    assert say.record == "start"


def test_who_refuses_the_recording_is_not_recorded_and_goes_on():
    session, said, outcomes, say = call(a_call(), Answered(), "please don't record this")
    assert RecordingRefused() in outcomes
    assert say.record == "stop"
    assert "without recording" in said[-1]
    _, _, _, say = call(session, "yes")
    assert say.record == ""


def test_an_unwanted_recording_is_not_announced():
    _, (greeting,), _, _ = call(a_call(recording_wanted=False), Answered())
    assert "record" not in greeting


def test_the_readback_names_item_quantity_price_and_new_total_and_is_kept_word_for_word():
    _, said, outcomes, _ = call(a_call(coffee(quantity=2)), Answered(), "yes", "yes please", "yes")
    readback = said[2]
    for part in ("2 Kestrel Ground Coffee", "227 g", "Arbor Ground Coffee", "£9.00", "£49.00"):
        assert part in readback
    (decision,) = committed(outcomes)
    assert decision.readback == readback
    assert decision.script == "en-GB/1"
    assert decision.policy == "mid_pick_substitution@1"
    assert decision.offered == ("k1",)


def test_a_choice_alone_decides_nothing():
    session, _, outcomes, _ = call(a_call(), Answered(), "yes", "number two")
    assert session.stage is Stage.READBACK
    assert committed(outcomes) == []


@pytest.mark.parametrize(
    "answer",
    [
        "okay",
        "mm hmm",
        "i guess so",
        "yes but",
        "yes?",
        "number two",
        "fine",
        "thanks",
        "yes speaking",
        "yes i think so",
    ],
)
def test_no_half_hearted_answer_commits_a_readback(answer):
    session, _, outcomes, _ = call(a_call(), Answered(), "yes", "number two", answer)
    assert committed(outcomes) == []
    assert session.stage is Stage.READBACK


def test_a_yes_before_the_total_was_spoken_hears_it_again_first():
    session, said, outcomes, _ = call(
        a_call(), Answered(), "yes", "number two", Interruption("So that is Corner"), "yes"
    )
    assert committed(outcomes) == []
    assert "£41.60" in said[-1]
    _, _, outcomes, _ = call(session, "yes")
    assert [d.option_id for d in committed(outcomes)] == ["o2"]


def test_the_same_holds_for_key_1():
    _, _, outcomes, _ = call(a_call(), Answered(), "yes", "number two", Interruption("So that"), Keys("1"))
    assert committed(outcomes) == []


def test_an_interruption_after_the_total_changes_nothing():
    session, said, _, _ = call(a_call(), Answered(), "yes", "number two")
    _, _, outcomes, _ = call(session, Interruption(said[-1][:-20]), "yes")
    assert len(committed(outcomes)) == 1


def test_the_readback_that_is_kept_is_the_readback_even_after_a_pause():
    _, said, outcomes, _ = call(a_call(), Answered(), "yes", "number two", "hang on a second", "yes")
    assert committed(outcomes)[0].readback == said[2]


def test_a_yes_that_the_recogniser_doubts_is_asked_again():
    session, _, outcomes, _ = call(a_call(), Answered(), "yes", "number two", Utterance("yes", 0.2))
    assert committed(outcomes) == []
    assert session.stage is Stage.READBACK


def test_two_quick_keys_are_no_choice_and_yes():
    _, _, outcomes, _ = call(a_call(), Answered(), Keys("1"), Keys("11"))
    assert committed(outcomes) == []


def test_an_opt_out_inside_a_yes_is_an_opt_out_first():
    _, _, outcomes, say = call(a_call(), Answered(), "yes", "number two", "yes and stop calling me")
    assert committed(outcomes) == []
    assert any(isinstance(o, OptedOut) for o in outcomes)
    assert say.ending == "hang_up"


def test_lines_are_settled_by_deadline_worst_first():
    _, said, _, _ = call(a_call(rolls(), bread(), coffee()), Answered(), "yes")
    assert said[-1].startswith("Wheatley")


def test_the_total_of_a_later_line_counts_what_was_settled_before():
    _, said, outcomes, _ = call(
        a_call(bread(), coffee()), Answered(), "yes", "number two", "yes", "yes please", "yes"
    )
    # 40.00 without either; the bread for 1.60 instead of a total of 43.00, and the coffee for 4.50.
    assert "£43.10" in said[4]
    assert [d.case_id for d in committed(outcomes)] == ["x1", "x3"]


def test_a_hangup_keeps_what_was_committed_and_voids_the_readback():
    _, _, outcomes, say = call(
        a_call(bread(), coffee()), Answered(), "yes", "2", "yes", "yes please", Hangup()
    )
    assert [d.case_id for d in committed(outcomes)] == ["x1"]
    assert outcomes[-1] == Ended("hung_up", ("x3",))
    assert say.ending == "hang_up"


def test_a_refused_readback_is_no_failure():
    session, _, _, _ = call(
        a_call(), Answered(), "yes", "number two", "no", "number one", "no", "number two", "no"
    )
    assert session.failures == 0
    assert session.stage is Stage.CHOICE


def test_two_failures_lead_to_the_keys_and_two_more_to_a_person():
    session, said, _, _ = call(a_call(), Answered(), "yes", "the weather is nice", "the weather is nice")
    assert "keys" in said[-1]
    _, _, outcomes, say = call(session, "the weather is nice", "the weather is nice")
    assert any(isinstance(o, HandedOff) for o in outcomes)
    assert say.ending == "transfer"


def test_a_hand_over_has_a_summary_without_the_name():
    _, _, outcomes, _ = call(
        a_call(bread(), coffee()), Answered(), "yes", "2", "yes", "i want to talk to a person"
    )
    (handed,) = (o for o in outcomes if isinstance(o, HandedOff))
    assert "Corner Shop White Sourdough" in handed.summary
    assert "Arbor Ground Coffee 227 g: open; offered Kestrel Ground Coffee" in handed.summary
    assert "Sam" not in handed.summary


@pytest.mark.parametrize(
    "said",
    [
        "who is this",
        "why are you calling",
        "what is the price",
        "is this a scam",
        "are you a robot",
        "what else have you got",
    ],
)
def test_nothing_of_the_order_is_told_before_we_know_who_listens(said):
    _, told, outcomes, _ = call(a_call(), Answered(), said)
    assert "Sourdough" not in " ".join(told)
    assert not any(isinstance(o, Presented) for o in outcomes)


def test_an_unregistered_household_member_hears_nothing():
    _, told, outcomes, _ = call(a_call(), Answered(), "no this is her son")
    assert NotThem("household") in outcomes
    assert "Sourdough" not in " ".join(told)


def test_late_detection_of_a_machine_does_not_cut_off_a_person_who_speaks():
    session, _, outcomes, _ = call(a_call(), Answered(), "yes", Detected("machine"))
    assert session.stage is Stage.CHOICE
    assert not any(isinstance(o, Ended) for o in outcomes)


def test_unknown_detection_is_treated_as_a_person():
    session, _, _, say = call(a_call(), Answered(), Detected("unknown"))
    assert session.stage is Stage.PERSON
    assert say.ending == ""


def test_a_machine_hears_no_content_of_the_basket():
    _, told, _, say = call(a_call(), Answered(), Detected("machine"))
    assert "Sourdough" not in " ".join(told)
    assert say.ending == "hang_up"


def test_a_code_is_listened_to_in_private():
    _, _, _, say = call(a_call(incoming=True, order_tail="5678"), Answered())
    assert say.private
    assert say.keys_max == 4


def test_letters_of_a_code_can_be_typed_on_a_keypad():
    session, _, _, _ = call(a_call(incoming=True, order_tail="AB12"), Answered(), Keys("2212"))
    assert session.stage is Stage.CHOICE


def test_a_call_without_an_order_tail_cannot_be_opened_by_silence_or_an_empty_code():
    session, _, _, _ = call(a_call(incoming=True, order_tail=""), Answered(), "", Keys(""))
    assert session.stage is Stage.CODE


def test_an_option_that_ran_out_is_never_committed():
    session, said, _, _ = call(a_call(), Answered(), "yes", "number two", OptionGone("x1", "o2"))
    assert "run out" in said[-1]
    assert "Corner Shop" not in said[-1]
    _, _, outcomes, _ = call(session, "yes", "yes")
    assert all(d.option_id != "o2" for d in committed(outcomes))


def test_when_all_options_run_out_a_refund_is_read_back():
    session, said, _, _ = call(a_call(coffee()), Answered(), "yes", OptionGone("x3", "k1"))
    assert "nothing similar" in said[-1]
    assert session.stage is Stage.READBACK
    _, _, outcomes, _ = call(session, "yes")
    assert committed(outcomes)[0].option_id is None


def test_a_line_settled_elsewhere_is_told_and_left():
    session, said, outcomes, _ = call(
        a_call(bread(), coffee()), Answered(), "yes", "number two", SettledElsewhere("x1", "decided")
    )
    assert "settled by another message" in said[-1]
    assert session.line.case_id == "x3"
    assert committed(outcomes) == []


def test_only_admissible_options_are_ever_offered():
    session, _, outcomes, _ = call(
        a_call(rolls()),
        Answered(),
        "yes",
        "anything cheaper",
        "something bigger",
        "what else",
        "other brands",
    )
    ids = {o.option_id for o in session.line.options}
    assert {i for o in outcomes if isinstance(o, Presented) for i in o.option_ids} <= ids


def test_a_line_without_an_option_or_a_refund_goes_to_a_person():
    line = a_line(options=(an_option(),), refund_allowed=False)
    _, _, outcomes, say = call(a_call(line), Answered(), "yes", OptionGone("x1", "o1"))
    assert any(isinstance(o, HandedOff) and o.reason == "no_choice" for o in outcomes)
    assert say.ending == "transfer"


def test_a_second_understanding_is_asked_only_where_the_first_hears_nothing():
    greeted, _, _, _ = call(a_call(), Answered())
    assert second_wanted(greeted, "blorptious wibble") is None
    session, _, _, _ = call(greeted, "yes")
    assert second_wanted(session, "number two please") is None
    assert second_wanted(session, "stop calling me") is None
    assert [o.n for o in second_wanted(session, "the one my nan likes")] == [1, 2]


def test_fewer_pieces_are_read_back_with_the_refund_of_the_rest():
    _, said, outcomes, _ = call(a_call(coffee(quantity=3)), Answered(), "yes", "just two of them", "yes")
    assert "2 Kestrel" in said[2]
    assert "other 1" in said[2]
    assert "£49.00" in said[2]
    assert committed(outcomes)[0].quantity == 2


def test_more_pieces_than_were_ordered_are_not_offered():
    session, _, outcomes, _ = call(a_call(coffee(quantity=2)), Answered(), "yes", "i want five of them")
    assert session.stage is Stage.CHOICE
    assert committed(outcomes) == []


def test_a_smaller_pack_is_not_called_cheaper():
    options = (
        an_option("a", "Big Oats", "Big", "1 kg", 300, unit_price_minor=300),
        an_option("b", "Small Oats", "Small", "200 g", 200, unit_price_minor=1_000),
    )
    _, said, _, _ = call(a_call(a_line(options=options)), Answered(), "yes", "have you got anything cheaper")
    assert "holds less for the money" in said[-1]


def test_unknown_allergens_are_never_called_safe():
    _, said, _, _ = call(a_call(rolls()), Answered(), "yes", "does the second one contain nuts")
    assert "no allergen data" in said[-1]


def test_a_delivery_has_no_refund_where_none_is_allowed():
    _, said, outcomes, _ = call(a_call(doorstep()), Answered(), "yes", "refund please")
    assert "does not offer a refund" in said[-1]
    assert committed(outcomes) == []


def test_a_delivery_that_may_be_refunded_is_cancelled_by_a_yes_to_just_that():
    session, said, outcomes, _ = call(
        a_call(doorstep(refund_allowed=True)), Answered(), "yes", "i want my money back", "yes"
    )
    assert "0 to cancel it" in said[1]
    assert "it is cancelled, and you do not pay" in said[2]
    [decision] = committed(outcomes)
    assert decision.option_id is None
    assert session.stage is Stage.ENDED


@pytest.mark.parametrize(
    ("words", "pieces"),
    [
        ("just one please", 1),
        ("only two please", 2),
        ("make it two", 2),
        ("i only need one thanks", 1),
        ("could you make it two instead", 2),
        ("just two packs of the kestrel please", 2),
        ("one is enough", 1),
    ],
)
def test_fewer_is_heard_in_many_words_and_read_back(words: str, pieces: int):
    _, said, outcomes, _ = call(a_call(coffee(quantity=3)), Answered(), "yes", words, "yes")
    assert f"So that is {pieces} Kestrel" in said[2]
    assert committed(outcomes)[0].quantity == pieces


@pytest.mark.parametrize("words", ["just one second", "just one moment please", "only one question"])
def test_a_number_of_something_else_is_no_number_of_pieces(words: str):
    session, _, outcomes, _ = call(a_call(coffee(quantity=3)), Answered(), "yes", words)
    assert session.stage is Stage.CHOICE
    assert committed(outcomes) == []


def test_stop_on_another_channel_ends_the_call_and_its_open_readback():
    session, said, outcomes, _ = call(a_call(), Answered(), "yes", "number one", StoppedElsewhere())
    assert session.stage is Stage.ENDED
    assert "will not call or text you" in said[-1]
    assert committed(outcomes) == []


def test_a_proposal_of_a_second_understanding_leads_to_a_question_only():
    said = Utterance("the one my nan likes", second=Proposal("choose", 1.0, 2))
    session, told, outcomes, _ = call(a_call(), Answered(), "yes", said)
    assert session.stage is Stage.READBACK
    assert "Corner Shop" in told[-1]
    assert committed(outcomes) == []
    yes = Utterance("blorptious", second=Proposal("accept", 1.0))
    _, _, outcomes, _ = call(session, yes)
    assert committed(outcomes) == []


def test_a_name_with_braces_in_it_names_no_placeholder():
    line = a_line(item="{total} {retailer} bread", options=(an_option(name="{price} loaf"),))
    _, said, _, _ = call(a_call(line), Answered(), "yes")
    assert "{total} {retailer} bread" in said[-1]
    assert "{price} loaf" in said[-1]


def test_a_call_that_is_over_answers_nothing_more():
    session, _, _, _ = call(a_call(), Answered(), Hangup())
    again, (said,), outcomes, say = call(session, "yes")
    assert (again, said, outcomes, say.ending) == (session, "", [], "hang_up")


def test_the_words_have_to_be_those_that_the_session_names():
    with pytest.raises(ValueError, match="speaks by"):
        hear(a_call(script="de-DE/7"), Answered(), ENGLISH)


def test_a_session_is_small_and_survives_its_encoding():
    session, _, _, _ = call(a_call(rolls(), bread(), coffee()), Answered(), "yes", "number two")
    assert decoded(encoded(session)) == session
    assert len(encoded(session)) < 4_000


def test_the_law_has_no_stage_without_a_way_out():
    for stage in Stage:
        if stage is not Stage.ENDED:
            assert (stage, Cause.HUNG_UP) in MOVES


def test_a_move_that_the_law_does_not_know_is_a_bug():
    with pytest.raises(KeyError):
        moved(a_call(), Cause.SETTLED)


EVENTS = st.one_of(
    st.sampled_from(
        ["yes", "no", "number two", "the second", "refund", "none", "repeat", "what's the price", "cheaper", "what else", "go back", "hang on",
         "just one", "two of them", "the panda", "i guess so", "yes but", "yes speaking", "she's not here", "my mum is out", "ok", "", "thrifty",
         "don't record", "who is this", "other brand", "the usual"]
    ).map(Utterance),
    st.text(max_size=40).map(Utterance),
    st.text("0123456789*#", max_size=3).map(Keys),
    st.just(Silence()),
    st.text(max_size=60).map(Interruption),
    st.sampled_from(["person", "machine", "unknown", "fax"]).map(Detected),
    st.builds(SettledElsewhere, st.sampled_from(["x1", "x2", "x3", "nope"]), st.sampled_from(["decided", "withdrawn", "expired"])),
    st.builds(OptionGone, st.sampled_from(["x1", "x2", "nope"]), st.sampled_from(["o1", "o2", "r1", "r4", "nope"])),
)  # fmt: skip


@given(st.lists(EVENTS, max_size=60), st.booleans())
def test_whatever_is_heard_only_a_yes_or_key_1_to_a_readback_commits_and_every_call_ends(events, incoming):
    session = a_call(bread(), rolls(), coffee(quantity=2), incoming=incoming, order_tail="5678")
    session, _ = hear(session, Answered(), ENGLISH)
    for event in events:
        before = session
        session, say = hear(session, event, ENGLISH)
        for decision in committed(say.outcomes):
            assert before.stage is Stage.READBACK
            assert before.heard_out
            assert decision.readback == before.said_back
            assert (isinstance(event, Keys) and event.digits == "1") or (
                isinstance(event, Utterance) and any(w in event.text.split() for w in ("yes", "yeah", "yep"))
            )
            assert decision.option_id not in before.withdrawn
            assert decision.case_id not in before.gone
        assert session.turns <= TURNS_MAX + 1
        if say.ending:
            assert session.stage is Stage.ENDED
            assert msgspec.msgpack.decode(encoded(session), type=type(session)) == session
            break
