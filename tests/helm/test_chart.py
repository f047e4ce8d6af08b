"""The chart renders to objects that Kubernetes takes, that the processes understand, and that are restricted."""

import base64
import sys
from pathlib import Path
from typing import Any

import helm_python
import kubernetes_validate
import pytest
import requests
import yaml

from connectors.register.migrate import upgrade
from streams.connector_settings import ConnectorSettings
from streams.connectors import PARTS
from streams.edge_cli import EdgeSettings
from streams.settings import WorkerSettings
from tests.streams.processes import ROOT
from tests.world.part import Part, free_port

CHART = ROOT / "helm" / "saveline"
SPLIT = {
    "connectors": {
        "groups": [
            {"name": "sends", "only": "push,sms,email,voice,person", "replicas": 3},
            {"name": "rest", "only": "intake,write-back,evidence,register", "replicas": 1},
        ]
    }
}
VALUES = {"shipped": {}, "split connectors": SPLIT, "no policy": {"networkPolicy": {"enabled": False}}}
KNOWN = {"worker": WorkerSettings, "connectors": ConnectorSettings, "edge": EdgeSettings}


def rendered(values: dict[str, Any]) -> list[dict[str, Any]]:
    texts = helm_python.Chart.load(CHART).render(values, name="shop", namespace="saveline")
    manifests = texts.values() if isinstance(texts, dict) else [texts]
    return [one for text in manifests for one in yaml.safe_load_all(text) if one]


def pods(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one["spec"]["template"]["spec"] for one in objects if "template" in one.get("spec", {})]


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES.keys())
def test_every_object_is_valid_to_the_letter_and_lint_finds_nothing(values: dict[str, Any]) -> None:
    found = helm_python.lint(CHART, values, strict=True)
    assert not found["errors"]
    assert not [one for one in found["messages"] if one["severity"] > 1]
    objects = rendered(values)
    assert {one["kind"] for one in objects} >= {"StatefulSet", "Deployment", "PodDisruptionBudget", "Service"}
    for one in objects:
        kubernetes_validate.validate(one, "1.33", strict=True)


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES.keys())
def test_every_pod_is_restricted_and_holds_no_token(values: dict[str, Any]) -> None:
    for pod in pods(rendered(values)):
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            security = container["securityContext"]
            assert security["allowPrivilegeEscalation"] is False
            assert security["readOnlyRootFilesystem"] is True
            assert security["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["limits"]["memory"]


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES.keys())
def test_the_processes_know_what_they_are_told(values: dict[str, Any]) -> None:
    parts: list[str] = []
    for pod in pods(rendered(values)):
        (container,) = pod["containers"]
        process, *more = container["args"]
        names = [one["name"].removeprefix("SAVELINE_").lower() for one in container["env"]]
        own = set(names) - set(SHARED)
        assert own <= set(KNOWN[process].model_fields)
        if process == "connectors":
            parts += more[1].split(",") if more else sorted(PARTS)
    assert sorted(parts) == sorted(PARTS)


# Every process gets the settings that no secret is, and knows its own among them.
SHARED = {"broker", "partitions", "replication"}


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"worker": {"replicas": 0}}, "/worker/replicas"),
        ({"worker": {"replica": 3}}, "replica"),
        ({"worker": {"storage": "ten"}}, "/worker/storage"),
        ({"settings": {"PARTITIONS": 48}}, "/settings/PARTITIONS"),
        ({"connectors": {"groups": [{"name": "a", "only": "pigeon", "replicas": 1}]}}, "/groups/0/only"),
        ({"networkPolicy": {"egressPorts": [99999]}}, "/egressPorts/0"),
    ],
)
def test_a_wrong_value_fails_with_its_name(values: dict[str, Any], named: str) -> None:
    with pytest.raises(helm_python.HelmError) as failure:
        rendered(values)
    assert named in str(failure.value)


@pytest.mark.real
@pytest.mark.xdist_group("postgres")
def test_the_rendered_edge_starts_and_meets_its_probes(dsn: str, tmp_path: Path) -> None:
    upgrade(dsn)
    (container,) = next(
        pod["containers"] for pod in pods(rendered({})) if pod["containers"][0]["name"] == "edge"
    )
    port = free_port()
    secret = {
        "SAVELINE_PG_DSN": dsn,
        "SAVELINE_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "SAVELINE_RETAILER": "Greengrocer",
        "SAVELINE_LINK_SECRETS": "link",
        "SAVELINE_APP_SECRETS": "app",
        "SAVELINE_VAULT_SALT": "salt",
        "SAVELINE_VAULT_KEY": base64.b64encode(b"m" * 32).decode(),
        "SAVELINE_TWILIO_AUTH_TOKEN": "token",
    }
    given = {one["name"]: one["value"] for one in container["env"]}
    # Of the pod's own address and port there are none here.
    own = {
        "SAVELINE_HTTP_HOST": "127.0.0.1",
        "SAVELINE_HTTP_PORT": str(port),
        "SAVELINE_BROKER": "127.0.0.1:9",
    }
    assert container["command"] == ["saveline"]
    command = [str(Path(sys.executable).with_name("saveline")), *container["args"]]
    part = Part("edge", command, tmp_path / "edge.log", env=secret | given | own, cwd=tmp_path)

    def meets(probe: str) -> bool:
        path = container[probe]["httpGet"]["path"]
        return requests.get(f"http://127.0.0.1:{port}{path}", timeout=5).ok

    part.start(lambda: meets("readinessProbe"), timeout_s=120)
    try:
        assert meets("livenessProbe")
        assert meets("startupProbe")
    finally:
        part.stop()
