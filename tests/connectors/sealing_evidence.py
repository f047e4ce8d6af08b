"""An evidence worker as a process of its own, so that it can be killed."""

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import msgspec
from botocore.config import Config
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from connectors.clock import Clock, SystemClock
from connectors.evidence.gather import Gather, OfCalls, nothing
from connectors.evidence.keeper import Keeper
from connectors.evidence.queue import EvidenceQueue
from connectors.evidence.store import Store
from connectors.outbox import Outbox
from connectors.postgres import open_pool
from connectors.rounds import Rounds
from connectors.vault import Vault
from schemas.catalogue import Topic
from schemas.codec import Codec
from schemas.registry import registry
from tests.connectors.builders import reach_from

_PR_SET_PDEATHSIG = 1
SIGNING = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
MASTER, SALT = b"m" * 32, b"s" * 16


class Given(msgspec.Struct, frozen=True):
    dsn: str
    endpoint: str
    access_key: str
    secret_key: str
    bucket: str
    log: str
    failpoint: str = ""
    workers: int = 1


def client_of(given: Given) -> Any:
    config = Config(
        retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=30, s3={"addressing_style": "path"}
    )
    return boto3.client(
        "s3",
        endpoint_url=given.endpoint,
        region_name="us-east-1",
        aws_access_key_id=given.access_key,
        aws_secret_access_key=given.secret_key,
        config=config,
    )


def work_of(
    given: Given,
    client: Any = None,
    clock: Clock | None = None,
    recording: OfCalls = nothing,
    wait_for_parts: timedelta = timedelta(0),
) -> tuple[EvidenceQueue, Vault]:
    clock = clock or SystemClock()
    pool = open_pool(given.dsn, max_size=8)
    encode = Codec(registry(None)).encode
    vault = Vault(pool, [MASTER], SALT, clock)
    keeper = Keeper(
        Store(client or client_of(given), given.bucket),
        SIGNING,
        vault.seal,
        lambda _policy, part: 30 if part == "recording" else 365,
        chains=1,
        reach=reach_from(given.failpoint),
    )
    queue = EvidenceQueue(
        pool,
        (Outbox(encode), Outbox(encode, Topic.EVIDENCE)),
        clock,
        gather=Gather(pool, vault.unseal, recording=recording),
        keeper=keeper,
        wait_for_parts=wait_for_parts,
    )
    return queue, vault


def run(given: Given) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    with Path(given.log).open("ab") as log:
        os.dup2(log.fileno(), sys.stdout.fileno())
        os.dup2(log.fileno(), sys.stderr.fileno())
    queue, _ = work_of(given)
    ended = threading.Event()
    for _ in range(given.workers):
        threading.Thread(target=queue.run, args=(ended, Rounds(SystemClock()))).start()


processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload([__name__])
