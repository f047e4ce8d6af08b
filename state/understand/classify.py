"""Names what commits nothing: a linear model over hashed word and letter groups, read from one small file.

Weights and learning are integers only, so that every machine trains and answers the same.
"""

import json
from array import array
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from itertools import pairwise
from zlib import crc32

from state.understand.records import COMMITS, Intent
from state.understand.words import words

MODEL_FORMAT = 1
BUCKETS = 1 << 13
# "unclear" stands for everything else, the answers that commit included.
CLASSES: tuple[Intent, ...] = (
    "unclear",
    "question",
    "repeat",
    "handoff",
    "call_later",
    "wrong_person",
    "machine",
    "decline",
)
if COMMITS & set(CLASSES):
    raise AssertionError("The classifier may name nothing that commits.")

_WORDS_MAX = 60


def features(text: str) -> list[int]:
    """The buckets of a text: its words, pairs of neighbours, and groups of 3 and 4 letters."""
    said = words(text[:400])[:_WORDS_MAX]
    return sorted({crc32(f.encode()) % BUCKETS for f in _spelt(said)})


def _spelt(said: tuple[str, ...]) -> Iterator[str]:
    framed = ("^", *said, "$")
    for word, following in pairwise(framed):
        yield f"w{word}"
        yield f"p{word} {following}"
    for word in said:
        if len(word) > 3:
            spelled = f"<{word}>"
            yield from (f"c{spelled[i : i + 3]}" for i in range(len(spelled) - 2))
            yield from (f"c{spelled[i : i + 4]}" for i in range(len(spelled) - 3))


class Model:
    """One trained model: `version` names its format, data and seed."""

    def __init__(self, packed: bytes) -> None:
        header, _, weights = packed.partition(b"\n")
        self.header = json.loads(header)
        if self.header["format"] != MODEL_FORMAT or tuple(self.header["classes"]) != CLASSES:
            raise ValueError(f"This model is of format {self.header['format']}; train it anew.")
        if len(weights) != len(CLASSES) * BUCKETS:
            raise ValueError(f"This model is cut short: {len(weights)} weights.")
        self.version: str = self.header["version"]
        table = array("b", weights)
        # One row a bucket keeps the loop over the few features of a text short.
        self._rows = [tuple(table[k * BUCKETS + b] for k in range(len(CLASSES))) for b in range(BUCKETS)]

    def scores(self, text: str) -> list[int]:
        rows = [self._rows[b] for b in features(text)]
        return [sum(column) for column in zip(*rows, strict=True)] if rows else [0] * len(CLASSES)

    def name(self, text: str) -> tuple[Intent, float]:
        """The best class and how far it leads, 0 to 1. A class that hardly leads is "unclear"."""
        scores = self.scores(text)
        order = sorted(range(len(CLASSES)), key=lambda k: -scores[k])
        lead = scores[order[0]] - scores[order[1]]
        if lead <= 0:
            return "unclear", 0.0
        return CLASSES[order[0]], round(lead / (lead + self.header["half_lead"]), 2)


@cache
def shipped() -> Model:
    """The model that comes with this version."""
    return Model(files("state.understand").joinpath("data/model_en.bin").read_bytes())
