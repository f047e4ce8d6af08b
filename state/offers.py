"""What is put before the customer for one case: the admissible options with keys, prices and totals."""

from functools import lru_cache

from schemas.commands import OfferedCase, OfferedOption, Spoken
from schemas.events import ResponseReceived
from schemas.facts import Content, Money, Option
from schemas.words import Channel, Group, OptionKind, Purpose, Responder, Signal
from state.admissible import Candidate, admissible, question
from state.conversation import Case
from state.gate import Pricing, judge
from state.turn import NEWS_VALID, Turn

# How many options a call may go through, and for how many pieces it knows each total.
_SPOKEN_MAX = 9
_PIECES_MAX = 24
# A unit price is told by the kilogram and the litre.
_BIG_UNITS = {"g": ("kg", 1000), "ml": ("l", 1000)}
OPT_OUTS = frozenset({Signal.OPT_OUT_KEYWORD, Signal.OPT_OUT_SENTENCE})


def offer(turn: Turn, case: Case, *, spoken: bool = False) -> OfferedCase:
    """What is shown for a case, best first, each option under its own key. A closed one has no choice left.

    A call is given more, since it can go on when nobody wants the first ones, and what it needs to speak about them.
    """
    exception, is_closed = case.exception, case.is_closed
    candidates, refused = admissible(turn, case) if not is_closed else ([], ())
    shown = candidates[: _SPOKEN_MAX if spoken else turn.policy_of(case).options.shown_max]
    if not is_closed:
        case.offered = tuple([candidate.option.option_id for candidate in shown])
        case.keys = (*case.keys, *[option_id for option_id in case.offered if option_id not in case.keys])
    line = exception.line
    others_minor = exception.order_total.minor + turn.order_delta_minor(case)
    return OfferedCase(
        case_id=exception.exception_id,
        letter=case.letter,
        kind=exception.kind,
        decision_version=case.version,
        line_name=line.name if line is not None else "",
        quantity_short=case.quantity_short,
        options=tuple([_shown(turn, case, candidate, others_minor, spoken=spoken) for candidate in shown]),
        more=len(candidates) - len(shown),
        refused=refused,
        refund_allowed=exception.refund_allowed and not is_closed,
        standing=case.decision,
        gift=_is_for_the_buyer_alone(turn, case),
        total=Money(others_minor + case.delta_minor, exception.order_total.currency),
        refund_total=_refund_total(case, others_minor) if spoken else None,
    )


def _refund_total(case: Case, others_minor: int) -> Money | None:
    """The order's total with all missing pieces of this line off it; None where there is no line."""
    line, currency = case.exception.line, case.exception.order_total.currency
    if line is None:
        return None
    return Money(others_minor - case.quantity_short * line.unit_price.minor, currency)


def _is_for_the_buyer_alone(turn: Turn, case: Case) -> bool:
    """Whoever receives a delivery from somebody else hears neither contents nor prices: only the buyer does."""
    line = case.exception.line
    return turn.conversation.facts.recipient_differs and (line is None or Group.GIFT in line.groups)


def _shown(turn: Turn, case: Case, candidate: Candidate, others_minor: int, *, spoken: bool) -> OfferedOption:
    """An option with its price, and the order's total if it is chosen beside what the other cases add."""
    option, verdict, ranked = candidate.option, candidate.verdict, candidate.rank
    currency = case.exception.order_total.currency
    dearer_minor = verdict.dearer_minor
    is_ours = dearer_minor > 0 and verdict.pricing is Pricing.OLD_PRICE
    paid_minor = 0 if is_ours else dearer_minor
    skus = tuple([component.sku for component in option.components])
    return OfferedOption(
        key=case.keys.index(option.option_id) + 1,
        option_id=option.option_id,
        name=_name(option),
        quantity=option.components[0].quantity_default if len(option.components) == 1 else 1,
        price=Money(verdict.cost_minor - dearer_minor + paid_minor, currency),
        total=Money(others_minor + paid_minor, currency),
        dearer=Money(dearer_minor, currency) if dearer_minor > 0 and not is_ours else None,
        at_old_price=is_ours,
        less_content=ranked.other_size and _holds_less(turn, case, candidate.content),
        while_stocks_last=option.reserved_until_at is None and option.kind is OptionKind.SUBSTITUTE,
        ranked_because=ranked.why,
        spoken=_spoken(turn, case, candidate, skus, others_minor) if spoken else None,
        skus=skus,
    )


def _name(option: Option) -> str:
    """A product's name, or all that a bundle holds: what is promised is what will be in the bag."""
    if len(option.components) == 1:
        return option.components[0].name
    parts = [
        f"{part.quantity_default} x {part.name}" if part.quantity_default > 1 else part.name
        for part in option.components
    ]
    return " + ".join(parts) or option.kind.value


def _spoken(turn: Turn, case: Case, candidate: Candidate, skus: tuple[str, ...], others_minor: int) -> Spoken:
    option, content = candidate.option, candidate.content
    brands = {component.brand for component in option.components if component.brand}
    whole = len(option.components) == 1 and option.components[0].quantity_default == case.quantity_short
    return Spoken(
        brand=brands.pop() if len(brands) == 1 else "",
        size=_size(option.components[0].content if whole else content),
        allergens=_allergens(option),
        unit_price_minor=_unit_price_minor(candidate.verdict.cost_minor, content),
        own_choice=candidate.is_own_choice,
        totals_minor=_totals_minor(turn, case, candidate, others_minor),
        skus=skus,
        reserved_until_at=option.reserved_until_at,
    )


def _allergens(option: Option) -> tuple[str, ...] | None:
    """Of all its products together; None where one of them is unknown, or nothing is named."""
    found: set[str] = set()
    for component in option.components:
        if not component.attributes.allergens_known:
            return None
        found.update(component.attributes.allergens)
    return tuple(sorted(found)) if option.components else None


@lru_cache(maxsize=4_096)
def _size(content: Content | None) -> str:
    """As it is spoken: 400 g, 1.5 l, 6 pieces."""
    if content is None:
        return ""
    unit, divisor = _BIG_UNITS.get(content.unit, ("", 0))
    if divisor and content.amount >= divisor:
        return f"{content.amount / divisor:f}".rstrip("0").rstrip(".") + f" {unit}"
    amount = f"{content.amount:f}".rstrip("0").rstrip(".") if content.amount % 1 else f"{content.amount:.0f}"
    if content.unit == "piece":
        return "" if content.amount == 1 else f"{amount} pieces"
    return f"{amount} {content.unit}"


@lru_cache(maxsize=4_096)
def _unit_price_minor(cost_minor: int, content: Content | None) -> int:
    """By the kilogram, the litre or the piece; 0 where it is not known."""
    if content is None or not content.amount:
        return 0
    _, divisor = _BIG_UNITS.get(content.unit, ("", 1))
    return round(cost_minor * divisor / content.amount)


def _totals_minor(turn: Turn, case: Case, candidate: Candidate, others_minor: int) -> tuple[int, ...]:
    """The order's total for each number of pieces, the rest refunded; none where one of them may not be had."""
    line, short = case.exception.line, case.quantity_short
    if line is None or not 1 <= short <= _PIECES_MAX:
        return ()
    before_minor = others_minor - short * line.unit_price.minor
    parts = [judge(candidate.option, question(turn, case, units)) for units in range(1, short)]
    totals = []
    for verdict in (*parts, candidate.verdict):
        if verdict.reasons:
            return ()
        ours_minor = verdict.dearer_minor if verdict.pricing is Pricing.OLD_PRICE else 0
        totals.append(before_minor + verdict.cost_minor - ours_minor)
    return tuple(totals)


def _holds_less(turn: Turn, case: Case, content: Content | None) -> bool:
    line = case.exception.line
    if content is None or line is None or line.content is None or content.unit != line.content.unit:
        return False
    least_percent = turn.policy_of(case).options.less_below_percent
    return content.amount * 100 < line.content.amount * case.quantity_short * least_percent


def reply(turn: Turn, event: ResponseReceived, reason: str, about: list[Case]) -> None:
    """The truth, with what stands and what can be chosen, to somebody who wrote by SMS.

    Pages and calls read it from `case.changes.v1`; an opt-out is answered by itself or not at all; and who is
    not entitled learns nothing of the order.
    """
    if event.channel is not Channel.SMS or event.signal in OPT_OUTS:
        return
    letter_all(turn)
    entitled = event.responder not in (Responder.STRANGER, Responder.CHILD, Responder.UNKNOWN)
    turn.send(
        (Channel.SMS,),
        Purpose.REPLY,
        about,
        reason=reason,
        offers=tuple([offer(turn, case) for case in about]) if entitled else (),
        reply_to=event.event_id,
        not_after_at=turn.now + NEWS_VALID,
    )


def letter_all(turn: Turn) -> None:
    """Several open lines are lettered; a letter, once given, stays with its case."""
    open_cases = turn.conversation.open_cases
    if len(open_cases) < 2:
        return
    taken = {case.letter for case in turn.conversation.cases}
    n = 0
    for case in open_cases:
        while not case.letter:
            n += 1
            if _letter(n) not in taken:
                case.letter = _letter(n)


def _letter(n: int) -> str:
    """1 is A, 26 is Z, 27 is AA."""
    text = ""
    while n:
        n, rest = divmod(n - 1, 26)
        text = chr(ord("A") + rest) + text
    return text
