"""What callers do besides choosing: each is answered, and the call goes on or ends as it should."""

import pytest

from state.dialogue.events import (
    Answered,
    Committed,
    Detected,
    Ended,
    HandedOff,
    Keys,
    LinkWanted,
    MessageLeft,
    NotThem,
    OptedOut,
    OptionGone,
    SettledElsewhere,
    Silence,
)
from state.dialogue.session import REFUND, Stage
from state.understand.second import Proposal
from tests.dialogue.builders import a_call, bread, coffee, doorstep, rolls
from tests.dialogue.test_hear import call, committed


def known(*lines, **fields):
    """A call whose caller has said who they are."""
    return call(a_call(*lines, **fields), Answered(), "yes")[0]


def told(session, *events):
    return call(session, *events)[1][-1]


def test_a_caller_without_a_name_is_asked_whether_they_placed_the_order():
    assert "the person who placed it" in told(a_call(called=""), Answered())


def test_a_first_word_instead_of_silence_is_greeted():
    assert "AI voice" in told(a_call(), "hello")


def test_a_machine_that_calls_us_is_hung_up_on():
    _, said, outcomes, say = call(a_call(incoming=True, order_tail="5678"), Answered(), Detected("machine"))
    assert say.ending == "hang_up"
    assert said[-1] == ""
    assert not any(isinstance(o, MessageLeft) for o in outcomes)


def test_a_fax_is_hung_up_on():
    assert call(a_call(), Answered(), Detected("fax"))[3].ending == "hang_up"


SCREENER = "record your name and reason for calling and I'll see if this person is available"


def test_a_screener_that_turns_into_a_voicemail_gets_the_callback():
    _, _, outcomes, _ = call(a_call(), Answered(), SCREENER, "please leave a message after the tone")
    assert any(isinstance(o, MessageLeft) for o in outcomes)


def test_a_screener_that_asks_again_is_told_again():
    session, said, _, _ = call(a_call(), Answered(), SCREENER, SCREENER)
    assert session.stage is Stage.SCREENED
    assert "question about today's order" in said[-1]


def test_keys_say_who_is_there():
    session, _, _, _ = call(a_call(), Answered(), Keys("2"))
    assert session.stage is Stage.WHO
    assert NotThem("wrong_number") in call(session, Keys("1"))[2]
    assert NotThem("absent") in call(session, Keys("2"))[2]
    assert call(session, Keys("7"))[0].stage is Stage.WHO


def test_somebody_who_comes_to_the_phone_after_all_goes_on():
    session, _, _, _ = call(a_call(), Answered(), "no", "yes speaking")
    assert session.stage is Stage.CHOICE


def test_who_does_not_say_who_they_are_is_asked_twice_and_then_sent_a_link():
    _, said, outcomes, _ = call(a_call(), Answered(), "no", *["the weather is lovely"] * 4)
    assert any(isinstance(o, LinkWanted) for o in outcomes)
    assert "Sourdough" not in " ".join(said)


def test_when_everything_was_settled_meanwhile_the_call_ends_kindly():
    _, said, outcomes, _ = call(a_call(), Answered(), SettledElsewhere("x1", "withdrawn"), "yes")
    assert "Nothing about your order" in said[-1]
    assert outcomes[-1] == Ended("settled", ())


def test_a_star_says_it_again():
    session = known()
    assert told(session, Keys("*")) == session.last


def test_key_2_refuses_a_readback_and_key_0_turns_it_into_a_refund():
    session = call(known(), Keys("1"))[0]
    assert call(session, Keys("2"))[0].stage is Stage.CHOICE
    assert call(session, Keys("0"))[0].pending == REFUND


def test_wanting_a_refund_instead_is_read_back():
    assert call(known(), "number one", "no just refund it")[0].pending in (REFUND, 0)
    session = call(known(), "number one", "refund please")[0]
    assert session.pending == REFUND
    assert session.stage is Stage.READBACK


def test_yes_to_several_options_is_asked_which():
    assert "Which one" in told(known(), "yes please")


def test_the_options_can_be_asked_for():
    assert "Baker's Row" in told(known(), "what are my options")


def test_a_size_can_be_asked_for_at_the_readback():
    answer = told(known(), "number two", "how big is it")
    assert "Corner Shop White Sourdough: 500 g" in answer
    assert "So that is" in answer


def test_an_option_that_costs_nothing_says_so():
    assert "nothing extra" in told(known(doorstep()), "how much is it")


def test_why_is_answered_by_what_is_the_matter():
    assert "not there when" in told(known(), "why is that")
    assert "delivery" in told(known(doorstep()), "why is that")


def test_no_listed_allergen_is_not_called_safe():
    answer = told(known(rolls()), "does the first one contain nuts")
    assert "lists no allergen" in answer
    assert "check the label" in answer


def test_when_a_refund_arrives_is_answered_without_a_promise():
    assert "back to the way you paid" in told(known(), "when would i get the refund")


def test_a_question_that_cannot_be_answered_leads_to_a_person():
    _, _, outcomes, _ = call(known(), *["do you like football"] * 4)
    assert any(isinstance(o, HandedOff) for o in outcomes)


def test_a_number_of_pieces_is_asked_which_of():
    session = known(two_of_each())
    told_then = told(session, "just one of them")
    assert "1 of which one" in told_then
    session = call(session, "just one of them", "the second")[0]
    assert session.wanted == 1
    assert "other 1" in session.said_back


def test_fewer_pieces_can_be_asked_for_at_the_readback():
    session = call(known(coffee(quantity=3)), "yes please", "just two of them")[0]
    assert session.wanted == 2
    assert session.stage is Stage.READBACK


def test_pieces_without_a_known_total_are_not_split():
    session = call(known(coffee(quantity=3, options=coffee(quantity=1).options)), "just two of them")[0]
    assert session.stage is Stage.CHOICE


def test_a_wish_at_the_readback_goes_back_to_the_choice():
    session, said, _, _ = call(known(rolls()), "the first one", "have you got anything cheaper")
    assert "Thrifty" in said[-1]
    assert committed([]) == []
    assert session.stage is Stage.CHOICE


def test_wishes_that_nothing_meets_say_so():
    assert "all that I have" in told(known(), "what else have you got")
    assert "do not know what you usually" in told(known(rolls()), "the usual")
    assert "nothing like that" in told(known(coffee()), "have you got anything cheaper")


def test_cheaper_than_what_was_read_out_is_found_among_all_that_is_admissible():
    session, said, _, _ = call(known(rolls()), "the cheapest please")
    assert "Thrifty" in said[-1]
    assert session.stage in (Stage.CHOICE, Stage.READBACK)


def test_a_proposed_refund_is_only_asked_about():
    from state.dialogue.events import Utterance

    session, _, outcomes, _ = call(known(), Utterance("sort it out will you", second=Proposal("refund", 1.0)))
    assert session.pending == REFUND
    assert session.stage is Stage.READBACK
    assert not any(isinstance(o, Committed) for o in outcomes)


def test_another_option_may_run_out_while_one_is_read_back():
    session, said, _, _ = call(known(), "number two", OptionGone("x1", "o1"))
    assert said[-1] == ""
    assert [o.option_id for o in session.offered] == ["o2"]
    assert call(session, "yes")[2][0].option_id == "o2"


def test_opting_out_works_instead_of_a_code():
    assert any(
        isinstance(o, OptedOut)
        for o in call(a_call(incoming=True, order_tail="5678"), Answered(), "stop calling me")[2]
    )


def test_when_no_colleague_is_free_a_link_is_sent():
    _, said, outcomes, say = call(known(staff_available=False), "i want to talk to a person")
    assert LinkWanted("no_staff") in outcomes
    assert say.ending == "hang_up"
    assert "link" in said[-1]


def test_a_summary_tells_what_was_settled_elsewhere():
    session = known(bread(), coffee())
    _, _, outcomes, _ = call(session, SettledElsewhere("x3", "decided"), Keys("9"))
    (handed,) = (o for o in outcomes if isinstance(o, HandedOff))
    assert "Arbor Ground Coffee 227 g: settled elsewhere" in handed.summary


@pytest.mark.parametrize("stage_events", [(), ("yes",), ("yes", "number two"), ("no",)])
def test_silence_is_borne_a_few_times_at_every_stage_and_then_ends(stage_events):
    session = call(a_call(), Answered(), *stage_events)[0]
    _, _, outcomes, say = call(session, *[Silence()] * 4)
    assert say.ending == "hang_up"
    assert any(isinstance(o, LinkWanted) for o in outcomes)


def two_of_each():
    from tests.dialogue.builders import a_line, an_option

    options = (
        an_option("p1", "Plain Oats", "Plain", "1 kg", 200, quantity=2),
        an_option("q1", "Quick Oats", "Quick", "500 g", 150, quantity=2),
    )
    return a_line("x5", "Rolled Oats 1 kg", options, quantity=2)
