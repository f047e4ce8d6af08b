"""Kills every process group it was told of once its parent is gone, however the parent went.

Reads `hold PID` and `drop PID` from standard input; the end of the input is the end of the parent.
"""

import contextlib
import os
import signal
import sys


def main() -> None:
    # Ctrl-C reaches the whole foreground group; the parent decides what it means, not the leash.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    held: set[int] = set()
    for line in sys.stdin:
        word, pid = line.split()
        (held.add if word == "hold" else held.discard)(int(pid))
    for pid in held:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
