"""Mutation testing of the heart: `python -m tests.mutants.sweep state/plan.py ...`, best through `make mutants`.

pytest collects once. A first run learns which lines each test visits and how long it takes. Then each mutant gets a
process of its own, forked with everything loaded: the function's code is exchanged, and the tests that visit its line
run, the quick ones first, until one fails. So a mutant costs no start and, when killed, a moment.
"""

import argparse
import ast
import contextlib
import importlib
import os
import random
import sys
import threading
import time
import types
from collections import defaultdict
from pathlib import Path

import pytest
import yaml

from tests.mutants.operators import Mutant, mutants

TESTS = ["tests/state", "tests/scenarios", "tests/mutants", "tests/properties"]
# These look at files and at the command line, not at the heart.
BESIDE = [
    "tests/scenarios/test_index.py",
    "tests/state/test_policy_cli.py",
    "tests/state/test_policy_table.py",
]
REASONS = Path(__file__).parent / "survivors.yaml"
AT_ONCE = 2
# A mutant that loops is killed by its time; far above what any set of tests takes.
PATIENCE_S = 240.0


class Sweep:
    """A pytest plugin that takes over where the tests would run."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.paths = {str(Path(name).resolve()): name for name in arguments.modules}
        # Read once, as it was imported: the files may change while the sweep runs.
        self.sources = {name: Path(name).read_text(encoding="utf-8") for name in arguments.modules}
        self.visits: dict[tuple[str, int], list[int]] = defaultdict(list)
        self.seconds: dict[int, float] = {}
        self.survivors: list[Mutant] = []
        self.counts: dict[str, list[int]] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self.items = session.items
        self._learn()
        for name in self.arguments.modules:
            self._sweep(name)
        return True

    def _learn(self) -> None:
        """Which test visits which line, and for how long it runs."""
        for n, item in enumerate(self.items):
            seen: set[tuple[str, int]] = set()
            started = time.process_time()
            sys.settrace(self._tracer(seen))
            threading.settrace(None)
            passed = self._passes(item)
            sys.settrace(None)
            self.seconds[n] = time.process_time() - started
            if not passed:
                sys.exit(f"{item.nodeid} fails without any mutant")
            for place in seen:
                self.visits[place].append(n)

    def _tracer(self, seen: set[tuple[str, int]]):
        paths = self.paths

        def local(frame: types.FrameType, event: str, _: object):
            if event == "line":
                seen.add((paths[frame.f_code.co_filename], frame.f_lineno))
            return local

        def every(frame: types.FrameType, _: str, __: object):
            return local if frame.f_code.co_filename in paths else None

        return every

    def _passes(self, item: pytest.Item) -> bool:
        from _pytest.runner import runtestprotocol

        reports = runtestprotocol(item, log=False, nextitem=None)
        return not any(report.failed for report in reports)

    def _sweep(self, name: str) -> None:
        total = survived = 0
        running: dict[int, tuple[Mutant, float]] = {}

        def one_ends() -> int:
            pid, killed = self._ended(running)
            ended, _ = running.pop(pid)
            if not killed:
                self.survivors.append(ended)
                print(f"survived {name}:{ended.line} {ended.key}", flush=True)
            return 0 if killed else 1

        for n, (mutant, function) in enumerate(mutants(name, self.sources[name])):
            # Every n-th, so that all functions take part, and the same ones each time.
            if n % self.arguments.every:
                continue
            total += 1
            running[self._fork(mutant, function)] = (mutant, time.monotonic())
            while len(running) >= AT_ONCE:
                survived += one_ends()
        while running:
            survived += one_ends()
        self.counts[name] = [total - survived, total]
        print(f"{name}: {total - survived} of {total} killed", flush=True)

    def _ended(self, running: dict[int, tuple[Mutant, float]]) -> tuple[int, bool]:
        while True:
            for pid, (_, started) in running.items():
                done, status = os.waitpid(pid, os.WNOHANG)
                if done:
                    return pid, status != 0
                if time.monotonic() - started > PATIENCE_S:
                    os.kill(pid, 9)
                    os.waitpid(pid, 0)
                    return pid, True
            time.sleep(0.01)

    def _fork(self, mutant: Mutant, function: ast.FunctionDef) -> int:
        pid = os.fork()
        if pid:
            return pid
        code = 1
        try:
            with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
                os.dup2(nowhere.fileno(), 1)
                os.dup2(nowhere.fileno(), 2)
                exchange(mutant, function)
                code = 0 if all(self._passes(self.items[n]) for n in self._tests_of(mutant)) else 1
        finally:
            os._exit(code)

    def _tests_of(self, mutant: Mutant) -> list[int]:
        """Who visits its line, else its function: some lines leave no trace of their own."""
        found = set(self.visits[(mutant.module, mutant.line)])
        found = found or {n for line in mutant.lines for n in self.visits[(mutant.module, line)]}
        return sorted(found, key=self.seconds.__getitem__)


def exchange(mutant: Mutant, function: ast.FunctionDef) -> None:
    """Give the live function the mutant's code; whoever has imported it has the mutant now."""
    module = importlib.import_module(mutant.module.removesuffix(".py").replace("/", "."))
    compiled = compile(ast.Module([function], []), module.__file__, "exec")
    code = next(c for c in compiled.co_consts if isinstance(c, types.CodeType) and c.co_name == function.name)
    target: object = module
    for part in mutant.function.split("."):
        target = target.__dict__[part]
    while not isinstance(target, types.FunctionType):
        target = next(
            inner
            for name in ("fget", "func", "__wrapped__")
            if (inner := getattr(target, name, None)) is not None
        )
    target.__code__ = code
    for cached in vars(module).values():
        if hasattr(cached, "cache_clear"):
            cached.cache_clear()


def report(counts: dict[str, list[int]], survivors: list[Mutant], every: int) -> str:
    """The page in the docs: what was killed, and why each survivor may live, from `survivors.yaml`."""
    reasons = yaml.safe_load(REASONS.read_text(encoding="utf-8")) or {}
    lines = [
        "# Mutation testing of the heart",
        "",
        "Written by `make mutants`, which breaks the heart in two ways. By hand: `tests/mutants` holds one mutant or",
        "more for each invariant, and the law that catches it. By machine: every comparison is turned, every `and`",
        "becomes `or`, every number grows by one, every condition is negated and every acting statement is left out,",
        "one at a time; the tests that visit the line must notice. What survives stands below with the reason why.",
        "",
        "| module | killed | of | share |",
        "|---|---|---|---|",
    ]
    for name, (killed, total) in counts.items():
        lines.append(f"| `{name}` | {killed} | {total} | {killed / max(total, 1):.0%} |")
    if every > 1:
        lines += ["", f"A sample: every mutant whose number is divisible by {every}."]
    lines += ["", "## Survivors", ""]
    for mutant in survivors:
        reason = reasons.get(mutant.module, {}).get(mutant.key, "not explained yet")
        lines.append(
            f"- `{mutant.module}` {mutant.function}: `{mutant.was}` became `{mutant.became}`: {reason}"
        )
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="+")
    parser.add_argument("--every", type=int, default=1, help="take every n-th mutant only")
    parser.add_argument("--tests", nargs="+", default=TESTS, help="the tests that have to notice")
    parser.add_argument(
        "--report", type=Path, help="write counts, survivors and the reasons that are known here"
    )
    arguments = parser.parse_args()
    os.environ.setdefault("HYPOTHESIS_PROFILE", "mutants")
    random.seed(0)
    sweep = Sweep(arguments)
    options = ["-q", "-p", "no:cacheprovider", "-m", "not real and not chaos"]
    pytest.main([*options, *(f"--ignore={path}" for path in BESIDE), *arguments.tests], plugins=[sweep])
    if arguments.report:
        arguments.report.write_text(report(sweep.counts, sweep.survivors, arguments.every), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
