"""The demo ends green whatever is killed in the middle of it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.streams.processes import ROOT


@pytest.mark.real
@pytest.mark.xdist_group("kafka")
@pytest.mark.parametrize("killed", [("worker", "edge"), ("connectors", "broker")])
def test_the_hour_is_verified_although_something_was_killed(killed: tuple[str, str], tmp_path: Path) -> None:
    """Two of them in one run, each at a moment of its own."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SAVELINE_")}
    if cache := os.environ.get("SAVELINE_CACHE"):
        environment["SAVELINE_CACHE"] = cache
    small = ["--orders", "30", "--seconds", "10", "--folder", str(tmp_path / "demo")]
    kills = [word for name in killed for word in ("--kill", name)]
    demo = subprocess.run(
        [sys.executable, "-m", "tests.demo", *small, *kills],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert demo.returncode == 0, demo.stdout[-6_000:] + demo.stderr[-2_000:]
    for name in killed:
        assert f"kill -9 for the {name}" in demo.stdout
    assert "ok: no violation" in demo.stdout
    assert "Stuck: 0." in demo.stdout
