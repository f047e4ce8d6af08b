"""The transactional producer of one partition: one transaction a batch, and what its errors mean."""

import logging
from collections.abc import Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from streams.access import refused
from streams.core import Output
from streams.failpoints import Failpoints
from streams.outcomes import Fenced, LedgerFailure, Unreachable, Unsettled
from streams.quarantine import BYTES_MAX
from streams.settings import LedgerSettings

# The client's own words, under its own name: it may say them often.
_client_log = logging.getLogger("confluent_kafka")

# A broker that is away is not waited for: the successor settles the transaction anyway.
ABANDON_S = 2.0

_FENCED = {
    KafkaError._FENCED,  # noqa: SLF001 -- librdkafka's own code, public in spite of its name
    KafkaError.PRODUCER_FENCED,
    KafkaError.INVALID_PRODUCER_EPOCH,
    KafkaError.TRANSACTION_COORDINATOR_FENCED,
}


def outcome(error: KafkaException) -> LedgerFailure:
    """What a producer's error means for the partition."""
    reason = error.args[0]
    if reason.code() in _FENCED:
        return Fenced(reason.str())
    return Unsettled(f"{reason.name()}: {reason.str()}")


class Written:
    """Where the last changelog record of a transaction went; read after the commit."""

    __slots__ = ("appended_ms", "offset")

    def __init__(self) -> None:
        self.offset = -1
        self.appended_ms = 0

    def delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            self.offset = message.offset() or 0
            self.appended_ms = message.timestamp()[1]


class Transactions:
    """Opened once, fences whoever had the same id; any error ends its life."""

    def __init__(self, settings: LedgerSettings, failpoints: Failpoints | None = None) -> None:
        self._partition = settings.partition
        self._settings = settings
        self._failpoints = failpoints
        self._producer = Producer(
            {
                **settings.client,
                "transactional.id": f"{settings.app}-{settings.partition}",
                "transaction.timeout.ms": settings.transaction_timeout_ms,
                # Adding a partition to a transaction is refused while the last one is still completing:
                # with the default of 100 ms every second commit would wait that long.
                "retry.backoff.ms": 1,
                "retry.backoff.max.ms": 100,
                # With the default of 30 s, a request that a broker keeps while others die lives as long as the
                # transaction (found by chaos: all stood still for 31 s). Asked again, the broker drops repeats.
                "request.timeout.ms": 5_000,
                # The commit flushes, so that lingering only decides how full the requests are.
                "linger.ms": 5,
                "queue.buffering.max.messages": 1_000_000,
                "batch.num.messages": 10_000,
                "message.max.bytes": BYTES_MAX,
                # A fatal error, such as being fenced, shows in the call that meets it. Without this callback it
                # would be raised into whichever other callback happens to run.
                "error_cb": _noted,
                **settings.producer,
            }
        )

    def open(self) -> None:
        """Fence the previous owner and settle its transaction. Raises `Fenced`, `Unreachable`."""
        try:
            # Knowing the topics beforehand saves half a second on the first transaction.
            for topic in (self._settings.changelog, self._settings.batches):
                self._producer.list_topics(topic, timeout=self._settings.open_timeout_s)
            self._producer.init_transactions(self._settings.open_timeout_s)
        except KafkaException as error:
            if error.args[0].code() == KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
                denied = f"Describe+Write transactionalId {self._settings.app}-{self._partition}"
                raise Unreachable(str(refused(self._settings.client, [denied]))) from error
            failure = outcome(error)
            raise failure if isinstance(failure, Fenced) else Unreachable(str(failure)) from error

    def begin(self) -> None:
        try:
            self._producer.begin_transaction()
        except KafkaException as error:
            raise outcome(error) from error

    def send(self, topic: str, messages: list[dict[str, Any]]) -> None:
        """Records without headers, each a `{"key", "value"}`."""
        try:
            queued = self._producer.produce_batch(topic, messages, partition=self._partition)
        except (KafkaException, BufferError) as error:
            raise _refused(error) from error
        if queued != len(messages):
            raise Unsettled(
                f"{len(messages) - queued} of {len(messages)} records were not queued for {topic}"
            )

    def send_outputs(self, outputs: Sequence[Output]) -> None:
        """In order within each topic."""
        plain: dict[str, list[dict[str, Any]]] = {}
        for output in outputs:
            if output.headers is None:
                # The batched call knows no headers.
                plain.setdefault(output.topic, []).append({"key": output.key, "value": output.value})
            else:
                if waiting := plain.pop(output.topic, None):
                    self.send(output.topic, waiting)
                self.send_one(output.topic, output.key, output.value, output.headers)
        for topic, messages in plain.items():
            self.send(topic, messages)

    def send_one(
        self, topic: str, key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]] | None
    ) -> None:
        try:
            self._producer.produce(
                topic,
                value,
                key,
                partition=self._partition,
                headers=headers,  # type: ignore[arg-type]
            )
        except (KafkaException, BufferError) as error:
            raise _refused(error) from error

    def send_last(self, topic: str, key: bytes, value: bytes) -> Written:
        """The last changelog record of the transaction, whose place the commit tells."""
        written = Written()
        try:
            self._producer.produce(
                topic, value, key, partition=self._partition, on_delivery=written.delivered
            )
        except (KafkaException, BufferError) as error:
            raise _refused(error) from error
        return written

    def reach(self, point: str) -> None:
        """In tests of crashes: let everything so far reach the broker, then perhaps die here."""
        if self._failpoints is not None and self._failpoints.armed(point):
            self._producer.flush(self._settings.commit_timeout_s)
            self._failpoints.reach(point, partition=str(self._partition))

    def commit(self, last_record: Written) -> None:
        """Returns when the transaction is known to be committed. Raises `Fenced` or `Unsettled`."""
        for last in (False, False, True):
            try:
                self._producer.commit_transaction(self._settings.commit_timeout_s)
            except KafkaException as error:
                if last or not error.args[0].retriable():
                    raise outcome(error) from error
            else:
                if last_record.offset < 0:
                    raise Unsettled("committed, but the place of the last record is not known")
                return

    def abandon(self) -> None:
        """Forget the producer whatever it was doing; whoever opens the id next settles it."""
        self._producer.purge()
        try:
            # librdkafka aborts the process when a producer is destroyed while partitions are being added to its
            # transaction (an assertion in rdkafka_txnmgr.c, 2.x); this waits for them.
            self._producer.abort_transaction(ABANDON_S)
        except KafkaException as failure:
            # Nothing was open, or a commit is under way, or somebody fenced us: there is nothing to wait for.
            _noted(failure.args[0])


def _noted(error: KafkaError) -> None:
    _client_log.info("producer: %s", error)


def _refused(error: Exception) -> LedgerFailure:
    return outcome(error) if isinstance(error, KafkaException) else Unsettled(str(error))
