"""The reference job on the worker as it is deployed: the ledgers under Faust."""

import sys
from pathlib import Path

from streams.settings import WorkerSettings
from streams.worker import run
from tests.bench.broker import PARTITIONS
from tests.bench.reference import ReferenceCore
from tests.world.part import free_port


def main() -> None:
    bootstrap, app, source, commands, folder = sys.argv[1:]
    settings = WorkerSettings(
        app=app,
        broker=bootstrap,
        source=source,
        quarantine=f"{app}-quarantine",
        partitions=PARTITIONS,
        data_folder=Path(folder),
        http_port=free_port(),
        # Static membership, as in a stateful set.
        ordinal="0",
    )
    sys.argv = ["faust"]
    run(ReferenceCore(commands), settings)


if __name__ == "__main__":
    main()
