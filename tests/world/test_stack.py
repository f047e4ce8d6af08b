"""`saveline up`: who kills it, or starts it where it cannot be. What it says and does: tests/control."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.streams.processes import ROOT
from tests.streams.rig import until

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("kafka")]


class Up:
    """`saveline up --json` as a tester of others would run it."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SAVELINE_")}
        if cache := os.environ.get("SAVELINE_CACHE"):
            environment["SAVELINE_CACHE"] = cache
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-m", "streams.cli", "up", "--json", "--folder", str(folder), *arguments],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def described(self) -> dict:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.communicate()[1]
        return json.loads(line)

    def ended(self, by: signal.Signals | None = None) -> tuple[int, str]:
        if by is not None:
            self.process.send_signal(by)
        _, said = self.process.communicate(timeout=120)
        return self.process.returncode, said


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    up = Up(tmp_path / "up")
    yield up
    if up.process.poll() is None:
        up.ended(signal.SIGTERM)


def test_nothing_outlives_an_owner_that_is_killed(up: Up) -> None:
    up.described()
    children = psutil.Process(up.process.pid).children(recursive=True)
    assert len(children) > 10
    up.ended(signal.SIGKILL)
    until(lambda: not any(_lives(child) for child in children), "everything has ended")


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    treasure = tmp_path / "thesis.txt"
    treasure.write_text("years of work")
    code, said = Up(tmp_path).ended()
    assert code == 1
    assert "holds something else" in said
    assert treasure.read_text() == "years of work"


def test_a_policy_with_faults_is_refused_before_anything_starts(tmp_path: Path) -> None:
    policy = tmp_path / "mine.yaml"
    policy.write_text("extends: common.v1\nid: mine\nversion: 1\n")
    code, said = Up(tmp_path / "up", "--policy", str(policy)).ended()
    assert code == 1
    assert "mine.v1.yaml: kinds: Field required" in said


def _lives(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
