"""The reasons for survivors name code that is there: a reason for what no longer exists explains nothing."""

import ast
import tomllib
from pathlib import Path

from tests.mutants.report import change, known_reasons, place

ROOT = Path(__file__).parents[2]


def sources(module: str) -> dict[str, str]:
    """The functions of a module by qualified name."""
    text = (ROOT / module).read_text(encoding="utf-8")
    found = {}
    for node in ast.parse(text).body:
        inner = node.body if isinstance(node, ast.ClassDef) else [node]
        prefix = f"{node.name}." if isinstance(node, ast.ClassDef) else ""
        found |= {
            prefix + part.name: ast.get_source_segment(text, part)
            for part in inner
            if isinstance(part, ast.FunctionDef)
        }
    return found


def test_every_explained_mutant_changes_a_line_that_is_there():
    mutated = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mutmut"][
        "only_mutate"
    ]
    for module, functions in known_reasons().items():
        assert module in mutated
        there = sources(module)
        for function, changes in functions.items():
            lines = [" ".join(line.split()) for line in there[function].splitlines()]
            for was_became, reason in changes.items():
                was = " ".join(was_became.split(" => ")[0].removesuffix(" =>").split())
                assert was in " ".join(lines), f"{module} {function} no longer says {was}"
                assert reason.strip().endswith("."), f"{was_became}: a reason is a sentence"


def test_a_change_is_read_from_a_diff_and_a_place_from_a_mutants_name():
    diff = "--- a\n+++ b\n@@ -1,2 +1,2 @@\n def f():\n-    return 1\n+    return 2"
    assert change(diff) == "return 1 => return 2"
    assert change("--- a\n+++ b\n@@ -1,2 +1,1 @@\n-    quantity=1,") == "quantity=1, =>"
    assert place("state.gate.xǁQuestionǁblocks__mutmut_1") == ("state/gate.py", "Question.blocks")
    assert place("state.gate.x__on_sale__mutmut_12") == ("state/gate.py", "_on_sale")
