"""The chart renders to objects that Kubernetes and the operators take, that the processes know, and that are safe."""

import json
import re
from collections.abc import Iterator
from typing import Any

import helm_python
import jsonschema
import kubernetes_validate
import pytest
import yaml

from connectors.metrics import ROUTES
from streams.connector_settings import ConnectorSettings
from streams.edge_cli import EdgeSettings
from streams.environment import names
from streams.rights import PARTS, connectors_group
from streams.settings import WorkerSettings
from streams.topics import Topic, wanted_topics
from tests.helm import golden, readme, secrets
from tests.helm.rendering import CHART, pods, rendered, value_sets
from tests.helm.topics import FILE, planned
from tests.streams.processes import ROOT

SETS = value_sets()
GROCER = SETS["grocer"]
OPERATORS = yaml.safe_load((ROOT / "tests" / "helm" / "operators.yaml").read_text())
KNOWN = {"worker": WorkerSettings, "connectors": ConnectorSettings, "edge": EdgeSettings}
each_set = pytest.mark.parametrize("values", SETS.values(), ids=SETS.keys())


@each_set
def test_lint_finds_nothing(values: dict[str, Any]) -> None:
    found = helm_python.lint(CHART, values, strict=True)
    assert not found["errors"]
    assert not [one for one in found["messages"] if one["severity"] > 1]


@each_set
def test_every_object_is_valid_to_the_letter(values: dict[str, Any]) -> None:
    objects = rendered(values)
    assert {one["kind"] for one in objects} >= {"StatefulSet", "Deployment", "PodDisruptionBudget", "Service"}
    for one in objects:
        spec = OPERATORS.get(f"{one['apiVersion']} {one['kind']}")
        if spec is None:
            kubernetes_validate.validate(one, "1.33", strict=True)
        else:
            head = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": one["metadata"]}
            kubernetes_validate.validate(head, "1.33", strict=True)
            jsonschema.validate(one["spec"], spec)


def test_the_sets_show_every_kind_that_an_operator_takes() -> None:
    """Else its schema, and what the chart writes for it, would be looked at by nobody."""
    shown = {f"{one['apiVersion']} {one['kind']}" for one in rendered(GROCER)}
    assert shown >= set(OPERATORS)


def test_the_golden_renders_are_what_the_chart_renders() -> None:
    wanted = golden.goldens()
    there = {file: file.read_text() for file in golden.FOLDER.rglob("*.yaml")}
    differ = sorted(
        str(file.relative_to(golden.FOLDER))
        for file in wanted.keys() | there.keys()
        if wanted.get(file) != there.get(file)
    )
    assert not differ, f"{', '.join(differ)}: run `make goldens` and look at what git says has changed"


def test_the_readme_tells_every_value() -> None:
    assert readme.FILE.read_text() == readme.written(), "run `make goldens`"


@each_set
def test_every_pod_is_restricted_and_holds_no_token(values: dict[str, Any]) -> None:
    for pod in pods(rendered(values)):
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            security = container["securityContext"]
            assert security["allowPrivilegeEscalation"] is False
            assert security["readOnlyRootFilesystem"] is True
            assert security["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["limits"]["memory"]


@each_set
def test_the_processes_know_what_they_are_told(values: dict[str, Any]) -> None:
    shared = {name.lower() for name in helm_python.Chart.load(CHART).merge_values(values)["settings"]}
    parts: list[str] = []
    for pod in pods(rendered(values)):
        (container,) = pod["containers"]
        process, *more = container["args"]
        if process == "migrate":
            continue
        told = [one["name"] for one in container["env"]]
        assert len(told) == len(set(told))
        given = {name.removeprefix("SAVELINE_").lower() for name in told if name.startswith("SAVELINE_")}
        assert given - shared - {"public_url"} <= set(names(KNOWN[process]))
        if process == "connectors":
            parts += more[1].split(",") if more else sorted(PARTS)
    assert sorted(parts) == sorted(PARTS)


def workloads(objects: list[dict[str, Any]]) -> dict[str, dict[str, str]]:
    """The labels of the pods of each, by name."""
    return {
        one["metadata"]["name"]: one["spec"]["template"]["metadata"]["labels"]
        for one in objects
        if "template" in one.get("spec", {})
    }


def selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    return selector["matchLabels"].items() <= labels.items()


@each_set
def test_each_process_loses_one_pod_at_a_time(values: dict[str, Any]) -> None:
    objects = rendered(values)
    budgets = [one["spec"] for one in objects if one["kind"] == "PodDisruptionBudget"]
    for name, labels in workloads(objects).items():
        mine = [one for one in budgets if selects(one["selector"], labels)]
        assert [one["maxUnavailable"] for one in mine] == ([] if name == "shop-migrate" else [1]), name


def reaches(policies: list[dict[str, Any]], way: str) -> set[str]:
    """What these policies open, as `name:port/protocol`-like words; nothing is what default deny leaves."""
    opened: set[str] = set()
    for policy in policies:
        for rule in policy.get(way) or []:
            peers = rule.get("from" if way == "ingress" else "to")
            where = "anywhere" if peers is None else json.dumps(peers, sort_keys=True)
            opened |= {f"{one['port']}/{one['protocol']} {where}" for one in rule["ports"]}
    return opened


def network(values: dict[str, Any]) -> Iterator[tuple[str, set[str], set[str]]]:
    objects = rendered(values)
    policies = [one["spec"] for one in objects if one["kind"] == "NetworkPolicy"]
    for name, labels in workloads(objects).items():
        mine = [one for one in policies if selects(one["podSelector"], labels)]
        # A pod is closed both ways once a policy names it, and open to what any of them lists.
        assert all(one["policyTypes"] == ["Ingress", "Egress"] for one in mine)
        assert mine
        yield name, reaches(mine, "ingress"), reaches(mine, "egress")


def test_every_pod_is_closed_but_for_what_it_needs() -> None:
    dns, kafka, postgres = (
        {"53/UDP anywhere", "53/TCP anywhere"},
        {"9092/TCP anywhere"},
        {"5432/TCP anywhere"},
    )
    providers = {"443/TCP anywhere", "587/TCP anywhere"}
    scraped = {
        'platform/TCP [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]'
    }
    assert {name: ways for name, *ways in network(SETS["minimal"])} == {
        "shop-worker": [scraped, dns | kafka],
        "shop-connectors-all": [scraped, dns | kafka | postgres | providers],
        "shop-edge": [scraped | {"http/TCP anywhere"}, dns | kafka | postgres | providers],
        "shop-migrate": [set(), dns | postgres],
    }
    # Whatever else is ever added to the release begins closed.
    more = {"app.kubernetes.io/name": "saveline", "app.kubernetes.io/instance": "shop"}
    policies = [one["spec"] for one in rendered(SETS["minimal"]) if one["kind"] == "NetworkPolicy"]
    assert [one.get("egress") for one in policies if selects(one["podSelector"], more)] == [None]


def test_the_network_is_narrowed_to_peers() -> None:
    for name, into, out in network(GROCER):
        assert not any(one.endswith("anywhere") for one in into), name
        assert {one for one in out if one.endswith("anywhere")} <= {"443/TCP anywhere", "587/TCP anywhere"}, (
            name
        )
    nobody = GROCER | {"networkPolicy": GROCER["networkPolicy"] | {"scrapeFrom": []}}
    assert {name for name, into, _ in network(nobody) if into} == {"shop-edge"}


def test_only_public_pages_are_reached_from_outside() -> None:
    """Every route of the edge has one door, but for what only the cluster may ask, on a port that has no way in."""
    schema = json.loads((CHART / "values.schema.json").read_text())
    doors = schema["properties"]["ingress"]["properties"]["doors"]["items"]["enum"]
    behind = {route: [door for door in doors if route.startswith(f"{door}/")] for route in ROUTES}
    assert {route for route, mine in behind.items() if not mine} == {
        "/livez",
        "/readyz",
        "/metrics",
        "/version",
    }
    assert all(len(mine) <= 1 for mine in behind.values())
    (ingress,) = [one for one in rendered(GROCER) if one["kind"] == "Ingress"]
    assert ingress["spec"]["tls"] == [{"hosts": ["ask.shop.example"], "secretName": "ask-tls"}]
    (rule,) = ingress["spec"]["rules"]
    assert rule["host"] == "ask.shop.example"
    (service,) = [
        one for one in rendered(GROCER) if one["kind"] == "Service" and one["metadata"]["name"] == "shop-edge"
    ]
    assert [one["targetPort"] for one in service["spec"]["ports"]] == ["http"]
    assert [(one["path"], one["pathType"]) for one in rule["http"]["paths"]] == [
        (door, "Prefix") for door in GROCER["ingress"]["doors"]
    ]


def test_links_and_signatures_are_made_of_the_host_that_is_public() -> None:
    for pod in pods(rendered(GROCER)):
        told = {one["name"]: one.get("value") for one in pod["containers"][0]["env"]}
        assert (
            "migrate" in pod["containers"][0]["args"]
            or told["SAVELINE_PUBLIC_URL"] == "https://ask.shop.example"
        )


def secrets_of(pod: dict[str, Any]) -> set[str]:
    (container,) = pod["containers"]
    single = {
        one["valueFrom"]["secretKeyRef"]["name"]
        for one in container["env"]
        if "secretKeyRef" in one.get("valueFrom", {})
    }
    return single | {one["secret"]["secretName"] for one in pod["volumes"] if "secret" in one}


def test_every_secret_that_a_pod_reads_is_brought_before_it() -> None:
    """Hooks come before the release: what the migrations need is among them, and goes with them."""
    objects = rendered(SETS["external-secrets"])
    brought: dict[str, dict[str, str]] = {
        one["spec"]["target"]["name"]: one["metadata"].get("annotations", {})
        for one in objects
        if one["kind"] == "ExternalSecret"
    }
    assert set(brought) == {"shop-settings", "shop-files", "shop-migrate"}
    for one in objects:
        if "template" in one.get("spec", {}):
            needed = secrets_of(one["spec"]["template"]["spec"])
            hook = one["metadata"].get("annotations", {})
            for name in needed:
                assert brought[name].get("helm.sh/hook") == hook.get("helm.sh/hook")
    policy = next(
        one["metadata"]["annotations"]
        for one in objects
        if one["metadata"]["name"] == "shop-migrate" and one["kind"] == "NetworkPolicy"
    )
    job = next(one["metadata"]["annotations"] for one in objects if one["kind"] == "Job")
    weights = [int(one["helm.sh/hook-weight"]) for one in (brought["shop-migrate"], policy, job)]
    assert weights == sorted(set(weights))


def keys_of(container: dict[str, Any]) -> set[str]:
    """Which keys of the Secret it is given."""
    return {
        one["valueFrom"]["secretKeyRef"]["key"]
        for one in container["env"]
        if "secretKeyRef" in one.get("valueFrom", {})
    }


@each_set
def test_each_pod_is_given_the_keys_that_its_process_asks_for_and_no_other(values: dict[str, Any]) -> None:
    assert secrets.FILE.read_text() == secrets.planned(), "run `make goldens`"
    listed = json.loads(secrets.planned()) | {"migrate": ["SAVELINE_PG_DSN"]}
    settings = {f"SAVELINE_{name}" for name in values.get("settings", {})}
    public = {"SAVELINE_PUBLIC_URL"} if values.get("ingress", {}).get("enabled") else set()
    for pod in pods(rendered(values)):
        (container,) = pod["containers"]
        assert "envFrom" not in container
        assert keys_of(container) == set(listed[container["args"][0]]) - settings - public
    # What only one of them needs, no other can give away.
    assert listed["worker"] == []
    assert {"SAVELINE_OMS_TOKEN", "SAVELINE_SMTP_PASSWORD"} <= set(listed["connectors"]) - set(listed["edge"])
    assert {"SAVELINE_APP_SECRETS", "SAVELINE_STAFF_SECRETS"} <= set(listed["edge"]) - set(
        listed["connectors"]
    )


@pytest.mark.parametrize("copies", [1, 3])
def test_the_charts_topics_are_those_that_the_product_plans(copies: int) -> None:
    assert FILE.read_text() == planned(), "run `make goldens`"
    settings = {"APP": "shop", "PARTITIONS": "12", "REPLICATION": str(copies)}
    objects = rendered({"strimzi": {"enabled": True}, "settings": settings})
    assert [
        Topic(
            name=one["metadata"]["name"],
            partitions=one["spec"]["partitions"],
            replication=one["spec"]["replicas"],
            config=one["spec"]["config"],
            upstream="min.insync.replicas" not in one["spec"]["config"],
        )
        for one in sorted_like_the_plan(objects)
    ] == wanted_topics(app="shop", partitions=12, replication=copies)


def sorted_like_the_plan(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    order = [one.name for one in wanted_topics(app="shop")]
    topics = [one for one in objects if one["kind"] == "KafkaTopic"]
    return sorted(topics, key=lambda one: order.index(one["metadata"]["name"]))


def test_alerts_and_dashboards_come_as_they_are_but_for_where_the_runbooks_are() -> None:
    alerts = (CHART / "files" / "alerts.yaml").read_text()
    for values, base in (
        ({"monitoring": {"enabled": True}}, "docs/runbooks/"),
        (GROCER, GROCER["monitoring"]["runbooks"]),
    ):
        (rule,) = [one for one in rendered(values) if one["kind"] == "PrometheusRule"]
        assert rule["spec"] == yaml.safe_load(alerts.replace("docs/runbooks/", base))
        pages = {
            one["annotations"]["runbook_url"].removeprefix(base)
            for group in rule["spec"]["groups"]
            for one in group["rules"]
        }
        assert all((ROOT / "docs" / "runbooks" / page).is_file() for page in pages)
    shown = {
        name: text
        for one in rendered(GROCER)
        if one["kind"] == "ConfigMap"
        for name, text in one["data"].items()
    }
    dashboards = CHART / "files" / "dashboards"
    assert shown == {file.name: file.read_text() for file in dashboards.glob("*.json")}


def test_every_process_is_scraped_under_a_job_that_its_alert_knows() -> None:
    objects = rendered(GROCER)
    (monitor,) = [one for one in objects if one["kind"] == "ServiceMonitor"]
    (endpoint,) = monitor["spec"]["endpoints"]
    wanted = monitor["spec"]["selector"]["matchLabels"].items()
    (scraped,) = [
        one for one in objects if one["kind"] == "Service" and wanted <= one["metadata"]["labels"].items()
    ]
    # A pod that is not ready is looked at most of all, and no balancer stands before it.
    assert (scraped["spec"]["clusterIP"], scraped["spec"]["publishNotReadyAddresses"]) == ("None", True)
    assert [port["name"] for port in scraped["spec"]["ports"]] == [endpoint["port"]]
    (relabel,) = endpoint["relabelings"]
    (known,) = re.findall(r'up\{job=~"([^"]+)"', (CHART / "files" / "alerts.yaml").read_text())
    pods = [one["spec"]["template"] for one in objects if one["kind"] in ("Deployment", "StatefulSet")]
    assert all(scraped["spec"]["selector"].items() <= pod["metadata"]["labels"].items() for pod in pods)
    components = {pod["metadata"]["labels"]["app.kubernetes.io/component"] for pod in pods}
    assert components == {"worker", "edge", "connectors-sends", "connectors-voice", "connectors-records"}
    assert all(re.fullmatch(known, relabel["replacement"].replace("$1", one)) for one in components)


def test_connectors_are_scaled_by_the_lag_of_the_group_that_they_join() -> None:
    objects = rendered(GROCER)
    scaled = {
        one["spec"]["triggers"][0]["metadata"]["consumerGroup"]
        for one in objects
        if one["kind"] == "ScaledObject"
    }
    groups = [frozenset(group["only"].split(",")) for group in GROCER["connectors"]["groups"]]
    assert scaled == {connectors_group("saveline", group) for group in groups}
    # Who scales them decides how many there are.
    assert not any("replicas" in one["spec"] for one in objects if one["kind"] == "Deployment")
