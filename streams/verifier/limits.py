"""What each policy lets an order become dearer by, read from its YAML without the product's own reader."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import yaml


class Limits(msgspec.Struct, frozen=True):
    """In minor units: what may be added with the customer's yes, and what is ours to bear."""

    cap_minor: int = 0
    absorb_max_minor: int = 0


def read(folder: str) -> dict[str, Limits]:
    """By `id@version`; an empty folder means the shipped one. Raises `OSError` or `yaml.YAMLError`."""
    documents = {
        path.stem: yaml.safe_load(path.read_text(encoding="utf-8"))
        for path in (Path(folder) if folder else _shipped()).glob("*.yaml")
    }
    return {
        f"{one['id']}@{one['version']}": msgspec.convert(_price(one, documents), Limits)
        for one in documents.values()
        if "id" in one
    }


def _price(document: dict[str, Any], documents: dict[str, dict[str, Any]]) -> dict[str, int]:
    below = documents.get(str(document.get("extends")))
    return {**(_price(below, documents) if below else {}), **document.get("price", {})}


def _shipped() -> Path:
    spec = find_spec("state")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("the shipped policies: name their folder in SAVELINE_POLICIES")
    return Path(spec.origin).parent / "policies"
