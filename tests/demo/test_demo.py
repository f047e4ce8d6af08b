"""The demo ends green whatever is killed in the middle of it."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.demo.killing import moments
from tests.streams.processes import ROOT


@pytest.mark.real
@pytest.mark.xdist_group("kafka")
@pytest.mark.parametrize("killed", [("worker", "edge"), ("connectors", "broker")])
def test_the_hour_is_verified_although_something_was_killed(killed: tuple[str, str], tmp_path: Path) -> None:
    """Two of them in one run, each at a moment of its own."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SAVELINE_")}
    if cache := os.environ.get("SAVELINE_CACHE"):
        environment["SAVELINE_CACHE"] = cache
    small = ["--orders", "30", "--seconds", "10", "--seed", "2026", "--folder", str(tmp_path / "demo")]
    # Other moments each time: they are told with the rest if it fails.
    moments_of = {name: f"{random.random():.3f}" for name in killed}
    kills = [word for name, at in moments_of.items() for word in ("--kill", name, "--kill-at", at)]
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
    for name, at in moments_of.items():
        assert f"kill -9 for the {name}, as --kill-at {at}" in demo.stdout
    assert "ok: no violation" in demo.stdout
    assert "Stuck: 0." in demo.stdout


def test_a_seed_says_when_something_is_killed() -> None:
    victims = ["worker", "broker", "edge"]
    first = moments(victims, [], 7)
    assert first == moments(victims, [], 7)
    assert first != moments(victims, [], 8)
    assert all(0 <= moment <= 1 for _, moment in first)
    # One that is given takes no other's place.
    assert moments(victims, [0.5], 7) == [("worker", 0.5), *first[1:]]
