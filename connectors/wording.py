"""Fills the approved texts of a policy's script with what one command is about."""

from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo

from babel.dates import format_time
from babel.numbers import format_currency, get_currency_precision

from connectors.channels.parcel import Text
from connectors.reasons import in_words
from schemas.commands import ChannelCommand, OfferedCase, OfferedOption
from schemas.facts import Decision, Money
from schemas.words import Channel, Purpose, Resolution
from state.policy import Policy

# The few words between the data; the sentences themselves are the policy's.
_WORDS = {
    "en": {
        "refund": "refund",
        "total": "new total",
        "more": "more on the page",
        "less": "less content",
        "stock": "while stocks last",
        "keep": "we deliver {n} x {name}",
        "replace": "{n} x {name} instead",
        "refunded": "{n} x {name} refunded",
        "gift": "part of a gift",
        "behind_link": "see the link",
        Resolution.CANCEL_ORDER: "the order is cancelled",
        Resolution.REDELIVER: "we deliver again",
        Resolution.INSTRUCTIONS: "the driver follows your instructions",
        Resolution.PICKUP: "you pick it up",
        Resolution.RETURNED: "it goes back to us",
    },
    "de": {
        "refund": "Erstattung",
        "total": "neue Summe",
        "more": "mehr auf der Seite",
        "less": "weniger Inhalt",
        "stock": "solange der Vorrat reicht",
        "keep": "wir liefern {n} x {name}",
        "replace": "stattdessen {n} x {name}",
        "refunded": "{n} x {name} erstattet",
        "gift": "Teil eines Geschenks",
        "behind_link": "siehe Link",
        Resolution.CANCEL_ORDER: "die Bestellung ist storniert",
        Resolution.REDELIVER: "wir liefern noch einmal",
        Resolution.INSTRUCTIONS: "der Fahrer folgt Ihren Hinweisen",
        Resolution.PICKUP: "Sie holen es ab",
        Resolution.RETURNED: "es geht an uns zurück",
    },
}


class Wording:
    """`policy_of` reads the pinned policy, `link_for` makes the choice page's link (empty: none)."""

    def __init__(
        self, retailer: str, policy_of: Callable[[str], Policy], link_for: Callable[[ChannelCommand], str]
    ) -> None:
        self._retailer, self._policy_of, self._link_for = retailer, policy_of, link_for

    def __call__(self, command: ChannelCommand, zone: str) -> Text:
        """The words of one message, times in `zone`; a call has none here, its dialogue speaks.

        Whoever is near a telephone can read a text: of a gift, contents and prices are only behind the buyer's link.
        """
        if command.channel is Channel.VOICE or command.purpose is Purpose.CALL:
            return Text(title="", body="")
        locale = _script_locale(command)
        link = self._link_for(command)
        template = self._policy_of(command.policy).scripts[locale].texts[command.purpose]
        values = {
            "retailer": self._retailer,
            "order": command.order_id,
            "items": ", ".join(_item(case, locale) for case in command.cases),
            "options": _options(command.cases, locale),
            "deadline": _clock_time(command.respond_by_at, zone, locale),
            "link": link,
            "decisions": ", ".join(_decision(case, locale) for case in command.cases if case.standing),
            "total": _total(command.cases, locale),
            "reason": in_words(command.reason, locale),
            "call_at": _clock_time(command.respond_by_at, zone, locale),
        }
        body = " ".join(template.format_map(values).split())
        return Text(title=f"{self._retailer}: {command.order_id}", body=body, link=link)


def _script_locale(command: ChannelCommand) -> str:
    """`policy@version/locale/version`, as `decide` pinned it."""
    return command.script.split("/")[1]


def _words(locale: str) -> dict[str, str]:
    return _WORDS.get(locale.split("-", maxsplit=1)[0], _WORDS["en"])


def _money(money: Money, locale: str) -> str:
    amount = money.minor / 10 ** get_currency_precision(money.currency)
    return format_currency(amount, money.currency, locale=locale.replace("-", "_"))


def _clock_time(at: datetime | None, zone: str, locale: str) -> str:
    if at is None:
        return ""
    return format_time(at.astimezone(ZoneInfo(zone)), "short", locale=locale.replace("-", "_"))


def _item(case: OfferedCase, locale: str) -> str:
    if case.gift:
        return _words(locale)["gift"]
    return f"{case.quantity_short} x {case.line_name}" if case.line_name else str(case.kind)


def _options(cases: tuple[OfferedCase, ...], locale: str) -> str:
    return " ".join(_choices(case, locale) for case in cases if case.options or case.refund_allowed)


def _choices(case: OfferedCase, locale: str) -> str:
    words, letter = _words(locale), case.letter
    options = () if case.gift else case.options
    shown = [f"{letter}{option.key} = {_option(option, locale)}" for option in options]
    if case.refund_allowed:
        shown.append(f"{letter}0 = {words['refund']}")
    if case.more or len(options) < len(case.options):
        shown.append(f"({words['more']})")
    named = f"{letter}: {words['gift'] if case.gift else case.line_name}. " if letter else ""
    return f"{named}{'; '.join(shown)}."


def _option(option: OfferedOption, locale: str) -> str:
    words = _words(locale)
    marks = [
        *([words["less"]] if option.less_content else []),
        *([words["stock"]] if option.while_stocks_last else []),
    ]
    price = f"{_money(option.price, locale)}, {words['total']} {_money(option.total, locale)}"
    count = f"{option.quantity} x " if option.quantity > 1 else ""
    return f"{count}{option.name} ({', '.join([price, *marks])})"


def _decision(case: OfferedCase, locale: str) -> str:
    decision, words = case.standing, _words(locale)
    if decision is None:
        return ""
    if case.gift:
        return f"{words['gift']}: {words['behind_link']}"
    if decision.resolution in words:
        return words[decision.resolution]
    return ", ".join(_quantities(case, decision, words))


def _quantities(case: OfferedCase, decision: Decision, words: dict[str, str]) -> list[str]:
    told = []
    if decision.keep_quantity:
        told.append(words["keep"].format(n=decision.keep_quantity, name=case.line_name))
    told += [
        words["replace"].format(n=part.pieces, name=part.name)
        for one in decision.chosen
        for part in one.components
    ]
    if decision.refund_quantity:
        told.append(words["refunded"].format(n=decision.refund_quantity, name=case.line_name))
    return told


def _total(cases: tuple[OfferedCase, ...], locale: str) -> str:
    """The order's total with all that was decided; beside a gift it would tell the gift's price."""
    if any(case.gift for case in cases):
        return _words(locale)["behind_link"]
    totals = [case.total for case in cases if case.total is not None]
    return _money(totals[-1], locale) if totals else ""
