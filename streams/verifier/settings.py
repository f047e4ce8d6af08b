"""What the judge is told: where everything lies. What is not told is not checked, and the verdict says so."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from annotated_types import Ge
from pydantic import BeforeValidator, SecretStr

from streams.login import KafkaSettings
from streams.verifier.books import PROVIDERS


def _named_urls(value: object) -> object:
    """`twilio=http://127.0.0.1:1,fcm=...`."""
    if not isinstance(value, str):
        return value
    pairs = dict(part.strip().partition("=")[::2] for part in value.split(",") if part.strip())
    strange = sorted(pairs.keys() - set(PROVIDERS))
    if strange or not all(pairs.values()):
        raise ValueError(f"name=URL, separated by commas, of {', '.join(PROVIDERS)}")
    return {name: url.rstrip("/") for name, url in pairs.items()}


def _paths(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(Path(part.strip()) for part in value.split(",") if part.strip())


def _words(value: object) -> object:
    return (
        tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value
    )


Paths = Annotated[tuple[Path, ...], BeforeValidator(_paths)]


@dataclass(frozen=True, kw_only=True)
class VerifySettings(KafkaSettings):
    """From `SAVELINE_...`, under the same names as the processes'."""

    app: str = "saveline"
    quarantine: str = "case.quarantine.v1"
    schema_registry_url: str | None = None
    policies: Path | None = None
    """The folder of the policies that the workers run; None is the shipped one."""
    pg_dsn: SecretStr | None = None
    s3_endpoint: str | None = None
    evidence_bucket: str = ""
    evidence_public_keys: Paths = ()
    """PEM files, separated by commas."""
    books: Annotated[dict[str, str], BeforeValidator(_named_urls)] = field(default_factory=dict)
    """Control doors of the simulators: `twilio=http://...,fcm=...,smtp=...,oms=...,fulfilment=...`."""
    oms_url: str = ""
    oms_token: SecretStr = field(default_factory=lambda: SecretStr(""))
    alike: Annotated[tuple[str, ...], BeforeValidator(_words)] = ()
    """Versions that decide as this one does, separated by commas: what their workers did is replayed as ours."""
    logs: Paths = ()
    """Files and folders that must hold no personal data, separated by commas."""
    kills: Annotated[int, Ge(0)] = 0
    """How often a process was ended on purpose: each may leave sends whose fate nobody can tell."""
    slack_s: Annotated[float, Ge(0)] = 60.0
    """How late a case may be against its plan."""
    patience_s: Annotated[float, Ge(0)] = 900.0
    """How long a part of done may be awaited until its case is stuck (the policy's longest)."""
