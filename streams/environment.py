"""Settings come from the environment: what all processes share, and how every fault is told at once."""

import ast
import inspect
import os
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar, cast, get_args, get_type_hints

import msgspec

from state.shipped import SHIPPED
from streams.login import PREFIX, SECRET, KafkaSettings

MASK = "********"
_ALSO = {"schema_registry_url": "SCHEMA_REGISTRY_URL"}
"""A setting that others know by a name of their own, which comes first."""
S = TypeVar("S", bound=KafkaSettings)


class Faulty(Exception):
    """Settings that are missing or wrong, one line each, by the name that the operator knows."""


@dataclass(frozen=True, kw_only=True)
class FromEnvironment(KafkaSettings):
    """Read once and frozen; each field's name in capitals, behind `SAVELINE_`.

    The classes are plain data. Only `read` loads what checks it, which is slow to load.
    """

    app: str = "saveline"
    """Names consumer groups, transactions and private topics."""
    schema_registry_url: str | None = None
    """A real registry; without it the committed lock file gives the ids."""
    policies: Path = SHIPPED
    """The folder of the policies."""
    http_host: str = "127.0.0.1"
    """Where the process listens for whoever asks how it is."""


def names(kind: type) -> list[str]:
    """The fields of a class of settings."""
    return [field.name for field in fields(kind)]


def read(kind: type[S], environment: Mapping[str, str] = os.environ) -> S:
    """The settings of one process; raises `Faulty`."""
    found = ((field, _given(field, environment)) for field in names(kind))
    return checked(kind, {field: environment[name] for field, name in found if name is not None})


def checked(kind: type[S], given: Mapping[str, object]) -> S:
    """Settings from values by field, texts as an environment has them; raises `Faulty`."""
    from pydantic import TypeAdapter, ValidationError

    wrong = list(kind.contradictions(given))
    try:
        made = TypeAdapter(kind).validate_python(dict(given))
    except ValidationError as error:
        # Values are never told: they may be secrets.
        found = error.errors(include_url=False, include_input=False)
        wrong = [*((str(fault["loc"][0]), fault["msg"]) for fault in found), *wrong]
    if wrong:
        raise Faulty("\n".join(f"{_variables(field)[-1]}: {words}" for field, words in wrong))
    return made


def account() -> str:
    """Who is at work; a pod's user may have no name."""
    return os.environ.get("USER") or f"uid {os.getuid()}"


class Variable(msgspec.Struct, frozen=True, kw_only=True):
    """One setting as it stands; `value` is masked where it is secret, `fault` says what is wrong with it."""

    name: str
    value: str
    source: str
    """`environment`, `default`, or `missing`."""
    processes: tuple[str, ...]
    says: str = ""
    fault: str = ""


def variables(kinds: Mapping[str, type], environment: Mapping[str, str] = os.environ) -> list[Variable]:
    """Every setting of these processes, by name; one that several share is listed once."""
    found: dict[str, Variable] = {}
    for process, kind in kinds.items():
        for one in _stand(kind, environment):
            known, shown = found.get(one.name), one
            if known is not None:
                told = next((v for v in (known, one) if v.fault), known)
                values = dict.fromkeys(v.value for v in (known, one) if v.value)
                shown = msgspec.structs.replace(
                    told, value=", ".join(values), processes=known.processes, says=known.says or one.says
                )
            found[one.name] = msgspec.structs.replace(shown, processes=(*shown.processes, process))
    return sorted(found.values(), key=lambda one: one.name)


def values(kinds: Mapping[str, type], environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Every value by its name without the prefix, as it is: secrets too, and empty where there is none."""
    found: dict[str, str] = {}
    for kind in kinds.values():
        for field in fields(kind):
            value, _, _ = _value(field, environment)
            found[field.name.upper()] = found.get(field.name.upper()) or value
    return found


def _stand(kind: type, environment: Mapping[str, str]) -> Iterator[Variable]:
    """Each setting of one process as it stands."""
    wrong, says, types = (
        _wrong(kind, environment),
        _sentences(kind),
        get_type_hints(kind, include_extras=True),
    )
    for field in fields(kind):
        value, source, known_as = _value(field, environment)
        yield Variable(
            name=known_as,
            value=MASK if value and _holds_a_secret(types[field.name]) else value,
            source=source,
            processes=(),
            says=says.get(field.name, ""),
            fault=wrong.get(_variables(field.name)[-1], ""),
        )


def _wrong(kind: type, environment: Mapping[str, str]) -> dict[str, str]:
    try:
        read(kind, environment)
    except Faulty as faulty:
        return dict(line.split(": ", 1) for line in str(faulty).splitlines())
    return {}


def _value(field: Field[Any], environment: Mapping[str, str]) -> tuple[str, str, str]:
    """The value, its source, and the variable that it comes from or would come from."""
    given = _given(field.name, environment)
    if given is not None:
        return environment[given], "environment", given
    known_as = _variables(field.name)[-1]
    default = field.default if field.default_factory is MISSING else field.default_factory()
    if default is MISSING:
        return "", "missing", known_as
    return _plain(default), "default", known_as


def _given(field: str, environment: Mapping[str, str]) -> str | None:
    """The variable that says what this field is."""
    return next((name for name in _variables(field) if name in environment), None)


def _variables(field: str) -> list[str]:
    """The names under which it may be given, the first one first."""
    own = PREFIX + field.upper()
    return [_ALSO[field], own] if field in _ALSO else [own]


def _plain(default: Any) -> str:
    if hasattr(default, "get_secret_value"):
        return str(default.get_secret_value())
    return "" if default in (None, (), {}) else str(default)


def _holds_a_secret(kind: Any) -> bool:
    """However deep it stands: `Annotated[SecretStr, ...] | None` is one as well."""
    return (
        kind == SECRET
        or hasattr(kind, "get_secret_value")
        or any(_holds_a_secret(part) for part in get_args(kind))
    )


def _sentences(kind: type) -> dict[str, str]:
    """The sentence below each field, by the field."""
    found: dict[str, str] = {}
    for one in reversed([one for one in kind.__mro__ if is_dataclass(one)]):
        body = cast("ast.ClassDef", ast.parse(textwrap.dedent(inspect.getsource(one))).body[0]).body
        for field, below in pairwise(body):
            match field, below:
                case ast.AnnAssign(target=ast.Name(name)), ast.Expr(ast.Constant(str(says))):
                    found[name] = inspect.cleandoc(says)
    return found
