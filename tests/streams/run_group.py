"""An app without tables under test: writes down what it handles; its settings come by environment."""

import asyncio
import os
import sys
from pathlib import Path

import faust

from connectors.clock import SystemClock
from streams.backlog import Backlog
from streams.core import Batch
from streams.group_app import build
from streams.login import KafkaSettings
from streams.surface import Surface
from tests.mutants.engine import breed
from tests.streams.losses import hold, lose


class Health:
    """Looks whenever it is asked, so that no test waits for the next look."""

    def __init__(self, backlog: Backlog, patience_s: float) -> None:
        self.backlog, self.patience_s = backlog, patience_s

    def not_live(self) -> list[str]:
        self.backlog.look()
        return self.backlog.standing(self.patience_s)

    def not_ready(self) -> list[str]:
        return []

    def quiescent(self) -> bool:
        return self.backlog.empty()


if __name__ == "__main__":
    if mutants := os.environ.get("MUTANTS"):
        for mutant in mutants.split(","):
            breed(mutant)
    if number := os.environ.get("LOSE_DELIVERY"):
        lose(int(number))
    if number := os.environ.get("HOLD_DELIVERIES_FROM"):
        hold(int(number))
    handled, ends_at = Path(os.environ["HANDLED"]), int(os.environ.get("AGENT_ENDS_AT", "-1"))

    def write_down(_: str, partition: int, batch: Batch) -> None:
        if any(record.offset == ends_at for record in batch.records):
            # The agent's task ends as by a cancellation, which nobody hears of.
            raise asyncio.CancelledError
        with handled.open("a") as lines:
            lines.writelines(f"{partition} {record.offset} {os.getpid()}\n" for record in batch.records)

    kafka = KafkaSettings(broker=os.environ["BROKER"])
    app = build(os.environ["APP"], kafka, {os.environ["TOPIC"]: write_down})
    if port := os.environ.get("PORT"):
        backlog = Backlog(kafka.client, app.engine.positions, SystemClock())
        surface = Surface(Health(backlog, float(os.environ["PATIENCE_S"])), bytes, "", None)

        async def serve() -> None:
            await surface.start("127.0.0.1", int(port))

        app.task(serve)
    faust.Worker(app, loglevel="info", redirect_stdouts=False).execute_from_commandline()
    sys.exit(0)
