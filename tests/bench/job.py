"""The reference job: what every peer does to a case, written once for all those in Python."""

import msgspec

SEEN_MAX = 8


class Event(msgspec.Struct, gc=False):
    """About 450 bytes of JSON. `due_at_ms` is the case's next deadline; `ask` says that a command is due."""

    id: str
    about: str
    at_us: int
    due_at_ms: int
    ask: bool
    kind: str
    store: str
    note: str


class State(msgspec.Struct, frozen=True, gc=False):
    """About 300 bytes of JSON."""

    seen: tuple[str, ...] = ()
    step: int = 0
    version: int = 0
    commands: int = 0
    due_at_ms: int = 0
    store: str = ""
    note: str = ""


class Command(msgspec.Struct, gc=False):
    """`at_us` is the instant of the event that it answers; 0 for a deadline's, which carries `due_at_ms`."""

    id: str
    about: str
    kind: str
    step: int
    version: int
    due_at_ms: int
    at_us: int
    text: str


NEW = State()

event_of = msgspec.json.Decoder(Event).decode
state_of = msgspec.json.Decoder(State).decode
command_of = msgspec.json.Decoder(Command).decode
encode = msgspec.json.Encoder().encode


def advance(state: State, event: Event) -> State:
    """The next state; the same object if the event is a repeat."""
    seen = state.seen
    if event.id in seen:
        return state
    return State(
        (*seen, event.id)[-SEEN_MAX:],
        (state.step + 1) % 16,
        state.version + 1,
        state.commands + event.ask,
        event.due_at_ms,
        event.store,
        event.note[:100],
    )


def fire(state: State) -> State:
    """The state after its deadline."""
    return msgspec.structs.replace(
        state,
        step=(state.step + 1) % 16,
        version=state.version + 1,
        commands=state.commands + 1,
        due_at_ms=0,
    )


def command(about: str, state: State, kind: str, due_at_ms: int, at_us: int) -> Command:
    return Command(
        f"{about}.{state.commands}",
        about,
        kind,
        state.step,
        state.version,
        due_at_ms,
        at_us,
        state.note,
    )
