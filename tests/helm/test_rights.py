"""Kafka's users come with what each process needs and nothing more, and each pod with its own login."""

from typing import Any

import helm_python
import pytest

from streams.environment import names
from streams.login import KafkaSettings
from streams.rights import of_connectors, of_edge, of_worker
from tests.helm.rendering import rendered
from tests.helm.rights import FILE, each, granted, of_operator, planned

SENDS, REST = "push,sms,email,voice,person", "intake,write-back,evidence,register"
GROUPS = [{"name": "sends", "only": SENDS, "replicas": 3}, {"name": "rest", "only": REST, "replicas": 1}]


def values(security: str, **more: Any) -> dict[str, Any]:
    return {
        "kafka": {"security": security, "caSecretName": "kafka-cluster-ca-cert"},
        "strimzi": {"enabled": True},
        **more,
    }


def pods(objects: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {
        one["metadata"]["name"]: one["spec"]["template"]["spec"]
        for one in objects
        if one["kind"] in ("Deployment", "StatefulSet")
    }


def test_the_users_may_what_the_processes_need_and_nothing_else() -> None:
    assert FILE.read_text() == planned(), "run `make goldens`"
    settings = {"BROKER": "kafka:9092", "APP": "other"}
    found = granted(rendered(values("SASL_SSL", settings=settings, connectors={"groups": GROUPS})))
    assert {name: set(one) for name, one in found.items()} == {
        "shop-worker": set(each(of_worker("other"))),
        "shop-connectors-sends": set(each(of_connectors("other", SENDS.split(",")))),
        "shop-connectors-rest": set(each(of_connectors("other", REST.split(",")))),
        "shop-edge": set(each(of_edge())),
        "shop-operator": set(each(of_operator("other"))),
    }
    assert set(granted(rendered(values("SSL")))["shop-connectors-all"]) == set(
        each(of_connectors("saveline"))
    )


def test_no_process_may_use_anothers_transactions() -> None:
    found = granted(rendered(values("SASL_SSL")))
    (workers,) = {name for kind, name, _, _ in found["shop-worker"] if kind == "transactionalId"}
    (operators,) = {name for kind, name, _, _ in found["shop-operator"] if kind == "transactionalId"}
    assert not operators.startswith(workers)
    assert not workers.startswith(operators)


@pytest.mark.parametrize(
    ("security", "authentication", "keys"),
    [
        ("SASL_SSL", "scram-sha-512", ["password", "ca.crt"]),
        ("SSL", "tls", ["user.crt", "user.key", "ca.crt"]),
    ],
)
def test_each_pod_comes_with_the_login_of_its_own_user(
    security: str, authentication: str, keys: list[str]
) -> None:
    objects = rendered(values(security))
    users = {one["metadata"]["name"]: one["spec"] for one in objects if one["kind"] == "KafkaUser"}
    assert {one["authentication"]["type"] for one in users.values()} == {authentication}
    for name, pod in pods(objects).items():
        (container,) = pod["containers"]
        told = {one["name"]: one.get("value", "") for one in container["env"]}
        (volume,) = [one["projected"]["sources"] for one in pod["volumes"] if one["name"] == "kafka"]
        (mount,) = [one for one in container["volumeMounts"] if one["name"] == "kafka"]
        assert [item["path"] for source in volume for item in source["secret"]["items"]] == keys
        assert [source["secret"]["name"] for source in volume] == [name, "kafka-cluster-ca-cert"]
        files = {f"{mount['mountPath']}/{key}" for key in keys}
        assert {value for variable, value in told.items() if variable.endswith("_FILE")} >= files
        if security == "SASL_SSL":
            assert told["SAVELINE_BROKER_USER"] == name
        assert name in users
        login = {variable for variable in told if variable.startswith("SAVELINE_BROKER_")}
        assert {one.removeprefix("SAVELINE_").lower() for one in login} <= set(names(KafkaSettings))


def test_a_user_or_secret_of_another_name_is_taken() -> None:
    users = {"worker": {"user": "Worker_1", "secretName": "given"}}
    given = values("SASL_SSL")
    objects = rendered(given | {"kafka": given["kafka"] | {"users": users}, "strimzi": {"enabled": False}})
    assert not [one for one in objects if one["kind"] == "KafkaUser"]
    pod = pods(objects)["shop-worker"]
    told = {one["name"]: one.get("value") for one in pod["containers"][0]["env"]}
    assert told["SAVELINE_BROKER_USER"] == "Worker_1"
    (sources,) = [one["projected"]["sources"] for one in pod["volumes"] if one["name"] == "kafka"]
    assert sources[0]["secret"]["name"] == "given"


def test_without_security_nothing_of_it_is_there() -> None:
    objects = rendered({"strimzi": {"enabled": True}})
    assert not [one for one in objects if one["kind"] == "KafkaUser"]
    assert not [pod for pod in pods(objects).values() if "kafka" in str(pod["volumes"])]


def test_who_scales_by_lag_logs_in_as_the_process_whose_lag_it_is() -> None:
    scaled = {"autoscaling": {"connectors": {"enabled": True}}, "connectors": {"groups": GROUPS}}
    objects = rendered(values("SASL_SSL", **scaled))
    logins = {one["metadata"]["name"]: one for one in objects if one["kind"] == "TriggerAuthentication"}
    triggers = [one["spec"]["triggers"][0] for one in objects if one["kind"] == "ScaledObject"]
    assert {one["authenticationRef"]["name"] for one in triggers} == logins.keys()
    assert {(one["metadata"]["sasl"], one["metadata"]["tls"]) for one in triggers} == {
        ("scram_sha512", "enable")
    }
    containers = {one["name"] for pod in pods(objects).values() for one in pod["containers"]}
    for name, login in logins.items():
        assert login["spec"]["secretTargetRef"][0]["name"] == name
        assert login["spec"]["env"][0]["containerName"] in containers


@pytest.mark.parametrize(
    ("kafka", "named"),
    [
        ({"security": "TLS"}, "/kafka/security"),
        ({"mechanism": "GSSAPI"}, "/kafka/mechanism"),
        ({"users": {"workers": {}}}, "/kafka/users"),
        ({"users": {"worker": {"secretName": "No Name"}}}, "/kafka/users/worker/secretName"),
    ],
)
def test_a_wrong_value_fails_with_its_name(kafka: dict[str, Any], named: str) -> None:
    with pytest.raises(helm_python.HelmError) as failure:
        rendered({"kafka": kafka})
    assert named in str(failure.value)
