"""Counts what understanding gets right on labelled rows: the commits above all."""

from typing import Any

import msgspec

from state.understand import COMMITS, Offer, confirms, understand
from state.understand.classify import Model


class Tally(msgspec.Struct):
    """Figures of one set. `unsafe`: committed to what neither labels nor also_ok contain.

    `first_sight`: the same by day, of rows that keep what was answered before anybody had worked on them.
    """

    rows: int = 0
    right: int = 0
    to_commit: int = 0
    committed: int = 0
    optouts: int = 0
    optouts_falsely: int = 0
    unsafe: list[str] = msgspec.field(default_factory=list)
    optouts_missed: list[str] = msgspec.field(default_factory=list)
    first_sight: "dict[str, Tally]" = msgspec.field(default_factory=dict)

    def count(self, row: dict[str, Any], offers: tuple[Offer, ...], model: Model | None = None) -> None:
        """Add one row of the shared format, and what `model` (without one: the shipped) makes of it now."""
        self.add(row, offers, _answer(row, offers, model))
        if "first_answer" in row:
            day = row["first_seen"]
            self.first_sight.setdefault(day, Tally()).add(row, offers, row["first_answer"])

    def add(self, row: dict[str, Any], offers: tuple[Offer, ...], answer: str) -> None:
        """Add one row, answered by an intent or by `choose:n`."""
        labels, good = set(row["labels"]), _accepted(row, offers)
        intent = answer.partition(":")[0]
        commits = intent in COMMITS
        right = answer in good or (intent == "choose" and "choose" in good)
        self.rows += 1
        self.right += right
        if any(label.split(":")[0] in COMMITS for label in labels):
            self.to_commit += 1
            self.committed += right and commits
        if commits and not right:
            self.unsafe.append(f"{row['text']!r} as {answer}, labelled {sorted(labels)}")
        if "optout" in labels:
            self.optouts += 1
            if intent != "optout":
                self.optouts_missed.append(row["text"])
        elif intent == "optout" and not right:
            self.optouts_falsely += 1

    @staticmethod
    def heading() -> str:
        commits = f"{'to commit':>11}{'coverage':>10}{'unsafe':>8}"
        return f"{'set':26}{'rows':>6}{'right':>8}{commits}{'opt-outs':>10}{'missed':>8}{'false':>7}"

    def line(self, name: str) -> str:
        def share(part: int, whole: int) -> str:
            return f"{part / whole:.1%}" if whole else "-"

        return (
            f"{name:26}{self.rows:>6}{share(self.right, self.rows):>8}{self.to_commit:>11}"
            f"{share(self.committed, self.to_commit):>10}{len(self.unsafe):>8}{self.optouts:>10}"
            f"{share(len(self.optouts_missed), self.optouts):>8}{self.optouts_falsely:>7}"
        )


def _answer(row: dict[str, Any], offers: tuple[Offer, ...], model: Model | None) -> str:
    """An intent or `choose:n`. Of what was said to a readback only the final yes and a no are read."""
    if row.get("asked") == "readback":
        return {"yes": "accept", "no": "decline", "unsure": "unclear"}[confirms(row["text"], offers)]
    reading = understand(row["text"], offers, model=model)
    return reading.intent if reading.option is None else f"{reading.intent}:{reading.option}"


def _accepted(row: dict[str, Any], offers: tuple[Offer, ...]) -> set[str]:
    """All answers that count as right; with one offer accepting and choosing it are the same."""
    good = {*row["labels"], *row.get("also_ok", [])}
    if len(offers) == 1:
        same = {"accept", f"choose:{offers[0].n}"}
        good |= same if good & same else set()
    return good
