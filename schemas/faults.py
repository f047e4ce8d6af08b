"""Collects what is wrong with a record, field by field, in words for whoever published it."""

import re
import unicodedata
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from importlib.resources import files

from schemas.facts import Money
from schemas.ids import ID_BYTES_MAX

TEXT_CHARS_MAX = 200
QUANTITY_MAX = 10_000
REVISION_MAX = 2**53
# Ten million of most currencies: above it somebody sent another unit.
MINOR_MAX = 1_000_000_000
HORIZON = timedelta(days=366)
# Outside of them an instant stands for "none" or "for ever", and a margin before or after it would not exist.
YEARS = range(1970, 3000)

_CURRENCY = re.compile(r"[A-Z]{3}")
_COUNTRY = re.compile(r"[A-Z]{2}")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*")
_TIME_OF_DAY = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")
# Direction overrides can make a name read as another; the joiners of Indic scripts and emoji may stay.
_OVERRIDES = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


class Faults:
    """Every fault names the field's path, what is wrong, and what `publisher` must do about it.

    Values are not repeated unless they are numbers: a fault goes into headers and logs.
    """

    def __init__(self, publisher: str) -> None:
        self.found: list[str] = []
        self._publisher = publisher

    def add(self, path: str, wrong: str, remedy: str) -> None:
        self.found.append(f"{path}: {wrong}; {self._publisher} must {remedy}")

    def identifier(
        self, path: str, value: str, *, required: bool = True, bytes_max: int = ID_BYTES_MAX
    ) -> None:
        if required and not value.strip():
            self.add(path, "is empty", "send an identifier")
        size = len(value.encode(errors="surrogatepass"))
        if size > bytes_max:
            self.add(path, f"has {size} bytes", f"keep identifiers within {bytes_max} bytes of UTF-8")
        self._printable(path, value)

    def text(self, path: str, value: str, *, required: bool = False, chars_max: int = TEXT_CHARS_MAX) -> None:
        if required and not value.strip():
            self.add(path, "is empty", "send it")
        if len(value) > chars_max:
            self.add(path, f"has {len(value)} characters", f"keep it within {chars_max}")
        self._printable(path, value)

    def count(self, path: str, items: Sequence[object], most: int) -> None:
        if len(items) > most:
            self.add(path, f"has {len(items)} entries", f"send at most {most}")

    def number(self, path: str, value: int, least: int, most: int) -> None:
        if not least <= value <= most:
            self.add(path, f"is {value}", f"send a number from {least} to {most}")

    def quantity(self, path: str, value: int, least: int = 0) -> None:
        self.number(path, value, least, QUANTITY_MAX)

    def money(self, path: str, value: Money, currency: str, minor_max: int = MINOR_MAX) -> str:
        """An amount of 0 or more; in `currency`, unless that is empty. Gives its currency if that is one."""
        if value.minor < 0:
            self.add(path, f"is negative ({value.minor})", "send 0 or more minor units")
        if value.minor > minor_max:
            self.add(path, f"is {value.minor} minor units", f"send at most {minor_max}")
        if not _CURRENCY.fullmatch(value.currency):
            self.add(f"{path}.currency", "is no ISO 4217 code", "send three capital letters")
            return ""
        if currency and value.currency != currency:
            wrong = f"is {value.currency}, but the order is in {currency}"
            self.add(f"{path}.currency", wrong, "use one currency for the whole order")
        return value.currency

    def instant(self, path: str, value: datetime | None) -> bool:
        """Whether there is an instant that can be compared with others."""
        if value is not None and value.tzinfo is None:
            self.add(path, "has no time zone", "send an instant in UTC")
        elif value is not None and value.year not in YEARS:
            self.add(
                path, f"is in the year {value.year}", "send the real instant, or nothing where there is none"
            )
        return value is not None and value.tzinfo is not None

    def span(self, path: str, from_at: datetime | None, until_at: datetime | None) -> None:
        """`{path}_from_at` and `{path}_until_at`, in that order where both are known."""
        comparable = [
            self.instant(f"{path}_from_at", from_at),
            self.instant(f"{path}_until_at", until_at),
        ]
        if from_at is not None and until_at is not None and all(comparable) and until_at <= from_at:
            self.add(f"{path}_until_at", "is not after the slot's start", "send a slot that ends later")

    def zone(self, path: str, value: str) -> None:
        if value and value not in _zones():
            self.add(path, "is no known time zone", "send an IANA name such as Europe/Paris, or nothing")

    def country(self, path: str, value: str) -> None:
        if not _COUNTRY.fullmatch(value):
            self.add(path, "is no ISO 3166 country code", "send two capital letters")

    def language(self, path: str, value: str) -> None:
        if not _LANGUAGE.fullmatch(value):
            self.add(path, "is no language tag", "send one such as en-GB")

    def hours(self, path: str, from_: str, until: str) -> None:
        """`{path}_from` and `{path}_until`, local times of day; the second may be the next day's."""
        for end, value in (("from", from_), ("until", until)):
            if value and not _TIME_OF_DAY.fullmatch(value):
                self.add(f"{path}_{end}", "is no time of day", "send HH:MM, 00:00 to 23:59")
        if bool(from_) != bool(until):
            missing = f"{path}_until" if from_ else f"{path}_from"
            self.add(missing, "is missing", "send both, or none")
        elif from_ and from_ == until:
            self.add(f"{path}_until", f"equals {path}_from", "send two different times, or none for all day")

    def url(self, path: str, value: str) -> None:
        self.text(path, value, chars_max=2048)
        if value and not value.startswith(("https://", "http://")):
            self.add(path, "is no web address", "send one that starts with https://, or nothing")

    def _printable(self, path: str, value: str) -> None:
        if any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") or c in _OVERRIDES for c in value):
            self.add(path, "has control characters", "remove them")


@cache
def _zones() -> frozenset[str]:
    # The pinned list, not this machine's: every process must find the same.
    return frozenset(files("tzdata").joinpath("zones").read_text(encoding="utf-8").split())
