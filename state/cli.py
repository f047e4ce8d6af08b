"""`saveline policy`: check, show, compare and release the policies."""

import difflib
import json
import sys
from pathlib import Path

import yaml
from cyclopts import App

from state import shelf
from state.policy import Policy
from state.policy_table import table
from state.shipped import SHIPPED

app = App(name="policy", help="The policies: check, show, diff, release; and what their fields mean.")


@app.command
def check(folder: Path = SHIPPED) -> int:
    """Every fault of every policy in a folder, by file and path; 0 when there is none."""
    policies, faults = shelf.read(folder)
    for fault in faults:
        print(fault, file=sys.stderr)
    unreleased = [policy.key for policy in policies if policy.key not in shelf.locked(folder)]
    if not faults:
        note = f"; not released yet: {', '.join(unreleased)}" if unreleased else ""
        print(f"policies hold: {', '.join(policy.key for policy in policies)}{note}")
    return 1 if faults else 0


@app.command
def show(key: str | None = None, *, folder: Path = SHIPPED) -> int:
    """One policy as it is used (`id@version`, all that it extends merged in), or the list of them."""
    found = _loaded(folder)
    if found is None:
        return 1
    if key is None:
        for policy in found.by_key.values():
            print(f"{policy.key:34} {policy.mode:7} {policy.about}")
        return 0
    chosen = _chosen(found, key)
    if chosen is None:
        return 1
    print(_text(chosen), end="")
    return 0


@app.command
def diff(old: str, new: str, *, folder: Path = SHIPPED) -> int:
    """What changed between two versions, line by line; 0 when nothing did, 1 when something, 2 for a fault."""
    found = _loaded(folder)
    if found is None:
        return 2
    pair = [_chosen(found, old), _chosen(found, new)]
    if pair[0] is None or pair[1] is None:
        return 2
    lines = list(
        difflib.unified_diff(
            _text(pair[0]).splitlines(), _text(pair[1]).splitlines(), old, new, lineterm="", n=2
        )
    )
    print("\n".join(lines) if lines else f"{old} and {new} say the same")
    return 1 if lines else 0


@app.command
def release(folder: Path = SHIPPED) -> int:
    """Lock every version that is not locked yet: from then on it must neither change nor vanish."""
    policies, faults = shelf.read(folder)
    if faults:
        print("\n".join(faults), file=sys.stderr)
        return 1
    digests = shelf.locked(folder) | {policy.key: shelf.digest(policy) for policy in policies}
    (folder / shelf.LOCK_NAME).write_text(
        json.dumps(digests, indent=1, sort_keys=True) + "\n", encoding="utf-8"
    )
    print(f"released: {', '.join(sorted(digests))}")
    return 0


@app.command
def fields() -> int:
    """Every field of a policy with its unit, default and meaning, as docs/policies.md shows it."""
    print(table(), end="")
    return 0


def _loaded(folder: Path) -> shelf.Shelf | None:
    try:
        return shelf.load(folder)
    except shelf.PolicyFaults as faults:
        print(faults, file=sys.stderr)
        return None


def _chosen(found: shelf.Shelf, key: str) -> Policy | None:
    policy = found.by_key.get(key)
    if policy is None:
        print(f"{key}: no such policy; there are {', '.join(found.by_key)}", file=sys.stderr)
    return policy


def _text(policy: Policy) -> str:
    return yaml.safe_dump(policy.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=110)
