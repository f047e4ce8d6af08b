"""The one strategy module of the properties: small words that meet often, and every move of a timeline.

Values are few on purpose: an allergen must meet an option that holds it, a receipt a command that was sent.
"""

from datetime import timedelta

from hypothesis import strategies as st

from schemas.events import ChannelHealthChanged, KillSwitchChanged, ProductBlocked, VoiceQueueChanged
from schemas.facts import Attributes, CustomerFacts, Money, OwnChoice
from schemas.words import (
    LINE_KINDS,
    Channel,
    ContactMode,
    Contents,
    EvidencePart,
    Group,
    Kind,
    OptionKind,
    PriceKind,
    ReceiptState,
    Responder,
    Signal,
    SwitchScope,
    TriggerState,
    UpstreamDefault,
    WithdrawalReason,
    WriteBackOutcome,
)
from state import shelf as shelves
from state.policy import Policy
from state.shelf import Shelf
from tests.builders import (
    NOON,
    SAFE,
    a_component,
    a_customer,
    a_delivery,
    a_line,
    a_way,
    an_exception,
    an_option,
    but,
    grams,
    pounds,
)

SHIPPED = shelves.load()


def _variant(key: str, policy_id: str, **changes) -> Policy:
    """Found by its hint alone: no store has this name."""
    applies = {"stores": ["by-hint-only"]}
    return Policy.model_validate(SHIPPED[key].model_dump() | {"id": policy_id, "applies": applies} | changes)


MID = "mid_pick_substitution@1"
VARIANTS = [
    _variant(MID, "shadow", mode="shadow"),
    _variant(MID, "pilot", mode="pilot", pilot={"stores": ["store-1"], "share_per_10000": 5_000}),
    _variant(MID, "holdout", holdout_share_per_10000=5_000),
    _variant(MID, "final", changes_until_picked=False),
    _variant(MID, "generous", price={"cap_minor": 500, "absorb_max_minor": 20}),
    _variant(
        MID,
        "two_steps",
        steps=[
            {"name": "push", "channels": ["push"], "window_ms": 60_000},
            {"name": "text", "channels": ["sms"], "window_ms": 90_000},
            {"name": "call", "channels": ["voice"], "attempts_max": 3, "spacing_ms": 5_000},
        ],
    ),
    _variant(
        "missed_delivery@1",
        "calls_only",
        steps=[{"name": "call", "channels": ["voice"], "attempts_max": 2, "spacing_ms": 0}],
    ),
]
SHELF = Shelf([*SHIPPED.by_key.values(), *VARIANTS])
LINE_HINTS = ["", "", "", "shadow", "pilot", "holdout", "final", "generous", "two_steps"]
DOOR_HINTS = ["", "", "calls_only"]

SPANS_MS = [0, 1, 999, 5_000, 10_000, 20_000, 30_000, 60_000, 180_000, 600_000, 3_600_000, 86_400_000]
AHEAD_MS = [-60_000, 0, 5_000, 30_000, 95_000, 130_000, 360_000, 600_000, 3_600_000, 28_800_000, 200_000_000]
CHANNELS = [Channel.PUSH, Channel.SMS, Channel.EMAIL, Channel.VOICE]
ANSWERING = [Channel.PAGE, Channel.SMS, Channel.VOICE, Channel.APP, Channel.EMAIL, Channel.PERSON]

SOON_MS = [360_000, 600_000, 600_000, 3_600_000, 28_800_000]
NUTS = Attributes(allergens_known=True, allergens=("nuts",))
spans_ms = st.sampled_from(SPANS_MS)
orders = st.sampled_from([0, 0, 0, 0, 1])
few = st.integers(0, 3)


def _later(**span) -> st.SearchStrategy:
    return st.sampled_from([None, None, *[NOON + timedelta(**{k: v}) for k, vs in span.items() for v in vs]])


SUBSTITUTES = [
    an_option("same"),
    an_option("branded", sku="bread-seed", brand="Oakmill", quantity_max=1),
    an_option("cheaper", sku="bread-thin", unit_price=pounds(150), content=grams(300)),
    an_option("absorbed", sku="bread-rye", unit_price=pounds(215)),
    an_option("dearer", sku="bread-spelt", unit_price=pounds(450)),
    an_option("nutty", sku="bread-nut", attributes=NUTS),
    an_option("unknown", sku="bread-mystery", attributes=Attributes()),
    an_option("boozy", sku="bread-ale", attributes=Attributes(allergens_known=True, age_class=18)),
    an_option("medicine", sku="bread-med", attributes=Attributes(allergens_known=True, medicine=True)),
    an_option("vegan", sku="bread-veg", attributes=Attributes(allergens_known=True, dietary=("vegan",))),
    an_option("foreign", sku="bread-fr", unit_price=Money(200, "EUR")),
    an_option("blocked", sku="bread-blocked"),
    an_option("original", sku="bread-oak"),
    an_option("with_fee", sku="bread-fee", fee=pounds(30)),
    an_option(
        "two_halves",
        components=(
            a_component(sku="half-a", unit_price=pounds(100), content=grams(200)),
            a_component(sku="half-b", unit_price=pounds(90), content=grams(200)),
        ),
    ),
    an_option("three_small", sku="bread-small", quantity_default=3, unit_price=pounds(60), content=None),
    an_option("by_weight", sku="bread-kilo", price_kind=PriceKind.BY_WEIGHT, unit_price=pounds(210)),
    an_option("nothing", components=()),
]


SENSIBLE = [
    option
    for option in SUBSTITUTES
    if option.option_id in ("same", "branded", "cheaper", "absorbed", "dearer")
]


@st.composite
def substitutes(draw):
    some = draw(st.lists(st.sampled_from(SUBSTITUTES), max_size=4, unique_by=lambda o: o.option_id))
    ends = draw(_later(seconds=[5, 15, 120, 900]))
    return tuple(
        [option if n else but(option, reserved_until_at=ends) for n, option in enumerate(some)]
        + draw(
            st.sampled_from(
                [[], [], [], [a_way("odd", OptionKind.REFUND)], [a_way("new", OptionKind.UNKNOWN)]]
            )
        )
    )


@st.composite
def ways(draw):
    kinds = draw(st.lists(st.sampled_from(list(OptionKind)), max_size=4, unique=True))
    found = []
    for kind in kinds:
        starts = draw(_later(hours=[-1, 2, 20]))
        ends = None if starts is None else starts + timedelta(hours=1)
        fee = draw(st.sampled_from([None, None, pounds(0), pounds(90), pounds(350)]))
        found.append(
            a_way(f"way-{kind}", kind, slot_from_at=starts, slot_until_at=ends, fee=fee, reference="ref")
        )
    return tuple(found)


@st.composite
def facts(draw) -> CustomerFacts:
    """Mostly somebody ordinary; now and then everything at once."""
    if draw(st.sampled_from([True, True, False])):
        return a_customer()
    return CustomerFacts(
        known=draw(st.sampled_from([True, True, True, False])),
        channels=tuple(draw(st.lists(st.sampled_from(CHANNELS), unique=True, max_size=4))),
        opted_out=tuple(draw(st.lists(st.sampled_from(CHANNELS), unique=True, max_size=2))),
        contact_mode=draw(st.sampled_from(list(ContactMode))),
        locale=draw(st.sampled_from(["en-GB", "de-DE", "de-AT", "xx"])),
        zones=tuple(draw(st.sampled_from([(), ("Europe/London",), ("Europe/London", "America/New_York")]))),
        never_substitute=draw(st.sampled_from([False, False, False, True])),
        substitute_by_default=draw(st.booleans()),
        allergens=draw(st.sampled_from([(), (), ("nuts",), ("milk", "nuts")])),
        own_choices=draw(
            st.sampled_from(
                [
                    (),
                    (),
                    (OwnChoice(sku="bread-oak", instead="bread-hill"),),
                    (OwnChoice(sku="bread-oak", instead="bread-spelt"),),
                ]
            )
        ),
        price_cap=draw(
            st.sampled_from([None, None, pounds(0), pounds(300), pounds(2_000), Money(900, "EUR")])
        ),
        has_delegate=draw(st.booleans()),
        recipient_differs=draw(st.booleans()),
        blocked_skus=draw(st.sampled_from([(), (), ("bread-hill",)])),
        pilot_point=draw(st.sampled_from([0, 9_999])),
        arm_point=draw(st.sampled_from([9_999, 9_999, 0])),
    )


@st.composite
def exceptions(draw):
    """An exception without its ids and instants, which the timeline fills in."""
    kind = draw(st.sampled_from([*LINE_KINDS, *[k for k in Kind if k is not Kind.UNKNOWN]]))
    at_door = kind not in LINE_KINDS
    ordered = draw(st.sampled_from([1, 1, 2, 3, 5]))
    available = draw(st.integers(0, ordered - 1))
    attributes = draw(
        st.sampled_from(
            [
                SAFE,
                SAFE,
                Attributes(allergens_known=True, dietary=("vegan",)),
                Attributes(allergens_known=True, age_class=18),
                Attributes(allergens_known=True, infant=True),
            ]
        )
    )
    line = a_line(
        quantity_ordered=ordered,
        quantity_available=available,
        attributes=attributes,
        groups=draw(st.sampled_from([(), (), (Group.GIFT,)])),
        content=draw(st.sampled_from([grams(400), None])),
    )
    options = draw(ways() if at_door else substitutes())
    refund_allowed = draw(st.sampled_from([True, True, True, False])) or not options
    delivery = a_delivery(
        country=draw(st.sampled_from(["GB", "GB", "DE", "ZZ"])),
        zone=draw(st.sampled_from(["Europe/London", "Europe/London", "", "Asia/Tokyo"])),
        contains=draw(st.sampled_from([(), (), (Contents.AGE_RESTRICTED,), (Contents.FROZEN,)])),
        cold_chain_until_at=draw(st.sampled_from([None, None, NOON + timedelta(hours=6)])),
        sale_from=draw(st.sampled_from(["", "", "08:00", "22:00"])),
        sale_until=draw(st.sampled_from(["", "20:00", "06:00"])),
    )
    return an_exception(
        kind=kind,
        line=None if at_door and draw(st.booleans()) else line,
        options=options,
        store_id=draw(st.sampled_from(["store-1", "store-1", "store-2"])),
        refund_allowed=refund_allowed,
        upstream_default=draw(st.sampled_from(list(UpstreamDefault))),
        delivery=delivery,
        supersedes=draw(st.sampled_from(["", "", "the-last"])),
        policy_hint=draw(st.sampled_from(DOOR_HINTS if at_door else LINE_HINTS)),
    )


@st.composite
def everyday(draw):
    """What mostly happens: something is missing, and something sensible is suggested."""
    kind = draw(st.sampled_from([Kind.ITEM_UNAVAILABLE] * 3 + [Kind.PARTLY_AVAILABLE, Kind.DELIVERY_MISSED]))
    if kind is Kind.DELIVERY_MISSED:
        return an_exception(kind=kind, policy_hint=draw(st.sampled_from(DOOR_HINTS)))
    some = draw(st.lists(st.sampled_from(SENSIBLE), min_size=1, max_size=3, unique_by=lambda o: o.option_id))
    ordered = draw(st.sampled_from([1, 2, 3]))
    return an_exception(
        kind=kind,
        line=a_line(quantity_ordered=ordered, quantity_available=draw(st.integers(0, ordered - 1))),
        options=tuple(some),
        policy_hint=draw(st.sampled_from(LINE_HINTS)),
    )


@st.composite
def nonsense(draw):
    """An exception that intake would have refused: another version's, or a mistake's. It may not stop a partition."""
    sane = draw(st.one_of(everyday(), exceptions()))
    numbers = st.sampled_from([0, 1, 2, -1, 10**9])
    line = sane.line or draw(st.sampled_from([None, a_line()]))
    if line is not None:
        line = but(
            line,
            quantity_ordered=draw(numbers),
            quantity_available=draw(numbers),
            unit_price=pounds(draw(numbers)),
        )
    options = tuple(
        [
            but(
                option,
                option_id=draw(st.sampled_from(["twice", option.option_id])),
                components=tuple(
                    [
                        but(
                            c,
                            quantity_default=draw(numbers),
                            quantity_max=draw(numbers),
                            content=grams(draw(numbers)),
                        )
                        for c in option.components
                    ]
                ),
            )
            for option in sane.options
        ]
    )
    return but(
        sane,
        kind=draw(st.sampled_from([sane.kind, *Kind])),
        line=line,
        options=options,
        refund_allowed=draw(st.booleans()),
        delivery=but(sane.delivery, zone=draw(st.sampled_from(["Europe/London", "Nowhere/Town", ""]))),
        policy_hint=draw(st.sampled_from(["", "no-such-policy", "shadow"])),
    )


odd_numbers = st.sampled_from([None, None, 0, 1, 2, 5, -1, 10**9])
answer_drafts = st.fixed_dictionaries(
    {
        "which": few,
        "bare": st.booleans(),
        "letter": st.sampled_from(["", "", "A", "b", "Z"]),
        "key": st.sampled_from([None, 0, 1, 2, 3, 9, -1]),
        "option": st.sampled_from([None, None, 0, 1, 2, 9]),
        "parts": st.lists(st.tuples(st.integers(0, 3), st.sampled_from([0, 1, 2, -1])), max_size=2),
        "keep": odd_numbers,
        "refund": odd_numbers,
        "version": st.sampled_from([None, None, 0, 0, -1, 1]),
        "total": st.sampled_from([None, None, 0, 15, 250, 10_000, -100]),
        "confirmed": st.booleans(),
        "reference": st.sampled_from(["", "ref-1"]),
    }
)
RECEIPT_REASONS = ["", "", "", "opted_out", "cap", "quiet", "21211", "kill_switch"]
conditions = st.sampled_from(
    [
        *[
            ChannelHealthChanged(event_id="", occurred_at=NOON, channel=channel, healthy=healthy)
            for channel in (Channel.VOICE, Channel.SMS)
            for healthy in (False, True)
        ],
        *[VoiceQueueChanged(event_id="", occurred_at=NOON, delay_ms=ms) for ms in (0, 45_000, 10**7, -5)],
        *[
            KillSwitchChanged(event_id="", occurred_at=NOON, scope=scope, name=name, on=on)
            for scope, name in [
                (SwitchScope.CHANNEL, "sms"),
                (SwitchScope.CHANNEL, "voice"),
                (SwitchScope.STORE, "store-1"),
                (SwitchScope.KIND, "item_unavailable"),
                (SwitchScope.UNKNOWN, "moon"),
            ]
            for on in (True, False)
        ],
        *[
            ProductBlocked(event_id="", occurred_at=NOON, sku=sku, blocked=blocked)
            for sku in ("bread-hill", "bread-blocked", "bread-spelt")
            for blocked in (True, False)
        ],
    ]
)

MOVES: dict[str, st.SearchStrategy[dict]] = {
    "passes": st.fixed_dictionaries({"ms": spans_ms}),
    "lags": st.fixed_dictionaries({"ms": spans_ms}),
    "nears_the_deadline": st.fixed_dictionaries({"which": orders, "off_ms": st.sampled_from([-1, 0, 0, 1])}),
    "stale_deadline": st.fixed_dictionaries({"which": orders, "back": few}),
    "raises": st.fixed_dictionaries(
        {
            "order": orders,
            "draft": st.one_of(everyday(), everyday(), exceptions()),
            "facts": facts(),
            "ahead_ms": st.sampled_from([*SOON_MS, *SOON_MS, *AHEAD_MS]),
            "tote": st.sampled_from([0, 0, 5, -1, 600]),
        }
    ),
    "raises_again": st.fixed_dictionaries(
        {
            "order": orders,
            "which": few,
            "revision": few,
            "quantity": few,
            "tampered": st.booleans(),
        }
    ),
    "amends": st.fixed_dictionaries(
        {
            "order": orders,
            "which": few,
            "revision": st.integers(0, 4),
            "ahead_ms": st.sampled_from([None, *AHEAD_MS]),
            "quantity": st.sampled_from([None, None, 0, 1, 2, 9]),
            "options": st.one_of(st.none(), substitutes()),
        }
    ),
    "withdraws": st.fixed_dictionaries(
        {
            "order": orders,
            "which": few,
            "reason": st.sampled_from(list(WithdrawalReason)),
            "revision": st.sampled_from([0, 0, 3]),
        }
    ),
    "outcome": st.fixed_dictionaries(
        {
            "order": orders,
            "kind": st.sampled_from(["picked", "delivered", "refused", "completed", "cancelled", "credited"]),
            "line": st.integers(0, 2),
        }
    ),
    "contact": st.fixed_dictionaries({"order": orders, "facts": facts()}),
    "consent": st.fixed_dictionaries(
        {
            "order": orders,
            "channels": st.lists(st.sampled_from(CHANNELS), unique=True, max_size=3),
            "opted_out": st.booleans(),
        }
    ),
    "condition": st.fixed_dictionaries({"event": conditions}),
    "taps": st.fixed_dictionaries(
        {
            "order": orders,
            "which": few,
            "option": few,
            "channel": st.sampled_from([Channel.PAGE, Channel.APP, Channel.VOICE]),
        }
    ),
    "answers": st.fixed_dictionaries(
        {
            "order": orders,
            "drafts": st.lists(answer_drafts, max_size=2),
            "event_id": st.sampled_from([None, None, None, 1]),
            "channel": st.sampled_from(ANSWERING),
            "responder": st.sampled_from([Responder.CUSTOMER] * 4 + list(Responder)),
            "signal": st.sampled_from([Signal.NONE] * 6 + list(Signal)),
            "logged_in": st.booleans(),
            "spoken": st.booleans(),
            "later_ms": st.sampled_from([None, -5_000, 30_000, 10**9]),
            "rating": st.sampled_from([None, 0, 10, 11, -1]),
        }
    ),
    "receipt": st.fixed_dictionaries(
        {
            "order": orders,
            "which": st.integers(0, 5),
            "state": st.sampled_from(list(ReceiptState)),
            "reason": st.sampled_from(RECEIPT_REASONS),
            "sequence": st.integers(-1, 5),
            "recorded": st.integers(0, 2),
        }
    ),
    "oms": st.fixed_dictionaries(
        {
            "order": orders,
            "which": st.sampled_from([0, 0, 1, 2]),
            "outcome": st.sampled_from(list(WriteBackOutcome)),
            "quantity": odd_numbers,
        }
    ),
    "fulfilment": st.fixed_dictionaries(
        {
            "order": orders,
            "which": st.sampled_from([0, 0, 1]),
            "state": st.sampled_from(list(TriggerState)),
            "reason": st.sampled_from(["", "closed"]),
        }
    ),
    "evidence": st.fixed_dictionaries(
        {
            "order": orders,
            "which": st.sampled_from([0, 0, 1]),
            "missing": st.lists(st.sampled_from(list(EvidencePart)), max_size=1),
        }
    ),
    "all_goes_well": st.fixed_dictionaries({"order": orders}),
    "repeats": st.fixed_dictionaries({"back": st.integers(0, 6)}),
}
# What happens often in life happens often here.
OFTEN = [
    *["raises", "passes", "taps", "taps", "answers", "answers", "receipt", "receipt", "all_goes_well"],
    *["nears_the_deadline", "nears_the_deadline", "nears_the_deadline", "oms", "fulfilment"],
]
moves = st.sampled_from([*MOVES, *OFTEN]).flatmap(lambda name: st.tuples(st.just(name), MOVES[name]))


@st.composite
def stories(draw, longest: int = 25):
    """A first exception, then anything; as often long as short."""
    first = ("raises", draw(MOVES["raises"]))
    length = draw(st.integers(0, longest))
    return [first, *draw(st.lists(moves, min_size=length, max_size=length))]


anything = st.lists(moves, max_size=12)


@st.composite
def nonsense_stories(draw):
    """Nonsense first, then anything."""
    first = ("raises", draw(MOVES["raises"]) | {"draft": draw(nonsense())})
    return [first, *draw(st.lists(moves, max_size=10))]
