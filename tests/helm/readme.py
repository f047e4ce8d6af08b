"""The chart's README: what each value means is the comment above it in values.yaml, what it may be is the schema."""

import json
from collections.abc import Iterator
from typing import Any

import yaml

from tests.helm.rendering import CHART

FILE = CHART / "README.md"
_HEAD = """# {name}
{description} Needs Kubernetes {kube}. How to install, size and operate it: [operations](../../docs/operations.md).

A value that is not listed here, or of another form, fails with its name. `make goldens` writes this page.

| value | | default | may be |
|---|---|---|---|
"""


def written() -> str:
    about = yaml.safe_load((CHART / "Chart.yaml").read_text())
    head = _HEAD.format(**about, kube=about["kubeVersion"].removesuffix("-0"))
    return head + "".join(f"| {' | '.join(row)} |\n" for row in rows())


def rows() -> list[tuple[str, str, str, str]]:
    """Every value in its order: name, meaning, default, form. Raises `ValueError` for one without words."""
    source = (CHART / "values.yaml").read_text()
    root = yaml.compose(source, yaml.CSafeLoader)
    schema = json.loads((CHART / "values.schema.json").read_text())
    found = list(_rows(root, _Schema(schema, schema["$defs"]), source.splitlines(), ()))
    if bare := [name for name, says, *_ in found if not says]:
        raise ValueError(f"values.yaml says nothing about: {', '.join(bare)}. Write a comment above each.")
    return found


class _Schema:
    def __init__(self, one: dict[str, Any], named: dict[str, Any]) -> None:
        self.one, self._named = one, named

    def at(self, key: str) -> "_Schema":
        return self._of(self.one.get("properties", {}).get(key) or self.one["additionalProperties"])

    def form(self) -> str:
        one = self.one
        match one:
            case {"$ref": ref}:
                return self._of(self._named[ref.rpartition("/")[2]]).form()
            case {"description": words}:
                return words
            case {"enum": choices}:
                return ", ".join(f"`{choice}`" for choice in choices)
            case {"type": "boolean"}:
                return "true, false"
            case {"type": "integer"}:
                return f"number from {one['minimum']}" + (f" to {one['maximum']}" if "maximum" in one else "")
            case {"type": "array", "items": items}:
                return f"list of {self._of(items).form()}"
            case {"type": "object", "properties": inner}:
                return "; ".join(f"{key}: {self.at(key).form()}" for key in inner)
            case {"type": "object"}:
                return f"names with {self._of(one['additionalProperties']).form()}"
            case {"type": "string", "pattern": pattern}:
                return f"text like `{pattern}`"
            case _:
                return "text, not empty" if "minLength" in one else "text"

    def _of(self, one: dict[str, Any]) -> "_Schema":
        return _Schema(one, self._named)


def _rows(
    node: Any, schema: _Schema, lines: list[str], path: tuple[str, ...]
) -> Iterator[tuple[str, str, str, str]]:
    for key, value in node.value:
        here, mine = (*path, key.value), schema.at(key.value)
        name, says = ".".join(here), _cell(_above(lines, key.start_mark.line))
        # A mapping that is written in lines is a heading for its values, unless it is of one form everywhere.
        if isinstance(value, yaml.MappingNode) and not value.flow_style and "properties" in mine.one:
            yield f"**{name}**", says, "", ""
            yield from _rows(value, mine, lines, here)
        else:
            default = json.dumps(yaml.safe_load(yaml.serialize(value)), ensure_ascii=False)
            yield name, says, f"`{_cell(default)}`", _cell(mine.form())


def _above(lines: list[str], line: int) -> str:
    words: list[str] = []
    while line and lines[line - 1].lstrip().startswith("#"):
        line -= 1
        words.insert(0, lines[line].strip(" #"))
    return " ".join(words)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    print(written())
