"""The demo ends green whatever is killed in the middle of it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.streams.processes import ROOT


@pytest.mark.real
@pytest.mark.xdist_group("kafka")
@pytest.mark.parametrize("killed", ["worker", "connectors", "edge", "broker"])
def test_the_hour_is_verified_although_something_was_killed(killed: str, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SAVELINE_")}
    if cache := os.environ.get("SAVELINE_CACHE"):
        environment["SAVELINE_CACHE"] = cache
    small = ["--orders", "30", "--seconds", "10", "--folder", str(tmp_path / "demo"), "--kill", killed]
    demo = subprocess.run(
        [sys.executable, "-m", "tests.demo", *small],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert demo.returncode == 0, demo.stdout[-6_000:] + demo.stderr[-2_000:]
    assert f"kill -9 for the {killed}" in demo.stdout
    assert "ok: no violation" in demo.stdout
    assert "Stuck: 0." in demo.stdout
