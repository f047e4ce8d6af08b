"""The append-only record that a simulator keeps of all that was asked of it and all that it did."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from connectors.clock import Clock


class Book:
    """JSON lines in `file`; each entry has `seq` (1, 2, ...), `at` and `kind`; a restart goes on behind."""

    def __init__(self, file: Path, clock: Clock) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._file = file
        self._clock = clock
        # Where each entry ends, so that who asks for the latest is not read the whole book again.
        self._ends = [0]
        if file.exists():
            for line in self._lines(0):
                self._ends.append(self._ends[-1] + len(line))
            os.truncate(file, self._ends[-1])
        self._out = file.open("ab")

    def write(self, kind: str, **fields: Any) -> int:
        """Returns the entry's `seq`; the line has left the process when this returns."""
        seq = len(self._ends)
        entry = {"seq": seq, "at": self._clock.now().isoformat(), "kind": kind, **fields}
        line = json.dumps(entry, ensure_ascii=False, default=str).encode() + b"\n"
        self._out.write(line)
        self._out.flush()
        self._ends.append(self._ends[-1] + len(line))
        return seq

    def since(self, seq: int = 0) -> Iterator[bytes]:
        """The lines behind that entry."""
        if seq < len(self._ends):
            yield from self._lines(self._ends[max(0, seq)])

    def _lines(self, start: int) -> Iterator[bytes]:
        with self._file.open("rb") as lines:
            lines.seek(start)
            # A kill -9 in the middle of a write leaves a line without its end: it never happened.
            yield from (line for line in lines if line.endswith(b"\n"))


_COMMAND_ID = re.compile(r"[^\s/\"'&=<>?,;:]+~[^\s/\"'&=<>?,;:]+\.\d+")


def command_id_in(text: str) -> str:
    """The first command id in a URL or body: `{order}~{exception}.{n}`, or nothing."""
    found = _COMMAND_ID.search(unquote(text) if text.startswith(("http://", "https://")) else text)
    return found.group() if found else ""


def order_of(command_id: str) -> str:
    return unquote(command_id.partition("~")[0])
