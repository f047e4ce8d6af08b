"""What each process is given of the Secret: what is secret or has to be said, by the product's own settings."""

import json
from collections.abc import Iterator
from dataclasses import MISSING, fields
from typing import get_type_hints

from streams.config_cli import PROCESSES
from streams.environment import PREFIX, _holds_a_secret
from tests.helm.rendering import CHART

FILE = CHART / "files" / "secrets.json"
# By the names that S3 clients look for.
_STORE = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
# The chart says these itself; a login to Kafka is a Secret of its own.
_ELSEWHERE = {"broker", "broker_password", "fcm_account_file", "evidence_key_file"}


def planned() -> str:
    told = {process: [*_of(PROCESSES[process])] for process in ("worker", "connectors", "edge")}
    told["connectors"] += _STORE
    return json.dumps(told, indent=1) + "\n"


def _of(kind: type) -> Iterator[str]:
    types = get_type_hints(kind, include_extras=True)
    for field in fields(kind):
        given = field.default is MISSING and field.default_factory is MISSING
        if field.name not in _ELSEWHERE and (given or _holds_a_secret(types[field.name])):
            yield PREFIX + field.name.upper()
