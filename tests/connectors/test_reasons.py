"""A refusal reaches the customer as a sentence, in their language."""

from connectors.reasons import in_words


def test_a_reason_is_told_in_the_customers_language_without_our_own_words():
    assert in_words("not_available: it is blocked", "de-AT") == "diese Wahl gibt es nicht mehr"
    assert in_words("which_one", "en-GB") == "please say for which item"


def test_several_reasons_are_told_each_once():
    assert in_words("unknown_key; unknown_letter; too_late", "fr-FR") == (
        "we did not understand your answer; the order is already packed"
    )


def test_what_was_written_for_staff_stays_as_it_is():
    assert in_words("fulfilment refused: no van", "en-GB") == "fulfilment refused: no van"
