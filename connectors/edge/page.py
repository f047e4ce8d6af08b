"""The choice page: renders only, since mail scanners open links; a form posts the decisions."""

import secrets
from datetime import datetime
from zoneinfo import ZoneInfo

from babel.dates import format_time
from babel.numbers import format_currency, get_currency_precision
from jinja2 import Environment, PackageLoader, select_autoescape

from connectors.edge.choices import Choices, takes_note
from connectors.reasons import in_words
from schemas.facts import Money

_WORDS = {
    "en": {
        "title": "Your order",
        "lead": "Something in your order cannot be delivered as ordered. Please choose:",
        "refund": "No replacement, I do not want to pay for it",
        "refund_delivery": "Cancel and refund",
        "by": "Please answer by",
        "total": "new total",
        "send": "Confirm my choice",
        "stands": "Chosen",
        "open": "Still open",
        "closed": "This can no longer be changed.",
        "waiting": "Your choice is being confirmed. This page looks again by itself.",
        "accepted": "Thank you. Your choice is in your order.",
        "refused": "This could not be taken:",
        "less": "less content",
        "stock": "while stocks last",
        "old_price": "at the old price",
        "gift": "part of a gift",
        "nothing": "There is nothing to choose.",
        "note": "Anything that the driver has to know, such as a code (only the driver sees it, once)",
    },
    "de": {
        "title": "Ihre Bestellung",
        "lead": "Etwas aus Ihrer Bestellung kann nicht wie bestellt geliefert werden. Bitte wählen Sie:",
        "refund": "Kein Ersatz, ich möchte es nicht bezahlen",
        "refund_delivery": "Stornieren und erstatten",
        "by": "Bitte antworten Sie bis",
        "total": "neue Summe",
        "send": "Auswahl bestätigen",
        "stands": "Gewählt",
        "open": "Noch offen",
        "closed": "Das kann nicht mehr geändert werden.",
        "waiting": "Ihre Auswahl wird bestätigt. Diese Seite schaut selbst wieder nach.",
        "accepted": "Danke. Ihre Auswahl ist in der Bestellung.",
        "refused": "Das ging nicht:",
        "less": "weniger Inhalt",
        "stock": "solange der Vorrat reicht",
        "old_price": "zum alten Preis",
        "gift": "Teil eines Geschenks",
        "nothing": "Es gibt nichts zu wählen.",
        "note": "Was der Fahrer wissen muss, etwa ein Code (nur er sieht es, einmal)",
    },
}
_environment = Environment(
    loader=PackageLoader("connectors.edge"),
    autoescape=select_autoescape(),
    trim_blocks=True,
    lstrip_blocks=True,
)


def render(choices: Choices, *, verdict: str | None = None, reason: str = "") -> tuple[str, str]:
    """(HTML, the nonce of its style). `verdict`: `waiting`, `accepted` or `refused` after a submission."""
    language = choices.locale.split("-", maxsplit=1)[0]
    words = _WORDS.get(language, _WORDS["en"])
    nonce = secrets.token_urlsafe(12)

    def money(amount: Money) -> str:
        value = amount.minor / 10 ** get_currency_precision(amount.currency)
        return format_currency(value, amount.currency, locale=choices.locale.replace("-", "_"))

    def clock(at: datetime) -> str:
        return format_time(
            at.astimezone(ZoneInfo(choices.zone)), "short", locale=choices.locale.replace("-", "_")
        )

    html = _environment.get_template("choice.html").render(
        choices=choices,
        words=words,
        language=language,
        money=money,
        clock=clock,
        takes_note=takes_note,
        nonce=nonce,
        verdict=verdict,
        reason=in_words(reason, choices.locale),
    )
    return html, nonce
