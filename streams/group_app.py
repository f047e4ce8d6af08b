"""A Faust app without tables: for each topic one agent, which hands its deliveries to a blocking handler.

Progress is the group's: a delivery is acknowledged once its handler is done, so everything is handled at least once.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from typing import Any

from streams import seam
from streams.assignor import CompleteRoundRobin
from streams.core import Batch
from streams.delivery import GroupEngine, PassedThrough, batches
from streams.login import KafkaSettings

log = logging.getLogger(__name__)

EXIT_STOPPED = 70
# How long a killed process's partitions wait for the next one.
SESSION_TIMEOUT_S = 10.0

# Handles one delivery of one partition; blocking, on a thread. What it raises stops the process.
Handler = Callable[[str, int, Batch], None]


class ExitingEngine(GroupEngine):
    """A failure ends the process, and the next one reads the same records again."""

    def stop(self, failure: BaseException) -> None:
        log.critical("stopping: %s: %s", type(failure).__name__, failure, exc_info=failure)
        logging.shutdown()
        os._exit(EXIT_STOPPED)


class GroupApp(seam.App):
    """A Faust app that knows its engine, which the transport asks."""

    engine: ExitingEngine
    assignors = (CompleteRoundRobin,)


def build(app_id: str, kafka: KafkaSettings, handlers: Mapping[str, Handler]) -> GroupApp:
    """The app, ready to be run by a `faust.Worker`; `handlers` by topic."""
    seam.register()
    app = GroupApp(
        app_id,
        broker_session_timeout=SESSION_TIMEOUT_S,
        broker_heartbeat_interval=SESSION_TIMEOUT_S / 5,
        broker_request_timeout=90.0,
        **seam.app_settings(kafka),
    )
    app.engine = ExitingEngine()
    for topic, handler in handlers.items():
        _agent(app, topic, handler)
    return app


def _agent(app: GroupApp, topic: str, handler: Handler) -> None:
    @app.agent(app.topic(topic, schema=PassedThrough()), name=f"handle-{topic}")
    async def handle(stream: Any) -> None:
        try:
            async for tp, batch in batches(stream, app.engine):
                await asyncio.to_thread(handler, topic, tp.partition, batch)
        except Exception as failure:  # noqa: BLE001 - whatever it is, nothing may be acknowledged after it
            app.engine.stop(failure)
