"""Reads the providers' own books, and what the order system really wrote, from it or from its simulator."""

from typing import Any
from urllib.parse import quote

import msgspec
import requests

from streams.verifier.seen import Books, Row

PROVIDERS = ("twilio", "fcm", "smtp", "oms", "fulfilment")
_TIMEOUT_S = 30.0
_NOT_THERE = 404


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
    try:
        return [msgspec.json.decode(line, type=Row) for line in _get(session, url).content.splitlines()]
    except msgspec.DecodeError as error:
        raise Unreadable(f"{url}: {error}") from error


def _effective(session: requests.Session, url: str, order: str) -> list[Row]:
    """The simulator's book of every write that changed the order."""
    book = _json(session, f"{url}/_control/orders/{quote(order, safe='')}/book")
    found = []
    for one in book or []:
        if one["kind"] == "decision":
            recorded = [d for d in one["after"]["decisions"] if d["decision_id"] == one["key"]]
            found.append({"decision_id": one["key"], "decision": recorded[0] if recorded else None})
    return found


def _recorded(session: requests.Session, url: str, token: str, order: str) -> list[Row]:
    """What the order itself says was decided; nothing of an order that is not there."""
    headers = {"Authorization": f"Bearer {token}"}
    answer = _json(session, f"{url.rstrip('/')}/orders/{quote(order, safe='')}", headers)
    decisions = [] if answer is None else answer.get("decisions", [])
    return [{"decision_id": one["decision_id"], "decision": one} for one in decisions]


def _json(session: requests.Session, url: str, headers: dict[str, str] | None = None) -> Any:
    """None for what is not there."""
    response = _get(session, url, headers)
    if response.status_code == _NOT_THERE:
        return None
    try:
        return response.json()
    except ValueError as error:
        raise Unreadable(f"{url}: {error}") from error


def _get(session: requests.Session, url: str, headers: dict[str, str] | None = None) -> requests.Response:
    try:
        response = session.get(url, headers=headers, timeout=_TIMEOUT_S)
        if response.status_code != _NOT_THERE:
            response.raise_for_status()
    except requests.RequestException as error:
        raise Unreadable(f"{url}: {error}") from error
    return response
