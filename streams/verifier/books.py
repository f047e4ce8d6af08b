"""Reads the providers' own books, and what the order system really wrote, from it or from its simulator."""

from typing import Any
from urllib.parse import quote

import msgspec
import requests

from streams.verifier.seen import Books, Row

PROVIDERS = ("twilio", "fcm", "smtp", "oms", "fulfilment")
_TIMEOUT_S = 30.0


class Unreadable(Exception):
    """A book could not be read; the message says which."""


def read(urls: dict[str, str], orders: set[str], oms_url: str, oms_token: str) -> Books | None:
    """`urls` are control doors by provider; None if nothing was given at all. Raises `Unreadable`."""
    if not urls and not oms_url:
        return None
    with requests.Session() as session:
        entries = {name: _lines(session, f"{url}/_control/book") for name, url in urls.items()}
        writes: dict[str, list[Row]] | None = None
        if "oms" in urls:
            asked = {str(e["order"]) for e in entries["oms"] if e.get("order")}
            writes = {one: _effective(session, urls["oms"], one) for one in sorted(orders | asked)}
        elif oms_url:
            writes = {one: _recorded(session, oms_url, oms_token, one) for one in sorted(orders)}
    return Books(entries=entries, writes=writes)


def _lines(session: requests.Session, url: str) -> list[Row]:
    return [msgspec.json.decode(line) for line in _get(session, url).content.splitlines()]


def _effective(session: requests.Session, url: str, order: str) -> list[Row]:
    """The simulator's book of every write that changed the order."""
    book = _get(session, f"{url}/_control/orders/{quote(order, safe='')}/book").json()
    found = []
    for one in book:
        if one["kind"] == "decision":
            recorded = [d for d in one["after"]["decisions"] if d["decision_id"] == one["key"]]
            found.append({"decision_id": one["key"], "decision": recorded[0] if recorded else None})
    return found


def _recorded(session: requests.Session, url: str, token: str, order: str) -> list[Row]:
    """What the order itself says was decided."""
    headers = {"Authorization": f"Bearer {token}"}
    answer: Any = _get(session, f"{url}/orders/{quote(order, safe='')}", headers).json()
    return [{"decision_id": one["decision_id"], "decision": one} for one in answer.get("decisions", [])]


def _get(session: requests.Session, url: str, headers: dict[str, str] | None = None) -> requests.Response:
    try:
        response = session.get(url, headers=headers, timeout=_TIMEOUT_S)
        response.raise_for_status()
    except requests.RequestException as error:
        raise Unreadable(f"{url}: {error}") from error
    return response
