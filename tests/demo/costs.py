"""What the demo costs: processor time and resident memory of everything that it starts, by process."""

import contextlib
import threading
from collections import defaultdict
from collections.abc import Callable

import psutil
from rich.table import Table

_LOOK_S = 2.0
OURS = "demo"


class Costs(threading.Thread):
    """Looks every two seconds; `roots` are the processes that have a name, by pid, and theirs is what they started.

    What has no name of its own, such as the report and the verifier, is the demo's.
    """

    def __init__(self, roots: Callable[[], dict[int, str]]) -> None:
        super().__init__(name="costs", daemon=True)
        self._roots, self._ended = roots, threading.Event()
        self._named: dict[int, str] = {}
        self._cpu_s: dict[int, float] = {}
        self._held_mb: defaultdict[str, float] = defaultdict(float)
        self.most_mb = 0.0

    def run(self) -> None:
        while not self._ended.wait(_LOOK_S):
            self._look()

    def end(self) -> None:
        """With a last look; everything has to be alive still."""
        self._ended.set()
        self.join()
        self._look()

    def _look(self) -> None:
        me = psutil.Process()
        self._named |= self._roots() | {me.pid: OURS}
        owners: dict[int, str] = {}
        cpu_s: defaultdict[int, float] = defaultdict(float)
        held_mb: defaultdict[str, float] = defaultdict(float)
        trees: dict[int, int] = {}
        # Parents come before their children.
        for process in (me, *me.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                pid, spent = process.pid, process.cpu_times()
                trees[pid] = pid if pid in self._named else trees.get(process.ppid(), me.pid)
                owners[pid] = self._named[trees[pid]]
                # Whoever ended is counted with its parent.
                cpu_s[trees[pid]] += spent.user + spent.system + spent.children_user + spent.children_system
                held_mb[owners[pid]] += process.memory_info().rss / 1e6
        # But one with a name keeps what it was last seen with.
        cpu_s[me.pid] -= sum(spent for pid, spent in self._cpu_s.items() if pid not in trees)
        self._cpu_s |= cpu_s
        for name, mb in held_mb.items():
            self._held_mb[name] = max(self._held_mb[name], mb)
        self.most_mb = max(self.most_mb, sum(held_mb.values()))

    @property
    def cpu_s(self) -> dict[str, float]:
        """Seconds of processor time by name, most first."""
        spent: defaultdict[str, float] = defaultdict(float)
        for pid, seconds in self._cpu_s.items():
            spent[self._named[pid]] += seconds
        return dict(sorted(spent.items(), key=lambda one: -one[1]))

    def table(self) -> Table:
        drawn = Table(box=None, pad_edge=False, header_style="dim")
        drawn.add_column("process")
        drawn.add_column("CPU s", justify="right")
        drawn.add_column("held at most MB", justify="right")
        for name, seconds in self.cpu_s.items():
            drawn.add_row(name, f"{seconds:.1f}", f"{self._held_mb[name]:.0f}")
        return drawn
