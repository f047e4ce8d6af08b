"""One outside process: started with a log file, ready when a probe says so, stopped or killed, never left."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

READY_S = 60.0
STOP_S = 10.0
_POLL_S = 0.05


class PartError(Exception):
    """The process ended or did not become ready; the message carries the end of its log."""


class Part:
    """A child process in a group of its own, with its output in `log`.

    It does not hear the terminal's Ctrl-C (its owner stops it in order) and dies with its owner.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        log: Path,
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        become: Callable[[], None] | None = None,
    ) -> None:
        """`env` is added to the owner's; `become` runs in the child before the command does."""
        self.name = name
        self.log = log
        self._command = [str(word) for word in command]
        self._env = {**os.environ, **(env or {})}
        self._cwd = cwd
        self._become = become
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, ready: Callable[[], bool], timeout_s: float = READY_S) -> None:
        """Returns once `ready` is true; `OSError` from it means not yet."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._env,
                cwd=self._cwd,
                start_new_session=True,
                preexec_fn=self._become,  # noqa: PLW1509  (no lock is taken in it)
            )
        _leash().hold(self._process.pid)
        try:
            self._await(ready, timeout_s)
        except BaseException:
            self.kill()
            raise

    def _await(self, ready: Callable[[], bool], timeout_s: float) -> None:
        give_up = time.monotonic() + timeout_s
        while time.monotonic() < give_up:
            if not self.alive:
                raise PartError(
                    f"{self.name} ended with {self.returncode} before it was ready:\n{self.tail()}"
                )
            with contextlib.suppress(OSError):
                if ready():
                    return
            time.sleep(_POLL_S)
        raise PartError(f"{self.name} was not ready within {timeout_s:.0f} s:\n{self.tail()}")

    @property
    def pid(self) -> int:
        if self._process is None:
            raise PartError(f"{self.name} was never started")
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def returncode(self) -> int | None:
        return None if self._process is None else self._process.poll()

    def tail(self, lines: int = 20) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def send(self, number: signal.Signals) -> None:
        """To the process alone: SIGSTOP and SIGCONT make a zombie of it and bring it back."""
        os.kill(self.pid, number)

    def stop(self, with_signal: signal.Signals = signal.SIGTERM, timeout_s: float = STOP_S) -> int | None:
        """Asks it to end, then kills it; returns its exit code, or None if it never ran."""
        if self._process is None:
            return None
        if self.alive:
            self._process.send_signal(with_signal)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout_s)
        self.kill()
        return self._process.returncode

    def kill(self) -> None:
        """kill -9 for the process and everything it started."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        _leash().drop(self._process.pid)


class _Leash:
    """The other end of `leash.py`: one of it for all parts of this process."""

    def __init__(self) -> None:
        script = Path(__file__).with_name("leash.py")
        # Isolated and without site: it has to start at once and needs nothing.
        self._process = subprocess.Popen(
            [sys.executable, "-ISS", str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._lock = threading.Lock()

    def hold(self, pid: int) -> None:
        self._say(f"hold {pid}\n")

    def drop(self, pid: int) -> None:
        self._say(f"drop {pid}\n")

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        with self._lock:
            self._process.stdin.write(line.encode())
            self._process.stdin.flush()


_the_leash: _Leash | None = None
_leash_lock = threading.Lock()


def _leash() -> _Leash:
    global _the_leash  # noqa: PLW0603  (one a process, started with its first part)
    with _leash_lock:
        if _the_leash is None:
            _the_leash = _Leash()
        return _the_leash


# Below the ephemeral range, so that no outgoing connection can take a port between choice and use.
_LOWEST_PORT, _HIGHEST_PORT = 12_000, 22_000


# What this process was given, for as long as it lives: nobody else is given it before it is listened on.
_taken: list[socket.socket] = []


def free_port(also: Sequence[int] = (0,)) -> int:
    """A loopback port that nobody listens on, or was promised; `also` names offsets that have to be free as well."""
    for _ in range(200):
        port = random.randrange(_LOWEST_PORT, _HIGHEST_PORT)
        if all(_is_free(port + offset) for offset in {0, *also}) and _take(port):
            return port
    raise PartError("no free loopback port was found")


def _take(port: int) -> bool:
    """By a name in Linux's abstract namespace, which goes with the process, however it goes."""
    mark = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        mark.bind(f"\0saveline-port-{port}")
    except OSError:
        mark.close()
        return False
    _taken.append(mark)
    return True


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def answers(port: int, host: str = "127.0.0.1") -> bool:
    """Somebody accepts connections there."""
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex((host, port)) == 0
