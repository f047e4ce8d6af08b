"""The engine's mutants: each breaks one safeguard in its source, so that a named test must fail.

A mutant replaces text within one function and compiles the function anew in its module; when the text is no
longer there, the mutant says so rather than passing for caught.
"""

import functools
import importlib
import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Change:
    """`where` is `module:function` or `module:Class.method`."""

    where: str
    old: str
    new: str


MUTANTS: dict[str, list[Change]] = {
    "no_transactions": [
        Change("streams.transactions:Transactions.__init__", '"transactional.id"', '"client.id"'),
        Change(
            "streams.transactions:Transactions.__init__", '"transaction.timeout.ms"', '"message.timeout.ms"'
        ),
        Change(
            "streams.transactions:Transactions.open", "self._producer.init_transactions", "(lambda _: None)"
        ),
        Change("streams.transactions:Transactions.begin", "self._producer.begin_transaction()", "pass"),
        Change(
            "streams.transactions:Transactions.commit",
            "self._producer.commit_transaction",
            "self._producer.flush",
        ),
    ],
    "no_fence": [
        Change(
            "streams.transactions:Transactions.__init__",
            'f"{settings.app}-{settings.partition}"',
            'f"{settings.app}-{settings.partition}-{id(self)}"',
        )
    ],
    "apply_before_commit": [
        Change(
            "streams.ledger:Ledger._commit",
            'transactions.reach("before_commit")\n',
            "self._apply(step, taken, sealed, *applied(self._open_store()))\n"
            '    transactions.reach("before_commit")\n',
        )
    ],
    "no_deadline_version": [
        Change(
            "streams.step:Step.fire",
            "if (wanted_ms, wanted_version) == (due_ms, version):",
            "if wanted_ms != NEVER:",
        )
    ],
    "a_clock_that_runs_ahead": [
        Change("streams.ledger:Ledger.clock_ms", "return self._anchor_ms", "return 3_000 + self._anchor_ms"),
    ],
    "deadlines_first": [
        Change(
            "streams.ledger:Ledger._step",
            "    if records:\n        step.take(records)\n",
            "    if records:\n"
            "        at_ms = max(batch.caught_up_ms, records[-1].appended_ms)\n"
            "        step.fire(self._deadlines.due(at_ms, settings.fires_max), at_ms)\n"
            "        step.take(records)\n",
        )
    ],
    "seek_to_the_committed_offset": [
        Change(
            "streams.engine:LedgerEngine.next_offset",
            "return self.lanes.next_offset(tp.partition)",
            "return None",
        )
    ],
    "read_uncommitted_restore": [
        Change("streams.ledger:restore", '"read_committed"', '"read_uncommitted"'),
    ],
    "no_continuity_check": [
        Change("streams.ledger:Ledger._step", "if batch.starts_after > progress.offset:", "if False:"),
    ],
    "no_fetch_gate": [
        Change("streams.seam:Consumer._gate_is_open", "return bool(", "return True or bool("),
    ],
    "a_fetch_outlives_a_seek": [
        Change(
            "streams.seam:Consumer.seek_to_committed",
            "async with self._fetching:",
            "async with asyncio.Lock():",
        ),
    ],
    "acknowledge_before_commit": [
        Change(
            "streams.worker:build",
            "lane.put(batch.value, batch.ack)",
            "batch.ack(); lane.put(batch.value, lambda: None)",
        )
    ],
}


def breed(name: str, put: Callable[[Any, str, Any], object] = setattr) -> None:
    """Put a mutant in place; `put` may be `monkeypatch.setattr`."""
    by_place: dict[str, list[Change]] = {}
    for change in MUTANTS[name]:
        by_place.setdefault(change.where, []).append(change)
    for where, changes in by_place.items():
        put(*_mutated(where, changes))


def _mutated(where: str, changes: list[Change]) -> tuple[Any, str, Any]:
    """(owner, name, the changed function)."""
    module_name, _, path = where.partition(":")
    module = importlib.import_module(module_name)
    *owners, name = path.split(".")
    owner = functools.reduce(getattr, owners, module)
    function = getattr(owner, name)
    source = textwrap.dedent(inspect.getsource(function))
    for change in changes:
        assert change.old in source, f"{where} no longer contains {change.old!r}"
        source = source.replace(change.old, change.new)
    scope: dict[str, Any] = {}
    exec(compile(source, f"<mutant of {where}>", "exec"), function.__globals__, scope)
    return owner, name, scope[name]
