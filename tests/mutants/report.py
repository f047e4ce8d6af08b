"""The page about what mutmut's mutants of the heart showed: `python -m tests.mutants.report` after `mutmut run`.

It reads mutmut's own answers (`results`, `show`), and says beside each survivor why it may live. The reasons are kept
in `survivors.yaml`: module → function → `what was => what it became` → reason.
"""

import re
import sys
from collections import Counter, defaultdict
from pathlib import Path

import yaml

PAGE = Path("docs/mutation.md")
REASONS = Path(__file__).parent / "survivors.yaml"
KILLED = ("killed", "timeout")
HEAD = """\
# Mutation testing of the heart

Written by `make mutants`, which breaks the heart in two ways. By hand: `tests/mutants` holds one mutant or more for
each invariant, and the law that catches it. By machine: [mutmut](https://mutmut.readthedocs.io) changes operators,
numbers, words, arguments, assignments and branches, one at a time, and runs the tests of `tests/state` and
`tests/scenarios` that visit the function. The properties are left out, since a search would make the figure a matter
of luck. A mutant that never ends counts as killed. What survives stands below with the reason why it may live, from
`tests/mutants/survivors.yaml`.

| module | killed | of | share |
|---|---|---|---|
"""

Reasons = dict[str, dict[str, dict[str, str]]]


def known_reasons() -> Reasons:
    return yaml.safe_load(REASONS.read_text(encoding="utf-8")) or {}


def change(diff: str) -> str:
    """`what was => what it became`, from a diff of one function; nothing on the right where a line was left out."""
    lines = [line for line in diff.splitlines() if not line.startswith(("---", "+++"))]
    was, became = (
        " ".join(line[1:].strip() for line in lines if line.startswith(sign)) for sign in ("-", "+")
    )
    return f"{was} => {became}".strip()


def place(mutant: str) -> tuple[str, str]:
    """File and qualified function of a name such as `state.gate.xǁQuestionǁblocks__mutmut_1`."""
    module, _, function = mutant.rpartition(".")
    name = re.sub(r"^x(_|ǁ)", "", function.partition("__mutmut_")[0]).replace("ǁ", ".")
    return module.replace(".", "/") + ".py", name


def main() -> int:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    survivors: dict[str, list[str]] = defaultdict(list)
    reasons = known_reasons()
    unexplained = 0
    for row in _asked("results", "--all", "true").split("\n"):
        mutant, _, status = row.strip().partition(": ")
        if not mutant:
            continue
        module, function = place(mutant)
        counts[module]["killed" if status in KILLED else status] += 1
        if status not in KILLED:
            was_became = change(_asked("show", mutant))
            reason = reasons.get(module, {}).get(function, {}).get(was_became)
            unexplained += reason is None
            survivors[module].append(
                f"- `{function}`: `{was_became}`: {reason or f'{status}, not explained yet'}"
            )
    lines = [HEAD]
    for module, count in sorted(counts.items()):
        killed, total = count["killed"], count.total()
        lines.append(f"| `{module}` | {killed} | {total} | {killed / total:.1%} |\n")
    for module, found in sorted(survivors.items()):
        lines += [f"\n## Survivors of `{module}`\n\n", *(f"{line}\n" for line in found)]
    PAGE.write_text("".join(lines), encoding="utf-8")
    print("".join(line for line in lines if line.startswith("| `")), end="")
    print(f"{PAGE}: {unexplained} survivors are not explained")
    return 0


def _asked(*words: str) -> str:
    # Only for the page itself: it brings its whole user interface with it.
    from click.testing import CliRunner
    from mutmut.__main__ import cli

    return CliRunner().invoke(cli, words, catch_exceptions=False).output


if __name__ == "__main__":
    sys.exit(main())
