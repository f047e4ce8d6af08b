"""A piece of work that hangs is told by its name, and restarted; one that a database keeps waiting is not."""

import threading
from collections.abc import Iterator

import pytest
from psycopg_pool import ConnectionPool

from connectors.bell import Bell, keep_looking
from connectors.outbox import Connection
from connectors.postgres import open_pool
from connectors.register.counts import RegisterCounts
from connectors.register.migrate import upgrade
from connectors.rounds import Rounds
from streams.connector_pulse import Pulse
from tests.connectors.builders import SteppedClock
from tests.streams.rig import until

PATIENCE_S = 120.0


@pytest.fixture
def pool(dsn: str) -> Iterator[ConnectionPool[Connection]]:
    upgrade(dsn)
    with open_pool(dsn, max_size=2) as pool:
        yield pool


@pytest.mark.real
@pytest.mark.xdist_group("postgres")
def test_a_loop_that_hangs_makes_the_process_not_live_and_is_named(pool: ConnectionPool[Connection]) -> None:
    clock, ended = SteppedClock(), threading.Event()
    hangs, goes_on = threading.Event(), threading.Event()
    rounds = Rounds(clock)
    pulse = Pulse(
        pool,
        threading.current_thread(),
        lambda: True,
        standing=(rounds.standing,),
        patience_s=PATIENCE_S,
        clock=clock,
    )

    def look() -> bool:
        hangs.set()
        return goes_on.wait() and False

    loop = threading.Thread(target=keep_looking, args=(rounds.watched("write-back", look), ended, Bell()))
    loop.start()
    hangs.wait()
    pulse.look()
    assert pulse.not_live() == []
    clock.move(PATIENCE_S + 1)
    pulse.look()
    assert pulse.not_live() == ["write-back has not come round for 121 s"]
    assert pulse.not_ready() == []
    # The database has not answered since: whatever needs it waits for it.
    clock.move(60)
    assert pulse.not_live() == []
    assert pulse.not_ready() == ["postgres: no answer for 60 s"]
    pulse.look()
    assert pulse.not_live() == ["write-back has not come round for 181 s"]
    ended.set()
    goes_on.set()
    loop.join()
    assert pulse.not_live() == []


def test_many_steps_may_be_long_together_and_the_longest_of_a_name_is_told() -> None:
    clock = SteppedClock()
    rounds = Rounds(clock)
    with rounds.at("housekeeping") as moved, rounds.at("a send by sms"):
        for _ in range(3):
            clock.move(50)
            moved()
        with rounds.at("a send by sms"):
            assert rounds.standing(PATIENCE_S) == ["a send by sms has not come round for 150 s"]
    assert rounds.standing(0.0) == []


@pytest.mark.real
@pytest.mark.xdist_group("postgres")
@pytest.mark.parametrize("ends", ["the service", "the counts"])
def test_a_thread_that_is_gone_makes_the_process_not_live(
    pool: ConnectionPool[Connection], ends: str
) -> None:
    gone = {"the service": threading.Event(), "the counts": threading.Event()}
    service = threading.Thread(target=gone["the service"].wait, name="the service")
    service.start()
    pulse = Pulse(pool, service, lambda: True, standing=(), patience_s=PATIENCE_S, clock=SteppedClock())
    counts = pulse.begin("the counts", lambda ended: ended.wait() and None, gone["the counts"])
    pulse.look()
    assert pulse.not_live() == []
    gone[ends].set()
    {"the service": service, "the counts": counts}[ends].join()
    assert pulse.not_live() == [f"the thread {ends} has ended"]
    for event in gone.values():
        event.set()


@pytest.mark.real
@pytest.mark.xdist_group("postgres")
def test_a_count_of_the_register_that_hangs_is_named(pool: ConnectionPool[Connection]) -> None:
    clock, ended = SteppedClock(), threading.Event()
    rounds = Rounds(clock)
    counts = RegisterCounts(pool, clock, {}, rounds)
    with pool.connection() as connection, connection.transaction():
        # As a vacuum does that wants a table for itself: the count waits.
        connection.execute("LOCK TABLE register_cases")
        thread = threading.Thread(target=counts.run, args=(ended,))
        thread.start()
        until(lambda: rounds.standing(-1.0), "the count to begin")
        clock.move(PATIENCE_S + 1)
        assert rounds.standing(PATIENCE_S) == ["the count of the register has not come round for 121 s"]
    ended.set()
    thread.join()
    assert rounds.standing(-1.0) == []


def test_what_fails_is_over_too() -> None:
    rounds = Rounds(SteppedClock())

    def fails() -> None:
        raise OSError

    with pytest.raises(OSError):
        rounds.watched("outbox", fails)()
    assert rounds.standing(-1.0) == []
