"""The settings of the engine: one ledger's, and those of the process that runs many."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
from annotated_types import Gt

from streams.environment import FromEnvironment


class LedgerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One partition's ledger. Topics all have the same number of partitions."""

    app: str
    partition: int
    folder: Path
    """The partition's own folder for RocksDB."""
    client: Mapping[str, str]
    """librdkafka properties for every client: `bootstrap.servers`, security."""
    source: str
    changelog: str
    batches: str
    quarantine: str
    partitions: int | None = None
    """The source's partition count; with it, keys that belong elsewhere are quarantined."""
    record_bytes_max: int = 262_144
    """Larger input goes to quarantine; larger states or outputs are the core's fault (poison)."""
    states_in_memory_max: int = 20_000
    fires_max: int = 1_000
    """Deadlines in one transaction, so that input is not kept waiting behind a wave of them."""
    poison_max: int = 5
    clock_apart_max_ms: int = 5_000
    clock_check_s: float = 60.0
    disk_age_max_ms: int = 12 * 3_600_000
    """A disk not written for longer is wiped: tombstones may be gone (half of `delete.retention.ms`)."""
    transaction_timeout_ms: int = 30_000
    open_timeout_s: float = 60.0
    commit_timeout_s: float = 20.0
    reopen_max: int = 20
    producer: Mapping[str, str] = {}
    """More librdkafka properties for the transactional producer."""


@dataclass(frozen=True, kw_only=True)
class WorkerSettings(FromEnvironment):
    """A process that runs ledgers under Faust."""

    source: str = "case.events.v1"
    quarantine: str = "case.quarantine.v1"
    partitions: int = 48
    replication: int = 3
    """Copies of each partition that the topics must have."""
    data_folder: Path = Path(".saveline/state")
    ordinal: str | None = None
    """The pod's ordinal: with it membership is static, and a quick restart moves no partition."""
    session_timeout_s: float = 10.0
    http_port: int = 8080
    block_cache_mb: int = 64
    states_in_memory_max: int = 40_000
    """Decoded conversations that the process keeps at hand; its partitions share them."""
    step_patience_s: Annotated[float, Gt(0)] = 120.0
    """A partition that has work and does not move for longer makes the process not live."""
    test_switch: bool = False
    """Whether `/_test/...` exists. Never in production."""

    @property
    def changelog(self) -> str:
        return f"{self.app}-cases-changelog"

    @property
    def batches(self) -> str:
        return f"{self.app}-batches"

    def ledger(self, partition: int, owned: int) -> LedgerSettings:
        """One of `owned` partitions' settings."""
        return LedgerSettings(
            app=self.app,
            partition=partition,
            folder=self.data_folder / f"{self.app}-{partition}",
            client=self.client,
            source=self.source,
            changelog=self.changelog,
            batches=self.batches,
            quarantine=self.quarantine,
            partitions=self.partitions,
            states_in_memory_max=self.states_in_memory_max // owned,
        )
