"""What could not be processed: byte-identical, with everything that somebody needs to judge or replay it."""

import msgspec

from streams.core import Record
from streams.settings import LedgerSettings

BYTES_MAX = 1_000_000_000
"""For producers: all that librdkafka takes. The topics' own limits decide, and `saveline topics plan` compares them."""
ATTEMPT = "attempt"
REPLAYED_FROM = "replayed-from"
HEADERS_BYTES = 262_144
"""What a record in quarantine needs beside itself: where it came from, and every reason that there is room for."""
_REASONS_BYTES_MAX = HEADERS_BYTES - 8_192
_HEADER_BYTES = 16
# What stands beside a record's own headers, and is not taken along when it is sent again.
ADDED = frozenset(
    {
        *("original-topic", "original-partition", "original-offset", "original-timestamp-ms"),
        *("reason", "app-version", "deadline-due-ms", "deadline-version", REPLAYED_FROM, ATTEMPT),
    }
)


class Rejected(msgspec.Struct, gc=False):
    """One record of the quarantine topic, in the transaction of the batch that it was part of."""

    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]
    offset: int | None
    """The source's offset; None for a deadline."""


class Origin(msgspec.Struct, frozen=True):
    """Where a record came from; a ledger's settings say it as well."""

    source: str
    partition: int


def of_record(
    record: Record, settings: LedgerSettings | Origin, reasons: tuple[str, ...], version: str
) -> Rejected:
    came_with = list(record.headers or ())
    attempts = [text for name, text in came_with if name == ATTEMPT]
    headers = [
        *((name, text) for name, text in came_with if name not in ADDED),
        ("original-topic", settings.source.encode()),
        ("original-partition", b"%d" % settings.partition),
        ("original-offset", b"%d" % record.offset),
        ("original-timestamp-ms", b"%d" % record.appended_ms),
        *_said(reasons),
        ("app-version", version.encode()),
        # One that was replayed says so; anybody else's word for it is as good as none.
        (ATTEMPT, attempts[0] if attempts and attempts[0].isdigit() else b"1"),
    ]
    return Rejected(record.key, record.value, headers, record.offset)


def of_deadline(
    key: bytes,
    due_ms: int,
    version: int,
    settings: LedgerSettings,
    reasons: tuple[str, ...],
    core_version: str,
) -> Rejected:
    headers = [
        ("original-topic", settings.changelog.encode()),
        ("original-partition", b"%d" % settings.partition),
        ("deadline-due-ms", b"%d" % due_ms),
        ("deadline-version", b"%d" % version),
        *_said(reasons),
        ("app-version", core_version.encode()),
        (ATTEMPT, b"1"),
    ]
    return Rejected(key, None, headers, None)


def _said(reasons: tuple[str, ...]) -> list[tuple[str, bytes]]:
    """Every reason that there is room for: a small record may be wrong in thousands of places."""
    said: list[tuple[str, bytes]] = []
    room = _REASONS_BYTES_MAX
    for number, reason in enumerate(reasons):
        text = reason.encode()
        room -= len(text) + _HEADER_BYTES
        if room < 0:
            said.append(("reason", b"and %d more" % (len(reasons) - number)))
            break
        said.append(("reason", text))
    return said
