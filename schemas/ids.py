"""Identifiers: deterministic, so that a replay produces the same and every consumer can drop repeats."""

from urllib.parse import quote

ID_BYTES_MAX = 64


def encoded(upstream_id: str) -> str:
    """Percent-encode an upstream id, so that our own separators can never occur in it."""
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
    return int(tail) if head == conversation and tail.isascii() and tail.isdigit() else None
