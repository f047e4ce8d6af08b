"""The table of every field of a policy, for people: read from the model, so that it cannot be out of date."""

import json
from collections.abc import Iterator
from typing import Any

from state.policy import Policy

_UNITS = {
    "_ms": "milliseconds",
    "_minor": "minor units of the order's currency",
    "_per_10000": "ten-thousandths",
    "_percent": "percent",
    "_days": "days",
    "_per_day": "a day",
    "_at": "instant with zone",
}


def table() -> str:
    """One row a field in Markdown: path, what it may hold, default, meaning."""
    schema = Policy.model_json_schema()
    rows = ["| field | holds | default | meaning |", "|---|---|---|---|"]
    rows += [f"| `{path}` | {holds} | {default} | {means} |" for path, holds, default, means in _rows(schema)]
    return "\n".join(rows) + "\n"


def _rows(schema: dict[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    # The nested models' own defaults are the ones that count, so that a section has none of its own.
    waiting = [("", schema)]
    while waiting:
        prefix, model = waiting.pop(0)
        required = set(model.get("required", ()))
        for name, field in model["properties"].items():
            path = f"{prefix}{name}"
            inner, suffix = _model(schema, field)
            default = "*required*" if name in required else f"`{json.dumps(field.get('default'))}`"
            if inner is not None:
                waiting.append((f"{path}{suffix}.", inner))
                default = default if name in required else ""
            yield path, _holds(schema, name, field, inner), default, field.get("description", "")


def _model(schema: dict[str, Any], field: dict[str, Any]) -> tuple[dict[str, Any] | None, str]:
    """The nested model that a field holds, and how its path goes on: one, a list, or by name."""
    for inner, suffix in (
        (field, ""),
        (field.get("items", {}), "[]"),
        (_named(field), ".NAME"),
    ):
        found = _resolved(schema, inner) if isinstance(inner, dict) else {}
        if "properties" in found:
            return found, suffix
    return None, ""


def _named(field: dict[str, Any]) -> Any:
    """What stands under each name, whatever the names look like."""
    return next(iter(field.get("patternProperties", {}).values()), field.get("additionalProperties", {}))


def _resolved(schema: dict[str, Any], field: dict[str, Any]) -> dict[str, Any]:
    reference = str(field.get("$ref", "")).rpartition("/")[2]
    return dict(schema["$defs"][reference]) if reference else field


def _holds(schema: dict[str, Any], name: str, field: dict[str, Any], inner: dict[str, Any] | None) -> str:
    unit = next((words for suffix, words in _UNITS.items() if name.endswith(suffix)), "")
    if inner is not None:
        return (
            "section" if "$ref" in field else "list of sections" if "items" in field else "sections by name"
        )
    plain = [option for option in field.get("anyOf", [field]) if option.get("type") != "null"]
    return _kind(schema, plain[0]) + (f", {unit}" if unit else "")


def _kind(schema: dict[str, Any], field: dict[str, Any]) -> str:
    field = _resolved(schema, field)
    if "enum" in field:
        return "one of " + ", ".join(word for word in field["enum"] if word != "unknown")
    if field.get("type") == "array":
        return "list: " + _kind(schema, field["items"])
    if field.get("type") == "object":
        return "by name: " + _kind(schema, _named(field))
    if field.get("type") == "integer":
        low = field.get("minimum", field.get("exclusiveMinimum", -1) + 1)
        return f"{low} to {field['maximum']}" if "maximum" in field else f"{low} or more"
    return {"boolean": "true or false", "string": "text"}.get(str(field.get("type")), "text")
