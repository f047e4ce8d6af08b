"""The reference job on the ledger, driven by a plain client loop: what the engine costs without its shell."""

import gc
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from confluent_kafka import TopicPartition

from connectors.clock import SystemClock
from state.rocks import BlockCache
from streams.ledger import Ledger
from streams.loop import run
from streams.settings import LedgerSettings
from streams.source import Source
from tests.bench.reference import ReferenceCore

PARTITIONS = 4
PROGRESS_EVERY_S = 0.1


def main() -> None:
    bootstrap, app, source, commands, folder, *more = sys.argv[1:]
    options = dict(item.split("=", 1) for item in more)
    core, clock = ReferenceCore(commands), SystemClock()
    cache = BlockCache(int(options.get("cache_mb", "64")) << 20)
    pairs = []
    for partition in range(PARTITIONS):
        settings = LedgerSettings(
            app=app,
            partition=partition,
            folder=Path(folder) / str(partition),
            client={"bootstrap.servers": bootstrap},
            source=source,
            changelog=f"{app}-cases-changelog",
            batches=f"{app}-batches",
            quarantine=f"{app}-quarantine",
        )
        ledger = Ledger(core, settings, clock, cache)
        reader = Source(settings, ledger)
        ledger.open()
        reader.seek()
        pairs.append((ledger, reader))
    # As the worker does: nothing here holds a cycle.
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)
    ended: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: ended.append(number))
    run(
        pairs,
        going_on(pairs, clock, ended),
        records_max=int(options.get("records_max", "1000")),
        wait_s=float(options.get("wait_s", "0.02")),
    )
    for ledger, reader in pairs:
        reader.close()
        ledger.close()


def going_on(pairs: list[tuple[Ledger, Source]], clock: SystemClock, ended: list[int]) -> Callable[[], bool]:
    """Acknowledge the progress now and then, so that it can be seen from outside, as the shell does."""
    told_s = 0.0
    told = [-1] * len(pairs)

    def go_on() -> bool:
        nonlocal told_s
        now_s = clock.monotonic()
        if now_s - told_s >= PROGRESS_EVERY_S:
            told_s = now_s
            for index, (ledger, reader) in enumerate(pairs):
                if (offset := ledger.progress.offset) != told[index]:
                    told[index] = offset
                    place = TopicPartition(ledger.settings.source, ledger.settings.partition, offset + 1)
                    reader._consumer.commit(offsets=[place], asynchronous=True)
        return not ended

    return go_on


if __name__ == "__main__":
    main()
