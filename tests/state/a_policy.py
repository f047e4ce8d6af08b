"""A policy that holds, as a document to spoil, and folders to check it in."""

import copy
from pathlib import Path

import yaml

from state import shelf
from state.policy import WORDED

APPROVED = {"approved_by": "counsel", "approved_at": "2026-11-24T00:00:00Z"}
PARTS = ("manifest", "messages", "confirmation", "call_log", "transcript", "recording")


def a_document(**changes) -> dict:
    """The smallest policy that may go live; `changes` replace whole fields, None removes one."""
    texts = {purpose.value: "{retailer}: {items} {link}" for purpose in WORDED}
    document = {
        **APPROVED,
        "id": "shortage",
        "version": 1,
        "about": "Something is missing.",
        "kinds": ["item_unavailable"],
        "promised_notice_ms": 360_000,
        "steps": [
            {"name": "digital", "channels": ["push", "sms"], "window_ms": 180_000},
            {"name": "call", "channels": ["voice"], "attempts_max": 2, "spacing_ms": 10_000},
        ],
        "countries": {"GB": {"source": "PECR reg. 19"}},
        "evidence": {
            "required": {
                path: ["manifest"] for path in ("digital", "voice", "person", "stored_preference", "default")
            }
        },
        "retention": {"evidence_days": dict.fromkeys(PARTS, 30)},
        "scripts": {"en-GB": {**APPROVED, "version": 1, "texts": texts}},
    }
    changed = copy.deepcopy(document) | changes
    return {name: value for name, value in changed.items() if value is not None}


def written(folder: Path, *documents: dict | str, **named: dict | str) -> Path:
    """A folder with these policies: documents under their right name, or under the one that is given."""
    files = {f"{d['id']}.v{d['version']}": d for d in documents} | named
    for stem, document in files.items():
        text = document if isinstance(document, str) else yaml.safe_dump(document, sort_keys=False)
        (folder / f"{stem}.yaml").write_text(text, encoding="utf-8")
    return folder


def faults(folder: Path, *documents: dict | str, **named: dict | str) -> list[str]:
    """Every fault of such a folder."""
    return shelf.read(written(folder, *documents, **named))[1]
