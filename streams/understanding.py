"""`saveline understand`: answers utterances, trains the classifier, reports figures on sets."""

import json
import re
import sys
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import App, Parameter

from state.understand import Offer, understand
from state.understand.classify import Model, shipped
from state.understand.report import Tally
from state.understand.train import Row, labelled_row, learn, seed_rows

app = App(name="understand", help="Utterance and options in; intent, option and confidence out.")

# One line is one utterance with a few options; what is longer is no such thing.
LINE_BYTES_MAX = 1_000_000
# Half a surrogate pair is what is left of a picture that was cut.
_HALF = re.compile("[\ud800-\udfff]")


class Unreadable(ValueError):
    """A line that is JSON, and not what is asked for."""


class _Answer(msgspec.Struct, omit_defaults=True):
    """`error` says why a line could not be read; it is then answered as unclear, so that the order stays."""

    intent: str
    option: int | None
    confidence: float
    error: str | None = None


def answered(line: bytes) -> _Answer:
    """The answer to one line. A blank one is silence."""
    if len(line) > LINE_BYTES_MAX:
        return _unread(f"the line has {len(line)} bytes; at most {LINE_BYTES_MAX} are read")
    if not line.strip():
        return _Answer("unclear", None, 0.0)
    try:
        asked = json.loads(line.decode("utf-8-sig"))
        text = _HALF.sub("\N{REPLACEMENT CHARACTER}", _text(_member(asked, "text")))
        reading = understand(text, offers_of(asked.get("options") or []))
    except (ValueError, RecursionError) as fault:
        return _unread(str(fault))
    return _Answer(reading.intent, reading.option, reading.confidence)


def _unread(why: str) -> _Answer:
    return _Answer("unclear", None, 0.0, why)


def offers_of(options: object) -> tuple[Offer, ...]:
    """The offers of a line. Unreadable if they are no list of objects whose `n` differ.

    What else is missing or null is unknown; a price may be a number or "£2.40", and one that is neither is unknown too.
    """
    if not isinstance(options, list):
        raise Unreadable(f"options are a list, not {_kind(options)}")
    offers = tuple(_offer(option, place) for place, option in enumerate(options, 1))
    if len({offer.n for offer in offers}) != len(offers):
        raise Unreadable("two options have the same n")
    return offers


def _offer(option: object, place: int) -> Offer:
    where = f"option {place}"
    n = str(_member(option, "n", where))
    if not re.fullmatch(r"\s*\d{1,9}(?:\.0)?\s*", n):
        raise Unreadable(f"{where}: n is a whole number, not {n[:40]!r}")
    name, size, brand = (
        _text(_member(option, key, where, needed=False)) for key in ("name", "size", "brand")
    )
    price = _price_minor(_member(option, "price", where, needed=False))
    return Offer(int(float(n)), name, price, size, brand)


def _member(holder: object, key: str, where: str = "the line", *, needed: bool = True) -> object:
    if not isinstance(holder, dict):
        raise Unreadable(f"{where} is an object, not {_kind(holder)}")
    if needed and key not in holder:
        raise Unreadable(f"{where} has no {key!r}")
    return holder.get(key)


def _text(value: object) -> str:
    if value is None or isinstance(value, str | int | float):
        return "" if value is None else str(value)
    raise Unreadable(f"text was expected, not {_kind(value)}")


def _price_minor(price: object) -> int:
    found = re.fullmatch(r"\D{0,4}(\d{1,7}(?:[.,]\d+)?)\D{0,4}", str(price).strip())
    return round(Decimal(found[1].replace(",", ".")) * 100) if found else 0


def _kind(value: object) -> str:
    return "null" if value is None else type(value).__name__


@app.default
def answer(*, jsonl: Annotated[bool, Parameter(negative="")] = False) -> int:
    """Answer JSON lines {"text", "options": [{"n", "name", "price", "size", "brand"}]} from stdin.

    One line {"intent", "option", "confidence"} for each, in order. One that cannot be read is unclear and carries an
    "error"; the exit code is then 1. `n` may be a string, a price a number or "£2.40"; what else is missing is unknown.
    """
    if not jsonl:
        app.help_print()
        return 0
    faults = 0
    for number, line in enumerate(sys.stdin.buffer, 1):
        reply = answered(line)
        sys.stdout.buffer.write(msgspec.json.encode(reply) + b"\n")
        sys.stdout.buffer.flush()
        if reply.error:
            faults += 1
            sys.stderr.write(f"line {number}: {reply.error}\n")
    return 1 if faults else 0


def _rows(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    sets = sorted(folder.glob("*.jsonl"))
    if not sets:
        raise SystemExit(f"No *.jsonl in {folder}.")
    for path in sets:
        for line in path.read_bytes().splitlines():
            yield path.stem, msgspec.json.decode(line)


_MODEL = Path(__file__).resolve().parents[1] / "state" / "understand" / "data"


@app.command
def train(*, data: Path, out: Path = _MODEL / "model_en.bin") -> None:
    """Train the classifier on the *.jsonl of a folder and the seed; equal input gives equal bytes."""
    rows = _learnable(row for _, row in _rows(data))
    packed = learn(rows)
    out.write_bytes(packed)
    sys.stdout.write(
        f"{len(rows)} rows, {len(packed)} bytes: {out}\n{packed.partition(b'{')[2][:60].decode()}\n"
    )


def _learnable(found: Iterable[dict[str, Any]]) -> list[Row]:
    rows = seed_rows((_MODEL / "seed_en.txt").read_text())
    rows.extend(row for row in map(labelled_row, found) if row is not None)
    return rows


@app.command
def report(*, data: Path, held_out: Annotated[bool, Parameter(negative="")] = False) -> int:
    """Print coverage, unsafe commits and missed opt-outs of each *.jsonl of a folder; 1 if any is unsafe.

    A set whose rows keep what was answered before anybody had worked on them prints that too, as `first sight`.
    `--held-out` learns from the rows of split "train" alone and counts all others; it says more about the classifier.
    """
    rows = list(_rows(data))
    model = shipped()
    if held_out:
        model = Model(learn(_learnable(row for _, row in rows if row["split"] == "train")))
        rows = [(name, row) for name, row in rows if row["split"] != "train"]
    tallies: dict[str, Tally] = {}
    for name, row in rows:
        offers = offers_of(row.get("context", {}).get("options", []))
        tallies.setdefault(name, Tally()).count(row, offers, model)
    sys.stdout.write(Tally.heading() + "\n")
    for name, found in tallies.items():
        sys.stdout.write(found.line(name) + "\n")
        for day, first in sorted(found.first_sight.items()):
            sys.stdout.write(first.line(f"  first sight, {day}") + "\n")
        for text in found.unsafe:
            sys.stdout.write(f"    unsafe: {text}\n")
        for text in found.optouts_missed:
            sys.stdout.write(f"    opt-out missed: {text}\n")
    return 1 if any(found.unsafe for found in tallies.values()) else 0
