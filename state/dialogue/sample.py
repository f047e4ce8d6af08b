"""One order with two open lines, to talk about where no real order is at hand."""

from datetime import UTC, datetime

from state.dialogue.script import ENGLISH
from state.dialogue.session import Line, Option, Session

# The lines are ordered by their deadlines; nothing else looks at them here.
_SOON = datetime(2030, 1, 1, 12, 5, tzinfo=UTC)
_LATER = datetime(2030, 1, 1, 12, 9, tzinfo=UTC)


def sample_call() -> Session:
    bread = Line(
        case_id="sample-1",
        version=0,
        item="Wheatley Sourdough 400 g",
        quantity=1,
        currency="GBP",
        deadline_at=_SOON,
        refund_total_minor=4_000,
        options=(
            Option("o1", "Baker's Row Sourdough", "Baker's Row", "400 g", 240, (4_240,), ("wheat",)),
            Option("o2", "Corner Shop White Sourdough", "Corner Shop", "500 g", 160, (4_160,)),
        ),
    )
    coffee = Line(
        case_id="sample-2",
        version=0,
        item="Arbor Ground Coffee 227 g",
        quantity=2,
        currency="GBP",
        deadline_at=_LATER,
        refund_total_minor=3_360,
        options=(Option("k1", "Kestrel Ground Coffee", "Kestrel", "227 g", 450, (3_810, 4_260), ()),),
    )
    return Session(
        call_id="sample",
        script=ENGLISH.key,
        policy="sample@1",
        locale="en-GB",
        retailer="Greenleaf",
        lines=(bread, coffee),
        total_minor=4_260,
    )
