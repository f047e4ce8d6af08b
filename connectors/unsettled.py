"""Finds out what became of claims whose fate is not known, and takes back calls that are no longer wanted."""

from collections.abc import Callable
from datetime import timedelta

import msgspec

from connectors import kept
from connectors.channels.parcel import Absent, ChannelDoor, Found, Parcel, Unseen
from connectors.channels.twilio_door import UNREADABLE
from connectors.claim_states import ClaimState, Move
from connectors.claims import Claims
from connectors.clock import Clock
from schemas.commands import ChannelCommand
from schemas.words import Channel

# Polled states come behind every webhook's.
POLLED_SEQUENCE = 10_000


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """How long each question is asked again before it counts as answered; all in seconds."""

    look_every_s: float = 2.0
    # The list may lag: only what it still does not show after this long is absent.
    absent_after_s: float = 20.0
    # A list that cannot be read is asked for this long.
    unseen_after_s: float = 60.0
    # A call without any report is asked after.
    ask_after_s: float = 90.0


class Unsettled:
    """`parcel_of` makes the parcel that was, or would have been, sent; `may_repeat` is the policy's word."""

    def __init__(
        self,
        claims: Claims,
        doors: dict[Channel, ChannelDoor],
        clock: Clock,
        *,
        parcel_of: Callable[[ChannelCommand, str], Parcel],
        address_of: Callable[[ChannelCommand], str | None],
        may_repeat: Callable[[ChannelCommand], bool],
        patience: dict[Channel, Patience] | None = None,
    ) -> None:
        self._claims, self._doors, self._clock = claims, doors, clock
        self._parcel_of, self._address_of, self._may_repeat = parcel_of, address_of, may_repeat
        self._patience = patience or {}

    def round(self, asks: Callable[[], None] = lambda: None) -> int:
        """One look at everything that is due; returns how many claims it moved.

        `asks` is told before each question: a provider that is away lets every one of them wait.
        """
        return self._look(asks) + self._take_back(asks) + self._ask(asks)

    def _look(self, asks: Callable[[], None]) -> int:
        now = self._clock.now()
        with self._claims.pool.connection() as connection:
            rows = connection.execute(
                "SELECT command, claimed_at, ambiguous_at, address_hash FROM claims"
                " WHERE state = 'ambiguous' AND look_at <= %s ORDER BY look_at LIMIT 100",
                [now],
            ).fetchall()
        moved = 0
        for body, claimed_at, ambiguous_at, hashed in rows:
            asks()
            command = kept.command(bytes(body))
            patience = self._patience.get(command.channel, Patience())
            self._look_again(command.command_id, patience.look_every_s)
            to = self._address_of(command)
            waited_s = (now - ambiguous_at).total_seconds()
            if to is None:
                self._claims.suppressed(command.command_id, "ambiguous")
                continue
            parcel = self._parcel_of(command, to)
            door = self._doors[command.channel]
            match door.find(parcel, claimed_at, self._known(hashed, command.command_id)):
                case Found(provider_id=provider_id):
                    moved += self._claims.sent(command.command_id, provider_id)
                case Absent() if waited_s >= patience.absent_after_s:
                    moved += self._give_up(command, shown=False)
                case Unseen() if waited_s >= patience.unseen_after_s:
                    moved += self._give_up(command, shown=None)
                case _:
                    pass
        return moved

    def _give_up(self, command: ChannelCommand, *, shown: bool | None) -> int:
        repeats = (
            shown is False
            and command.channel is Channel.SMS
            and self._may_repeat(command)
            and command.not_after_at > self._clock.now()
        )
        if repeats:
            return self._claims.settle(command.command_id, Move(to=ClaimState.PLANNED, reason="not listed"))
        self._claims.suppressed(command.command_id, "ambiguous")
        return 1

    def _known(self, hashed: str, command_id: str) -> frozenset[str]:
        with self._claims.pool.connection() as connection:
            rows = connection.execute(
                "SELECT provider_id FROM claims"
                " WHERE address_hash = %s AND provider_id <> '' AND command_id <> %s",
                [hashed, command_id],
            ).fetchall()
        return frozenset(row[0] for row in rows)

    def _look_again(self, command_id: str, after_s: float) -> None:
        at = self._clock.now() + timedelta(seconds=after_s)
        with self._claims.pool.connection() as connection:
            connection.execute("UPDATE claims SET look_at = %s WHERE command_id = %s", [at, command_id])

    def _take_back(self, asks: Callable[[], None]) -> int:
        """A cancellation that came while its call was being dialled, or rings."""
        with self._claims.pool.connection() as connection:
            rows = connection.execute(
                "SELECT command_id, channel, provider_id FROM claims WHERE cancel_reason <> '' AND live"
                " AND provider_id <> '' AND cancel_sent_at IS NULL"
            ).fetchall()
        told = 0
        for command_id, channel, provider_id in rows:
            asks()
            try:
                self._doors[Channel(channel)].cancel(provider_id)
            except (*UNREADABLE, OSError):
                # It could not be told: the next round tries again.
                continue
            # Not before: whoever dies in between leaves it to the next, and twice takes nothing else back.
            with self._claims.pool.connection() as connection:
                connection.execute(
                    "UPDATE claims SET cancel_sent_at = %s WHERE command_id = %s",
                    [self._clock.now(), command_id],
                )
            told += 1
        return told

    def _ask(self, asks: Callable[[], None]) -> int:
        """Calls whose end nobody reported; until it is known, their line stays taken."""
        now = self._clock.now()
        ask_after_s = self._patience.get(Channel.VOICE, Patience()).ask_after_s
        with self._claims.pool.connection() as connection:
            rows = connection.execute(
                "SELECT command_id, channel, provider_id FROM claims WHERE state = 'sent' AND live"
                " AND provider_id <> '' AND greatest(claimed_at + make_interval(secs => %s), look_at) <= %s",
                [ask_after_s, now],
            ).fetchall()
        moved = 0
        for command_id, channel, provider_id in rows:
            asks()
            self._look_again(command_id, ask_after_s / 3)
            progress = self._doors[Channel(channel)].ask(provider_id)
            if progress is not None and progress.final:
                moved += self._claims.heard(
                    command_id,
                    provider_id,
                    progress.state,
                    final=True,
                    reason="polled",
                    sequence=POLLED_SEQUENCE,
                )
        return moved
