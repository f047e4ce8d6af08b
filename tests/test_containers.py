"""The image and the compose file say what the product needs; Docker itself is not on every machine.

What the container runs is run here without it: `saveline up` before a Kafka, a Postgres and an S3 that are
somebody else's.
"""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests
import yaml

from streams.connector_settings import ConnectorSettings
from streams.environment import names
from streams.settings import WorkerSettings
from tests.streams.processes import ROOT
from tests.world.kafka import Kafka
from tests.world.part import free_port
from tests.world.s3 import S3

COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())


def test_what_the_image_copies_is_there_and_is_sent_to_the_builder() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        name.rstrip("/")
        for line in re.findall(r"^COPY (.+) \S+$", dockerfile, re.MULTILINE)
        for name in line.split()
    }
    assert copied
    assert copied <= sent
    assert all((ROOT / name).exists() for name in copied)


def test_the_compose_file_names_only_settings_that_exist() -> None:
    given = {
        name.removeprefix("SAVELINE_").lower()
        for name in COMPOSE["services"]["saveline"]["environment"]
        if name.startswith("SAVELINE_")
    }
    assert given <= set(names(ConnectorSettings)) | set(names(WorkerSettings))


def test_only_loopback_is_published() -> None:
    for service in COMPOSE["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


@pytest.mark.real
@pytest.mark.xdist_group("kafka")
def test_saveline_up_uses_the_parts_that_the_environment_names(tmp_path: Path, dsn: str, s3: S3) -> None:
    port = free_port()
    with Kafka(tmp_path / "kafka") as kafka:
        environment = {
            **{name: value for name, value in os.environ.items() if "SAVELINE" not in name},
            "SAVELINE_BROKER": kafka.bootstrap,
            "SAVELINE_PG_DSN": dsn,
            "SAVELINE_S3_ENDPOINT": s3.endpoint,
            "SAVELINE_PUBLIC_URL": f"http://localhost:{port}",
            "AWS_ACCESS_KEY_ID": s3.access_key,
            "AWS_SECRET_ACCESS_KEY": s3.secret_key,
        }
        command = ["up", "--json", "--folder", str(tmp_path / "up"), "--edge-port", str(port)]
        up = subprocess.Popen(
            [sys.executable, "-m", "streams.cli", *command],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert up.stdout is not None
            line = up.stdout.readline()
            assert line, up.communicate()[1]
            parts = json.loads(line)["parts"]
            assert not parts.keys() & {"kafka", "postgres", "s3"}
            assert requests.get(f"http://localhost:{port}/readyz", timeout=5).ok
            assert requests.get(f"{parts['connectors']['url']}/readyz", timeout=5).ok
        finally:
            up.send_signal(signal.SIGINT)
            assert up.wait(60) == 0
