"""What the demo prints about its costs, on processes that are made for it."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.demo.costs import OURS, Costs

# Works for half a second itself, and has a child that does the same and ends.
_WORK = "import time\nwhile time.process_time() < 0.5: pass\n"
_PARENT = f"""
import subprocess, sys
subprocess.run([sys.executable, '-c', {_WORK!r}])
{_WORK}
print(flush=True)
input()
"""


@pytest.fixture
def busy() -> Iterator[subprocess.Popen[bytes]]:
    made = subprocess.Popen([sys.executable, "-c", _PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert made.stdout is not None
    made.stdout.readline()
    yield made
    made.kill()
    made.wait()


def test_a_process_is_charged_with_what_it_started_and_keeps_it_when_it_ends(
    busy: subprocess.Popen[bytes],
) -> None:
    costs = Costs(lambda: {busy.pid: "busy"} if busy.poll() is None else {})
    costs._look()
    before = costs.cpu_s
    assert before["busy"] >= 0.9
    busy.kill()
    busy.wait()
    costs._look()
    assert costs.cpu_s["busy"] == before["busy"]
    # Now it counts with those of ours that have ended, and must not be charged twice.
    assert costs.cpu_s[OURS] - before[OURS] < before["busy"] / 2
    assert costs.most_mb > 0
