"""The judge shares only the schemas with what it judges, except that I8 replays `decide` and Kafka is Kafka."""

import ast
from collections.abc import Iterator
from pathlib import Path

import streams.verifier
from tests.verifier import engine, model

# How anybody is told settings and reaches Kafka, which is not what is judged.
WAY_IN = {"streams", "streams.access", "streams.environment", "streams.login"}
OURS = {"schemas", "state", "connectors", "streams", "tests"}


def imported(module: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def test_the_judge_imports_only_the_schemas_and_for_i8_the_heart() -> None:
    folder = Path(streams.verifier.__file__).parent
    modules = sorted(folder.glob("**/*.py"))
    assert len(modules) > 10
    for module in modules:
        for name in imported(module):
            if name.split(".")[0] not in OURS or name.startswith(("schemas", "streams.verifier")):
                continue
            if name in WAY_IN and module.stem in ("cli", "settings", "topics"):
                continue
            assert (module.stem, name.split(".")[0]) == ("replay", "state"), f"{module.name} imports {name}"


def test_who_judges_the_engine_in_chaos_imports_nothing_of_it() -> None:
    for judge in (engine, model):
        own = {name for name in imported(Path(judge.__file__ or "")) if name.split(".")[0] in OURS}
        assert own <= {"tests.verifier"}, judge.__name__
