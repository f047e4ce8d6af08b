"""The settings of the engine's parts; plain records, filled by the process that starts them."""

from collections.abc import Mapping
from pathlib import Path

import msgspec


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
