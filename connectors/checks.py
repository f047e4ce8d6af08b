"""What is checked once more when claiming, because it may have changed since `decide` asked for the send."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Protocol

import msgspec

from connectors.claims import Go, Ruling, Suppress, Wait
from connectors.outbox import Connection
from schemas.commands import ChannelCommand
from schemas.words import Channel, Purpose
from state.policy import Caps, Quiet
from state.quiet import quiet_until, zone_named

# They answer the customer's own words, so no cap counts them and no hour forbids them.
REPLIES = frozenset({Purpose.REPLY, Purpose.HELP, Purpose.OPTOUT_ACK, Purpose.OPTIN_ACK, Purpose.LINK})
# What a cap may hold back; what became of an order is told in any case.
_CAPPED = frozenset({Purpose.ASK, Purpose.UPDATE, Purpose.CALL, Purpose.SATISFACTION})
# The provider answers a keyword opt-out; these are the only texts that still go to somebody who said stop.
_AFTER_OPT_OUT = frozenset({Purpose.OPTOUT_ACK, Purpose.OPTIN_ACK, Purpose.HELP, Purpose.REPLY})
_CONTACTS = (Channel.SMS, Channel.VOICE)
_DAY = timedelta(days=1)
_STEPS_MAX = 8
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
    quiet_exempt: bool = False
    # A message of unknown fate may be sent again once the provider's list does not show it.
    repeat_after_list: bool = False


class Checks:
    """A judge for `Claims.claim`: address, switches, opt-outs, hours and caps, in this order."""

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
        zone = address.zones[0] if address.zones else "UTC"
        if command.purpose in REPLIES:
            return Go(address.to, address.hashed, zone)
        limits = self._limits(command)
        opens_at = _quiet_until(command, limits, address.zones or ("UTC",), now)
        if opens_at is not None:
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


def _quiet_until(
    command: ChannelCommand, limits: Limits, zones: tuple[str, ...], now: datetime
) -> datetime | None:
    """When the quiet hours end everywhere that the customer may be; None if it is not quiet anywhere."""
    asks = command.purpose in (Purpose.ASK, Purpose.UPDATE, Purpose.CALL)
    if not asks or limits.quiet_exempt or command.channel not in _CONTACTS:
        return None
    opens_at = now
    # The end in one zone may fall into the quiet hours of another; a day has few such steps.
    for _ in range(_STEPS_MAX):
        known = [zone for name in zones if (zone := zone_named(name)) is not None]
        ends_at = max([quiet_until(limits.quiet, zone, opens_at) for zone in known], default=opens_at)
        if ends_at <= opens_at:
            break
        opens_at = ends_at
    return opens_at if opens_at > now else None


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
