"""What the ledger needs from the job that it runs: pure functions over its own states, events and rules."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

import msgspec

S = TypeVar("S")
"""A conversation as the core holds it in memory; treated as a value, never changed in place."""
E = TypeVar("E")
R = TypeVar("R")

Headers = Sequence[tuple[str, bytes]]

RECORDS_MAX = 1_000
"""In one delivery, and in one transaction."""


class Record(msgspec.Struct, gc=False):
    """One record of the source topic as Kafka delivered it."""

    offset: int
    appended_ms: int
    """The broker's append time: epoch milliseconds."""
    key: bytes | None
    value: bytes | None
    headers: Headers | None = None


class Batch(msgspec.Struct):
    """Consecutive records of one source partition, and how far the source is known.

    `starts_after` is the offset before the first one that this fetch could have returned: records may be
    missing between offsets (transaction markers), so only the fetcher knows it.
    `caught_up_ms`: everything appended up to this instant (epoch ms) has been delivered, this batch included;
    0 when nothing is known about the end of the source.
    """

    starts_after: int
    records: Sequence[Record]
    caught_up_ms: int = 0


class Deadline(msgspec.Struct, frozen=True, gc=False):
    """The conversation's own deadline came: what `decide` gets in place of an event."""

    due_ms: int
    version: int


class Output(msgspec.Struct, gc=False):
    """One record to publish in the same transaction, on the partition number of the source."""

    topic: str
    key: bytes
    value: bytes | None
    headers: list[tuple[str, bytes]] | None = None


class Core(Protocol[S, E, R]):
    """All methods are pure: same arguments, same results; no I/O, no clock, no randomness.

    Instants are epoch milliseconds. Whatever a method other than `decode` raises is a bug: the ledger puts
    the record into quarantine and hands its conversation to people through `stuck`.
    """

    version: str
    """The code's and the policies' versions, kept beside every transaction for replays."""

    def decode(self, record: Record) -> E:
        """Raises `schemas.errors.Malformed` with every reason, and nothing else, whatever the bytes."""

    def key(self, event: E) -> bytes | None:
        """The conversation's key, or None when the event concerns the whole partition (see `fold`)."""

    def decide(self, state: S | None, event: E | Deadline, now_ms: int, rules: R) -> tuple[S | None, object]:
        """The next state and the effects. None removes the record; the same object means "nothing changed".

        `Malformed` sends the record to quarantine and moves nothing: it contradicts what is known.

        A `Deadline` must move: the state returned for it may not be due at the same instant and version.
        """

    def due(self, state: S) -> tuple[int, int] | None:
        """When the state wants to be woken, and the version of that wish (0..2**32-1); None for never."""

    def outputs(self, effects: object) -> Sequence[Output]:
        """The records that the effects become."""

    def encode_state(self, state: S) -> bytes: ...

    def decode_state(self, key: bytes, data: bytes) -> S: ...

    def stuck(
        self, key: bytes, state: S | None, now_ms: int, reason: str, rules: R
    ) -> tuple[S | None, object]:
        """The conversation that `decide` failed on, handed to people: never raises, and never due at once."""

    def fold(self, conditions: bytes | None, event: E, now_ms: int) -> bytes:
        """What holds for the whole partition (channel health, queue delay, switches, blocks) from now on."""

    def rules(self, conditions: bytes | None) -> R:
        """The policies together with the partition's conditions, as `decide` gets them."""
