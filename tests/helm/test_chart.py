"""The chart renders to objects that Kubernetes takes, that the processes understand, and that are restricted."""

import re
from typing import Any

import helm_python
import kubernetes_validate
import pytest
import yaml

from streams.connector_settings import ConnectorSettings
from streams.connectors import PARTS, _group
from streams.edge_cli import EdgeSettings
from streams.settings import WorkerSettings
from streams.topics import Topic, wanted_topics
from tests.helm.topics import FILE, planned
from tests.streams.processes import ROOT

CHART = ROOT / "helm" / "saveline"
SPLIT = {
    "connectors": {
        "groups": [
            {"name": "sends", "only": "push,sms,email,voice,person", "replicas": 3},
            {"name": "rest", "only": "intake,write-back,evidence,register", "replicas": 1},
        ]
    }
}
EVERYTHING = {
    "monitoring": {"enabled": True, "labels": {"release": "prometheus"}},
    "strimzi": {"enabled": True},
    "autoscaling": {"edge": {"enabled": True}, "connectors": {"enabled": True}},
}
# What comes with an operator has a schema of the operator's.
FOREIGN = ("monitoring.coreos.com/", "kafka.strimzi.io/", "keda.sh/")
VALUES = {
    "shipped": {},
    "everything": EVERYTHING,
    "split connectors": SPLIT,
    "no policy": {"networkPolicy": {"enabled": False}},
}
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
        if one["apiVersion"].startswith(FOREIGN):
            continue
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
        if process == "migrate":
            continue
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
        ({"autoscaling": {"edge": {"cpuPercent": 0}}}, "/edge/cpuPercent"),
        ({"networkPolicy": {"egressPorts": [99999]}}, "/egressPorts/0"),
    ],
)
def test_a_wrong_value_fails_with_its_name(values: dict[str, Any], named: str) -> None:
    with pytest.raises(helm_python.HelmError) as failure:
        rendered(values)
    assert named in str(failure.value)


@pytest.mark.parametrize("copies", [1, 3])
def test_the_charts_topics_are_those_that_the_product_plans(copies: int) -> None:
    assert FILE.read_text() == planned(), "run `python -m tests.helm.topics`"
    settings = {"APP": "shop", "PARTITIONS": "12", "REPLICATION": str(copies)}
    objects = rendered({"strimzi": {"enabled": True}, "settings": settings})
    assert [
        Topic(
            name=one["metadata"]["name"],
            partitions=one["spec"]["partitions"],
            replication=one["spec"]["replicas"],
            config=one["spec"]["config"] or {},
            upstream="min.insync.replicas" not in (one["spec"]["config"] or {}),
        )
        for one in sorted_like_the_plan(objects)
    ] == wanted_topics(app="shop", partitions=12, replication=copies)


def sorted_like_the_plan(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    order = [one.name for one in wanted_topics(app="shop")]
    topics = [one for one in objects if one["kind"] == "KafkaTopic"]
    return sorted(topics, key=lambda one: order.index(one["metadata"]["name"]))


def test_alerts_and_dashboards_come_as_they_are() -> None:
    objects = rendered(EVERYTHING)
    (rule,) = [one for one in objects if one["kind"] == "PrometheusRule"]
    assert rule["spec"] == yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())
    shown = {
        name: text for one in objects if one["kind"] == "ConfigMap" for name, text in one["data"].items()
    }
    dashboards = CHART / "files" / "dashboards"
    assert shown == {file.name: file.read_text() for file in dashboards.glob("*.json")}


def test_every_process_is_scraped_under_a_job_that_its_alert_knows() -> None:
    objects = rendered(EVERYTHING)
    (monitor,) = [one for one in objects if one["kind"] == "PodMonitor"]
    (relabel,) = monitor["spec"]["podMetricsEndpoints"][0]["relabelings"]
    (known,) = re.findall(r'up\{job=~"([^"]+)"', (CHART / "files" / "alerts.yaml").read_text())
    components = {
        one["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/component"]
        for one in objects
        if one["kind"] in ("Deployment", "StatefulSet")
    }
    assert components == {"worker", "edge", "connectors-all"}
    assert all(re.fullmatch(known, relabel["replacement"].replace("$1", one)) for one in components)


def test_connectors_are_scaled_by_the_lag_of_the_group_that_they_join() -> None:
    objects = rendered(EVERYTHING | SPLIT)
    scaled = {
        one["spec"]["triggers"][0]["metadata"]["consumerGroup"]
        for one in objects
        if one["kind"] == "ScaledObject"
    }
    groups = [frozenset(group["only"].split(",")) for group in SPLIT["connectors"]["groups"]]
    assert scaled == {_group("saveline", group) for group in groups}
    # Who scales them decides how many there are.
    assert not any("replicas" in one["spec"] for one in objects if one["kind"] == "Deployment")
