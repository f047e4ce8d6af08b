"""The calls under way, in Postgres: sealed under the customer's key, compared and set with every turn."""

from datetime import datetime
from typing import Any

import msgspec
from psycopg_pool import ConnectionPool

from connectors.outbox import Connection
from connectors.vault import Vault
from state.dialogue.events import Say
from state.dialogue.session import Session, Stage

_SESSION, TRANSCRIPT = "call", "transcript"


class Kept(msgspec.Struct, frozen=True):
    """What is sealed: the dialogue's session, its last words for whoever asks twice, what a colleague is told."""

    session: Session
    say: Say
    summary: str = ""


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One call as it stands. `turn` is the answer that is awaited; `spoken_at` is when its question was given out."""

    call_id: str
    command_id: str
    order_id: str
    conversation_id: str
    customer_ref: str
    provider_id: str
    incoming: bool = False
    version: int = 1
    turn: int = 1
    session: Session
    say: Say
    summary: str = ""
    recorded: bool = False
    recording_refused: bool = False
    screened: bool = False
    started_at: datetime
    spoken_at: datetime


class Turned(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the transcript."""

    at: datetime
    heard: tuple[Any, ...] = ()
    said: str = ""
    prompts: tuple[str, ...] = ()
    script: str = ""
    outcomes: tuple[Any, ...] = ()
    stage: str = ""


_kept = msgspec.msgpack.Decoder(Kept)
_COLUMNS = (
    "call_id, command_id, order_id, conversation_id, customer_ref, provider_id, incoming, version, turn,"
    " recorded, recording_refused, screened, started_at, spoken_at, sealed"
)


class Sessions:
    """Stateless: every process sees the same calls."""

    def __init__(self, pool: ConnectionPool[Connection], vault: Vault) -> None:
        self._pool, self._vault = pool, vault

    def load(self, call_id: str) -> Call | None:
        """Raises `Erased` once the customer's key is gone."""
        with self._pool.connection() as connection:
            row = connection.execute(
                f"SELECT {_COLUMNS} FROM call_sessions WHERE call_id = %s",  # noqa: S608 - our own names
                [call_id],
            ).fetchone()
        if row is None:
            return None
        names = _COLUMNS.split(", ")[:-1]
        fields = dict(zip(names, row[:-1], strict=True))
        kept = _kept.decode(self._vault.unseal(fields["customer_ref"], bytes(row[-1]), _SESSION))
        return Call(**fields, session=kept.session, say=kept.say, summary=kept.summary)

    def handed_over(self, conversation_id: str) -> str:
        """What a colleague is told of the last call of a conversation that was handed over; empty for none."""
        with self._pool.connection() as connection:
            rows = connection.execute(
                "SELECT call_id FROM call_sessions WHERE conversation_id = %s ORDER BY started_at DESC",
                [conversation_id],
            ).fetchall()
        calls = (self.load(row[0]) for row in rows)
        return next((call.summary for call in calls if call is not None and call.summary), "")

    def sealed(self, call: Call, turned: Turned) -> tuple[bytes, bytes]:
        """The session and the line of the transcript as they are stored; made before the transaction begins."""
        # What was brought about is in the facts.
        kept = Kept(call.session, msgspec.structs.replace(call.say, outcomes=()), call.summary)
        return (
            self._vault.seal(call.customer_ref, msgspec.msgpack.encode(kept), _SESSION),
            self._vault.seal(call.customer_ref, msgspec.json.encode(turned), TRANSCRIPT),
        )

    def begin(self, connection: Connection, call: Call, sealed: tuple[bytes, bytes]) -> bool:
        """Part of the caller's transaction; False if the call is known already."""
        row = connection.execute(
            f"INSERT INTO call_sessions ({_COLUMNS}, stage)"  # noqa: S608 - our own names
            f" VALUES ({', '.join(['%s'] * 16)}) ON CONFLICT DO NOTHING RETURNING 1",
            [
                *(call.call_id, call.command_id, call.order_id, call.conversation_id, call.customer_ref),
                *(call.provider_id, call.incoming, call.version, call.turn),
                *(call.recorded, call.recording_refused, call.screened),
                *(call.started_at, call.spoken_at, sealed[0], call.session.stage),
            ],
        ).fetchone()
        if row is not None:
            self._note(connection, call, sealed[1], call.spoken_at)
        return row is not None

    def change(self, connection: Connection, call: Call, sealed: tuple[bytes, bytes], at: datetime) -> bool:
        """`call` is the next version; part of the caller's transaction. False if another was quicker."""
        ended_at = at if call.session.stage is Stage.ENDED else None
        row = connection.execute(
            "UPDATE call_sessions SET version = %s, turn = %s, sealed = %s, stage = %s, recorded = %s,"
            " recording_refused = %s, screened = %s, spoken_at = %s, ended_at = coalesce(ended_at, %s)"
            " WHERE call_id = %s AND version = %s RETURNING 1",
            [
                *(call.version, call.turn, sealed[0], call.session.stage, call.recorded),
                *(call.recording_refused, call.screened, call.spoken_at, ended_at),
                *(call.call_id, call.version - 1),
            ],
        ).fetchone()
        if row is not None:
            self._note(connection, call, sealed[1], at)
        return row is not None

    def _note(self, connection: Connection, call: Call, sealed: bytes, at: datetime) -> None:
        connection.execute(
            "INSERT INTO call_turns (call_id, version, sealed, taken_at) VALUES (%s, %s, %s, %s)",
            [call.call_id, call.version, sealed, at],
        )
