"""What is checked once more when claiming, because it may have changed since `decide` asked for the send."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Protocol

import msgspec

from connectors.blocks import offers_blocked
from connectors.claims import Go, Ruling, Suppress, Wait
from connectors.outbox import Connection
from schemas.commands import ChannelCommand
from schemas.words import Channel, Purpose
from state.policy import Caps, Quiet
from state.quiet import rings_from, zone_named
from state.rules import BLOCKED

# They answer the customer's own words, so no cap counts them and no hour forbids them.
REPLIES = frozenset({Purpose.REPLY, Purpose.HELP, Purpose.OPTOUT_ACK, Purpose.OPTIN_ACK, Purpose.LINK})
# What a cap may hold back; what became of an order is told in any case.
_CAPPED = frozenset({Purpose.ASK, Purpose.UPDATE, Purpose.CALL, Purpose.SATISFACTION})
_ASKING = frozenset({Purpose.ASK, Purpose.UPDATE, Purpose.CALL})
# The provider answers a keyword opt-out; these are the only texts that still go to somebody who said stop.
_AFTER_OPT_OUT = frozenset({Purpose.OPTOUT_ACK, Purpose.OPTIN_ACK, Purpose.HELP, Purpose.REPLY})
_CONTACTS = (Channel.SMS, Channel.VOICE)
_DAY = timedelta(days=1)
_COUNTED = ("claimed", "sent", "ambiguous")


class Address(msgspec.Struct, frozen=True):
    """Where a customer is reached on one channel, and the zones in which their day may be.

    `hashed` stands for the address where no address may stand: keyed, so that nobody can try all numbers.
    """

    to: str
    hashed: str
    zones: tuple[str, ...] = ()


class Addresses(Protocol):
    """The vault's answer; None where the customer or the channel is not known."""

    def __call__(self, customer_ref: str, channel: Channel) -> Address | None: ...


class Limits(msgspec.Struct, frozen=True):
    """What a policy says about one command."""

    caps: Caps
    quiet: Quiet
    # A message of unknown fate may be sent again once the provider's list does not show it.
    repeat_after_list: bool = False


class Checks:
    """A judge for `Claims.claim`: address, switches, opt-outs, blocks, hours and caps, in this order."""

    def __init__(self, addresses: Addresses, limits: Callable[[ChannelCommand], Limits]) -> None:
        self._addresses, self._limits = addresses, limits

    def __call__(self, connection: Connection, command: ChannelCommand, now: datetime) -> Ruling:
        address = self._addresses(command.customer_ref, command.channel)
        if address is None:
            return Suppress("no_address")
        if switched_off(connection, command):
            return Suppress("kill_switch")
        if command.purpose not in _AFTER_OPT_OUT and opted_out(connection, command, address.hashed):
            return Suppress("opted_out")
        zones = command.zones or address.zones
        zone = zones[0] if zones else "UTC"
        if command.purpose in REPLIES:
            return Go(address.to, address.hashed, zone)
        if command.purpose in _ASKING and offers_blocked(connection, command.cases):
            return Suppress(BLOCKED)
        limits = self._limits(command)
        opens_at = _opens_at(command, limits.quiet, zones, now)
        if opens_at > now:
            return Wait(opens_at) if opens_at < command.not_after_at else Suppress("quiet")
        if command.purpose in _CAPPED and _over_cap(connection, command, limits.caps, now):
            return Suppress("cap")
        return Go(address.to, address.hashed, zone)


def switched_off(connection: Connection, command: ChannelCommand) -> bool:
    """Whether a kill switch holds the channel, the store or one of the kinds."""
    named: Mapping[str, list[str]] = {
        "channel": [command.channel],
        "store": [command.store_id],
        "kind": [case.kind for case in command.cases],
    }
    wanted = [f"{scope}:{name}" for scope, names in named.items() for name in names]
    row = connection.execute(
        "SELECT 1 FROM kill_switches WHERE scope || ':' || name = ANY(%s) LIMIT 1", [wanted]
    ).fetchone()
    return row is not None


def opted_out(connection: Connection, command: ChannelCommand, hashed: str) -> bool:
    """Whether this customer, or this number in whoever's account, wants no texts or calls."""
    if command.channel not in _CONTACTS:
        return False
    row = connection.execute(
        "SELECT bool_or(opted_out) FROM opt_outs WHERE channel = %s AND subject = ANY(%s)",
        [command.channel, [command.customer_ref, hashed]],
    ).fetchone()
    return bool(row and row[0])


def _opens_at(command: ChannelCommand, quiet: Quiet, names: tuple[str, ...], now: datetime) -> datetime:
    """From when on a question may ring, by the same rule and zones as those of the plan."""
    if command.purpose not in _ASKING or command.channel not in _CONTACTS:
        return now
    exempt = None
    if command.quiet_exempt_from_at is not None and command.quiet_exempt_until_at is not None:
        exempt = (command.quiet_exempt_from_at, command.quiet_exempt_until_at)
    zones = tuple([zone for name in names if (zone := zone_named(name)) is not None])
    return rings_from(quiet, zones, exempt, now)


def _over_cap(connection: Connection, command: ChannelCommand, caps: Caps, now: datetime) -> bool:
    """Counted over the last 24 hours and all orders; an ambiguous call counts as made."""
    calls = command.channel is Channel.VOICE
    last_mile = any(case.kind.value.startswith(_LAST_MILE) for case in command.cases)
    limit = caps.calls_per_day if calls else caps.messages_per_day
    if calls and not last_mile:
        limit -= caps.calls_kept_for_last_mile
    # One conversation on three channels is one contact to the customer, but each message is counted.
    row = connection.execute(
        "SELECT count(*) FROM claims WHERE customer_ref = %s AND claimed_at > %s"
        " AND (channel = 'voice') = %s AND state = ANY(%s) AND purpose <> ALL(%s)",
        [command.customer_ref, now - _DAY, calls, list(_COUNTED), [str(one) for one in REPLIES]],
    ).fetchone()
    return row is not None and row[0] >= limit


_LAST_MILE = ("delivery_", "access_", "address_", "driver_", "age_check_", "refused_at_")
