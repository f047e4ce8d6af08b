"""The product itself: the real `decide` and real Avro, in the worker."""

import sys
from pathlib import Path

from schemas.codec import Codec
from schemas.registry import LockedRegistry
from state import shelf
from streams.heart import HeartCore
from streams.settings import WorkerSettings
from streams.worker import run
from tests.bench.broker import PARTITIONS
from tests.world.part import free_port


def main() -> None:
    bootstrap, app, source, _commands, folder, *_more = sys.argv[1:]
    settings = WorkerSettings(
        app=app,
        broker=bootstrap,
        source=source,
        quarantine=f"{app}-quarantine",
        partitions=PARTITIONS,
        data_folder=Path(folder),
        http_port=free_port(),
        ordinal="0",
    )
    sys.argv = ["faust"]
    run(HeartCore(Codec(LockedRegistry()), shelf.load()), settings)


if __name__ == "__main__":
    main()
