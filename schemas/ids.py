"""Identifiers: deterministic, so that a replay produces the same and every consumer can drop repeats."""

import re
from urllib.parse import quote

ID_BYTES_MAX = 64
_DIGITS_MAX = 18
_is_plain = re.compile(r"[A-Za-z0-9_-]+").fullmatch


def encoded(upstream_id: str) -> str:
    """Percent-encode an upstream id, so that our own separators can never occur in it."""
    if _is_plain(upstream_id):
        return upstream_id
    # `quote` leaves "~" and "." alone, and these are exactly our separators.
    return quote(upstream_id, safe="").replace("~", "%7E").replace(".", "%2E")


def conversation_id(order_id: str, first_exception_id: str) -> str:
    return f"{encoded(order_id)}~{encoded(first_exception_id)}"


def command_id(conversation: str, n: int) -> str:
    return f"{conversation}.{n}"


def decision_id(case_id: str, version: int) -> str:
    return f"{encoded(case_id)}.d{version}"


def trigger_id(decision: str) -> str:
    return f"{decision}.t"


def evidence_id(decision: str) -> str:
    return f"{decision}.e"


def command_number(conversation: str, command: str) -> int | None:
    """Which of this conversation's commands an id names; None for another conversation's."""
    head, _, tail = command.rpartition(".")
    # Only as we write it: any other spelling would name one command by two ids.
    if head != conversation or len(tail) > _DIGITS_MAX or not (tail.isascii() and tail.isdigit()):
        return None
    return int(tail) if tail == str(int(tail)) else None
