"""Cheaper, bigger, another brand: which admissible options meet a wish, best first. Nothing else is ever offered."""

from decimal import Decimal

from state.dialogue.session import Option, Session
from state.understand import Reading
from state.understand.lexicon import lexicon
from state.understand.numbers import printed_size
from state.understand.records import Wish


def unseen_is_better(session: Session, wished: Wish, reading: Reading) -> bool:
    """Whether "cheaper" and the like are met best by an option that was not read out."""
    if reading.intent != "choose" or reading.option is None:
        return False
    found = wished_for(session, wished)
    return bool(found) and found[0] not in session.shown


def wished_for(session: Session, wished: Wish) -> tuple[int, ...]:
    """The admissible options that meet a wish better than the first that is offered, best first."""
    options, available = session.line.options, session.available
    rest = tuple(i for i in available if i not in session.shown)
    first = options[session.shown[0]] if session.shown else None
    match wished:
        case "usual":
            return tuple(i for i in available if options[i].own)
        case "more":
            return rest
        case "other_brand":
            brands = {o.brand for o in session.offered}
            return tuple(i for i in rest if options[i].brand not in brands) or (
                tuple(i for i in available if first is not None and options[i].brand != first.brand)
            )
        case "cheaper" | "dearer":
            sign = 1 if wished == "cheaper" else -1
            key = {i: Decimal(sign * options[i].price_minor) for i in available}
        case "bigger" | "smaller":
            sizes = _sizes(session)
            sign = -1 if wished == "bigger" else 1
            key = {i: sign * size for i, size in sizes.items() if i in available}
        case _:
            return ()
    if first is None:
        return ()
    bar = key.get(session.shown[0])
    return () if bar is None else tuple(sorted((i for i in key if key[i] < bar), key=lambda i: (key[i], i)))


def _sizes(session: Session) -> dict[int, Decimal]:
    """The sizes that can be compared with the first offer's."""
    spoken = lexicon(session.locale)
    if spoken is None or not session.shown:
        return {}
    printed = {i: printed_size(o.size, spoken) for i, o in enumerate(session.line.options)}
    first = printed[session.shown[0]]
    return {i: size[1] for i, size in printed.items() if size and first and size[0] == first[0]}


def dearer_by_unit(session: Session, option: Option) -> bool:
    """Whether a lower price is only a smaller pack: that must not be called cheaper."""
    first = session.line.options[session.shown[0]] if session.shown else None
    return (
        first is not None
        and 0 < first.unit_price_minor < option.unit_price_minor
        and option.price_minor < first.price_minor
    )
