"""What names an option, or sounds like a yes, and is no answer: none of it may decide, whatever is on offer."""

from pathlib import Path

import pytest

from state.understand import Offer, understand
from tests.understand.speech import BREAD, BUTTER

DATA = Path(__file__).parent / "data"
OATS = (
    Offer(1, "Two Rivers Oat Drink", 190, "1 l", "Two Rivers"),
    Offer(2, "No Added Sugar Oat Milk", 175, "1 l", "Plainly"),
    Offer(3, "Oatly Barista", 220, "1 l", "Oatly"),
)
SHELVES = {
    "bread": (
        BREAD,
        ("number one", "the first one", "the second", "baker's row", "the corner shop one", "a refund"),
    ),
    "oats": (OATS, ("number three", "oatly", "two rivers", "the no added sugar", "the dearest one")),
    "butter": (BUTTER, ("hillside", "the hillside butter", "it")),
}


def lines(name: str) -> list[str]:
    found = (DATA / name).read_text().splitlines()[1:]
    assert len(found) > 90
    return found


@pytest.mark.parametrize("shelf", SHELVES)
def test_what_people_also_say_decides_nothing(shelf: str) -> None:
    offers = SHELVES[shelf][0]
    assert [text for text in lines("strange_words.txt") if understand(text, offers).commits] == []


@pytest.mark.parametrize("shelf", SHELVES)
def test_naming_an_option_without_taking_it_decides_nothing(shelf: str) -> None:
    offers, names = SHELVES[shelf]
    said = [
        way.format(c=name, d=names[(at + 1) % len(names)])
        for way in lines("ways_around.txt")
        for at, name in enumerate(names)
    ]
    assert [text for text in said if understand(text, offers).commits] == []
