"""Outbound on a real Postgres: commands are durable as claims, changes are shown, foreign bytes go back."""

from collections.abc import Iterator

import pytest
from psycopg_pool import ConnectionPool

from connectors.claims import Claims
from connectors.clock import SystemClock
from connectors.outbox import Outbox
from connectors.postgres import open_pool
from connectors.register.migrate import upgrade
from schemas.catalogue import Topic
from schemas.codec import Codec
from schemas.commands import CaseChanged, ChannelCancel, ChannelCommand
from schemas.registry import LockedRegistry
from schemas.words import Channel
from streams.core import Batch, Record
from streams.outbound import Outbound
from streams.quarantine import Rejected
from tests.builders import an_exception
from tests.scenarios.world import World

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("postgres")]

CODEC = Codec(LockedRegistry())


class Desk:
    """The handlers, the database behind them, and what they sent to quarantine."""

    def __init__(self, pool: ConnectionPool) -> None:
        self.pool = pool
        self.quarantined: list[Rejected] = []
        claims = Claims(pool, Outbox(CODEC.encode), SystemClock(), "desk/1")
        self.outbound = Outbound(CODEC, pool, claims, self.quarantined.extend, "test")

    def rows(self, query: str) -> list[tuple]:
        with self.pool.connection() as connection:
            return connection.execute(query.encode()).fetchall()


@pytest.fixture
def desk(dsn: str) -> Iterator[Desk]:
    upgrade(dsn)
    with open_pool(dsn, max_size=2) as pool:
        yield Desk(pool)


def delivery(*payloads: bytes) -> Batch:
    return Batch(-1, [Record(n, 0, b"order-1", payload) for n, payload in enumerate(payloads)])


def an_order() -> World:
    world = World()
    world.exception(an_exception())
    world.fast_forward(seconds=30)
    return world


def test_commands_are_filed_once_however_often_they_are_delivered(desk: Desk) -> None:
    command = an_order().sent(Channel.SMS)[0]
    batch = delivery(CODEC.encode(command))
    for _ in range(3):
        desk.outbound.file(Topic.SMS.value, 0, batch)
    assert desk.rows("SELECT command_id, state, purpose FROM claims") == [
        (command.command_id, "planned", "ask")
    ]


def test_a_cancellation_takes_back_what_was_filed(desk: Desk) -> None:
    world = an_order()
    world.taps("corner")
    commands = [e for e in world.of(ChannelCommand) if e.channel is Channel.SMS][:1]
    cancels = [e for e in world.of(ChannelCancel) if e.channel is Channel.SMS]
    desk.outbound.file(Topic.SMS.value, 0, delivery(*[CODEC.encode(e) for e in (*commands, *cancels)]))
    assert desk.rows("SELECT state FROM claims") == [("cancelled",)]


def test_changes_are_shown_at_their_place_in_the_topic(desk: Desk) -> None:
    changes = [CODEC.encode(e) for e in an_order().of(CaseChanged)]
    desk.outbound.show(Topic.CHANGES.value, 3, delivery(*changes))
    desk.outbound.show(Topic.CHANGES.value, 3, delivery(*changes))
    assert desk.rows("SELECT case_id, state FROM register_cases") == [("x1", "open")]
    assert desk.rows("SELECT DISTINCT partition FROM case_timeline") == [(3,)]
    assert desk.rows("SELECT count(*) FROM case_timeline") == [(len(changes),)]


def test_what_is_no_command_goes_to_quarantine_and_holds_nothing_up(desk: Desk) -> None:
    command = an_order().sent(Channel.SMS)[0]
    foreign = CODEC.encode(an_exception())
    desk.outbound.file(Topic.SMS.value, 5, delivery(b"\x00garbage", CODEC.encode(command), foreign))
    assert [rejected.value for rejected in desk.quarantined] == [b"\x00garbage", foreign]
    assert ("original-partition", b"5") in desk.quarantined[0].headers
    assert len(desk.rows("SELECT 1 FROM claims")) == 1
