"""What the chart grants in Kafka, from the product's own table, and the users that it makes of it."""

import json
from collections.abc import Mapping
from typing import Any

from streams.login import KafkaSettings
from streams.rights import READS, Right, by_command, every_connector, merged
from tests.helm.rendering import CHART, rendered
from tests.world.kafka import Doors
from tests.world.users import Grant, Users, grants

FILE = CHART / "files" / "rights.json"
_PROCESSES = {"worker": "worker", "connectors": "connectors-all", "edge": "edge"}
_OPERATOR = ("quarantine", "kill-switch", "verify", "doctor")


def planned() -> str:
    """Of each process, and of the operator who runs the other commands; a group of connectors adds its parts'."""
    app = by_command("APP")
    told = {
        "worker": _acls(app["worker"]),
        "edge": _acls(app["edge"]),
        "operator": _acls(of_operator("APP")),
        "connectors": {
            "every": _acls(every_connector()),
            "parts": {
                part: _acls([Right(kind="topic", name=str(name), operations=("Read",)) for name in topics])
                for part, topics in READS.items()
            },
        },
    }
    return json.dumps(told, indent=1) + "\n"


def of_operator(app: str) -> list[Right]:
    return merged(*(right for command in _OPERATOR for right in by_command(app)[command]))


def _acls(rights: list[Right]) -> list[dict[str, Any]]:
    return [
        {
            "resource": {
                "type": one.kind,
                "name": one.name,
                "patternType": "prefix" if one.prefixed else "literal",
            },
            "operations": list(one.operations),
        }
        for one in rights
    ]


def granted(objects: list[dict[str, Any]]) -> dict[str, list[Grant]]:
    """By the name of the user."""
    return {
        one["metadata"]["name"]: [
            (
                acl["resource"]["type"],
                acl["resource"]["name"],
                acl["resource"]["patternType"] == "prefix",
                operation,
            )
            for acl in one["spec"]["authorization"]["acls"]
            for operation in acl["operations"]
        ]
        for one in objects
        if one["kind"] == "KafkaUser"
    }


def each_its_own(doors: Doors) -> Mapping[str, KafkaSettings]:
    """A user for each command of `saveline`, with nothing but what it is granted.

    The processes' grants are those that the chart renders; the other commands' those that `saveline acls` lists.
    """
    values = {"kafka": {"security": "SASL_SSL"}, "strimzi": {"enabled": True}}
    chart = granted(rendered(values))
    needs = {command: each(needed) for command, needed in by_command("saveline").items()}
    needs |= {process: chart[f"shop-{name}"] for process, name in _PROCESSES.items()}
    users, found = Users(doors), {}
    for command, needed in needs.items():
        found[command] = users.made(f"shop-{command}")
        users.grant(f"shop-{command}", needed)
    return found


def each(rights: list[Right]) -> list[Grant]:
    return [grant for right in rights for grant in grants(right)]
