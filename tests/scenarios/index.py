"""The index of the stories, written for people: `python -m tests.scenarios.index` renews docs/stories.md."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import yaml

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "stories.md"

INTRODUCTION = """\
# Stories

Each story is a test that a manager can read: one promise, told in virtual time over the real `decide`
(`tests/scenarios/`). This page is written by `python -m tests.scenarios.index`, and a test keeps it current.
"""


class Story(NamedTuple):
    sentence: str
    path: Path


class Theme(NamedTuple):
    path: Path
    about: str
    stories: tuple[Story, ...]


class Rule(NamedTuple):
    sentence: str
    stories: tuple[str, ...]
    elsewhere: str


def themes() -> list[Theme]:
    """The files of stories in their order, each with its docstring and sentences."""
    return [_theme(path) for path in sorted(HERE.glob("test_*.py")) if path.name != "test_index.py"]


def _theme(path: Path) -> Theme:
    module = ast.parse(path.read_text(encoding="utf-8"))
    stories = [
        Story(node.name.removeprefix("test_").replace("_", " "), path)
        for node in module.body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]
    return Theme(path, (ast.get_docstring(module) or "").splitlines()[0], tuple(stories))


def rules() -> dict[str, list[Rule]]:
    """The rules by section, each with the stories that show it."""
    document = yaml.safe_load((HERE / "rules.yaml").read_text(encoding="utf-8"))
    return {
        section: [
            Rule(entry["rule"], tuple(entry.get("stories", ())), entry.get("elsewhere", ""))
            for entry in entries
        ]
        for section, entries in document.items()
    }


def page() -> str:
    return "\n".join([INTRODUCTION, *_rules(), *_themes()]) + "\n"


def _rules() -> Iterator[str]:
    where = {story.sentence: story.path.stem.removeprefix("test_") for t in themes() for story in t.stories}
    known = [rule for section in rules().values() for rule in section]
    gaps = [rule for rule in known if not rule.stories and not rule.elsewhere]
    yield "## Rules, and the stories that show them\n"
    yield f"{len(known)} rules, {len(gaps)} of them without a story."
    for section, entries in rules().items():
        yield f"\n### {section}\n\n| rule | stories |\n|---|---|"
        for rule in entries:
            shown = [f"{sentence} (`{where[sentence]}`)" for sentence in rule.stories]
            if rule.elsewhere:
                shown.append(f"elsewhere: {rule.elsewhere}")
            yield f"| {rule.sentence} | {'<br>'.join(shown) or '**no story**'} |"


def _themes() -> Iterator[str]:
    # No total here: two branches that each add a story would both change it.
    yield "\n## All stories"
    for theme in themes():
        yield f"\n### `{theme.path.name}`\n\n{theme.about}\n"
        for story in theme.stories:
            yield f"- {story.sentence}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
