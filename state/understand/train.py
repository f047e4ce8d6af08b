"""Learns the classifier: an averaged perceptron on integers, so that the same rows give the same bytes."""

import json
from array import array
from collections.abc import Iterable, Sequence
from hashlib import sha256

from state.understand.classify import BUCKETS, CLASSES, MODEL_FORMAT, features
from state.understand.lexicon import spell_out

ROUNDS = 12
# How far a class has to lead in training before its row is left alone.
MARGIN = 25
# A shuffle without a random generator: a stride that shares no factor with the number of rows.
_STRIDE = 7_919

Row = tuple[str, frozenset[str]]  # text, classes that count as right


def seed_rows(seed: str) -> list[Row]:
    """The rows of a seed file: classes as headings, templates as lines; long ones are thinned evenly."""
    rows: list[Row] = []
    heading = ""
    for line in map(str.strip, seed.splitlines()):
        if line.startswith("[") and line.endswith("]") and line[1:-1] in CLASSES:
            heading = line[1:-1]
        elif line and not line.startswith("#"):
            phrases = sorted({" ".join(p) for p in spell_out(line)})
            step = max(1, len(phrases) // 24)
            rows.extend((phrase, frozenset({heading})) for phrase in phrases[::step])
    return rows


def labelled_row(row: dict[str, object]) -> Row | None:
    """A row of the shared format as the classifier sees it; None for opt-outs, which have their own path."""
    labels = [str(label).split(":")[0] for label in _strings(row["labels"])]
    if "optout" in labels:
        return None
    known = frozenset(label if label in CLASSES else "unclear" for label in labels)
    extra = frozenset(str(label).split(":")[0] for label in _strings(row.get("also_ok", []))) & set(CLASSES)
    return str(row["text"]), known | extra


def _strings(value: object) -> list[str]:
    if not isinstance(value, list):
        raise TypeError("labels and also_ok are lists of words")
    return value


def learn(rows: Sequence[Row], *, half_lead: int = 40) -> bytes:
    """The packed model. Where none of a row's classes wins, the winner yields to the best of them."""
    if not rows:
        raise ValueError("There is nothing to learn from.")
    width = len(CLASSES)
    weights = [[0] * BUCKETS for _ in CLASSES]
    totals = [[0] * BUCKETS for _ in CLASSES]
    seen = [(features(text), [k for k in range(width) if CLASSES[k] in right]) for text, right in rows]
    order = [(i * _STRIDE) % len(seen) for i in range(len(seen))]
    if len(set(order)) != len(seen):
        order = list(range(len(seen)))
    left = ROUNDS * len(seen)
    for _ in range(ROUNDS):
        for i in order:
            found, right = seen[i]
            scores = [sum(map(row.__getitem__, found)) for row in weights]
            best = max(right, key=lambda k: (scores[k], -k))
            rival = max((k for k in range(width) if k not in right), key=lambda k: (scores[k], -k))
            # A margin, so that a class leads and not merely wins.
            if scores[best] <= scores[rival] + MARGIN:
                for bucket in found:
                    weights[best][bucket] += 1
                    totals[best][bucket] += left
                    weights[rival][bucket] -= 1
                    totals[rival][bucket] -= left
            left -= 1
    return _pack(totals, rows, half_lead)


def _pack(totals: list[list[int]], rows: Iterable[Row], half_lead: int) -> bytes:
    largest = max(abs(total) for row in totals for total in row) or 1
    table = array("b", (_rounded(127 * total, largest) for row in totals for total in row))
    digest = sha256()
    for text, right in rows:
        digest.update(json.dumps([text, sorted(right)]).encode())
    digest.update(table.tobytes())
    header = {
        "format": MODEL_FORMAT,
        "version": f"en-{MODEL_FORMAT}-{digest.hexdigest()[:12]}",
        "classes": CLASSES,
        "half_lead": half_lead,
        "rounds": ROUNDS,
    }
    return json.dumps(header).encode() + b"\n" + table.tobytes()


def _rounded(value: int, by: int) -> int:
    return (2 * value + by) // (2 * by) if value >= 0 else -((-2 * value + by) // (2 * by))
