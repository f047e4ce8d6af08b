"""What a process loads before it can start: after a failover every import is time without an owner."""

import subprocess
import sys

import pytest

ELSEWHERE = (
    "structlog",
    "rich",
    "psycopg",
    "boto3",
    "twilio",
    "starlette",
    "aiohttp",
    "prometheus_client",
    "croniter",
)


BUILD = """
import sys
from connectors.clock import SystemClock
from streams import heart, worker_cli
from streams.settings import WorkerSettings
from streams.worker import build
from tests.streams.job import Job

build(Job("commands"), WorkerSettings(), SystemClock())
print(*sorted(set({elsewhere}) & sys.modules.keys()))
import yaml
print(yaml.safe_load("a: 1"))
"""


def test_a_worker_starts_without_what_only_other_processes_use() -> None:
    said = subprocess.run(
        [sys.executable, "-c", BUILD.format(elsewhere=ELSEWHERE)],
        capture_output=True,
        text=True,
        timeout=600,
        check=True,
    )
    loaded, usable = said.stdout.splitlines()
    assert loaded.split() == []
    # What stood in for a module while Faust was loaded is gone.
    assert usable == "{'a': 1}"


@pytest.mark.parametrize("process", ["streams.connectors_cli, streams.connectors", "streams.edge_cli"])
def test_who_finds_its_database_as_it_should_be_starts_without_what_brings_it_there(process: str) -> None:
    look = f"import {process}, sys; print(*sorted({{'alembic', 'sqlalchemy'}} & sys.modules.keys()))"
    said = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert said.stdout.split() == []
