"""Prometheus and its tools, from Debian's packages without installing them, and a server that scrapes our processes."""

import json
import os
import re
import shutil
import subprocess
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.world.jars import cache_folder, one_at_a_time
from tests.world.part import Part, PartError, free_port

TOOLS = ("prometheus", "promtool", "amtool")
_PACKAGES = ("prometheus", "prometheus-alertmanager")
# Older ones know neither `query instant` nor the routes that our example has.
_AT_LEAST = {"prometheus": (2, 42), "promtool": (2, 42), "amtool": (0, 25)}
_NEEDED = (
    "Prometheus, promtool and amtool are needed: install Debian's `prometheus` and `prometheus-alertmanager`,"
    " or name a folder that holds the three programs in PROMETHEUS_BIN."
)


@cache
def tool(name: str) -> str:
    """Its path: from PROMETHEUS_BIN, the PATH, or Debian's packages, unpacked into the cache.

    Raises `PartError` that says what is needed.
    """
    assert name in TOOLS
    if given := os.environ.get("PROMETHEUS_BIN"):
        found = shutil.which(name, path=given)
    elif all(shutil.which(one) for one in TOOLS):
        found = shutil.which(name)
    else:
        found = shutil.which(name, path=str(_unpacked() / "usr" / "bin"))
    if found is None:
        raise PartError(_NEEDED)
    told = subprocess.run([found, "--version"], capture_output=True, text=True, check=True)
    version = re.search(r"version (\d+)\.(\d+)", told.stdout + told.stderr)
    if version is None or tuple(map(int, version.groups())) < _AT_LEAST[name]:
        raise PartError(f"{found} is too old: {told.stdout.splitlines()[:1]}. {_NEEDED}")
    return found


def _unpacked() -> Path:
    """The packages as apt knows and verifies them, fetched once."""
    folder = cache_folder() / "prometheus-debian"
    with one_at_a_time(folder):
        if not folder.exists():
            if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
                raise PartError(_NEEDED)
            with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
                fresh = Path(scratch) / "root"
                _download(Path(scratch))
                for package in Path(scratch).glob("*.deb"):
                    subprocess.run(["dpkg-deb", "-x", str(package), str(fresh)], check=True)
                fresh.rename(folder)
    return folder


def _download(into: Path) -> None:
    fetch = ["apt-get", "download", "-q", *_PACKAGES]
    done = subprocess.run(fetch, cwd=into, capture_output=True, text=True, check=False)
    if done.returncode:
        # A fresh machine has no lists yet; only its owner can fetch them.
        subprocess.run(["apt-get", "update", "-q"], capture_output=True, check=False)
        done = subprocess.run(fetch, cwd=into, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PartError(f"{_NEEDED}\napt-get says: {done.stderr.strip()[-500:]}")


class Prometheus:
    """Scrapes `targets` (address by job) once a second; `rules` are loaded where given."""

    def __init__(self, folder: Path, targets: Mapping[str, str], rules: Path | None = None) -> None:
        self.folder = folder / "prometheus"
        self.url = f"http://127.0.0.1:{free_port()}"
        self._targets, self._rules = dict(targets), rules
        self.part: Part | None = None

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "prometheus.yml"
        config.write_text(yaml.safe_dump(self._config()))
        self.part = Part(
            "prometheus",
            [
                tool("prometheus"),
                f"--config.file={config}",
                f"--storage.tsdb.path={self.folder / 'data'}",
                f"--web.listen-address={self.url.removeprefix('http://')}",
                "--log.level=warn",
            ],
            self.folder / "prometheus.log",
        )
        self.part.start(lambda: _read(f"{self.url}/-/ready") is not None)

    def stop(self) -> None:
        if self.part is not None:
            self.part.stop()

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The samples of an instant query, now; a scalar is a sample without labels."""
        given = urllib.parse.urlencode({"query": expression})
        data = json.loads(_read(f"{self.url}/api/v1/query?{given}") or b"{}")["data"]
        if data["resultType"] == "scalar":
            return [{"metric": {}, "value": data["result"]}]
        return list(data["result"])

    def range(self, expression: str, start_s: float, end_s: float, step_s: float) -> list[dict[str, Any]]:
        given = urllib.parse.urlencode({"query": expression, "start": start_s, "end": end_s, "step": step_s})
        answer = json.loads(_read(f"{self.url}/api/v1/query_range?{given}") or b"{}")
        return list(answer["data"]["result"])

    def value(self, expression: str) -> float:
        """The one value of an instant query."""
        [sample] = self.query(expression)
        return float(sample["value"][1])

    def alerts(self) -> list[dict[str, Any]]:
        return list(json.loads(_read(f"{self.url}/api/v1/alerts") or b"{}")["data"]["alerts"])

    def _config(self) -> dict[str, Any]:
        jobs = [
            {"job_name": name, "static_configs": [{"targets": [address]}]}
            for name, address in self._targets.items()
        ]
        every = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
        rules = [str(self._rules)] if self._rules else []
        return {"global": every, "scrape_configs": jobs, "rule_files": rules}


def _read(url: str) -> bytes | None:
    with urllib.request.urlopen(url, timeout=20) as answer:
        return bytes(answer.read())
