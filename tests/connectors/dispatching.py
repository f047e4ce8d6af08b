"""A dispatcher as a process of its own, so that it can be killed and frozen."""

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from pathlib import Path

import msgspec
import twilio.rest.api.v2010.account  # noqa: F401  (loaded once, in the fork server)

from connectors.channels.catalogue import OPEN, Providers
from connectors.checks import Checks
from connectors.claims import Claims
from connectors.clock import SystemClock
from connectors.dispatch import Dispatcher, Lane
from connectors.outbox import Outbox
from connectors.postgres import open_pool
from connectors.rounds import Rounds
from connectors.unsettled import Patience, Unsettled
from schemas.codec import Codec
from schemas.registry import registry
from schemas.words import Channel
from tests.connectors.builders import addresses, limits, parcel_of, reach_from


class Given(msgspec.Struct, frozen=True):
    """`run` is name/start; `failpoint` is point:kill_9 or point:stop, once so many threads `meet` there."""

    dsn: str
    providers: Providers
    run: str
    log: str
    failpoint: str = ""
    meet: int = 1
    repeat_texts: bool = False


_PR_SET_PDEATHSIG = 1


def run(given: Given) -> None:
    # Its parent is the fork server, which ends with the tests.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    with Path(given.log).open("ab") as log:
        os.dup2(log.fileno(), sys.stdout.fileno())
        os.dup2(log.fileno(), sys.stderr.fileno())
    clock = SystemClock()
    pool = open_pool(given.dsn, max_size=8)
    claims = Claims(pool, Outbox(Codec(registry(None)).encode), clock, given.run)
    doors = {channel: opened(given.providers, clock) for channel, opened in OPEN.items()}
    patience = Patience(look_every_s=0.1, absent_after_s=1.0, unseen_after_s=5.0, ask_after_s=2.0)
    unsettled = Unsettled(
        claims,
        doors,
        clock,
        parcel_of=parcel_of,
        address_of=lambda command: getattr(addresses(command.customer_ref, command.channel), "to", None),
        may_repeat=lambda _command: given.repeat_texts,
        patience=dict.fromkeys(Channel, patience),
    )
    dispatcher = Dispatcher(
        claims,
        {channel: Lane(door) for channel, door in doors.items()},
        clock,
        # Whatever hour it is where the tests run.
        judge=Checks(addresses, limits(quiet_exempt=True)),
        parcel_of=parcel_of,
        unsettled=unsettled,
        rounds=Rounds(clock),
        reach=reach_from(given.failpoint, given.meet),
    )
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    dispatcher.run(ended)
    pool.close()


# Children come from a clean process that has imported all this already.
processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload([__name__])
