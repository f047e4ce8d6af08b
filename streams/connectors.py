"""The connectors' process: intake and outbound on Kafka, and the service that does the work beside it."""

import logging
import os
import sys
import threading
import uuid
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from importlib.metadata import version
from typing import Any

import boto3
from botocore.config import Config
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from prometheus_client import generate_latest

from connectors import vault_keys
from connectors.clock import SystemClock
from connectors.dispatch import nowhere
from connectors.edge.tokens import Links
from connectors.evidence.store import Store
from connectors.intake import Intake
from connectors.metrics import IN_CONNECTORS
from connectors.oms.reference import ReferenceOms
from connectors.postgres import open_pool
from connectors.rates import Rate
from connectors.register.counts import RegisterCounts
from connectors.rounds import Rounds
from connectors.service import Archive, Service, Setup
from connectors.unsettled import Patience
from connectors.vault import Vault
from schemas.catalogue import CHANNEL_TOPICS
from schemas.codec import Codec
from schemas.registry import registry
from schemas.words import Channel
from state import shelf
from streams import logs, seam
from streams.backlog import Backlog
from streams.connector_pulse import Pulse
from streams.connector_settings import ConnectorSettings
from streams.failpoints import Failpoints
from streams.group_app import EXIT_STOPPED, Handler, build
from streams.intake import Admission, producer
from streams.metrics import exposed
from streams.outbound import Outbound
from streams.rights import PARTS, READS, connectors_group
from streams.sender import Sender
from streams.surface import Surface

# Where a test may end or freeze this process.
POINTS = (
    "after_claim_before_look",
    "after_claim_before_send",
    "after_send_before_record",
    "after_oms_apply_before_verify",
    "after_put_before_pointer",
)

_WRITE_BACKS_AT_ONCE, _EVIDENCE_AT_ONCE = 4, 2
_CHANNELS = {str(channel): channel for channel in CHANNEL_TOPICS}

log = logging.getLogger(__name__)


def run(settings: ConnectorSettings, policies: shelf.Shelf, parts: frozenset[str] = PARTS) -> None:
    """Run these parts until a signal ends it; never returns."""
    logs.configure("connectors")
    dsn = settings.pg_dsn.get_secret_value()
    codec, clock = Codec(registry(settings.schema_registry_url)), SystemClock()
    pool = open_pool(dsn, min_size=2, max_size=60)
    vault = Vault(
        pool,
        vault_keys.ring_of(settings.vault_key.get_secret_value()),
        settings.vault_salt.get_secret_value().encode(),
        clock,
    )
    rounds = Rounds(clock)
    failpoints = Failpoints(POINTS) if settings.test_switch else None
    outbox_sender, quarantine_sender = Sender(producer(settings.client)), Sender(producer(settings.client))
    service = Service(
        Setup(
            run=f"{connectors_group(settings.app, parts)}-{settings.ordinal}/{uuid.uuid4().hex}",
            retailer=settings.retailer,
            providers=settings.providers,
            # A second's worth at once: whoever looks seldom does not dial less than may be dialled.
            rates={
                Channel.VOICE: Rate(
                    per_second=settings.calls_per_second, burst=max(1, int(settings.calls_per_second))
                )
            },
            patience={
                channel: Patience(unseen_after_s=settings.unseen_after_s, ask_after_s=settings.ask_after_s)
                for channel in CHANNEL_TOPICS
            },
            channels=frozenset(channel for name, channel in _CHANNELS.items() if name in parts),
            write_backs_at_once=_WRITE_BACKS_AT_ONCE if "write-back" in parts else 0,
            evidence_at_once=_EVIDENCE_AT_ONCE if "evidence" in parts else 0,
            keep=timedelta(days=settings.keep_days),
        ),
        pool=pool,
        encode=codec.encode,
        publish=outbox_sender.publish,
        clock=clock,
        vault=vault,
        policy_of=policies.by_key.__getitem__,
        links=Links(settings.link_secrets.get_secret_value().split(","), settings.public_url),
        oms=ReferenceOms(
            settings.oms_url, settings.oms_token.get_secret_value(), settings.provider_timeout_s
        ),
        archive=Archive(Store(_s3(settings), settings.evidence_bucket), _signing_key(settings)),
        rounds=rounds,
        reach=failpoints.reach if failpoints else nowhere,
    )
    intake = Intake(codec, vault, pool, clock, retention=timedelta(days=settings.retention_days))
    admission = Admission(
        intake,
        codec,
        producer(settings.client),
        partitions=settings.partitions,
        quarantine=settings.quarantine,
        version=version("saveline"),
    )
    quarantine = quarantine_sender.quarantine(settings.quarantine)
    outbound = Outbound(codec, pool, service.claims, quarantine, version("saveline"))
    handlers = {
        topic: rounds.watched(f"the filing of {topic}", handler)
        for topic, handler in _handlers(admission, outbound, service, parts).items()
    }
    app = build(connectors_group(settings.app, parts), settings, handlers)
    ended = threading.Event()
    thread = threading.Thread(target=_guarded, args=(service.run, ended), name="service")
    backlog = Backlog(settings.client, app.engine.positions, clock)
    pulse = Pulse(
        pool,
        thread,
        backlog.empty,
        standing=(rounds.standing, backlog.standing),
        patience_s=settings.step_patience_s,
        clock=clock,
    )
    modes = Counter(str(policy.mode) for policy in policies.by_key.values())
    looks = [RegisterCounts(pool, clock, modes, rounds)] if "register" in parts else []
    registry_of_metrics = exposed(pulse, *looks, *(one.metric for one in IN_CONNECTORS))
    surface = Surface(pulse, partial(generate_latest, registry_of_metrics), version("saveline"), failpoints)

    async def serve() -> None:
        await surface.start(settings.http_host, settings.http_port)

    app.task(serve)
    thread.start()
    pulse.begin("pulse", pulse.run, ended)
    pulse.begin("backlog", backlog.run, ended)
    for look in looks:
        pulse.begin("counts", look.run, ended)
    try:
        seam.run(app)
    finally:
        ended.set()
        thread.join()
        pool.close()
    sys.exit(0)


def _handlers(
    admission: Admission, outbound: Outbound, service: Service, parts: frozenset[str]
) -> dict[str, Handler]:
    by_part: dict[str, Handler] = {
        "intake": admission.take,
        **dict.fromkeys(_CHANNELS, outbound.file),
        "write-back": outbound.filing(service.write_backs.file),
        "evidence": outbound.filing(service.evidence.file),
        "register": outbound.show,
    }
    return {topic.value: by_part[part] for part in parts for topic in READS[part]}


def _guarded(work: Callable[[threading.Event], None], ended: threading.Event) -> None:
    """Without its service the process would file for ever and send nothing: it ends, and is started again."""
    try:
        work(ended)
    except BaseException as failure:
        log.critical("stopping: %s: %s", type(failure).__name__, failure, exc_info=failure)
        logging.shutdown()
        os._exit(EXIT_STOPPED)


def _s3(settings: ConnectorSettings) -> Any:
    # A store that is away is tried again by the queue: one request must not wait for minutes.
    limit_s = settings.provider_timeout_s
    config = Config(connect_timeout=limit_s, read_timeout=limit_s, retries={"total_max_attempts": 2})
    return boto3.client("s3", endpoint_url=settings.s3_endpoint, region_name="us-east-1", config=config)


def _signing_key(settings: ConnectorSettings) -> Ed25519PrivateKey:
    key = load_pem_private_key(settings.evidence_key_file.read_bytes(), None)
    if not isinstance(key, Ed25519PrivateKey):
        raise TypeError(f"{settings.evidence_key_file} holds no Ed25519 private key")
    return key
