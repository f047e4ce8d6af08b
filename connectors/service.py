"""What a connectors process does beside Kafka: sends, writes back, keeps evidence, tells what came of it."""

import threading
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial

import msgspec
import psycopg
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from psycopg_pool import ConnectionPool

from connectors.bell import Bell, Pauses
from connectors.blocks import Blocks
from connectors.channels import twilio_door
from connectors.channels.catalogue import OPEN, Providers
from connectors.checks import Checks
from connectors.claims import Claims
from connectors.clock import Clock
from connectors.dispatch import Dispatcher, Lane, nowhere
from connectors.edge.tokens import Link, Links
from connectors.evidence.gather import TEXT_PURPOSE, Gather
from connectors.evidence.keeper import Keeper
from connectors.evidence.queue import EvidenceQueue
from connectors.evidence.recordings import Recordings
from connectors.evidence.store import Store
from connectors.oms.door import Oms
from connectors.oms.queue import WriteBackQueue
from connectors.oms.writeback import WriteBack
from connectors.outbox import Connection, Outbox, Publish, publish_outbox
from connectors.rates import Rate
from connectors.retention import Retention
from connectors.rounds import Rounds
from connectors.terms import Terms
from connectors.unsettled import Patience, Unsettled
from connectors.vault import Vault
from connectors.wording import Wording
from schemas.catalogue import Topic
from schemas.commands import ChannelCommand
from schemas.words import Channel
from state.policy import Policy

log = structlog.get_logger()

# What is waited at most for the next look into an outbox that was empty.
_TOLD_WITHIN_S = 0.2
_DOWN_S = 1.0


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """What one process is given; `run` is `name/unique`, the name stable over restarts."""

    run: str
    retailer: str
    providers: Providers
    # What an account may dial unless its provider has raised it.
    rates: Mapping[Channel, Rate] = msgspec.field(
        default_factory=lambda: {Channel.VOICE: Rate(per_second=1.0)}
    )
    patience: Mapping[Channel, Patience] = {}
    channels: frozenset[Channel] = frozenset(OPEN)
    """Where this process sends; others may have the rest."""
    sends_at_once: int = 8
    write_backs_at_once: int = 4
    evidence_at_once: int = 2
    evidence_chains: int = 4
    keep: timedelta = timedelta(days=180)
    """How long claims and calls stay in Postgres."""


class Archive(msgspec.Struct, frozen=True):
    """Where evidence is kept, and who signs it."""

    store: Store
    signing_key: Ed25519PrivateKey


class Service:
    """File into `claims`, `write_backs` and `evidence`; `run` does the rest, on threads of its own."""

    def __init__(
        self,
        setup: Setup,
        *,
        pool: ConnectionPool[Connection],
        encode: Callable[[msgspec.Struct], bytes],
        publish: Publish,
        clock: Clock,
        vault: Vault,
        policy_of: Callable[[str], Policy],
        links: Links,
        oms: Oms,
        archive: Archive,
        rounds: Rounds,
        reach: Callable[..., None] = nowhere,
    ) -> None:
        self._setup, self._pool, self._publish, self._rounds = setup, pool, publish, rounds
        outbox, blocks = Outbox(encode), Blocks(pool)

        def link_for(command: ChannelCommand) -> str:
            return links.url(Link(command.order_id, command.conversation_id))

        terms = Terms(
            policy_of, Wording(setup.retailer, policy_of, link_for), vault.address, clock, blocks.shown
        )
        doors = {channel: open_door(setup.providers, clock) for channel, open_door in OPEN.items()}
        self.claims = Claims(pool, outbox, clock, setup.run)
        self._dispatcher = Dispatcher(
            self.claims,
            {
                channel: Lane(door, setup.sends_at_once, setup.rates.get(channel))
                for channel, door in doors.items()
                if channel in setup.channels
            },
            clock,
            judge=Checks(vault.address, terms.limits),
            parcel_of=terms.parcel,
            unsettled=Unsettled(
                self.claims,
                doors,
                clock,
                parcel_of=terms.parcel,
                address_of=terms.address_of,
                may_repeat=terms.may_repeat,
                patience=dict(setup.patience),
            ),
            rounds=rounds,
            seal_text=lambda customer_ref, text: vault.seal(customer_ref, text.encode(), TEXT_PURPOSE),
            reach=reach,
        )
        self._retention = Retention(pool, clock, setup.keep, rounds)
        self.write_backs = WriteBackQueue(
            pool, outbox, clock, WriteBack(oms, blocked=blocks.against, reach=reach)
        )
        twilio = twilio_door.client(
            setup.providers.twilio_account_sid,
            setup.providers.twilio_auth_token,
            setup.providers.twilio_base_url,
            setup.providers.timeout_s,
        )
        account = (setup.providers.twilio_account_sid, setup.providers.twilio_auth_token)
        recordings = Recordings(twilio, account, setup.providers.timeout_s)
        self.evidence = EvidenceQueue(
            pool,
            (outbox, Outbox(encode, Topic.EVIDENCE)),
            clock,
            gather=Gather(pool, vault.unseal, recording=recordings.fetch),
            keeper=Keeper(
                archive.store,
                archive.signing_key,
                vault.seal,
                terms.days_for,
                chains=setup.evidence_chains,
                reach=reach,
            ),
            after=recordings.delete,
        )

    def run(self, ended: threading.Event) -> None:
        """Blocks until `ended`; raises whatever fault ended one of its parts: the process has to restart."""
        works: list[tuple[str, Callable[[threading.Event], None]]] = [
            ("outbox", self._tell),
            ("retention", self._retention.run),
            *[("write-back", partial(self.write_backs.run, rounds=self._rounds))]
            * self._setup.write_backs_at_once,
            *[("evidence", partial(self.evidence.run, rounds=self._rounds))] * self._setup.evidence_at_once,
        ]
        faults: list[BaseException] = []

        def guarded(work: Callable[[threading.Event], None]) -> None:
            try:
                work(ended)
            except BaseException as fault:  # noqa: BLE001 - raised again below
                faults.append(fault)
                ended.set()

        threads = [threading.Thread(target=guarded, args=(work,), name=name) for name, work in works]
        for thread in threads:
            thread.start()
        try:
            self._dispatcher.run(ended)
        finally:
            ended.set()
            for thread in threads:
                thread.join()
            # What the last sends left behind is told before the process goes.
            if not faults:
                self._tell_what_is_left()
        if faults:
            raise faults[0]

    def _tell(self, ended: threading.Event) -> None:
        # Nobody rings: it is filled in everybody's transactions, and by other processes.
        pauses = Pauses(Bell(), _TOLD_WITHIN_S)
        publish = self._rounds.watched("outbox", publish_outbox)
        while not ended.is_set():
            try:
                if publish(self._pool, self._publish):
                    pauses.found()
                else:
                    pauses.wait()
            except (psycopg.OperationalError, OSError) as error:
                log.warning("outbox_waits", error=type(error).__name__)
                ended.wait(_DOWN_S)

    def _tell_what_is_left(self) -> None:
        try:
            while publish_outbox(self._pool, self._publish):
                pass
        except (psycopg.OperationalError, OSError) as error:
            # It stays in Postgres for the next start.
            log.warning("outbox_waits", error=type(error).__name__)
