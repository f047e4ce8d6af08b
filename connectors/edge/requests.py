"""Requests from outside, checked: signatures against the configured public URL, sizes, shapes."""

import hashlib
import hmac
from collections.abc import Sequence
from typing import Annotated

import msgspec
from twilio.request_validator import RequestValidator

from schemas.events import Answer
from schemas.facts import Money

BODY_BYTES_MAX = 64 * 1024
NOTE_CHARS_MAX = 500

# No control characters: neither Postgres' text nor its JSON can hold a NUL, and both have to hold what is named here.
_PRINTABLE = "^[^\x00-\x1f\x7f]*$"
Id = Annotated[str, msgspec.Meta(min_length=1, max_length=256, pattern=_PRINTABLE)]
RequestId = Annotated[str, msgspec.Meta(min_length=8, max_length=128, pattern=_PRINTABLE)]
"""The sender's own, by which a repeat is recognised."""


class Picked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One case's answer from a page or an app: an option, or a refund, against the version that was seen."""

    case_id: Id
    version: Annotated[int, msgspec.Meta(ge=0, lt=10**9)]
    option_id: Annotated[str, msgspec.Meta(max_length=256, pattern=_PRINTABLE)] = ""
    refund: bool = False
    total_minor: Annotated[int, msgspec.Meta(gt=-(10**12), lt=10**12)] | None = None
    currency: Annotated[str, msgspec.Meta(max_length=3)] = ""
    # For the driver: where to go, a code. It stays in the vault.
    note: Annotated[str, msgspec.Meta(max_length=NOTE_CHARS_MAX)] = ""

    def __post_init__(self) -> None:
        if bool(self.option_id) == self.refund:
            raise ValueError("either option_id or refund")


class Decisions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one submission decides."""

    request_id: RequestId
    decisions: Annotated[tuple[Picked, ...], msgspec.Meta(min_length=1, max_length=50)]


def answer_of(picked: Picked, reference: str = "") -> Answer:
    """`reference` stands for its note."""
    shown = Money(picked.total_minor, picked.currency) if picked.total_minor is not None else None
    return Answer(
        case_id=picked.case_id,
        option_id=picked.option_id,
        key=0 if picked.refund else None,
        decision_version=picked.version,
        total_shown=shown,
        # A tap beside a shown name, price and new total is the explicit yes.
        confirmed=shown is not None or picked.refund,
        reference=reference,
    )


def signed_by_app(secrets: Sequence[str], url: str, body: bytes, signature: str) -> bool:
    """HMAC-SHA256, in hex, over URL, newline and body, with any of the valid secrets; constant time."""
    given = signature.encode("utf-8", "replace")
    results = [
        hmac.compare_digest(
            hmac.new(secret.encode(), f"{url}\n".encode() + body, hashlib.sha256).hexdigest().encode(), given
        )
        for secret in secrets
    ]
    return any(results)


def signed_by_twilio(tokens: Sequence[str], url: str, form: dict[str, str], signature: str) -> bool:
    """Twilio's HMAC-SHA1 over the public URL and the sorted parameters, with any of the valid tokens."""
    results = [bool(RequestValidator(token).validate(url, form, signature)) for token in tokens]
    return any(results)
