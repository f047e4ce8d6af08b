"""A scanner that others maintain finds nothing in what a production installs."""

import copy
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.helm.rendering import rendered, value_sets
from tests.locked import locked
from tests.streams.processes import ROOT

HERE = ROOT / "tests" / "helm"
# It starts another Python with two hundred megabytes of libraries.
pytestmark = pytest.mark.real


def broken(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    (worker,) = [copy.deepcopy(one) for one in objects if one["kind"] == "StatefulSet"]
    worker["metadata"]["name"] = "broken"
    (container,) = worker["spec"]["template"]["spec"]["containers"]
    container["securityContext"] = {"privileged": True}
    del container["resources"]["limits"]
    return [worker]


def test_a_policy_scan_finds_nothing_but_what_was_broken_on_purpose(tmp_path: Path) -> None:
    """The broken worker beside the others shows that the scan looks."""
    objects = rendered(value_sets()["grocer"])
    (tmp_path / "chart.yaml").write_text(yaml.safe_dump_all([*objects, *broken(objects)]))
    programs = locked(ROOT / ".saveline" / "checkov", HERE / "checkov.lock")
    command = [programs / "python", programs / "checkov", "--config-file", HERE / "policy.yaml"]
    done = subprocess.run(
        [*command, "--directory", tmp_path, "--output", "json", "--skip-download"],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    found = json.loads(done.stdout)["results"]
    failed = {(one["resource"].rpartition(".")[2], one["check_id"]) for one in found["failed_checks"]}
    assert not {f"{name}: {check}" for name, check in failed if name != "broken"}
    # Privileged, no limit of memory, a file system that can be written, capabilities kept.
    assert {check for _, check in failed} >= {"CKV_K8S_16", "CKV_K8S_13", "CKV_K8S_22", "CKV_K8S_37"}
    looked = {one["resource"].rpartition(".")[2] for one in found["passed_checks"]}
    assert looked >= {"shop-worker", "shop-connectors-voice", "shop-edge", "shop-migrate"}
