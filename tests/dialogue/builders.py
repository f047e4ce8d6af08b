"""Calls and lines for the stories of the dialogue."""

from datetime import UTC, datetime, timedelta

from state.dialogue.script import ENGLISH
from state.dialogue.session import Line, Option, Session, started

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
# The order without the missing line, to which each choice adds its price.
REST_MINOR = 4_000


def an_option(
    option_id="o1",
    name="Baker's Row Sourdough",
    brand="Baker's Row",
    size="400 g",
    price_minor=240,
    quantity=1,
    **fields,
):
    totals = tuple(REST_MINOR + price_minor * n for n in range(1, quantity + 1))
    return Option(option_id, name, brand, size, price_minor, totals, **fields)


def a_line(case_id="x1", item="Wheatley Sourdough 400 g", options=None, quantity=1, minutes=5, **fields):
    return Line(
        case_id=case_id,
        version=0,
        item=item,
        quantity=quantity,
        currency="GBP",
        deadline_at=NOON + timedelta(minutes=minutes),
        options=tuple(options) if options is not None else BREADS,
        refund_total_minor=REST_MINOR,
        **fields,
    )


BREADS = (
    an_option(allergens=("wheat", "milk"), own=True),
    an_option("o2", "Corner Shop White Sourdough", "Corner Shop", "500 g", 160, allergens=("wheat",)),
)


def bread(**fields):
    return a_line(**fields)


def rolls(**fields):
    options = (
        an_option("r1", "Cloudsoft Toilet Roll", "Cloudsoft", "9 pack", 525, allergens=()),
        an_option("r2", "Corner Shop Toilet Roll", "Corner Shop", "4 pack", 310),
        an_option("r3", "Panda Bamboo Toilet Roll", "Panda", "12 pack", 700),
        an_option("r4", "Thrifty Toilet Roll", "Thrifty", "9 pack", 280),
        an_option("r5", "Regal Quilted Toilet Roll", "Regal", "16 pack", 900),
    )
    return a_line("x2", "Softleaf Toilet Roll 9 pack", options, minutes=9, **fields)


def coffee(quantity=1, options=None, **fields):
    options = options or (
        an_option("k1", "Kestrel Ground Coffee", "Kestrel", "227 g", 450, quantity=quantity),
    )
    return a_line("x3", "Arbor Ground Coffee 227 g", options, quantity=quantity, minutes=7, **fields)


def doorstep(**fields):
    options = (
        Option("d1", "redeliver Saturday morning", "", "", 0, (0,)),
        Option("d2", "leave in the porch", "", "", 0, (0,)),
    )
    return a_line("x4", "today's delivery", options, kind="delivery", **({"refund_allowed": False} | fields))


def a_call(*lines, **fields):
    fixed = {
        "call_id": "c1",
        "script": ENGLISH.key,
        "policy": "mid_pick_substitution@1",
        "locale": "en-GB",
        "retailer": "Greenleaf",
        "lines": lines or (bread(),),
        "total_minor": 4_300,
        "called": "Sam",
    }
    return started(Session(**{**fixed, **fields}))
