"""Worker processes under test: started with settings by environment, watched over HTTP, ended by pid."""

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import psutil

from tests.streams.rig import Rig, until
from tests.world.part import free_port

ROOT = Path(__file__).parents[2]


class Worker:
    """One process that owns some partitions of the rig's topics."""

    def __init__(
        self, rig: Rig, name: str, *, static: bool = True, session_s: float = 6.0, **more: str
    ) -> None:
        self.rig = rig
        self.name = name
        self.port = free_port()
        self.folder = rig.folder / f"disk-{name}"
        self.log = rig.folder / f"worker-{name}.log"
        self.environment = {
            **os.environ,
            "SAVELINE_APP": rig.app,
            "SAVELINE_BROKER": rig.client["bootstrap.servers"],
            "SAVELINE_SOURCE": rig.topic("source"),
            "SAVELINE_QUARANTINE": rig.topic("quarantine"),
            "SAVELINE_PARTITIONS": str(rig.partitions),
            "SAVELINE_DATA_FOLDER": str(self.folder),
            "SAVELINE_HTTP_PORT": str(self.port),
            "SAVELINE_SESSION_TIMEOUT_S": str(session_s),
            "SAVELINE_TEST_SWITCH": "1",
            "COMMANDS": rig.topic("commands"),
            **({"SAVELINE_ORDINAL": name} if static else {}),
            **more,
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Worker":
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.streams.run_worker"],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        return self

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def frozen(self) -> bool:
        """Stopped by a signal."""
        assert self.process is not None
        with contextlib.suppress(psutil.NoSuchProcess):
            return psutil.Process(self.process.pid).status() == psutil.STATUS_STOPPED
        return False

    @property
    def answers(self) -> bool:
        return self.ask("/livez")[0] != 0

    def ready(self) -> bool:
        return self.ask("/readyz")[0] == 200

    def wait_until_ready(self) -> "Worker":
        def ready_or_gone() -> bool:
            assert self.running, f"the worker ended:\n{self.last_lines()}"
            return self.ready()

        until(ready_or_gone, f"worker {self.name} ready")
        return self

    def quiescent(self) -> bool:
        status, text = self.ask("/_test/quiescent")
        return status == 200 and json.loads(text)["quiescent"]

    def arm(self, point: str, then: str, **more: Any) -> None:
        body = json.dumps({"point": point, "then": then, **more}).encode()
        status, text = self.ask("/_test/failpoints", "PUT", body)
        assert status == 200, text

    def ask(
        self, path: str, method: str = "GET", body: bytes | None = None, timeout_s: float = 5
    ) -> tuple[int, str]:
        """(status, text); status 0 when nobody answers."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", body, method=method)
        try:
            with urllib.request.urlopen(request, timeout=timeout_s) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except (OSError, http.client.HTTPException):
            # Nobody there, or no longer before the end of the answer.
            return 0, ""

    def send_signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def end(self, number: signal.Signals = signal.SIGKILL) -> int:
        """Send the signal, wait for the end and return the exit code."""
        assert self.process is not None
        if self.running:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(number)
        return self.process.wait(60)

    def last_lines(self, count: int = 40) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-count:])
