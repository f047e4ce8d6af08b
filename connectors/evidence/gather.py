"""Collects the parts of a decision's evidence from where each was left."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec
from psycopg_pool import ConnectionPool

from connectors import kept
from connectors.outbox import Connection
from connectors.voice.sessions import TRANSCRIPT
from schemas.commands import EvidenceRequest
from schemas.words import Channel, EvidencePart, Purpose

# unseal(customer_ref, sealed, purpose)
Unseal = Callable[[str, bytes, str], bytes]
TEXT_PURPOSE = "text"


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """A message or a call attempt, as claims know it; `text` is what the customer read."""

    command_id: str
    channel: str
    purpose: str
    attempt: int
    state: str
    reason: str
    provider_id: str
    claimed_at: datetime | None
    settled_at: datetime | None
    script: str
    text: str = ""


class Confirmation(msgspec.Struct, frozen=True, kw_only=True):
    """How the customer said yes: which response, on which channel, to which readback."""

    response_id: str
    channel: str
    actor: str
    readback: str
    decided_at: datetime


class Gathered(msgspec.Struct, frozen=True):
    """The parts that were found, and those that were not (yet)."""

    parts: dict[EvidencePart, bytes]
    missing: tuple[EvidencePart, ...]


# What a call left behind: its bytes, or None if there are none (yet).
OfCalls = Callable[[list[Sent]], bytes | None]


def nothing(_calls: list[Sent]) -> bytes | None:
    return None


class Gather:
    """`recording` is asked for the calls of the conversation; what was said in them was kept turn by turn."""

    def __init__(
        self,
        pool: ConnectionPool[Connection],
        unseal: Unseal,
        *,
        recording: OfCalls = nothing,
    ) -> None:
        self._pool, self._unseal, self._recording = pool, unseal, recording

    def __call__(self, request: EvidenceRequest) -> Gathered:
        """Every part that was asked for is in one of the two; raises `Erased`."""
        sent = self._sent(request)
        calls = [*(one for one in sent if one.channel == Channel.VOICE), *self._incoming(request)]
        parts: dict[EvidencePart, bytes] = {}
        for part in request.parts:
            body = self._part(part, request, sent, calls)
            if body is not None:
                parts[part] = body
        absent = [part for part in request.parts if part not in parts and part is not EvidencePart.MANIFEST]
        return Gathered(parts, tuple(absent))

    def _part(
        self, part: EvidencePart, request: EvidenceRequest, sent: list[Sent], calls: list[Sent]
    ) -> bytes | None:
        match part:
            case EvidencePart.MESSAGES:
                return _json([one for one in sent if one.channel != Channel.VOICE])
            case EvidencePart.CALL_LOG:
                return _json(calls)
            case EvidencePart.CONFIRMATION:
                return _json(_confirmation(request, sent))
            case EvidencePart.TRANSCRIPT:
                return self._transcript(request)
            case EvidencePart.RECORDING:
                return self._recording(calls)
            case _:
                return None

    def _incoming(self, request: EvidenceRequest) -> list[Sent]:
        """Calls that the customer made: nothing was claimed for them."""
        with self._pool.connection() as connection:
            rows = connection.execute(
                "SELECT call_id, stage, provider_id, started_at, ended_at FROM call_sessions"
                " WHERE conversation_id = %s AND incoming ORDER BY started_at",
                [request.conversation_id],
            ).fetchall()
        return [
            Sent(
                command_id=call_id,
                channel=Channel.VOICE,
                purpose="incoming",
                attempt=1,
                state=stage,
                reason="",
                provider_id=provider_id,
                claimed_at=started_at,
                settled_at=ended_at,
                script="",
            )
            for call_id, stage, provider_id, started_at, ended_at in rows
        ]

    def _transcript(self, request: EvidenceRequest) -> bytes | None:
        """Every turn of every call of the conversation; None while one is on the line and nothing was said.

        A call that was answered while we were away ended without a word: its transcript is that there is none.
        """
        with self._pool.connection() as connection:
            rows = connection.execute(
                "SELECT call_id, turns.sealed FROM call_turns turns JOIN call_sessions USING (call_id)"
                " WHERE conversation_id = %s ORDER BY started_at, call_id, turns.version",
                [request.conversation_id],
            ).fetchall()
            live = connection.execute(
                "SELECT 1 FROM claims WHERE conversation_id = %s AND live LIMIT 1", [request.conversation_id]
            ).fetchone()
        if live and not rows:
            return None
        calls: dict[str, list[msgspec.Raw]] = {}
        for call_id, sealed in rows:
            turn = self._unseal(request.customer_ref, bytes(sealed), TRANSCRIPT)
            calls.setdefault(call_id, []).append(msgspec.Raw(turn))
        return _json([{"call_id": call_id, "turns": turns} for call_id, turns in calls.items()])

    def _sent(self, request: EvidenceRequest) -> list[Sent]:
        with self._pool.connection() as connection:
            rows = connection.execute(
                "SELECT command, state, reason, provider_id, claimed_at, settled_at, sealed_text FROM claims"
                " WHERE conversation_id = %s AND command IS NOT NULL ORDER BY filed_at, command_id",
                [request.conversation_id],
            ).fetchall()
        found = []
        for body, state, reason, provider_id, claimed_at, settled_at, sealed in rows:
            command = kept.command(bytes(body))
            if command.about and request.case_id not in command.about:
                continue
            text = self._unseal(request.customer_ref, bytes(sealed), TEXT_PURPOSE).decode() if sealed else ""
            found.append(
                Sent(
                    command_id=command.command_id,
                    channel=command.channel,
                    purpose=command.purpose,
                    attempt=command.attempt,
                    state=state,
                    reason=reason,
                    provider_id=provider_id,
                    claimed_at=claimed_at,
                    settled_at=settled_at,
                    script=command.script,
                    text=text,
                )
            )
        return found


def _confirmation(request: EvidenceRequest, sent: list[Sent]) -> dict[str, Any]:
    decision = request.decision
    how = Confirmation(
        response_id=decision.response_id,
        channel=decision.channel,
        actor=decision.actor,
        readback=decision.readback,
        decided_at=decision.decided_at,
    )
    return {"how": how, "told": [one for one in sent if one.purpose == Purpose.CONFIRM]}


def _json(value: Any) -> bytes:
    return msgspec.json.encode(value, order="deterministic")
