"""A wrong value stops an installation before it begins, by its name; what does not go together is told all at once."""

import json
from collections.abc import Iterator
from typing import Any

import helm_python
import pytest

from streams.connectors import PARTS
from tests.helm.rendering import CHART, rendered

SCHEMA = json.loads((CHART / "values.schema.json").read_text())


def told(values: dict[str, Any]) -> str:
    with pytest.raises(helm_python.HelmError) as failure:
        rendered(values)
    return str(failure.value)


def closed(schema: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path of every mapping whose keys the schema lists."""
    if "$ref" in schema:
        schema = SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]]
    if "properties" in schema:
        yield path
        for key, inner in schema["properties"].items():
            yield from closed(inner, (*path, key))
    elif "items" in schema:
        yield from closed(schema["items"], (*path, "0"))


def nested(path: tuple[str, ...], value: Any) -> Any:
    if not path:
        return value
    inner = nested(path[1:], value)
    return [inner] if path[0] == "0" else {path[0]: inner}


@pytest.mark.parametrize("path", sorted(closed(SCHEMA)), ids="/".join)
def test_no_mapping_takes_a_key_that_it_does_not_know(path: tuple[str, ...]) -> None:
    said = told(nested(path, {"unheard-of": 1}))
    assert "/".join(path) in said
    assert "unheard-of" in said


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"image": {"tag": "a b"}}, "/image/tag"),
        ({"image": {"digest": "sha256:12"}}, "/image/digest"),
        ({"image": {"pullPolicy": "Sometimes"}}, "/image/pullPolicy"),
        ({"image": {"pullSecrets": ["A"]}}, "/image/pullSecrets/0"),
        ({"secretName": ""}, "/secretName"),
        ({"filesSecretName": "Files"}, "/filesSecretName"),
        ({"externalSecrets": {"store": {"kind": "Vault"}}}, "/externalSecrets/store/kind"),
        ({"externalSecrets": {"refreshInterval": "hourly"}}, "/externalSecrets/refreshInterval"),
        ({"settings": {"BROKER": "kafka"}}, "/settings/BROKER"),
        ({"settings": {"PARTITIONS": 48}}, "/settings/PARTITIONS"),
        ({"settings": {"PARTITIONS": "none"}}, "/settings/PARTITIONS"),
        ({"settings": {"app": "x"}}, "app"),
        ({"pods": {"tolerations": [{"effect": "Never"}]}}, "/pods/tolerations/0/effect"),
        ({"worker": {"replicas": 0}}, "/worker/replicas"),
        ({"worker": {"storage": "ten"}}, "/worker/storage"),
        ({"worker": {"resources": {"limits": {"memory": "much"}}}}, "/worker/resources/limits/memory"),
        ({"connectors": {"groups": []}}, "/connectors/groups"),
        ({"connectors": {"groups": [{"name": "a", "only": "pigeon", "replicas": 1}]}}, "/groups/0/only"),
        ({"edge": {"replicas": "two"}}, "/edge/replicas"),
        ({"ingress": {"enabled": True}}, "/ingress/tlsSecretName"),
        ({"ingress": {"enabled": True}}, "/ingress/host"),
        ({"ingress": {"host": "https://x.example"}}, "/ingress/host"),
        ({"ingress": {"doors": ["/metrics"]}}, "/ingress/doors/0"),
        ({"monitoring": {"runbooks": "https://wiki.example"}}, "/monitoring/runbooks"),
        ({"autoscaling": {"edge": {"cpuPercent": 0}}}, "/edge/cpuPercent"),
        ({"autoscaling": {"connectors": {"lagThreshold": 0}}}, "/connectors/lagThreshold"),
        ({"networkPolicy": {"egress": {"kafka": {"ports": [99999]}}}}, "/egress/kafka/ports/0"),
        ({"networkPolicy": {"edgeFrom": [{"ipBlock": {"cidr": "here"}}]}}, "/edgeFrom/0/ipBlock/cidr"),
    ],
    ids=str,
)
def test_a_wrong_value_fails_with_its_name(values: dict[str, Any], named: str) -> None:
    assert named in told(values)


def test_values_that_contradict_each_other_are_told_all_at_once() -> None:
    said = told(
        {
            "settings": {"BROKER": "a:9093,b:9092", "PARTITIONS": "4", "PUBLIC_URL": "https://x.example"},
            "secretName": "same",
            "filesSecretName": "same",
            "externalSecrets": {"enabled": True},
            "worker": {"replicas": 5},
            "connectors": {
                "groups": [
                    {"name": "one", "only": "intake,sms", "replicas": 2},
                    {"name": "one", "only": ",".join(sorted(PARTS - {"intake", "push"})), "replicas": 30},
                ]
            },
            "edge": {"replicas": 3},
            "ingress": {"enabled": True, "host": "ask.shop.example", "tlsSecretName": "tls"},
            "autoscaling": {"connectors": {"enabled": True}, "edge": {"enabled": True, "maxReplicas": 2}},
        }
    )
    assert said.split("\n- ")[1:] == [
        "networkPolicy.egress.kafka.ports: lacks 9093, the port of a:9093 in settings.BROKER",
        "worker.replicas: 5 is beyond settings.PARTITIONS, 4: the rest would have nothing to do",
        "autoscaling.connectors.maxReplicas: less than the replicas of group one",
        "connectors.groups: two have the same name",
        "connectors.groups: push runs in 0 of them; each part runs in exactly one",
        "connectors.groups: sms runs in 2 of them; each part runs in exactly one",
        "autoscaling.edge.maxReplicas: less than edge.replicas",
        "settings.PUBLIC_URL: is made of ingress.host; leave it out",
        "filesSecretName: is secretName too; external secrets need two",
    ]


@pytest.mark.parametrize("part", sorted(PARTS))
def test_a_part_that_runs_nowhere_is_missed(part: str) -> None:
    groups = [{"name": "most", "only": ",".join(sorted(PARTS - {part})), "replicas": 1}]
    assert told({"connectors": {"groups": groups}}).endswith(
        f"\n- connectors.groups: {part} runs in 0 of them; each part runs in exactly one"
    )
