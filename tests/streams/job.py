"""A small job for the engine's tests: counts steps of a case, waits, speaks, and fails on demand."""

from collections.abc import Sequence

import msgspec

from schemas.errors import Malformed
from streams.core import Deadline, Output, Record

COMMANDS = "commands"


class Event(msgspec.Struct, frozen=True, gc=False):
    """`kind`: step, finish (removed at its deadline), poison (raises), bomb (its deadline raises), switch."""

    case: str
    id: int
    kind: str = "step"
    wait_ms: int = 0


class Case(msgspec.Struct, frozen=True, gc=False):
    case: str
    first: int
    seen: tuple[int, ...]
    steps: int = 0
    said: int = 0
    fired: int = 0
    due_ms: int | None = None
    version: int = 0
    finished: bool = False
    bomb: bool = False
    stuck: bool = False


class Said(msgspec.Struct, frozen=True, gc=False):
    """A command: `command_id` is the same whenever the same history is replayed."""

    command_id: str
    why: str
    steps: int
    now_ms: int
    muted: bool = False


_events = msgspec.json.Decoder(Event)
_cases = msgspec.json.Decoder(Case)
_encode = msgspec.json.Encoder().encode
replace = msgspec.structs.replace


class Job:
    """Implements `streams.core.Core`; `rules` is whether the partition is muted."""

    version = "job-1"

    def __init__(self, commands: str = COMMANDS) -> None:
        self.commands = commands

    def decode(self, record: Record) -> Event:
        try:
            return _events.decode(record.value or b"")
        except msgspec.MsgspecError as error:
            raise Malformed([str(error)]) from error

    def key(self, event: Event) -> bytes | None:
        return None if event.kind == "switch" else event.case.encode()

    def decide(
        self, state: Case | None, event: Event | Deadline, now_ms: int, rules: bool
    ) -> tuple[Case | None, Sequence[Said]]:
        if isinstance(event, Deadline):
            assert state is not None
            if state.bomb:
                raise RuntimeError("a bomb went off")
            if state.finished:
                return None, ()
            after = replace(state, due_ms=None, fired=state.fired + 1, version=state.version + 1)
            return self._say(after, "deadline", now_ms, rules)
        if state is None:
            state = Case(event.case, event.id, ())
        if event.id in state.seen:
            return state, ()
        if event.kind == "poison":
            raise ValueError("secret".upper() + event.case)
        after = replace(
            state,
            seen=(*state.seen, event.id)[-8:],
            steps=state.steps + 1,
            finished=state.finished or event.kind == "finish",
            bomb=state.bomb or event.kind == "bomb",
        )
        if event.wait_ms:
            after = replace(after, due_ms=now_ms + event.wait_ms, version=state.version + 1)
        return self._say(after, "step", now_ms, rules)

    def _say(self, case: Case, why: str, now_ms: int, rules: bool) -> tuple[Case, Sequence[Said]]:
        said = Said(f"{case.case}~{case.first}.{case.said}", why, case.steps, now_ms, rules)
        return replace(case, said=case.said + 1), (said,)

    def due(self, state: Case) -> tuple[int, int] | None:
        return None if state.due_ms is None else (state.due_ms, state.version)

    def outputs(self, effects: Sequence[Said]) -> list[Output]:
        return [
            Output(self.commands, said.command_id.split("~")[0].encode(), _encode(said)) for said in effects
        ]

    def encode_state(self, state: Case) -> bytes:
        return _encode(state)

    def decode_state(self, key: bytes, data: bytes) -> Case:
        return _cases.decode(data)

    def stuck(
        self, key: bytes, state: Case | None, now_ms: int, reason: str, rules: bool
    ) -> tuple[Case | None, Sequence[Said]]:
        case = state or Case(key.decode(), 0, ())
        handed = replace(case, due_ms=None, version=case.version + 1, stuck=True, bomb=False)
        return self._say(handed, f"stuck:{reason}", now_ms, rules)

    def fold(self, conditions: bytes | None, event: Event, now_ms: int) -> bytes:
        return b"muted" if event.wait_ms else b"open"

    def rules(self, conditions: bytes | None) -> bool:
        return conditions == b"muted"
