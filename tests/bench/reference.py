"""The reference job as a core of the ledger."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from schemas.errors import Malformed
from streams.core import Deadline, Output, Record
from tests.bench import job

if TYPE_CHECKING:
    from streams.core import Core

    def _is_a_core(core: "ReferenceCore") -> "Core[job.State, job.Event, None]":
        return core


class ReferenceCore:
    """Pure, as `Core` asks; effects are the commands themselves."""

    version = "reference"

    def __init__(self, commands: str) -> None:
        self._commands = commands

    def decode(self, record: Record) -> job.Event:
        try:
            return job.event_of(record.value or b"")
        except msgspec.MsgspecError as error:
            raise Malformed([str(error)]) from error

    def key(self, event: job.Event) -> bytes:
        return event.about.encode()

    def decide(
        self, state: job.State | None, event: job.Event | Deadline, now_ms: int, rules: None
    ) -> tuple[job.State | None, list[job.Command] | None]:
        if isinstance(event, Deadline):
            assert state is not None
            about = state.seen[0].partition("-")[0]
            after = job.fire(state)
            return after, [job.command(about, after, "due", event.due_ms, 0)]
        before = job.NEW if state is None else state
        after = job.advance(before, event)
        if after is before:
            return state, None
        if not event.ask:
            return after, None
        return after, [job.command(event.about, after, "ask", after.due_at_ms, event.at_us)]

    def due(self, state: job.State) -> tuple[int, int] | None:
        return (state.due_at_ms, state.version) if state.due_at_ms else None

    def outputs(self, effects: list[job.Command]) -> Sequence[Output]:
        return [Output(self._commands, c.about.encode(), job.encode(c)) for c in effects]

    def encode_state(self, state: job.State) -> bytes:
        return job.encode(state)

    def decode_state(self, key: bytes, data: bytes) -> job.State:
        return job.state_of(data)

    def stuck(
        self, key: bytes, state: job.State | None, now_ms: int, reason: str, rules: None
    ) -> tuple[job.State | None, None]:
        raise AssertionError(f"the reference job failed on {key!r}: {reason}")

    def fold(self, conditions: bytes | None, event: job.Event, now_ms: int) -> bytes:
        raise AssertionError("every event of the reference job is about a case")

    def rules(self, conditions: bytes | None) -> None:
        return None
