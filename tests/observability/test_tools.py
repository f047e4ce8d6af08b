"""Where Prometheus's programs cannot be had, the tests fail and say what is needed."""

from pathlib import Path

import pytest

from tests.world.part import PartError
from tests.world.prometheus import tool


def test_a_machine_without_apt_is_told_what_is_needed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("SAVELINE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("PROMETHEUS_BIN", raising=False)
    with pytest.raises(PartError, match="PROMETHEUS_BIN"):
        tool.__wrapped__("promtool")


def test_programs_that_are_too_old_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    old = tmp_path / "promtool"
    old.write_text("#!/bin/sh\necho promtool, version 2.3.0\n")
    old.chmod(0o755)
    monkeypatch.setenv("PROMETHEUS_BIN", str(tmp_path))
    with pytest.raises(PartError, match="too old"):
        tool.__wrapped__("promtool")
