"""Settings: every fault at once, every source shown, and no secret told."""

import json
from dataclasses import dataclass
from typing import Annotated

import pytest
from pydantic import SecretStr

from streams.config_cli import PROCESSES, show
from streams.connector_settings import ConnectorSettings
from streams.environment import MASK, Faulty, FromEnvironment, names, read, values, variables
from streams.settings import WorkerSettings


@dataclass(frozen=True, kw_only=True)
class Small(FromEnvironment):
    url: str
    """Where it is."""
    token: SecretStr
    tries: int = 3
    more: Annotated[SecretStr, "checked"] | None = None


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in list(os.environ):
        if name.startswith("SAVELINE_") or name == "SCHEMA_REGISTRY_URL":
            monkeypatch.delenv(name)


def of(name: str, **kinds: type[FromEnvironment]):
    return next(one for one in variables(kinds) if one.name == name)


def test_every_fault_is_named_at_once_and_no_value_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAVELINE_TRIES", "many")
    with pytest.raises(Faulty) as faulty:
        read(Small)
    lines = str(faulty.value).splitlines()
    assert [line.partition(":")[0] for line in lines] == ["SAVELINE_URL", "SAVELINE_TOKEN", "SAVELINE_TRIES"]
    assert "many" not in str(faulty.value)


def test_a_setting_says_its_value_its_source_and_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAVELINE_URL", "http://there")
    url, tries = of("SAVELINE_URL", small=Small), of("SAVELINE_TRIES", small=Small)
    assert (url.value, url.source, url.says) == ("http://there", "environment", "Where it is.")
    assert (tries.value, tries.source, tries.fault) == ("3", "default", "")
    token = of("SAVELINE_TOKEN", small=Small)
    assert (token.value, token.source, token.fault) == ("", "missing", "Field required")


def test_a_secret_is_masked_where_it_is_shown_and_whole_where_it_is_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SAVELINE_TOKEN", "very secret")
    assert of("SAVELINE_TOKEN", small=Small).value == MASK
    assert values({"small": Small})["TOKEN"] == "very secret"
    monkeypatch.setenv("SAVELINE_MORE", "another secret")
    assert of("SAVELINE_MORE", small=Small).value == MASK


def test_no_secret_of_any_process_is_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for kind in PROCESSES.values():
        for name in names(kind):
            monkeypatch.setenv(f"SAVELINE_{name.upper()}", f"value-of-{name}")
    show(as_json=True)
    told = json.loads(capsys.readouterr().out)["settings"]
    masked = {name for name, one in told.items() if one["value"] == MASK}
    words = ("SECRET", "TOKEN", "PASSWORD", "KEY", "SALT", "DSN")
    named_so = {name for name in told if any(word in name for word in words)}
    # Where a file lies is no secret.
    paths = {name for name in named_so if name.endswith("_FILE")} | {"SAVELINE_EVIDENCE_PUBLIC_KEYS"}
    assert masked == named_so - paths


def test_the_registry_is_known_by_both_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCHEMA_REGISTRY_URL", "http://registry")
    assert read(WorkerSettings).schema_registry_url == "http://registry"
    monkeypatch.delenv("SCHEMA_REGISTRY_URL")
    monkeypatch.setenv("SAVELINE_SCHEMA_REGISTRY_URL", "http://another")
    assert read(WorkerSettings).schema_registry_url == "http://another"
    assert of("SAVELINE_SCHEMA_REGISTRY_URL", worker=WorkerSettings).value == "http://another"


def test_what_processes_share_is_listed_once_with_each_ones_default() -> None:
    port = of("SAVELINE_HTTP_PORT", worker=WorkerSettings, connectors=ConnectorSettings)
    assert port.processes == ("worker", "connectors")
    assert port.value == "8080, 8081"


def test_the_command_shows_all_of_it_and_fails_where_something_lacks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SAVELINE_PG_DSN", "postgresql://me:secret@there")
    assert show() == 1
    said = capsys.readouterr().out
    assert "SAVELINE_OMS_URL: Field required" in said
    assert "secret@there" not in said
    assert show(as_json=True) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["settings"]["SAVELINE_PG_DSN"]["value"] == MASK
    assert told["settings"]["SAVELINE_PG_DSN"]["fault"] is None
    assert set(told["settings"]["SAVELINE_BROKER"]["processes"]) >= {"worker", "connectors"}
    every = {f"SAVELINE_{name}".upper() for kind in PROCESSES.values() for name in names(kind)}
    assert told["settings"].keys() == every
