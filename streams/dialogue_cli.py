"""`saveline dialogue`: draws the law of a call and checks its words."""

import sys
from pathlib import Path

from cyclopts import App

from state.dialogue.diagram import document

app = App(name="dialogue", help="The voice agent's state diagram.")

_PAGE = Path(__file__).resolve().parents[1] / "docs" / "dialogue.md"


@app.command
def diagram(*, check: bool = False) -> int:
    """Write docs/dialogue.md from the law of the call; with --check only say whether it is current."""
    drawn = document()
    if not check:
        _PAGE.write_text(drawn)
        return 0
    if _PAGE.exists() and _PAGE.read_text() == drawn:
        return 0
    sys.stderr.write("docs/dialogue.md is not what the law says: run 'saveline dialogue diagram'.\n")
    return 1
