"""From what a command offers to the lines of a call, with exact totals for every quantity that may be agreed on."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from schemas.commands import OfferedCase, OfferedOption, Spoken
from state.dialogue.session import Line, Option

# An option so near the end of its stock reservation is no longer offered.
RESERVATION_MARGIN = timedelta(seconds=10)
_ABOUT = {
    "delivery_missed": "your delivery that we could not hand over",
    "access_issue": "the way to your door",
    "address_issue": "the address of your delivery",
    "driver_waiting": "the driver who is waiting for you",
    "age_check_failed": "your delivery that needs an age check",
    "refused_at_door": "your delivery that was not taken in",
}


def lines_of(
    cases: Sequence[OfferedCase], deadline_at: datetime, now: datetime, *, gifts: bool
) -> tuple[Line, ...]:
    """The lines to talk about, in the order of the cases; without `gifts`, none that only the buyer may hear of."""
    told = [case for case in cases if gifts or not case.gift]
    lines = [_line(case, deadline_at + timedelta(microseconds=n), now) for n, case in enumerate(told)]
    # Without an option or a refund nobody could answer.
    return tuple([line for line in lines if line.options or line.refund_allowed])


def _line(case: OfferedCase, deadline_at: datetime, now: datetime) -> Line:
    options = [option for option in case.options if not _is_running_out(option, now)]
    currency = case.total.currency if case.total else options[0].price.currency if options else ""
    goods = bool(case.line_name)
    by_the_piece = goods and case.quantity_short > 1 and _goes_by_the_piece(case, options)
    quantity = case.quantity_short if by_the_piece else 1
    bundle = f"{case.quantity_short} " if goods and case.quantity_short > 1 and not by_the_piece else ""
    refund_total = case.refund_total if goods else case.total
    names = [_name(option, whole=not by_the_piece) for option in options]
    return Line(
        case_id=case.case_id,
        version=case.decision_version,
        item=f"{bundle}{case.line_name}" if goods else _ABOUT.get(case.kind, "your delivery"),
        quantity=quantity,
        currency=currency,
        deadline_at=deadline_at,
        options=tuple([_option(option, name, quantity) for option, name in zip(options, names, strict=True)]),
        refund_allowed=case.refund_allowed and (not goods or case.refund_total is not None),
        # A delivery that is cancelled changes no total of another line, and names none of its own.
        refund_total_minor=refund_total.minor if refund_total else 0,
        kind="item" if goods else "delivery",
    )


def _is_running_out(option: OfferedOption, now: datetime) -> bool:
    until_at = option.spoken.reserved_until_at if option.spoken else None
    return until_at is not None and until_at - RESERVATION_MARGIN <= now


def _goes_by_the_piece(case: OfferedCase, options: Sequence[OfferedOption]) -> bool:
    """Whether a piece of every option stands for a piece, at one price: else only all together have a true one."""
    return case.refund_total is not None and all(
        option.quantity == case.quantity_short
        and len(totals := option.spoken.totals_minor if option.spoken else ()) == case.quantity_short
        and all(
            (total - case.refund_total.minor) * case.quantity_short == option.price.minor * n
            for n, total in enumerate(totals, 1)
        )
        for option in options
    )


def _name(option: OfferedOption, *, whole: bool) -> str:
    size = option.spoken.size if option.spoken else ""
    count = f"{option.quantity} " if whole and option.quantity > 1 else ""
    return f"{count}{_without(option.name.replace('_', ' '), size)}"


def _option(option: OfferedOption, name: str, quantity: int) -> Option:
    spoken = option.spoken or Spoken()
    notes = [
        *(["at the old price"] if option.at_old_price else []),
        *(["which holds less"] if option.less_content else []),
        *(["while stocks last"] if option.while_stocks_last else []),
    ]
    return Option(
        option_id=option.option_id,
        name=name,
        brand=spoken.brand,
        size=spoken.size,
        price_minor=option.price.minor // quantity,
        totals_minor=spoken.totals_minor if quantity > 1 else (option.total.minor,),
        allergens=spoken.allergens,
        note=", ".join(notes),
        unit_price_minor=spoken.unit_price_minor,
        own=spoken.own_choice,
    )


def _without(name: str, size: str) -> str:
    """A product that is called by its size says it once."""
    return name.removesuffix(size).rstrip(" ,") or name if size else name
