"""`saveline understand`: answers utterances, trains the classifier, reports figures on sets."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import App, Parameter

from state.understand import Offer, understand
from state.understand.report import Tally, tally
from state.understand.train import labelled_row, learn, seed_rows

app = App(name="understand", help="Utterance and options in; intent, option and confidence out.")

# One line is one utterance with a few options; what is longer is no such thing.
LINE_BYTES_MAX = 1_000_000


class _Option(msgspec.Struct):
    n: int
    name: str
    price: float | None = None
    size: str | None = None
    brand: str | None = None

    def offer(self) -> Offer:
        price = self.price or 0.0
        if not -1e9 < price < 1e9:
            raise msgspec.ValidationError("price is out of range")
        return Offer(self.n, self.name, round(price * 100), self.size or "", self.brand or "")


class _Line(msgspec.Struct):
    text: str
    options: list[_Option] = []

    def offers(self) -> tuple[Offer, ...]:
        offers = tuple(option.offer() for option in self.options)
        if len({offer.n for offer in offers}) != len(offers):
            raise msgspec.ValidationError("two options have the same n")
        return offers


class _Answer(msgspec.Struct):
    intent: str
    option: int | None
    confidence: float


class _Fault(msgspec.Struct):
    error: str
    line: int


def answered(line: bytes, number: int) -> _Answer | _Fault:
    """The answer to one line, or the fault that makes it unreadable, named."""
    if len(line) > LINE_BYTES_MAX:
        return _Fault(f"the line has {len(line)} bytes; at most {LINE_BYTES_MAX} are read", number)
    try:
        asked = msgspec.json.decode(line, type=_Line)
        reading = understand(asked.text, asked.offers())
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        return _Fault(str(fault), number)
    return _Answer(reading.intent, reading.option, reading.confidence)


@app.default
def answer(*, jsonl: Annotated[bool, Parameter(negative="")] = False) -> int:
    """Answer JSON lines {"text", "options": [{"n", "name", "price", "size", "brand"}]} from stdin, in order.

    A line that cannot be read is answered by {"error", "line"}, and the exit code is then 1.
    """
    if not jsonl:
        app.help_print()
        return 0
    faults = 0
    for number, line in enumerate(sys.stdin.buffer, 1):
        reply = answered(line, number)
        faults += isinstance(reply, _Fault)
        sys.stdout.buffer.write(msgspec.json.encode(reply) + b"\n")
        sys.stdout.buffer.flush()
    if faults:
        sys.stderr.write(
            f"{faults} lines could not be read; each is answered by an error that names its fault.\n"
        )
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
    rows = seed_rows((_MODEL / "seed_en.txt").read_text())
    rows.extend(row for _, found in _rows(data) if (row := labelled_row(found)) is not None)
    packed = learn(rows)
    out.write_bytes(packed)
    sys.stdout.write(
        f"{len(rows)} rows, {len(packed)} bytes: {out}\n{packed.partition(b'{')[2][:60].decode()}\n"
    )


@app.command
def report(*, data: Path) -> int:
    """Print coverage, unsafe commits and missed opt-outs of each *.jsonl of a folder; 1 if any is unsafe."""
    tallies: dict[str, Tally] = {}
    for name, row in _rows(data):
        options = msgspec.convert(row.get("context", {}).get("options", []), list[_Option])
        tally(tallies.setdefault(name, Tally()), row, tuple(option.offer() for option in options))
    sys.stdout.write(Tally.heading() + "\n")
    for name, found in tallies.items():
        sys.stdout.write(found.line(name) + "\n")
        for text in found.unsafe:
            sys.stdout.write(f"    unsafe: {text}\n")
        for text in found.optouts_missed:
            sys.stdout.write(f"    opt-out missed: {text}\n")
    return 1 if any(found.unsafe for found in tallies.values()) else 0
