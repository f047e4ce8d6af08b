"""Every place where we hold on to a part of Faust or aiokafka that its authors may move.

`tests/streams/test_seam.py` fails when a new version moves one of them. What is public API is marked so.
"""

import asyncio
import contextlib
import sys
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any, ClassVar, Protocol

from streams.core import RECORDS_MAX, Batch, Record
from streams.login import KafkaSettings


@contextlib.contextmanager
def _without(parts: Mapping[str, str]) -> Iterator[None]:
    """Private. Faust loads these modules, each for one name, of parts that we do not use: a third of its loading."""
    stand_ins = {module: ModuleType(module) for module in parts if module not in sys.modules}
    for module, stand_in in stand_ins.items():
        setattr(stand_in, parts[module], None)
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for module in stand_ins:
            del sys.modules[module]


# What a client of its web server is, a codec, and timers by the calendar.
with _without({"aiohttp.client": "ClientSession", "yaml": "safe_load", "croniter.croniter": "croniter"}):
    from aiokafka import AIOKafkaConsumer, TopicPartition
    from aiokafka.consumer import consumer, fetcher
    from aiokafka.errors import NoOffsetForPartitionError
    from faust.app import App as StockApp
    from faust.auth import Credentials, SASLCredentials, SSLCredentials
    from faust.tables.manager import TableManager
    from faust.transport import drivers
    from faust.transport.drivers import aiokafka as stock
    from faust.types import TP
    from faust.types.tuples import ConsumerMessage
    from faust.worker import Worker

SCHEME = "saveline"
FETCH_WAIT_MS = 100
"""How long the broker may hold a fetch: a partition whose records we just took waits for its end."""
GATHER_S = 0.007
"""How long records gather at the broker after a fetch that brought some. A fetch costs our two event loops the same
whether it brings one record or fifty; one that waits for the first record is at the broker already."""
FETCH_PATIENCE_S = 0.25
"""How long a fetch may wait for records, and so a seek for it."""
IDLE_MAX_S = 30 * 86_400.0
"""aiokafka leaves its group, and so rebalances it, when nothing was fetched for so long: a member that owns nothing
did so each quarter of an hour. What stands is told by its own process (`/livez`)."""
LOG_APPEND_TIME = 1
"""Kafka's number for what `saveline topics` sets on the source."""


class Engine(Protocol):
    """What the transport asks the app, as its attribute `engine`."""

    ready_max: int
    """A partition is read on while no more of its records than these wait behind the delivery in work."""

    def next_offset(self, tp: TP) -> int | None:
        """Where to read on after a rebalance; None: where the group's committed offset says."""

    def sought(self, positions: Mapping[TP, int]) -> None:
        """Deliveries begin with these offsets."""

    def wants(self, tp: TP) -> bool:
        """Whether deliveries of this partition can be taken."""

    def reached(self, tp: TP, offset: int) -> None:
        """Everything before `offset` is processed, and there was nothing else to deliver just now."""

    def stop(self, failure: BaseException) -> None:
        """The group is lost: end the process, from whatever thread."""


class App(StockApp):
    """A Faust app that leaves no folders where it is started: that place may be read-only."""

    assignors: Sequence[Any] = ()
    """What aiokafka asks who owns what, in place of what Faust gives it."""

    def _create_directories(self) -> None:
        """Private. Only Faust's own stores and checkpoints would want them; we use none."""


class FetchedRecords(fetcher.PartitionRecords):  # type: ignore[misc]  # aiokafka ships no types
    """What one fetch brought for a partition."""

    def _consumer_record(self, tp: Any, record: Any) -> Record:  # noqa: ARG002 -- aiokafka's signature
        """Private. Our record at once: aiokafka's own has eleven frozen fields and costs 3 µs an event."""
        return Record(record.offset, record.timestamp, record.key, record.value, record.headers or None)


class GatheringFetcher(fetcher.Fetcher):  # type: ignore[misc]  # aiokafka ships no types
    """Fetches less often, and more at a time, when records come one by one."""

    _brought = False

    async def _proc_fetch_request(self, assignment: Any, node_id: Any, request: Any) -> bool:
        """Private. Called for each fetch, once what the last one brought was taken."""
        if self._brought:
            try:
                await asyncio.sleep(GATHER_S)
            except asyncio.CancelledError:
                # As the fetch itself does: `close` awaits it and would end half-way, so that the process never did.
                return False
        self._brought = await super()._proc_fetch_request(assignment, node_id, request)
        return self._brought


class ConsumerThread(stock.AIOKafkaConsumerThread):
    """The thread in which aiokafka runs."""

    def _create_worker_consumer(self, transport: Any) -> AIOKafkaConsumer:
        """Private. The stock one fixes these, and no setting reaches them.

        - `read_committed`: the default applied aborted records (measured: 200 commands nobody asked for).
        - no automatic reset: a position that no longer exists has to be an error, not a silent jump.
        - a shorter wait in the broker, see `FETCH_WAIT_MS`.
        - the setting `PartitionAssignor` holds for apps with tables alone.
        """
        consumer = super()._create_worker_consumer(transport)
        own = self.app.assignors  # type: ignore[attr-defined]
        for name, value in (
            ("_isolation_level", "read_committed"),
            ("_auto_offset_reset", "none"),
            ("_fetch_max_wait_ms", FETCH_WAIT_MS),
            ("_partition_assignment_strategy", own or consumer._partition_assignment_strategy),  # noqa: SLF001
        ):
            if not hasattr(consumer, name):
                raise RuntimeError(f"aiokafka moved {name}")
            setattr(consumer, name, value)
        return consumer

    async def on_start(self) -> None:
        """Private. Hear of what aiokafka's part in the group gives up on.

        It keeps such an error for whoever asks the consumer next, and waits until then; or its task ends. Faust asks
        the fetcher alone: the worker would own what it owned, or nothing, and stand idle for ever.
        """
        await super().on_start()
        coordinator = self._ensure_consumer()._coordinator  # noqa: SLF001
        for name in ("_push_error_to_user", "_coordination_task"):
            if not hasattr(coordinator, name):
                raise RuntimeError(f"aiokafka moved {name}")
        coordinator._push_error_to_user = self._given_up  # noqa: SLF001
        coordinator._coordination_task.add_done_callback(self._coordination_ended)  # noqa: SLF001

    async def _given_up(self, failure: BaseException) -> None:
        self.app.engine.stop(failure)  # type: ignore[attr-defined]

    def _coordination_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (failure := task.exception()):
            self.app.engine.stop(failure)  # type: ignore[attr-defined]

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Public. Really pause, before anything is fetched: Faust's own pause only filters.

        Changelogs stay paused for good, since the ledgers restore themselves; sources until the seek.
        """
        self._ensure_consumer().pause(*(TopicPartition(*tp) for tp in assigned))
        await super().on_partitions_assigned(assigned, generation_id)

    async def resume(self, tps: Iterable[TP]) -> None:
        async def resumed() -> None:
            consumer = self._ensure_consumer()
            consumer.resume(*(TopicPartition(*tp) for tp in tps))

        await self.call_thread(resumed)

    def position(self, tp: TP) -> Any:
        """Public, and asynchronous; see `known_position` for the one that is not."""
        return super().position(tp)

    def known_position(self, tp: TP) -> int | None:
        """Private. The next offset that a fetch would return, transaction markers included.

        Reading it through the thread's queue would cost a round trip for each fetch.
        """
        consumer = self._ensure_consumer()
        assignment = consumer._subscription.subscription.assignment  # noqa: SLF001
        state = assignment.state_value(TopicPartition(*tp))
        return state.position if state is not None and state.has_valid_position else None


class Consumer(stock.Consumer):
    """Delivers one message for each partition's records, and only while somebody can process them."""

    _thread: ConsumerThread

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._engine: Engine = self.app.engine  # type: ignore[attr-defined]
        self._outstanding: defaultdict[TP, deque[int]] = defaultdict(deque)
        """How many records each delivery has that is not acknowledged, the oldest first."""
        self._after: dict[TP, int] = {}
        """The last offset delivered, or before which delivery starts."""
        self._room = asyncio.Event()
        self._fetching = asyncio.Lock()
        """Held by a fetch. One that began before a rebalance could otherwise take, and drop, what a seek during
        the rebalance made ready (found by chaos: 48 records lost)."""

    def _new_consumer_thread(self) -> ConsumerThread:
        """Private. The only place where the thread's class is chosen."""
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, ConsumerMessage]]:  # noqa: ASYNC109 -- Faust's signature
        """Public. At most one delivery for each partition, while the gate is open.

        The gate: after a rebalance Faust resumes partitions and seeks, and only then clears the agents'
        queues (`tables/recovery.py`, `resume()`): what was delivered in between vanished, and was later
        committed over. So nothing is delivered before it says that it is ready.
        """
        if not self._gate_is_open():
            await self.sleep(0.01)
            return
        active = [tp for tp in self._get_active_partitions() if not self._is_changelog_tp(tp)]
        most = self._engine.ready_max
        wanted = {tp for tp in active if self._ready(tp) <= most and self._engine.wants(tp)}
        if not wanted:
            await self._wait_for_room(timeout)
            return
        generation = self.app.consumer_generation_id
        async with self._fetching:
            # A call that waits does so for these partitions alone: briefly, if others may have room soon.
            wait_s = min(timeout, FETCH_PATIENCE_S) if len(wanted) == len(active) else 0.01
            try:
                found = await self._thread.getmany(wanted, wait_s)
            except NoOffsetForPartitionError:
                # aiokafka looked for the group's offset before our seek set the position, and says so only now.
                return
        deliveries = {tp: self._delivery(tp, records) for tp, records in found.items()}
        if not self._gate_is_open() or self.app.consumer_generation_id != generation:
            # They will be sought and read again. If not, the next delivery tells that these are missing.
            return
        self._tell_reached(wanted - found.keys())
        for tp, message in deliveries.items():
            self._outstanding[tp].append(len(found[tp]))
            # Faust takes the offsets between two messages for a gap that need not be acknowledged.
            self._read_offset[tp] = message.offset - 1
            yield tp, message

    def _ready(self, tp: TP) -> int:
        """How many records wait behind the delivery in work; negative when there is none."""
        sizes = self._outstanding[tp]
        return sum(sizes) - sizes[0] if sizes else -1

    def _gate_is_open(self) -> bool:
        return bool(self.flow_active and self.app.tables.actives_ready and not self.app.rebalancing)

    async def _wait_for_room(self, timeout_s: float) -> None:
        self._room.clear()
        try:
            await asyncio.wait_for(self._room.wait(), min(timeout_s, 0.1))
        except TimeoutError:
            return

    def _tell_reached(self, tps: set[TP]) -> None:
        """No fetch runs now, so what lies before a position was returned, and here all of it is done."""
        for tp in tps:
            if not self._outstanding[tp]:
                position = self._thread.known_position(tp)
                if position is not None:
                    self._engine.reached(tp, position)

    def _delivery(self, tp: TP, records: list[Record]) -> ConsumerMessage:
        batch = Batch(
            # L5: where this delivery starts, so that its receiver can tell whether one before it was lost.
            self._after.get(tp, -1),
            records,
        )
        last = records[-1]
        self._after[tp] = last.offset
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            last.offset,
            last.appended_ms / 1000,
            LOG_APPEND_TIME,
            None,
            None,
            batch,  # type: ignore[arg-type]
            None,
            None,
            None,
            tp,
            generation_id=self.app.consumer_generation_id,
        )

    def ack(self, message: Any) -> bool:
        """Public. A delivery is done: the next one may come."""
        done = bool(super().ack(message))
        if message.generation_id == self.app.consumer_generation_id and self._outstanding[message.tp]:
            # In the order of delivery.
            self._outstanding[message.tp].popleft()
            self._room.set()
        return done

    def _new_offset(self, tp: TP) -> int | None:
        """Private. The stock one looks for consecutive offsets, and a delivery covers many.

        Deliveries of a partition are acknowledged in order, so that the last one says it all.
        """
        acked = self._acked[tp]
        if not acked:
            return None
        last = max(acked)
        acked.clear()
        self._acked_index[tp].clear()
        return int(last) + 1

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Public. Read on where the engine says; else at the group's offset, else at the beginning."""
        sources = {tp for tp in self.assignment() if not self._is_changelog_tp(tp)}
        own = {tp: self._engine.next_offset(tp) for tp in sources}
        positions = {tp: offset for tp, offset in own.items() if offset is not None}
        if unknown := {tp for tp in sources if tp not in positions and self._engine.wants(tp)}:
            committed = await self._thread.seek_to_committed()
            earliest = await self.earliest_offsets(*unknown)
            for tp in unknown:
                offset = committed.get(TopicPartition(*tp))
                positions[tp] = earliest[tp] if offset is None else offset
        async with self._fetching:
            self._outstanding.clear()
            self._after = {tp: offset - 1 for tp, offset in positions.items()}
            self._engine.sought(positions)
            if positions:
                await self.seek_wait(positions)
                await self._thread.resume(positions)
        return positions


class Tables(TableManager):
    """Public: the setting `TableManager`."""

    async def on_start(self) -> None:
        """Private. The stock one first sleeps a second, for tables that are declared late; ours never are."""
        await self._update_channels()
        await self.recovery.start()


class Transport(stock.Transport):
    """Public: chosen by the scheme of `broker_consumer`."""

    Consumer: ClassVar[type[Any]] = Consumer


def register() -> None:
    """Make `saveline://host:port` a transport that Faust knows, and let fetches make our records.

    The first is public. The second is private: the fetcher names its class directly.
    """
    fetcher.PartitionRecords = FetchedRecords
    consumer.Fetcher = GatheringFetcher
    drivers.TRANSPORTS.aliases[SCHEME] = f"{__name__}:Transport"


def app_settings(kafka: KafkaSettings) -> dict[str, Any]:
    """The settings of a Faust app that the seam depends on, and how it reaches Kafka."""
    addresses = kafka.broker.split(",")
    return {
        "broker_consumer": [f"{SCHEME}://{address}" for address in addresses],
        "broker_producer": [f"kafka://{address}" for address in addresses],
        "broker_credentials": _credentials(kafka),
        "TableManager": Tables,
        # Standbys would read uncommitted data, and our changelog is not for Faust to read.
        "table_standby_replicas": 0,
        "recovery_consistency_check": False,
        "topic_allow_declare": False,
        "topic_disable_leader": True,
        "stream_recovery_delay": 0.0,
        # Deliveries are bounded by `ready_max` already; a full queue would block the fetcher.
        "stream_buffer_maxsize": 4096,
        "stream_wait_empty": False,
        "web_enabled": False,
        # Nobody asks over HTTP; the default would load aiohttp.
        "HttpClient": object,
        "broker_max_poll_records": RECORDS_MAX,
        "broker_max_poll_interval": IDLE_MAX_S,
        "consumer_auto_offset_reset": "earliest",
    }


def run(app: StockApp) -> None:
    """Run until a signal ends it; logs and standard output stay as they are."""
    Worker(app, override_logging=False, redirect_stdouts=False).execute_from_commandline()


def _credentials(kafka: KafkaSettings) -> Credentials | None:
    """Public. As `KafkaSettings.client` says it to librdkafka."""
    if kafka.has_login:
        return SASLCredentials(
            username=kafka.broker_user,
            password=kafka.password,
            ssl_context=kafka.tls,
            mechanism=kafka.broker_mechanism,
        )
    return None if kafka.tls is None else SSLCredentials(kafka.tls)
