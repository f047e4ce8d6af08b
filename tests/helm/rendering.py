"""The chart rendered, each set of values once a session."""

from functools import cache
from typing import Any

import helm_python
import msgspec
import yaml

from tests.streams.processes import ROOT

CHART = ROOT / "helm" / "saveline"
_SETS = ROOT / "tests" / "helm" / "values"


def value_sets() -> dict[str, dict[str, Any]]:
    """By name: how somebody might install it."""
    return {file.stem: _read(file.read_text())[0] for file in sorted(_SETS.glob("*.yaml"))}


def rendered(values: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for objects in by_template(values).values() for one in objects]


def by_template(values: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """By the template's file name; raises `helm_python.HelmError`."""
    return _rendered(msgspec.json.encode(values, order="deterministic"))


def pods(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one["spec"]["template"]["spec"] for one in objects if "template" in one.get("spec", {})]


@cache
def _rendered(values: bytes) -> dict[str, list[dict[str, Any]]]:
    texts = _chart().render(msgspec.json.decode(values), name="shop", namespace="saveline")
    return {path.rpartition("/")[2]: objects for path, text in texts.items() if (objects := _read(text))}


@cache
def _chart() -> helm_python.Chart:
    return helm_python.Chart.load(CHART)


def _read(text: str) -> list[dict[str, Any]]:
    return [one for one in yaml.load_all(text, yaml.CSafeLoader) if one]
