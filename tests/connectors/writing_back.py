"""A write-back worker as a process of its own, so that it can be killed and frozen."""

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from pathlib import Path

import msgspec

from connectors.clock import SystemClock
from connectors.oms.queue import WriteBackQueue
from connectors.oms.reference import ReferenceOms
from connectors.oms.writeback import WriteBack
from connectors.outbox import Outbox
from connectors.postgres import open_pool
from connectors.rounds import Rounds
from schemas.codec import Codec
from schemas.registry import registry
from tests.connectors.builders import reach_from

_PR_SET_PDEATHSIG = 1


class Given(msgspec.Struct, frozen=True):
    dsn: str
    oms: str
    log: str
    failpoint: str = ""
    workers: int = 1


def queue(dsn: str, oms: str, failpoint: str = "", timeout_s: float = 1.0) -> WriteBackQueue:
    pool = open_pool(dsn, max_size=8)
    door = ReferenceOms(oms, "oms-token", timeout_s)
    write_back = WriteBack(door, reach=reach_from(failpoint), read_back_s=(0.0, 0.05, 0.1))
    return WriteBackQueue(pool, Outbox(Codec(registry(None)).encode), SystemClock(), write_back)


def run(given: Given) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    with Path(given.log).open("ab") as log:
        os.dup2(log.fileno(), sys.stdout.fileno())
        os.dup2(log.fileno(), sys.stderr.fileno())
    work = queue(given.dsn, given.oms, given.failpoint)
    ended = threading.Event()
    for _ in range(given.workers):
        threading.Thread(target=work.run, args=(ended, Rounds(SystemClock()))).start()


processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload([__name__])
