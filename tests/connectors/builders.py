"""Commands, clocks and small stand-ins for the tests of the connectors."""

import signal
import threading
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from typing import Any

import msgspec

from connectors import vault_keys
from connectors.channels.parcel import (
    Absent,
    Accepted,
    ChannelDoor,
    Outcome,
    Parcel,
    Progress,
    Sighting,
    Text,
)
from connectors.checks import Address, Checks, Limits
from connectors.claims import Claims
from connectors.clock import Clock
from connectors.outbox import Outbox
from connectors.postgres import open_pool
from connectors.register.migrate import upgrade
from schemas.codec import Codec
from schemas.commands import ChannelCancel, ChannelCommand, OfferedCase
from schemas.events import ReceiptReceived
from schemas.registry import registry
from schemas.words import Channel, Kind, Purpose
from state.policy import Caps, Quiet
from tests.builders import a_second, an_exception
from tests.scenarios.world import World

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
ANN, BOB = "+447700900001", "+447700900002"
ADDRESSES = {
    ("ann", Channel.SMS): ANN,
    ("ann", Channel.VOICE): ANN,
    ("ann", Channel.PUSH): "device-ann",
    ("ann", Channel.EMAIL): "ann@example.com",
    ("bob", Channel.SMS): BOB,
    ("bob", Channel.VOICE): BOB,
}


# What tests give to every vault.
VAULT_KEY, VAULT_SALT = b"m" * 32, b"s" * 16


def hash_of(address: str) -> str:
    return vault_keys.hashed(vault_keys.derived(VAULT_KEY), "address", address)


def number_of(customer_ref: str) -> str:
    return f"+4477009{int(customer_ref[1:]):05d}"


class SteppedClock:
    """Stands still until it is moved."""

    def __init__(self, now: datetime = NOON) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._now.timestamp()

    def move(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)


def a_command(
    command_id: str = "A1~E1.1",
    channel: Channel = Channel.SMS,
    now: datetime = NOON,
    for_s: float = 180.0,
    **changes: Any,
) -> ChannelCommand:
    order = command_id.partition("~")[0]
    fields: dict[str, Any] = {
        "command_id": command_id,
        "order_id": order,
        "conversation_id": command_id.rpartition(".")[0],
        "customer_ref": "ann",
        "store_id": "s1",
        "channel": channel,
        "purpose": Purpose.CALL if channel is Channel.VOICE else Purpose.ASK,
        "cases": (OfferedCase(case_id="E1", kind=Kind.ITEM_UNAVAILABLE, decision_version=0),),
        "not_after_at": now + timedelta(seconds=for_s),
        "script": "mid_pick_substitution@1/en-GB/1",
        "policy": "mid_pick_substitution@1",
        "issued_at": now,
    }
    return ChannelCommand(**(fields | changes))


def a_cancel(
    cancels: str = "A1~E1.1", channel: Channel = Channel.SMS, reason: str = "decided"
) -> ChannelCancel:
    order = cancels.partition("~")[0]
    return ChannelCancel(
        command_id=f"{cancels}x",
        order_id=order,
        cancels=cancels,
        channel=channel,
        reason=reason,
        issued_at=NOON,
    )


def parcel_of(command: ChannelCommand, to: str) -> Parcel:
    return Parcel(
        command_id=command.command_id,
        order_id=command.order_id,
        channel=command.channel,
        purpose=command.purpose,
        to=to,
        text=Text(title="Greengrocer", body=f"About {command.command_id}: press 1"),
        valid_s=120,
    )


def addresses(customer_ref: str, channel: Channel) -> Address | None:
    """`c17` has addresses of its own, so that stories beside each other never share a line."""
    if not customer_ref.startswith("c"):
        to = ADDRESSES.get((customer_ref, channel))
    elif channel in (Channel.SMS, Channel.VOICE):
        to = number_of(customer_ref)
    else:
        to = f"{customer_ref}@example.com"
    return None if to is None else Address(to, hash_of(to), ("Europe/London",))


def limits(**changes: Any) -> Callable[[ChannelCommand], Limits]:
    """With `quiet_exempt` no hour is quiet, whichever it is where the tests run."""
    never = Quiet(starts=time(0), ends=time(0))
    quiet = never if changes.pop("quiet_exempt", False) else Quiet()
    return lambda _command: Limits(
        **({"caps": Caps(messages_per_day=100, calls_per_day=50), "quiet": quiet} | changes)
    )


def checks(**changes: Any) -> Checks:
    return Checks(addresses, limits(**changes))


class Rig:
    """Claims on a real database, and what its outbox holds."""

    def __init__(self, dsn: str, clock: Clock, run: str = "one/1") -> None:
        upgrade(dsn)
        self.codec = Codec(registry(None))
        self.pool = open_pool(dsn, max_size=8)
        self.claims = Claims(self.pool, Outbox(self.codec.encode), clock, run)

    def another(self, clock: Clock, run: str) -> Claims:
        return Claims(self.pool, Outbox(self.codec.encode), clock, run)

    def facts(self) -> list[Any]:
        """Everything that waits to leave, oldest first."""
        with self.pool.connection() as connection:
            rows = connection.execute("SELECT value FROM outbox ORDER BY id").fetchall()
        return [self.codec.decode(bytes(row[0])) for row in rows]

    def receipts(self, command_id: str | None = None) -> list[ReceiptReceived]:
        receipts = [fact for fact in self.facts() if isinstance(fact, ReceiptReceived)]
        return [fact for fact in receipts if command_id in (None, fact.command_id)]

    def told(self, command_id: str = "A1~E1.1") -> list[str]:
        """The receipts as `state` or `state:reason`."""
        return [f"{r.state}:{r.reason}" if r.reason else str(r.state) for r in self.receipts(command_id)]

    def state(self, command_id: str = "A1~E1.1") -> str:
        with self.pool.connection() as connection:
            row = connection.execute(
                "SELECT state FROM claims WHERE command_id = %s", [command_id]
            ).fetchone()
        assert row is not None
        return str(row[0])

    def close(self) -> None:
        self.pool.close()


class FakeDoor(ChannelDoor):
    """Answers what it is told to, and remembers what it was given."""

    def __init__(self, *outcomes: Outcome, sighting: Sighting | None = None) -> None:
        self.outcomes = list(outcomes)
        self.sighting = sighting or Absent()
        self.sent: list[Parcel] = []
        self.cancelled: list[str] = []
        self.progress: Progress | None = None

    def send(self, parcel: Parcel, /) -> Outcome:
        self.sent.append(parcel)
        return self.outcomes.pop(0) if self.outcomes else Accepted(f"id-{len(self.sent)}")

    def find(self, _parcel: Parcel, _since: datetime, _known: frozenset[str], /) -> Sighting:
        return self.sighting

    def cancel(self, provider_id: str, /) -> None:
        self.cancelled.append(provider_id)

    def ask(self, _provider_id: str, /) -> Progress | None:
        return self.progress


def reach_from(spec: str, meet: int = 1) -> Callable[..., None]:
    """`point:kill_9` or `point:stop` once `meet` threads are at that point for the first time; empty for none."""
    wanted, _, action = spec.partition(":")

    def act() -> None:
        # To this thread, which would go on while another one notices what was sent to the process.
        how = signal.SIGKILL if action == "kill_9" else signal.SIGSTOP
        signal.pthread_kill(threading.get_ident(), how)

    met, left = threading.Barrier(meet, act), [meet] if spec else [0]

    def reach(point: str, **_about: str) -> None:
        if point == wanted and left[0]:
            left[0] -= 1
            met.wait()

    return reach


def decoded(body: bytes) -> ChannelCommand:
    return msgspec.json.decode(body, type=ChannelCommand)


def an_hour() -> World:
    """Three orders: one answered by a tap, one by nobody (of two lines), one withdrawn at once."""
    world = World()
    world.exception(an_exception())
    world.exception(an_exception("x2", order_id="order-2", customer_ref="customer-2"))
    world.exception(a_second("x3", order_id="order-2", customer_ref="customer-2"))
    world.exception(an_exception("x4", order_id="order-4", customer_ref="customer-4"))
    world.withdrawn("x4", order_id="order-4")
    world.fast_forward(seconds=30)
    world.messages_leave()
    world.taps("corner")
    world.fast_forward(hours=2)
    return world
