"""What Twilio's own description says of resources and requests; `documented.json` names its source."""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from jsonschema import Draft202012Validator

_FACTS = json.loads(Path(__file__).with_suffix(".json").read_text())
_ANY_ID = re.compile(r"/(?:[A-Z]{2}[0-9a-f]{32}|Twilio\.CURRENT)(?=[/.])")


def faults(resource: str, body: Any) -> list[str]:
    """Every property that is described is there, as it is described, and no other."""
    return [error.message for error in Draft202012Validator(_FACTS["resources"][resource]).iter_errors(body)]


def unknown_parameters(request: dict[str, Any]) -> set[str]:
    """What a request in the book asked for that is not described; all of it, if the request is not."""
    path, _, query = request["path"].partition("?")
    path = _ANY_ID.sub("/{}", path.split("/Accounts/")[1].partition("/")[2].join(("/", "")))
    known = {
        re.sub(r"\{\w+\}", "{}", one.partition(" ")[2]): set(names)
        for one, names in _FACTS["parameters"].items()
        if one.startswith(f"{request['method']} ")
    }
    asked = {name for name, _ in parse_qsl(query if request["method"] == "GET" else request["body"])}
    return asked - known.get(path, set())
