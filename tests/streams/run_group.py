"""An app without tables under test: writes down what it handles; its settings come by environment."""

import os
import sys
from pathlib import Path

import faust

from streams.core import Batch
from streams.group_app import build
from streams.login import KafkaSettings
from tests.mutants.engine import breed
from tests.streams.losses import lose

if __name__ == "__main__":
    if mutants := os.environ.get("MUTANTS"):
        for mutant in mutants.split(","):
            breed(mutant)
    if number := os.environ.get("LOSE_DELIVERY"):
        lose(int(number))
    handled = Path(os.environ["HANDLED"])

    def write_down(_: str, partition: int, batch: Batch) -> None:
        with handled.open("a") as lines:
            lines.writelines(f"{partition} {record.offset}\n" for record in batch.records)

    kafka = KafkaSettings(broker=os.environ["BROKER"])
    app = build(os.environ["APP"], kafka, {os.environ["TOPIC"]: write_down})
    faust.Worker(app, loglevel="info", redirect_stdouts=False).execute_from_commandline()
    sys.exit(0)
