"""Settings come from the environment: what all processes share, and how every fault is told at once."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

import msgspec
from pydantic import AliasChoices, Field, SecretBytes, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, SettingsConfigDict

from state.shipped import SHIPPED

PREFIX = "SAVELINE_"
MASK = "********"
S = TypeVar("S", bound=BaseSettings)


class Faulty(Exception):
    """Settings that are missing or wrong, one line each, by the name that the operator knows."""


class FromEnvironment(BaseSettings):
    """Read once and frozen; each field's name in capitals, behind `SAVELINE_`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="ignore", use_attribute_docstrings=True
    )

    app: str = "saveline"
    """Names consumer groups, transactions and private topics."""
    broker: str = "127.0.0.1:9092"
    """Kafka's addresses, separated by commas."""
    schema_registry_url: str | None = Field(
        default=None, validation_alias=AliasChoices("SCHEMA_REGISTRY_URL", f"{PREFIX}SCHEMA_REGISTRY_URL")
    )
    """A real registry; without it the committed lock file gives the ids."""
    policies: Path = SHIPPED
    """The folder of the policies."""
    http_host: str = "127.0.0.1"
    """Where the process listens for whoever asks how it is."""

    @property
    def client(self) -> dict[str, str]:
        """librdkafka properties for every client."""
        return {"bootstrap.servers": self.broker}


def read(kind: type[S]) -> S:
    """The settings of one process; raises `Faulty`."""
    try:
        return kind()
    except ValidationError as error:
        raise Faulty("\n".join(faults(error))) from None


def account() -> str:
    """Who is at work; a pod's user may have no name."""
    return os.environ.get("USER") or f"uid {os.getuid()}"


def faults(error: ValidationError) -> list[str]:
    """Values are never told: they may be secrets."""
    return [
        f"{_variable(fault['loc'])}: {fault['msg']}"
        for fault in error.errors(include_url=False, include_input=False)
    ]


def _variable(path: tuple[int | str, ...]) -> str:
    name = "_".join(str(part) for part in path).upper()
    return name if name.startswith((PREFIX, "SCHEMA_REGISTRY_URL")) else PREFIX + name


class Variable(msgspec.Struct, frozen=True, kw_only=True):
    """One setting as it stands; `value` is masked where it is secret, `fault` says what is wrong with it."""

    name: str
    value: str
    source: str
    """`environment`, `default`, or `missing`."""
    processes: tuple[str, ...]
    says: str = ""
    fault: str = ""


def variables(
    kinds: Mapping[str, type[BaseSettings]], environment: Mapping[str, str] = os.environ
) -> list[Variable]:
    """Every setting of these processes, by name; one that several share is listed once."""
    found: dict[str, Variable] = {}
    for process, kind in kinds.items():
        wrong = _wrong(kind)
        for name, field in kind.model_fields.items():
            one = _stands(name, field, wrong, environment)
            known = found.get(one.name)
            if known is not None:
                told = next((v for v in (known, one) if v.fault), known)
                values = dict.fromkeys(v.value for v in (known, one) if v.value)
                one = msgspec.structs.replace(
                    told, value=", ".join(values), processes=known.processes, says=known.says or one.says
                )
            found[one.name] = msgspec.structs.replace(one, processes=(*one.processes, process))
    return sorted(found.values(), key=lambda one: one.name)


def values(
    kinds: Mapping[str, type[BaseSettings]], environment: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """Every value by its name without the prefix, as it is: secrets too, and empty where there is none."""
    found: dict[str, str] = {}
    for kind in kinds.values():
        for name, field in kind.model_fields.items():
            value, _, _ = _value(name, field, environment)
            found[name.upper()] = found.get(name.upper()) or value
    return found


def _wrong(kind: type[BaseSettings]) -> dict[str, str]:
    try:
        kind()
    except ValidationError as error:
        return dict(line.split(": ", 1) for line in faults(error))
    return {}


def _stands(
    name: str, field: FieldInfo, wrong: Mapping[str, str], environment: Mapping[str, str]
) -> Variable:
    value, source, known_as = _value(name, field, environment)
    return Variable(
        name=known_as,
        value=MASK if value and _is_secret(field) else value,
        source=source,
        processes=(),
        says=field.description or "",
        fault=next((wrong[one] for one in _names(name, field) if one in wrong), ""),
    )


def _value(name: str, field: FieldInfo, environment: Mapping[str, str]) -> tuple[str, str, str]:
    """The value, its source, and the variable that it comes from or would come from."""
    names = _names(name, field)
    given = next((one for one in names if one in environment), None)
    if given is not None:
        return environment[given], "environment", given
    if field.is_required():
        return "", "missing", names[-1]
    return _plain(field.get_default(call_default_factory=True)), "default", names[-1]


def _names(name: str, field: FieldInfo) -> list[str]:
    alias = field.validation_alias
    if isinstance(alias, AliasChoices):
        return [str(choice) for choice in alias.choices]
    return [PREFIX + name.upper()]


def _plain(default: Any) -> str:
    if isinstance(default, SecretStr | SecretBytes):
        return str(default.get_secret_value())
    return "" if default in (None, (), {}) else str(default)


def _is_secret(field: FieldInfo) -> bool:
    return _holds_a_secret(field.annotation)


def _holds_a_secret(kind: Any) -> bool:
    """However deep it stands: `Annotated[SecretStr, ...] | None` is one as well."""
    return kind in (SecretStr, SecretBytes) or any(_holds_a_secret(part) for part in get_args(kind))
