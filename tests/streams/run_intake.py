"""An intake process for tests: the product's own app, with what it needs by environment."""

import os
from datetime import timedelta

import faust

from connectors.clock import SystemClock
from connectors.intake import Intake
from connectors.postgres import open_pool
from connectors.vault import Vault
from schemas.catalogue import UPSTREAM
from schemas.codec import Codec
from schemas.registry import LockedRegistry
from streams.group_app import build
from streams.intake import Admission, producer
from streams.login import KafkaSettings

if __name__ == "__main__":
    codec, clock = Codec(LockedRegistry()), SystemClock()
    pool = open_pool(os.environ["PG_DSN"], min_size=1, max_size=4)
    vault = Vault(pool, [b"m" * 32], b"salt", clock)
    intake = Intake(codec, vault, pool, clock, retention=timedelta(days=14))
    kafka = KafkaSettings(broker=os.environ["BROKER"])
    admission = Admission(
        intake, codec, producer(kafka.client), partitions=2, quarantine="case.quarantine.v1", version="test"
    )
    handlers = {topic.value: admission.take for topic in UPSTREAM}
    app = build("saveline-intake", kafka, handlers)
    faust.Worker(app, loglevel="info", redirect_stdouts=False).execute_from_commandline()
