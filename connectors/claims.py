"""Claims in Postgres: filed by the agents, claimed by dispatchers, settled by whoever learns their fate."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from datetime import datetime, timedelta

import msgspec
from psycopg import errors
from psycopg_pool import ConnectionPool

from connectors import kept
from connectors.bell import Bell
from connectors.call_reports import NOT_TOLD, told_of
from connectors.claim_states import ClaimState, Move, move
from connectors.clock import Clock
from connectors.metrics import RATE_WAIT_S
from connectors.outbox import Connection, Outbox
from connectors.rates import Rate, take
from connectors.tracing import traced
from schemas.commands import ChannelCancel, ChannelCommand
from schemas.events import ReceiptReceived
from schemas.words import Channel, Kind, ReceiptState

_READY = "FROM claims WHERE channel = %s AND state = 'planned' AND not_before_at <= %s"
# The line of a number is taken by a live call; its next caller waits this long before it tries again.
_LINE_BUSY = timedelta(seconds=2)


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A command that is ours to send; `to` is where, `tries` counts this attempt."""

    command: ChannelCommand
    to: str
    zone: str
    tries: int
    claimed_at: datetime

    @property
    def command_id(self) -> str:
        return self.command.command_id


class Go(msgspec.Struct, frozen=True):
    """May be sent, to this address; `hashed` stands for it, `zone` is where the customer's day is."""

    to: str
    hashed: str
    zone: str


class Suppress(msgspec.Struct, frozen=True):
    reason: str


class Wait(msgspec.Struct, frozen=True):
    until_at: datetime


Ruling = Go | Suppress | Wait
# Asked inside the claiming transaction, so that what it counts cannot change under it.
Judge = Callable[[Connection, ChannelCommand, datetime], Ruling]


class DoubleSendError(Exception):
    """The provider reports a second message or call for one command: what must never happen has."""

    def __init__(self, command_id: str, known: str, other: str) -> None:
        super().__init__(f"{command_id} was sent as {known} and as {other}")


class Claims:
    """`run` names this process and this start of it, `name/unique`: its claims die with it."""

    def __init__(self, pool: ConnectionPool[Connection], outbox: Outbox, clock: Clock, run: str) -> None:
        self.pool, self.outbox, self._clock, self._run = pool, outbox, clock, run
        self.filed = Bell()
        self._held_since_s: dict[Channel, float] = {}
        """Since when a channel's rate holds ready commands back, as far as it is counted."""

    def file(self, records: Sequence[ChannelCommand | ChannelCancel], traces: Sequence[str] = ()) -> None:
        """Durable when it returns; repeats change nothing. `traces` are the records' own, in their order."""
        now = self._clock.now()
        beside = traced(records, traces)
        commands = [(one, trace) for one, trace in beside if isinstance(one, ChannelCommand)]
        with self.pool.connection() as connection, connection.transaction():
            with connection.cursor() as cursor:
                cursor.executemany(
                    "INSERT INTO claims (command_id, order_id, conversation_id, customer_ref, channel,"
                    " purpose, command, state, not_after_at, not_before_at, filed_at, urgency, traceparent)"
                    " VALUES (%s, %s, %s, %s, %s, %s, %s, 'planned', %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                    [
                        (
                            *(one.command_id, one.order_id, one.conversation_id, one.customer_ref),
                            *(one.channel, one.purpose, msgspec.json.encode(one), one.not_after_at, now, now),
                            *(_urgency(one), trace),
                        )
                        for one, trace in commands
                    ],
                )
            for one in records:
                if isinstance(one, ChannelCancel):
                    self._cancel(connection, one, now)
        self.filed.ring()

    def _cancel(self, connection: Connection, cancel: ChannelCancel, now: datetime) -> None:
        reason = cancel.reason or "cancelled"
        # A cancellation that comes first leaves a row that keeps its command from ever being sent.
        connection.execute(
            "INSERT INTO claims (command_id, order_id, channel, state, reason, cancel_reason, filed_at)"
            " VALUES (%s, %s, %s, 'cancelled', %s, %s, %s) ON CONFLICT (command_id) DO UPDATE"
            " SET cancel_reason = excluded.cancel_reason WHERE claims.cancel_reason = ''",
            [cancel.cancels, cancel.order_id, cancel.channel, reason, reason, now],
        )
        planned = connection.execute(
            "SELECT 1 FROM claims WHERE command_id = %s AND state = 'planned' FOR UPDATE", [cancel.cancels]
        ).fetchone()
        # One that is claimed may be in its socket already: its sender looks before and after.
        if planned:
            how = Move(to=ClaimState.CANCELLED, reason=reason, receipt=ReceiptState.CANCELLED)
            move(connection, self.outbox, cancel.cancels, how, now)

    def claim(self, channel: Channel, wanted: int, judge: Judge, rate: Rate | None = None) -> list[Claim]:
        """Up to `wanted` commands, most urgent first, claimed and durable; others cannot have them."""
        now = self._clock.now()
        with self.pool.connection() as connection:
            # Most looks find nothing, and need no transaction.
            if not connection.execute(f"SELECT 1 {_READY} LIMIT 1", [channel, now]).fetchone():
                self._held(channel, held=False)
                return []
            with connection.transaction():
                rows = connection.execute(
                    f"SELECT command, tries {_READY} ORDER BY urgency, not_after_at LIMIT %s"
                    " FOR UPDATE SKIP LOCKED",
                    [channel, now, wanted],
                ).fetchall()
                ready = [(kept.command(bytes(row[0])), row[1]) for row in rows]
                return self._claimed(connection, channel, ready, judge, rate, now)

    def _claimed(
        self,
        connection: Connection,
        channel: Channel,
        ready: list[tuple[ChannelCommand, int]],
        judge: Judge,
        rate: Rate | None,
        now: datetime,
    ) -> list[Claim]:
        claimed = []
        # The same order of locks for everybody, so that two dispatchers never wait in a circle.
        for customer in sorted({command.customer_ref for command, _ in ready}):
            connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [customer])
        left = take(connection, channel, rate, len(ready), now) if rate and ready else len(ready)
        self._held(channel, left < len(ready))
        for command, tries in ready:
            match self._ruling(connection, command, judge, now):
                case Suppress(reason="too_late"):
                    self._too_late(connection, command.command_id, tries, now)
                case Suppress(reason=reason):
                    self._suppress(connection, command.command_id, reason, now)
                case Wait(until_at=until_at):
                    _postpone(connection, command.command_id, until_at)
                case Go(to=to, hashed=hashed, zone=zone) if left > 0:
                    if self._take(connection, command, hashed, now):
                        left -= 1
                        one = Claim(command=command, to=to, zone=zone, tries=tries + 1, claimed_at=now)
                        claimed.append(one)
                case Go():
                    # It has to wait for a token, and keeps its place.
                    pass
        return claimed

    def holds(self, channel: Channel) -> bool:
        """Whether the last look left commands that only wait for a token."""
        return channel in self._held_since_s

    def _held(self, channel: Channel, held: bool) -> None:
        since_s, now_s = self._held_since_s.pop(channel, None), self._clock.monotonic()
        if since_s is not None:
            RATE_WAIT_S.add(channel, by=now_s - since_s)
        if held:
            self._held_since_s[channel] = now_s

    def _ruling(self, connection: Connection, command: ChannelCommand, judge: Judge, now: datetime) -> Ruling:
        return Suppress("too_late") if command.not_after_at <= now else judge(connection, command, now)

    def _take(self, connection: Connection, command: ChannelCommand, hashed: str, now: datetime) -> bool:
        dials = command.channel is Channel.VOICE
        try:
            # Only a call can meet another, and then leaves the rest of the transaction as it was.
            with connection.transaction() if dials else nullcontext():
                connection.execute(
                    "UPDATE claims SET state = 'claimed', claimed_by = %s, claimed_at = %s,"
                    " tries = tries + 1, address_hash = %s, live = %s WHERE command_id = %s",
                    [self._run, now, hashed, dials, command.command_id],
                )
        except errors.UniqueViolation:
            # Somebody is on the line with this number, perhaps about another order.
            _postpone(connection, command.command_id, now + _LINE_BUSY)
            return False
        return True

    def may_leave(self, claim: Claim, sealed_text: bytes = b"") -> bool:
        """Asked directly before the socket: still ours, not taken back, not too late. Settles it if not.

        `sealed_text` are the words that leave, under the customer's key: evidence of what was said.
        """
        now = self._clock.now()
        with self.pool.connection() as connection:
            if claim.command.not_after_at > now:
                may = connection.execute(
                    "UPDATE claims SET sealed_text = coalesce(%s, sealed_text) WHERE command_id = %s"
                    " AND state = 'claimed' AND claimed_by = %s AND cancel_reason = '' RETURNING 1",
                    [sealed_text or None, claim.command_id, self._run],
                ).fetchone()
                if may:
                    return True
            with connection.transaction():
                row = connection.execute(
                    "SELECT cancel_reason FROM claims"
                    " WHERE command_id = %s AND state = 'claimed' AND claimed_by = %s FOR UPDATE",
                    [claim.command_id, self._run],
                ).fetchone()
                if row and row[0]:
                    how = Move(to=ClaimState.CANCELLED, reason=row[0], receipt=ReceiptState.CANCELLED)
                    move(connection, self.outbox, claim.command_id, how, now)
                elif row:
                    self._too_late(connection, claim.command_id, claim.tries - 1, now)
        return False

    def settle(self, command_id: str, how: Move, *, after_s: float = 0.0) -> bool:
        """What became of a claim; one that is PLANNED again waits `after_s`. False if settled otherwise."""
        now = self._clock.now()
        with self.pool.connection() as connection, connection.transaction():
            moved = move(connection, self.outbox, command_id, how, now)
            if moved and how.to is ClaimState.PLANNED:
                _postpone(connection, command_id, now + timedelta(seconds=after_s))
            if moved and how.to is ClaimState.AMBIGUOUS:
                connection.execute(
                    "UPDATE claims SET ambiguous_at = %s, look_at = %s WHERE command_id = %s",
                    [now, now, command_id],
                )
        return moved

    def sent(self, command_id: str, provider_id: str) -> bool:
        how = Move(to=ClaimState.SENT, provider_id=provider_id, receipt=ReceiptState.SENT)
        return self.settle(command_id, how)

    def ambiguous(self, command_id: str, reason: str) -> bool:
        """It may have been accepted. A call keeps its line: it may be ringing."""
        return self.settle(
            command_id, Move(to=ClaimState.AMBIGUOUS, reason=reason, receipt=ReceiptState.AMBIGUOUS)
        )

    def suppressed(self, command_id: str, reason: str) -> None:
        self.settle(
            command_id, Move(to=ClaimState.SUPPRESSED, reason=reason, receipt=ReceiptState.SUPPRESSED)
        )

    def _too_late(self, connection: Connection, command_id: str, tries_before: int, now: datetime) -> None:
        # Tried in time and never accepted, it is the provider that was away, not the plan that was late.
        receipt = ReceiptState.PROVIDER_DOWN if tries_before else ReceiptState.SUPPRESSED
        move(
            connection,
            self.outbox,
            command_id,
            Move(to=ClaimState.SUPPRESSED, reason="too_late", receipt=receipt),
            now,
        )

    def _suppress(self, connection: Connection, command_id: str, reason: str, now: datetime) -> None:
        how = Move(to=ClaimState.SUPPRESSED, reason=reason, receipt=ReceiptState.SUPPRESSED)
        move(connection, self.outbox, command_id, how, now)

    def heard(
        self,
        command_id: str,
        provider_id: str,
        state: ReceiptState,
        *,
        final: bool,
        reason: str = "",
        sequence: int = 0,
    ) -> bool:
        """A provider's report, by webhook or when asked: the first settles the claim. False if unknown."""
        now = self._clock.now()
        with self.pool.connection() as connection, connection.transaction():
            row = connection.execute(
                "SELECT order_id, channel, provider_id FROM claims WHERE command_id = %s FOR UPDATE",
                [command_id],
            ).fetchone()
            if row is None:
                return False
            order_id, channel, known_id = row
            if known_id not in ("", provider_id):
                # Its reports count for nothing, and it is never silent.
                raise DoubleSendError(command_id, known_id, provider_id)
            sent = Move(to=ClaimState.SENT, provider_id=provider_id, receipt=ReceiptState.SENT)
            move(connection, self.outbox, command_id, sent, now)
            connection.execute(
                "UPDATE claims SET provider_id = %s, live = live AND NOT %s WHERE command_id = %s",
                [provider_id, final, command_id],
            )
            if state is not ReceiptState.SENT:
                told = told_of(connection, command_id) if state is ReceiptState.COMPLETED else NOT_TOLD
                if told.screened:
                    # A screener took it, and nobody was ever put through.
                    state = ReceiptState.SCREENED
                fact = ReceiptReceived(
                    event_id=f"{command_id}.{state}.s{sequence}",
                    order_id=order_id,
                    command_id=command_id,
                    channel=Channel(channel),
                    state=state,
                    reason=reason,
                    sequence=sequence,
                    provider_id=provider_id,
                    recorded=told.recorded,
                    recording_refused=told.recording_refused,
                    occurred_at=now,
                )
                self.outbox.put(connection, [fact])
        return True

    def recover(self, older_than: timedelta) -> list[str]:
        """Makes AMBIGUOUS what its sender left: earlier starts of this process, or any that took too long."""
        now = self._clock.now()
        with self.pool.connection() as connection:
            rows = connection.execute(
                "SELECT command_id FROM claims WHERE state = 'claimed'"
                " AND (claimed_at < %s OR (starts_with(claimed_by, %s) AND claimed_by <> %s))",
                [now - older_than, self._run.rpartition("/")[0] + "/", self._run],
            ).fetchall()
        return [row[0] for row in rows if self.ambiguous(row[0], "its sender is gone")]


def _postpone(connection: Connection, command_id: str, until_at: datetime) -> None:
    connection.execute("UPDATE claims SET not_before_at = %s WHERE command_id = %s", [until_at, command_id])


def _urgency(command: ChannelCommand) -> int:
    """Calls are few: a driver at the door comes before all others, which go by how soon they are worth nothing."""
    return 0 if any(case.kind is Kind.DRIVER_WAITING for case in command.cases) else 1
