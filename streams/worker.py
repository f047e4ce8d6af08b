"""The worker: an ordinary Faust app with one table and one agent; the ledgers do the work behind it."""

import asyncio
import functools
import gc
import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from connectors.clock import Clock, SystemClock
from streams import logs, seam, store
from streams.assignor import CompleteAssignor
from streams.core import Core
from streams.delivery import PassedThrough
from streams.engine import LedgerEngine
from streams.failpoints import Failpoints
from streams.settings import WorkerSettings
from streams.surface import Surface

_WATCH_S = 10.0
"""How often it is looked whether records wait that nobody processes."""


class WorkerApp(seam.App):
    """A Faust app that knows its engine, which the transport and the store ask."""

    engine: LedgerEngine
    surface: Surface

    async def on_start(self) -> None:
        """Public. Answer probes from the first moment: Faust's tasks begin only once all is restored."""
        await super().on_start()
        settings = self.engine.settings
        await self.surface.start(settings.http_host, settings.http_port)


def build(core: Core[Any, Any, Any], settings: WorkerSettings, clock: Clock) -> WorkerApp:
    """The app, ready to be run by a `faust.Worker`."""
    seam.register()
    store.register()
    app = WorkerApp(
        settings.app,
        store=f"{store.SCHEME}:",
        PartitionAssignor=CompleteAssignor,
        topic_partitions=settings.partitions,
        broker_session_timeout=settings.session_timeout_s,
        broker_heartbeat_interval=settings.session_timeout_s / 5,
        broker_request_timeout=max(90.0, settings.session_timeout_s),
        consumer_group_instance_id=_member(settings),
        # Without the port: the group hands a static member that comes back its old assignment, which names this
        # address, and Faust's assignor would stand still for ever over another one.
        canonical_url=f"http://{_member(settings) or 'worker'}",
        **seam.app_settings(settings),
    )
    failpoints = Failpoints() if settings.test_switch else None
    engine = app.engine = LedgerEngine(core, settings, clock, failpoints)
    app.surface = Surface(engine, _metrics(engine), f"{version('saveline')}+{core.version}", failpoints)

    app.Table("cases", partitions=settings.partitions, key_type=bytes, value_type=bytes)

    @app.agent(app.topic(settings.source, schema=PassedThrough()))
    async def decide_cases(batches: Any) -> None:
        """Each delivery goes to its partition's ledger, and is acknowledged once it is committed."""
        async for batch in batches.noack().events():
            lane = engine.lanes.lanes.get(batch.message.tp.partition)
            if lane is not None:
                lane.put(batch.value, batch.ack)

    async def released(*_: Any, **__: Any) -> None:
        await engine.release()

    async def look() -> None:
        engine.check_given_up()

    async def watch() -> None:
        # Asks the broker: nothing blocking runs on the event loop.
        await asyncio.to_thread(engine.lanes.watch)

    app.on_partitions_revoked.connect(released)
    # Faust sends no revocation when it stops.
    app.on_before_shutdown.connect(released)
    app.timer(interval=1.0)(look)
    app.timer(interval=min(_WATCH_S, settings.step_patience_s / 4))(watch)

    return app


def run(core: Core[Any, Any, Any], settings: WorkerSettings, clock: Clock | None = None) -> None:
    """Run until a signal ends it; never returns."""
    logs.configure_words("worker")
    app = build(core, settings, clock or SystemClock())
    _spare_the_collector()
    seam.run(app)
    sys.exit(0)


def _spare_the_collector() -> None:
    """Records and states hold no cycles: at its defaults the collector walks them over and over (8 % of CPU)."""
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)


def _metrics(engine: LedgerEngine) -> Callable[[], bytes]:
    @functools.cache
    def registry() -> Any:
        from streams.metrics import EngineCollector, exposed

        return exposed(EngineCollector(engine.lanes, engine.settings.partitions))

    def told() -> bytes:
        # Loaded at the first scrape: no start waits for it.
        from prometheus_client import generate_latest

        return generate_latest(registry())

    return told


def _member(settings: WorkerSettings) -> str | None:
    return None if settings.ordinal is None else f"{settings.app}-{settings.ordinal}"
