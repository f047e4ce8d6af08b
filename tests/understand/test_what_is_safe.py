"""Nothing that a customer did not clearly say is ever committed."""

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.understand import COMMITS, Offer, confirms, understand
from state.understand.classify import CLASSES
from state.understand.explain import commit
from state.understand.report import Tally
from streams.understanding import offers_of
from tests.understand.speech import (
    ACCEPTING,
    BREAD,
    COFFEE,
    DOORSTEP,
    MILK,
    NAMED,
    REFUNDING,
    ROLLS,
    SHELVES,
    SPOILING,
    TEA,
    TRICKY,
    choices,
    commits,
)

DATA = Path(__file__).parent / "data"
EGGS = (Offer(1, "Hollow Farm Free Range Eggs", 260), Offer(2, "Meadow Lane Eggs", 180))
MINCE = (Offer(1, "Lean Mince 5% Fat", 410, "500 g"), Offer(2, "Mince 12% Fat", 310, "2 x 500 g"))
DAYS = (
    Offer(1, "Redeliver tomorrow morning", 0),
    Offer(2, "Redeliver tomorrow evening", 0),
    Offer(3, "Collect from the store", 0),
    Offer(4, "Leave with a neighbour", 0),
)


def counted(name: str) -> Tally:
    """The figures of one of the sets, as `make understand-report` prints them."""
    found = Tally()
    for line in (DATA / f"{name}.jsonl").read_text().splitlines():
        row = json.loads(line)
        found.count(row, offers_of(row["context"]["options"]))
    return found


# Just under what is reached, so that whoever loses some of it sees so.
@pytest.mark.parametrize(
    ("name", "covered", "right"),
    [
        ("domain_dev", 0.94, 0.99),
        ("adversarial", 0.77, 0.96),
        ("first_sight_domain", 0.87, 0.92),
        ("first_sight_plain", 0.65, 0.73),
        ("first_sight_shoppers", 0.55, 0.69),
    ],
)
def test_a_set_has_no_unsafe_commit_and_plain_answers_in_it_are_covered(name, covered, right):
    found = counted(name)
    assert found.unsafe == []
    assert found.committed / found.to_commit >= covered
    assert found.right / found.rows >= right
    assert len(found.optouts_missed) / found.optouts <= 0.05


@pytest.mark.parametrize("name", ["first_sight_readback", "first_sight_yes"])
def test_a_final_yes_is_heard_most_times_and_never_where_there_was_none(name):
    found = counted(name)
    assert found.unsafe == []
    assert found.committed / found.to_commit >= 0.6


@pytest.mark.parametrize(
    "name",
    ["first_sight_few_words", "first_sight_hostile", "first_sight_misleading", "first_sight_overheard"],
)
def test_a_set_that_was_written_to_mislead_has_no_unsafe_commit(name):
    found = counted(name)
    assert found.unsafe == []
    assert found.rows > 250


@pytest.mark.parametrize("text", ["yes number one right", "the first right"])
def test_who_asks_back_has_not_said_yes(text):
    assert confirms(text, BREAD) == "unsure"


@pytest.mark.parametrize("offers", SHELVES)
def test_a_commit_that_is_spoilt_by_any_turn_of_phrase_is_none(offers):
    # An eighth of all pairs, so that each text and each way still takes part.
    unsafe = [
        spoilt
        for i, text in enumerate(commits(offers))
        for way in SPOILING[i % 8 :: 8]
        if understand(spoilt := way.format(text), offers).commits
    ]
    assert unsafe == []


def test_a_plain_choice_is_understood_and_never_as_another_option():
    asked = [(text, n, offers) for offers in SHELVES for text, n in choices(offers)]
    heard = [(understand(text, offers), n, text) for text, n, offers in asked]
    wrong = [(t, r) for r, n, t in heard if r.commits and r.option != n]
    assert wrong == []
    assert sum(r.commits for r, _, _ in heard) / len(heard) >= 0.87


@pytest.mark.parametrize("text", ACCEPTING)
def test_a_plain_yes_accepts_the_only_offer(text):
    assert understand(text, COFFEE).intent == "accept"


@pytest.mark.parametrize("text", REFUNDING)
@pytest.mark.parametrize("offers", SHELVES)
def test_a_plain_wish_for_a_refund_is_one(text, offers):
    assert understand(text, offers).intent == "refund"


@pytest.mark.parametrize(
    ("text", "offers"),
    [
        ("two seconds love", BREAD),
        ("give me a second", BREAD),
        ("one second please", BREAD),
        ("just a second", BREAD),
        ("in a second", DOORSTEP),
        ("leave it in a second", DOORSTEP),
        ("come back on the second", DOORSTEP),
        ("good morning", DOORSTEP),
        ("good morning", TRICKY),
        ("no to the refund", BREAD),
        ("no refund", BREAD),
        ("forget that refund", BREAD),
        ("cancel the refund", BREAD),
        ("dont give me a refund", BREAD),
        ("no way i'll take the second", BREAD),
        ("never i'll take it", COFFEE),
        ("my son is allergic to kestrel", COFFEE),
        ("\N{THUMBS UP SIGN}\N{THUMBS DOWN SIGN}", COFFEE),
        ("\N{THUMBS DOWN SIGN}\N{THUMBS UP SIGN}", COFFEE),
        ("yeah right", COFFEE),
        ("ok yes yeah right", COFFEE),
        ("oh great", COFFEE),
        ("yes speaking", COFFEE),
        ("yes that's me", COFFEE),
        ("hello yes", COFFEE),
        ("mm hmm", COFFEE),
        ("thank you", COFFEE),
        ("i guess so", COFFEE),
        ("fine whatever", COFFEE),
        ("kestrel", COFFEE),
        ("kestrel please", COFFEE),
        ("make it two", BREAD),
        ("make it bigger please", ROLLS),
        ("i'll take two", BREAD),
        ("two of them", BREAD),
        ("just one", BREAD),
        ("sugar", TRICKY),
        ("added sugar", TRICKY),
        ("no two", BREAD),
        ("no 2", BREAD),
        ("the first and the third", ROLLS),
        ("1 2", BREAD),
        ("22", BREAD),
        ("three", BREAD),
        ("zero", BREAD),
        ("si", COFFEE),
        ("vale gracias", COFFEE),
        ("to please", BREAD),
        ("two forty", BREAD),
        ("first", BREAD),
        ("go on then", COFFEE),
        ("by all means", COFFEE),
        ("will do", COFFEE),
        ("they are fine", COFFEE),
        ("the kestrel is lovely", COFFEE),
        ("i'll get kestrel", COFFEE),
        ("will you refund me", BREAD),
        ("yes...", COFFEE),
        ("number 1…", BREAD),
        ("two pounds forty please", BREAD),
        ("the first no wait the second", BREAD),
        ("no i'll have the second", BREAD),
        ("1", COFFEE),
        ("oh yes wonderful", COFFEE),
        ("yeah yeah", COFFEE),
        ("yes sure yes", COFFEE),
        ("it's fine thanks", COFFEE),
        ("d'accord", COFFEE),
        ("ok gracias", COFFEE),
        ("ja bitte", COFFEE),
        ("да", COFFEE),
        ("好的", COFFEE),
        ("نعم", COFFEE),
        ("haan ji", COFFEE),
        ("", COFFEE),
        ("   ", COFFEE),
        ("(silence)", COFFEE),
    ],
)
def test_known_traps_commit_nothing(text, offers):
    assert understand(text, offers).intent not in COMMITS


@pytest.mark.parametrize(
    ("text", "offers", "n"),
    [
        ("No. 2", BREAD, 2),
        ("no. 2 please", BREAD, 2),
        ("number to", BREAD, 2),
        ("number tree", ROLLS, 3),
        ("secnd one pls", BREAD, 2),
        ("two rivers", TRICKY, 1),
        ("two rivers please", TRICKY, 1),
        ("no added sugar please", TRICKY, 2),
        ("two", TRICKY, 2),
        ("the one for £1.60", BREAD, 2),
        ("a pound sixty one", BREAD, 2),
        ("the five hundred gram one", BREAD, 2),
        ("half a kilo please", BREAD, 2),
        ("the nine pack", ROLLS, 1),
        ("pack of nine please", ROLLS, 1),
        ("cheapest", ROLLS, 2),
        ("most expensive please", ROLLS, 3),
        ("the big one", ROLLS, 3),
        ("panda's good", ROLLS, 3),
        ("cloud soft", ROLLS, 1),
        ("claudsoft please", ROLLS, 1),
        ("leave it in the porch", DOORSTEP, 2),
        ("with a neighbour please", DOORSTEP, 3),
        ("come back on saturday", DOORSTEP, 1),
        ("yes the kestrel", COFFEE, 1),
        ("2nd", BREAD, 2),
        ("the kestral is fine", COFFEE, 1),
        ("free range please", EGGS, 1),
    ],
)
def test_numbers_names_prices_sizes_and_slips_of_the_tongue_are_read(text, offers, n):
    reading = understand(text, offers)
    assert (reading.intent, reading.option) == ("choose", n)


@pytest.mark.parametrize(
    ("text", "offers", "n"),
    [
        ("bamboo", ROLLS, 3),
        ("decaf", TEA, 3),
        ("oat then please", MILK, 3),
        ("everyday", TEA, None),
        ("whole", MILK, None),
        ("sourdough", BREAD, None),
        ("coffee", COFFEE, None),
    ],
)
def test_one_word_of_one_name_chooses_it_unless_people_exclaim_it_or_nothing_else_was_offered(
    text, offers, n
):
    assert understand(text, offers).option == n


@pytest.mark.parametrize(
    ("text", "offers", "n"),
    [
        ("corner shop the cheapest", ROLLS, 2),
        ("the white the cheaper one", BREAD, 2),
        ("the bamboo please the big one", ROLLS, 3),
        ("number 2 please the white", BREAD, 2),
        ("the panda the cheapest", ROLLS, None),
        ("the bamboo please the small one", ROLLS, None),
        ("number 1 please the white", BREAD, None),
    ],
)
def test_two_descriptions_choose_what_both_fit_and_nothing_where_they_part(text, offers, n):
    assert understand(text, offers).option == n


@pytest.mark.parametrize(
    ("text", "offers", "n"),
    [
        ("the twelve", ROLLS, 3),
        ("the two pack one", MINCE, 2),
        ("5%", MINCE, 1),
        ("the five percent", MINCE, 1),
        ("500g", BREAD, 2),
        ("twelve", ROLLS, None),
        ("five hundred grams", BREAD, None),
        ("500g", MINCE, 1),
        ("the twelve", MINCE, None),
    ],
)
def test_a_count_a_share_and_a_typed_size_choose_the_pack_that_prints_it(text, offers, n):
    assert understand(text, offers).option == n


@pytest.mark.parametrize(
    ("text", "n"),
    [
        ("tomorrow morning", 1),
        ("tomoz evening pls", 2),
        ("come back tomorrow morning", 1),
        ("i'll collect it", 3),
        ("next door please", 4),
        ("tomorrow", None),
        ("morning", None),
        ("evening", None),
    ],
)
def test_at_the_door_a_day_and_its_part_choose_and_a_greeting_does_not(text, n):
    assert understand(text, DAYS).option == n


@pytest.mark.parametrize(
    "text",
    [
        "skip it and take it off the bill",
        "don't bother with a replacement just refund me",
        "put the money back on my card",
        "leave it out and don't charge me",
        "me money back please",
        "neither appeals so i'd like a refund",
        "please give back my money",
        "i think i'd like my money back",
    ],
)
def test_money_back_is_asked_for_in_many_words(text):
    assert understand(text, BREAD).intent == "refund"
    assert understand(f"my sister said {text}", BREAD).intent not in COMMITS


@pytest.mark.parametrize(
    "ending", ["my dear", "my love", "x", "xx thanks", "if you would", "\N{HEAVY BLACK HEART}"]
)
def test_an_endearment_at_the_end_takes_nothing_back(ending):
    assert understand(f"number 2 please {ending}", BREAD).option == 2
    assert understand(f"refund please {ending}", BREAD).intent == "refund"
    assert understand("2 please x", BREAD).option == 2


@pytest.mark.parametrize(
    ("brand", "said"),
    [
        ("Northfield", "southfield"), ("Redhill", "redmill"), ("Hillside", "millside"), ("Meadowvale", "meadowdale"),
        ("Panda", "fanta"), ("Poppy", "puppy"), ("Fennel", "funnel"), ("Willow", "wallow"), ("Millbrook", "millbank"),
    ],
)  # fmt: skip
def test_a_brand_that_nobody_offered_is_not_taken_for_one_that_sounds_like_it(brand, said):
    offers = (Offer(1, f"{brand} Rice", 200, "1 kg", brand), Offer(2, "Zandor Rice", 150, "500 g", "Zandor"))
    for way in ("{}", "{} please", "the {} one", "i'll have the {}", "{} is fine"):
        assert understand(way.format(brand.lower()), offers).option == 1
        assert not understand(way.format(said), offers).commits


def test_words_that_choose_one_offer_and_are_the_brand_of_another_choose_none():
    offers = (Offer(1, "Two Rivers Milk", 200), Offer(2, "Number One Milk", 150, brand="Number One"))
    assert not understand("number one", offers).commits
    assert understand("number two", offers).option == 2


def test_nothing_that_an_attacker_tried_decides_anything():
    tried = (Path(__file__).parent / "data" / "never_commit.txt").read_text().splitlines()[1:]
    heard = [(text, understand(text, NAMED[shelf])) for shelf, text in (line.split("\t") for line in tried)]
    assert [text for text, reading in heard if reading.commits] == []
    assert len(heard) > 500


def families() -> list[tuple[str, list[tuple[str, str]]]]:
    found: list[tuple[str, list[tuple[str, str]]]] = []
    for line in (DATA / "hostile.txt").read_text().splitlines()[2:]:
        if line.startswith("["):
            found.append((line[1:-1], []))
        else:
            shelf, text = line.split("\t")
            found[-1][1].append((shelf, text))
    return found


@pytest.mark.parametrize(
    ("family", "rows"), families(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_no_family_of_what_is_no_answer_decides_anything(family, rows):
    assert len(rows) >= 30, family
    assert [text for shelf, text in rows if understand(text, NAMED[shelf]).commits] == []


def test_most_plain_answers_are_understood_and_none_is_taken_for_another():
    lines = (Path(__file__).parent / "data" / "plain_answers.txt").read_text().splitlines()[1:]
    right, wrong = 0, []
    for shelf, meant, text in (line.split("\t") for line in lines):
        reading = understand(text, NAMED[shelf])
        got = str(reading.option or reading.intent)
        same = {meant, "1"} if meant == "accept" else {meant}
        right += got in same
        if reading.commits and got not in same:
            wrong.append((text, got))
    assert wrong == []
    assert right / len(lines) >= 0.8


@pytest.mark.parametrize("text", ["yes please", "that's fine", "i'll take it", "ok"])
def test_a_bare_yes_to_several_offers_decides_nothing(text):
    assert understand(text, BREAD).intent == "unclear"


def test_twenty_thousand_letters_of_yes_are_no_yes():
    assert not understand("yes " * 5_000, COFFEE).commits
    assert not understand("y" * 20_000, COFFEE).commits


def test_an_opt_out_at_the_end_of_a_long_complaint_is_heard():
    assert understand("blah " * 4_000 + "stop calling me", COFFEE).intent == "optout"


def test_the_classifier_can_name_nothing_that_commits():
    assert not COMMITS & set(CLASSES)


def test_a_language_without_a_lexicon_commits_nothing():
    assert understand("yes", COFFEE, "fr").intent == "unclear"
    assert understand("2", BREAD, "pl-PL").intent == "unclear"


@given(st.text(max_size=400), st.sampled_from(SHELVES))
def test_no_text_whatever_crashes(text, offers):
    reading = understand(text, offers)
    assert (reading.option is not None) == (reading.intent == "choose")
    assert 0 <= reading.confidence <= 1


WORDS = sorted({w for offers in SHELVES for text in commits(offers) for w in text.split() if len(w) >= 5})


@st.composite
def mistyped(draw):
    """A choice with some slips of thumbs in its longer words."""
    offers = draw(st.sampled_from(SHELVES))
    text, n = draw(st.sampled_from(choices(offers)))
    said = text.split()
    for at in draw(st.lists(st.integers(0, len(said) - 1), min_size=1, max_size=2)):
        word = said[at]
        if len(word) >= 5 and word.isalpha():
            i = draw(st.integers(0, len(word) - 2))
            slips = (
                word[:i] + word[i + 1 :],
                word[:i] + word[i + 1] + word[i] + word[i + 2 :],
                word[: i + 1] + word[i:],
            )
            said[at] = draw(st.sampled_from(slips))
    return " ".join(said), n, offers


@given(mistyped())
def test_slips_of_the_thumb_never_choose_another_option(case):
    text, n, offers = case
    reading = understand(text, offers)
    if reading.commits:
        assert reading.option in (n, None)
        assert reading.intent != "refund"


@given(st.sampled_from(SHELVES), st.data())
def test_an_unknown_word_anywhere_ends_every_commit(offers, data):
    said = data.draw(st.sampled_from(commits(offers))).split()
    said.insert(data.draw(st.integers(0, len(said))), "blorptious")
    assert commit(" ".join(said), offers) is None


@pytest.mark.parametrize(
    "text",
    [
        "yes",
        "yes please",
        "yeah",
        "yes that's right",
        "that's fine",
        "yes go ahead",
        "please yes",
        "correct",
        "yes indeed",
        "yes that's the one",
        "okay that's right",
        "yes i'm happy with that",
        "yes i'll have that",
        "yes definitely please",
        "definitely yes",
        "sure yes",
        "it is yes",
        "confirm",
        "yea send it",
        "yes please dear",
    ],
)
def test_an_explicit_yes_confirms_a_readback(text):
    assert confirms(text, BREAD) == "yes"


@pytest.mark.parametrize("text", ["yes it is", "yes that's it", "yes is right", "yes sorry yes that's right"])
def test_what_calls_a_readback_right_confirms_it_and_accepts_no_offer(text):
    assert confirms(text, COFFEE) == "yes"
    assert understand(text, COFFEE).intent not in COMMITS


@pytest.mark.parametrize(
    "text",
    ["perfect", "lovely", "spot on", "exactly", "go on then", "too right", "that's the one", "okay that's it", "yes sorry", "sorry that's right", "yes love", "yes it is a lovely day", "oh yes", "ok", "okay then", "fine", "i guess so", "probably", "fine whatever", "yeah whatever", "mm hmm", "thank you", "great", "yes but", "yes?", "yes the first", "the second one", "yes the second one", "i'll take it", "yes fine", "of course", "refund", "yes refund", "go on", "do it", "yes and no", "yes yes", "yeah right", "yes hang on", "what", "yes speaking", "2", "yes i think so", "could you do this", "it seems all right", "we will choose this", ""],
)  # fmt: skip
def test_the_final_yes_is_one_of_a_closed_list(text):
    assert confirms(text, BREAD) == "unsure"


@pytest.mark.parametrize("text", ["no", "no thanks", "nope", "no way", "leave it", "i don't want that"])
def test_a_refused_readback_is_a_no(text):
    assert confirms(text, BREAD) == "no"


def test_offers_survive_a_trip_through_json():
    assert msgspec.json.decode(msgspec.json.encode(BREAD), type=tuple[Offer, ...]) == BREAD
