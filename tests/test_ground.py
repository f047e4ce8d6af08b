"""What the documents promise about the project itself."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_example_in_the_readme_prints_what_the_readme_says():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    example = re.search(r"```python\n(.*?)```.*?```text\n(.*?)```", text, re.DOTALL)
    printed = subprocess.run(
        [sys.executable, "-c", example[1]], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert printed.stdout == example[2]


def test_ci_runs_what_the_readme_says_and_nothing_else():
    run = ROOT / ".ci" / "run"
    assert os.access(run, os.X_OK)
    made = [line for line in run.read_text(encoding="utf-8").splitlines() if line.startswith("make")]
    said = re.search(r"(.*) are what CI runs", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert said is not None
    assert sorted(made) == sorted(re.findall(r"make [a-z-]+", said[1]))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"make ([a-z-]+)", (ROOT / "README.md").read_text(encoding="utf-8")))
    assert named - {"and"} <= targets


def test_every_link_between_the_documents_leads_somewhere():
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    for page in pages:
        for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_no_thread_is_the_first_to_ask_msgspec_for_a_type():
    """It may not be alone: of eight that decode a command at once as their first, some crash the process (0.22)."""
    decoding = re.compile(r"msgspec\.\w+\.decode\(.*\btype=|msgspec\.convert\(|\.Decoder\(")
    for package in ("schemas", "state", "connectors"):
        for module in (ROOT / package).rglob("*.py"):
            # Where a module is imported, there is one thread.
            lines = [line for line in module.read_text(encoding="utf-8").splitlines() if line[:1] == " "]
            within = [line.strip() for line in lines if decoding.search(line)]
            assert within == [], f"{module}: make the decoder when the module is imported"
