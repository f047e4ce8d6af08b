"""A peer's process under measurement: its CPU, its memory, its end."""

import signal
from pathlib import Path

import psutil

from tests.bench.broker import Broker, Progress
from tests.bench.peer import ROOT, Peer
from tests.world.part import Part


class PeerFailedError(Exception):
    """A peer did not do the job; nothing is compared with it."""


class Running:
    """One peer over one source; its folder and topics are its own and go with `discard`."""

    def __init__(self, peer: Peer, broker: Broker, app: str, source: str, folder: Path) -> None:
        self.peer = peer
        self.app = app
        self.source = source
        self.commands = f"{app}-commands"
        self.folder = folder / app
        self._broker = broker
        broker.create([self.commands, *(app + ending for ending in peer.own_topics)])
        self.progress = Progress(broker, peer.group(app), source)
        self._part = self._new_part()

    def start(self) -> None:
        self._part = self._new_part()
        self._part.start(lambda: True)
        self._process = psutil.Process(self._part.pid)

    def cpu_us(self) -> float:
        """User and system time of the process and its children since it was started."""
        times = self._process.cpu_times()
        own = times.user + times.system + times.children_user + times.children_system
        children = [child.cpu_times() for child in self._process.children(recursive=True)]
        return 1e6 * (own + sum(child.user + child.system for child in children))

    def rss_mb(self) -> float:
        return self._process.memory_info().rss / (1 << 20)

    @property
    def alive(self) -> bool:
        return self._part.alive

    def said(self) -> str:
        return self._part.tail()

    def stop(self) -> None:
        """In order, as at a deployment."""
        self._part.stop(signal.SIGTERM, timeout_s=30)

    def discard(self) -> None:
        self._part.kill()
        self.progress.close()
        self._broker.delete(self.app)

    def _new_part(self) -> Part:
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [
            *self.peer.command(),
            self._broker.bootstrap,
            self.app,
            self.source,
            self.commands,
            str(self.folder / "state"),
            *self.peer.options,
        ]
        return Part(self.app, command, self.folder / "log", cwd=ROOT)
