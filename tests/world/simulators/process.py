"""A simulator as a process: started on ports that it keeps, asked and scripted through its control door."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

from tests.world.part import Part, answers, free_port

_ROOT = Path(__file__).parents[3]
_TIMEOUT_S = 60.0


class Simulator:
    """`url` is what the product is given, `control` is the door for tests."""

    def __init__(
        self, name: str, folder: Path, *arguments: str, pace: float = 1.0, listens: bool = True
    ) -> None:
        """One that does not `listen` has another door than a port: Kafka."""
        self.listens = listens
        self.folder = folder / name
        self.port, self.control_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.control = f"http://127.0.0.1:{self.control_port}"
        self.part = Part(
            name,
            [
                *(sys.executable, "-m", f"tests.world.simulators.{name}", "--folder", self.folder),
                *("--port", str(self.port), "--control-port", str(self.control_port), "--pace", str(pace)),
                *arguments,
            ],
            folder / "logs" / f"{name}.log",
            cwd=_ROOT,
        )

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.part.start(lambda: answers(self.control_port) and (not self.listens or answers(self.port)))

    def stop(self) -> None:
        self.part.stop()

    def kill(self) -> None:
        self.part.kill()

    def put(self, path: str, body: Any) -> Any:
        return self._ask("PUT", path, body)

    def post(self, path: str, body: Any) -> Any:
        return self._ask("POST", path, body)

    def get(self, path: str) -> Any:
        return self._ask("GET", path, None)

    def _ask(self, method: str, path: str, body: Any) -> Any:
        response = requests.request(method, f"{self.control}/_control/{path}", json=body, timeout=_TIMEOUT_S)
        if not response.ok:
            raise ValueError(f"{method} {path}: {response.status_code} {response.text}")
        return response.json() if response.text else None

    def faults(self, *rules: dict[str, Any]) -> None:
        self.put("faults", list(rules))

    def book(self, kind: str = "", since: int = 0, **fields: Any) -> list[dict[str, Any]]:
        """The entries of that kind whose fields have these values."""
        response = requests.get(f"{self.control}/_control/book", params={"since": since}, timeout=_TIMEOUT_S)
        response.raise_for_status()
        entries = [json.loads(line) for line in response.text.splitlines()]
        return [
            entry
            for entry in entries
            if kind in ("", entry["kind"]) and all(entry.get(name) == value for name, value in fields.items())
        ]

    def expect(
        self,
        kind: str,
        n: int = 1,
        timeout_s: float = 90.0,
        where: Callable[[dict[str, Any]], bool] = lambda _entry: True,
        **fields: Any,
    ) -> list[dict[str, Any]]:
        """Waits until the book has at least `n` such entries."""
        give_up = time.monotonic() + timeout_s
        while True:
            found = [entry for entry in self.book(kind, **fields) if where(entry)]
            if len(found) >= n:
                return found
            if time.monotonic() > give_up:
                kinds = [(e["kind"], e.get("state"), e.get("status")) for e in self.book()]
                raise AssertionError(
                    f"{len(found)} of {n} {kind} {fields} in the book of {self.part.name}: {kinds}"
                )
            time.sleep(0.02)
