"""Sends what is claimed: a lane a channel, each send on a thread of its own, each outcome into its claim."""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import timedelta

import msgspec
import psycopg
import stamina
import structlog

from connectors.bell import Pauses
from connectors.channels.parcel import (
    Accepted,
    ChannelDoor,
    NotAccepted,
    Outcome,
    Parcel,
    Refused,
    Unsure,
)
from connectors.claim_states import ClaimState, Move
from connectors.claims import Claim, Claims, DoubleSendError, Judge
from connectors.clock import Clock
from connectors.metrics import PROVIDER_S, SENDS
from connectors.rates import Rate
from connectors.rounds import Rounds
from connectors.unsettled import Unsettled
from schemas.commands import ChannelCommand
from schemas.words import Channel, ReceiptState

log = structlog.get_logger()

# A claim is never older than the longest send; what is, has lost its sender.
CLAIM_AGE_MAX = timedelta(seconds=45)
_BACKOFF_S = (0.5, 1.0, 2.0, 4.0, 8.0)
_IDLE_S = 0.1
_HOUSEKEEPING_S = 0.5
_DATABASE_DOWN_S = 1.0
_RECORD_FOR_S = 20.0
_COUNTED_AS = {Accepted: "accepted", Refused: "refused", NotAccepted: "not_accepted", Unsure: "unsure"}

Reach = Callable[..., None]


class Lane(msgspec.Struct, frozen=True):
    """One channel: its door, how many sends at once, and how fast over all processes together."""

    door: ChannelDoor
    workers: int = 8
    rate: Rate | None = None


def nowhere(_point: str, **_about: str) -> None:
    """The failpoints of a process that has none."""


class Dispatcher:
    """`run` blocks until `ended`; what is in its sockets then is finished and recorded first."""

    def __init__(
        self,
        claims: Claims,
        lanes: Mapping[Channel, Lane],
        clock: Clock,
        *,
        judge: Judge,
        parcel_of: Callable[[ChannelCommand, str], Parcel],
        unsettled: Unsettled,
        rounds: Rounds,
        seal_text: Callable[[str, str], bytes] = lambda _customer_ref, _text: b"",
        claim_age_max: timedelta = CLAIM_AGE_MAX,
        reach: Reach = nowhere,
    ) -> None:
        self._claims, self._lanes, self._clock = claims, lanes, clock
        self._judge, self._parcel_of, self._unsettled = judge, parcel_of, unsettled
        self._seal_text, self._claim_age_max, self._reach = seal_text, claim_age_max, reach
        self._rounds = rounds
        self._fault: BaseException | None = None

    def run(self, ended: threading.Event) -> None:
        """Raises whatever fault ended one of its threads: it is a bug, and the process has to restart."""
        threads = [
            threading.Thread(target=self._guarded, args=(self._lane, ended, channel), name=f"lane-{channel}")
            for channel in self._lanes
        ]
        threads.append(threading.Thread(target=self._guarded, args=(self._house, ended), name="housekeeping"))
        for thread in threads:
            thread.start()
        # Woken now and then: a signal that another thread received is handled by this one only then.
        while any(thread.is_alive() for thread in threads):
            ended.wait(_IDLE_S)
            for thread in threads:
                thread.join(_IDLE_S)
        if self._fault is not None:
            raise self._fault

    def _guarded(self, work: Callable[..., None], ended: threading.Event, *more: Channel) -> None:
        try:
            while not ended.is_set():
                try:
                    work(ended, *more)
                except psycopg.OperationalError as error:
                    # Postgres restarts: nothing can be claimed meanwhile, and nothing is lost.
                    log.warning("database_unreachable", error=type(error).__name__)
                    ended.wait(_DATABASE_DOWN_S)
        except BaseException as error:  # noqa: BLE001 - raised again by `run`
            self._fault = error
            ended.set()

    def _house(self, ended: threading.Event) -> None:
        while not ended.is_set():
            with self._rounds.at("housekeeping") as moved:
                self._claims.recover(self._claim_age_max)
                self._unsettled.round(moved)
            ended.wait(_HOUSEKEEPING_S)

    def _lane(self, ended: threading.Event, channel: Channel) -> None:
        lane, pauses = self._lanes[channel], Pauses(self._claims.filed)
        claimed = self._rounds.watched(f"the claiming of {channel}", self._claims.claim)
        send = self._rounds.watched(f"a send by {channel}", self._send)
        under_way: set[Future[None]] = set()
        with ThreadPoolExecutor(lane.workers, thread_name_prefix=str(channel)) as threads:
            while not ended.is_set():
                pauses.looks()
                free = lane.workers - len(under_way)
                claims = claimed(channel, free, self._judge, lane.rate) if free else []
                if claims:
                    pauses.found()
                under_way |= {threads.submit(send, lane, claim) for claim in claims}
                if under_way:
                    done, under_way = wait(under_way, timeout=_IDLE_S, return_when=FIRST_COMPLETED)
                    for future in done:
                        future.result()
                elif self._claims.holds(channel):
                    ended.wait(_IDLE_S)
                else:
                    pauses.wait()

    def _send(self, lane: Lane, claim: Claim) -> None:
        about = {"order": claim.command.order_id, "channel": str(claim.command.channel)}
        parcel = self._parcel_of(claim.command, claim.to)
        self._reach("after_claim_before_look", **about)
        sealed = self._seal_text(claim.command.customer_ref, parcel.text.body) if parcel.text.body else b""
        if not self._claims.may_leave(claim, sealed):
            return
        self._reach("after_claim_before_send", **about)
        begun_s = self._clock.monotonic()
        outcome = lane.door.send(parcel)
        PROVIDER_S.add(claim.command.channel, seconds=self._clock.monotonic() - begun_s)
        SENDS.add(claim.command.channel, _COUNTED_AS[type(outcome)])
        self._reach("after_send_before_record", **about)
        self._record(claim, outcome)

    @stamina.retry(on=psycopg.OperationalError, timeout=_RECORD_FOR_S, attempts=None)
    def _record(self, claim: Claim, outcome: Outcome) -> None:
        """If it cannot be recorded in time, the claim stays, and is ambiguous once its age says so."""
        command_id = claim.command_id
        log.info("sent", command_id=command_id, channel=claim.command.channel, outcome=type(outcome).__name__)
        match outcome:
            case Accepted(provider_id=provider_id):
                if not self._claims.sent(command_id, provider_id):
                    # Its first webhook was quicker, or it was given up meanwhile: the id is the truth.
                    self._heard(command_id, provider_id)
            case Refused(reason=reason):
                opted_out = reason == "opted_out"
                receipt = ReceiptState.SUPPRESSED if opted_out else ReceiptState.FAILED
                how = Move(to=ClaimState.REJECTED, tries=claim.tries, reason=reason, receipt=receipt)
                self._claims.settle(command_id, how)
            case NotAccepted(reason=reason, retry_after_s=retry_after_s):
                self._again(claim, reason, retry_after_s)
            case Unsure(reason=reason):
                self._claims.ambiguous(command_id, reason)

    def _heard(self, command_id: str, provider_id: str) -> None:
        try:
            self._claims.heard(command_id, provider_id, ReceiptState.SENT, final=False)
        except DoubleSendError:
            # Never silent; but the other sends of this process are not to blame for it.
            log.exception("double_send", command_id=command_id)

    def _again(self, claim: Claim, reason: str, retry_after_s: float) -> None:
        backoff_s = _BACKOFF_S[min(claim.tries, len(_BACKOFF_S)) - 1]
        after_s = max(backoff_s, retry_after_s)
        next_at = self._clock.now() + timedelta(seconds=after_s)
        if next_at < claim.command.not_after_at:
            # Of this try: recorded once more after its answer was lost, it must not take the next one's claim away.
            how = Move(to=ClaimState.PLANNED, tries=claim.tries, reason=reason)
            self._claims.settle(claim.command_id, how, after_s=after_s)
            return
        # Its time runs out while the provider is away: that is no fault of the address.
        how = Move(
            to=ClaimState.REJECTED,
            tries=claim.tries,
            reason=reason,
            receipt=ReceiptState.PROVIDER_DOWN,
        )
        self._claims.settle(claim.command_id, how)
