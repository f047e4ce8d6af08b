"""The commands, the environment and the probes that the chart writes, on the real processes before a real stack."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests

from connectors.register.migrate import upgrade
from streams.outcomes import Unreachable
from tests.helm import secrets
from tests.helm.rendering import pods, rendered
from tests.world.part import Part, free_port
from tests.world.stack import Stack

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("kafka")]
SAVELINE = str(Path(sys.executable).with_name("saveline"))
# What the chart's values say rather than the Secret: whatever no process is given of it.
SECRET = {key for keys in json.loads(secrets.planned()).values() for key in keys}
# Brought to a pod as files.
FILES = ("SAVELINE_FCM_ACCOUNT_FILE", "SAVELINE_EVIDENCE_KEY_FILE")
# The pod's own, and the switch that none has.
ELSEWHERE = {*FILES, "SAVELINE_HTTP_PORT", "SAVELINE_DATA_FOLDER", "SAVELINE_TEST_SWITCH"}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("helm") / "stack")
    stack.start()
    yield stack
    stack.close()


def clean() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("SAVELINE_")}


def values(stack: Stack) -> dict[str, Any]:
    settings = {
        name.removeprefix("SAVELINE_"): value
        for name, value in stack.environment.items()
        if name.startswith("SAVELINE_") and name not in SECRET | ELSEWHERE
    }
    port = int(settings["BROKER"].rpartition(":")[2])
    return {"settings": settings, "networkPolicy": {"egress": {"kafka": {"ports": [port]}}}}


def container(stack: Stack, name: str) -> dict[str, Any]:
    return next(c for pod in pods(rendered(values(stack))) for c in pod["containers"] if c["name"] == name)


def environment(stack: Stack, one: dict[str, Any], port: int, folder: Path) -> dict[str, str]:
    """The Secret's variables, over them the pod's own; its files, addresses and volume are here others.

    `port` is the one that the probes ask.
    """
    given = stack.environment
    written = {each["name"]: value for each in one["env"] if (value := _value(each, given)) is not None}
    here = {
        "SAVELINE_HTTP_HOST": "127.0.0.1",
        "SAVELINE_HTTP_PORT": str(port if len(one.get("ports", [])) < 2 else free_port()),
        "SAVELINE_PLATFORM_PORT": str(port),
        "SAVELINE_DATA_FOLDER": str(folder / "state"),
        **{name: given[name] for name in FILES},
    }
    return written | {name: value for name, value in here.items() if name in written}


def _value(each: dict[str, Any], secret: dict[str, str]) -> str | None:
    match each:
        case {"value": value}:
            return value
        case {"valueFrom": {"secretKeyRef": {"key": key}}}:
            return secret.get(key)
        case _:
            return "1"


@pytest.mark.parametrize("name", ["worker", "connectors", "edge"])
def test_the_rendered_process_starts_beside_the_others_and_meets_its_probes(
    stack: Stack, tmp_path: Path, name: str
) -> None:
    one, port = container(stack, name), free_port()
    assert one["command"] == ["saveline"]
    told = {each["name"]: each.get("value") for each in one["env"]}
    listens = {each["name"]: str(each["containerPort"]) for each in one["ports"]}
    assert told["SAVELINE_HTTP_PORT"] == listens.get("http", listens["platform"])
    assert told.get("SAVELINE_PLATFORM_PORT", listens["platform"]) == listens["platform"]
    command = [SAVELINE, *one["args"]]
    part = Part(name, command, tmp_path / "log", env=environment(stack, one, port, tmp_path), cwd=tmp_path)

    def meets(probe: str) -> bool:
        path = one[probe]["httpGet"]["path"]
        assert one[probe]["httpGet"]["port"] == "platform"
        return requests.get(f"http://127.0.0.1:{port}{path}", timeout=30).ok

    part.start(lambda: meets("readinessProbe"), timeout_s=240)
    try:
        assert meets("livenessProbe")
        assert meets("startupProbe")
    finally:
        part.stop()


def ended(command: list[str], given: dict[str, str], folder: Path) -> tuple[int, str]:
    done = subprocess.run(
        [SAVELINE, *command],
        env=clean() | given,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_the_rendered_job_brings_the_tables_that_the_edge_asks_for(
    stack: Stack, tmp_path: Path, dsn: str
) -> None:
    empty = {"SAVELINE_PG_DSN": dsn}
    edge = container(stack, "edge")
    for known in ("", "0019"):
        # Nothing is there; then what an older version left.
        if known:
            upgrade(dsn, known)
        code, said = ended(edge["args"], environment(stack, edge, free_port(), tmp_path) | empty, tmp_path)
        assert (code, said.count("\n")) == (2, 1), said
        assert ("0019" in said, "0020" in said) == (not known, True), said
        assert "To do: run `saveline migrate`" in said
    job = container(stack, "migrate")
    code, said = ended(job["args"], environment(stack, job, 0, tmp_path) | empty, tmp_path)
    assert code == 0, said
    with psycopg.connect(dsn) as connection:
        assert connection.execute("SELECT to_regclass('claims')").fetchone() != (None,)
    assert ended(job["args"], empty, tmp_path) == (0, "every revision is there\n")


def test_connectors_that_lack_something_say_all_of_it_and_what_to_do(stack: Stack, tmp_path: Path) -> None:
    one = container(stack, "connectors")
    given = environment(stack, one, free_port(), tmp_path)
    wrong = {
        "SAVELINE_QUARANTINE": "other.v1",
        "SAVELINE_EVIDENCE_BUCKET": "not-there",
        "SAVELINE_EVIDENCE_KEY_FILE": "/no/key",
    }
    code, said = ended(one["args"], given | wrong, tmp_path)
    assert code == 2, said
    assert "Traceback" not in said
    assert "topics: other.v1 is missing. To do: run `saveline topics apply`\n" in said
    assert "evidence bucket: not-there: 404. To do: create it" in said
    assert "evidence key: /no/key cannot be read as a key: FileNotFoundError. To do: make one" in said
    code, said = ended(one["args"], given | {"SAVELINE_PG_DSN": "postgresql://127.0.0.1:9/x"}, tmp_path)
    assert (code, said.count("\n")) == (Unreachable.exit_code, 1), said
    assert said.endswith("To do: start Postgres, or set SAVELINE_PG_DSN\n")


def test_a_worker_whose_topics_are_missing_stops_with_what_to_do(stack: Stack, tmp_path: Path) -> None:
    one = container(stack, "worker")
    given = environment(stack, one, free_port(), tmp_path) | {"SAVELINE_APP": "other"}
    code, said = ended(one["args"], given, tmp_path)
    assert code == 2, said
    assert "other-batches: is missing" in said
    assert "saveline topics plan" in said
