"""What every channel is given and may answer: one parcel in, one of four outcomes out."""

from datetime import datetime
from typing import Protocol

import msgspec

from schemas.words import Channel, Purpose, ReceiptState


class Text(msgspec.Struct, frozen=True, kw_only=True):
    """The words of one message; `body` is plain text and complete by itself."""

    title: str
    body: str
    link: str = ""


class Parcel(msgspec.Struct, frozen=True, kw_only=True):
    """One send, ready to leave. `to` is personal data: it goes to the provider and nowhere else."""

    command_id: str
    order_id: str
    channel: Channel
    purpose: Purpose
    to: str
    text: Text
    # For how long it is of use to the customer.
    valid_s: int
    silent: bool = False
    locale: str = "en-GB"


class Accepted(msgspec.Struct, frozen=True):
    """The provider has it under this id."""

    provider_id: str


class Refused(msgspec.Struct, frozen=True):
    """Provably not accepted, and no repeat would help: the address's or the message's own fault."""

    reason: str


class NotAccepted(msgspec.Struct, frozen=True):
    """Provably not accepted, and worth a repeat: not reached, throttled, or our credentials were refused."""

    reason: str
    retry_after_s: float = 0.0


class Unsure(msgspec.Struct, frozen=True):
    """The request left and no usable answer came: it may have been accepted."""

    reason: str


Outcome = Accepted | Refused | NotAccepted | Unsure


class Found(msgspec.Struct, frozen=True):
    """The provider's list shows it."""

    provider_id: str


class Absent(msgspec.Struct, frozen=True):
    """The provider's list was read and does not show it."""


class Unseen(msgspec.Struct, frozen=True):
    """No list could be read, or there is none."""

    reason: str


Sighting = Found | Absent | Unseen


class Progress(msgspec.Struct, frozen=True):
    """What became of something sent, as the provider tells when asked; `final` ends it."""

    state: ReceiptState
    final: bool


class ChannelDoor(Protocol):
    """A way to a customer. Blocking; called from worker threads, so it must be safe for several at once."""

    def send(self, parcel: Parcel, /) -> Outcome:
        """One attempt and never a repeat of its own."""
        ...

    def find(self, parcel: Parcel, since: datetime, known: frozenset[str], /) -> Sighting:
        """Look for a parcel of unknown fate among what was sent since; `known` ids belong to others."""
        ...

    def cancel(self, provider_id: str, /) -> None:
        """Take back what has not reached anybody yet; what has is left alone."""
        ...

    def ask(self, provider_id: str, /) -> Progress | None:
        """What became of it, where no report is sure to come; None if the channel cannot tell."""
        ...


class OneWay:
    """For channels that list nothing, take nothing back and tell nothing when asked."""

    def find(self, _parcel: Parcel, _since: datetime, _known: frozenset[str], /) -> Sighting:
        return Unseen("this channel lists nothing")

    def cancel(self, _provider_id: str, /) -> None:
        return None

    def ask(self, _provider_id: str, /) -> Progress | None:
        return None
