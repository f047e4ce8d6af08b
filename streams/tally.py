"""What one partition's ledger did, counted by its thread and read by whoever scrapes."""

import msgspec

from connectors.measuring import Spread
from connectors.metrics import BATCH, LATENESS_S, TRANSACTION_S


class Tally(msgspec.Struct):
    """Since the partition was first taken; counts unless the name says otherwise."""

    events: int = 0
    transactions: int = 0
    outputs: int = 0
    states: int = 0
    fired: int = 0
    stale: int = 0
    quarantined: int = 0
    stuck: int = 0
    reopened: int = 0
    wiped: int = 0
    restored: int = 0
    restore_s: float = 0.0
    clock_apart_ms: int = 0
    lateness_s: Spread = msgspec.field(default_factory=lambda: Spread(LATENESS_S))
    batch: Spread = msgspec.field(default_factory=lambda: Spread(BATCH))
    transaction_s: Spread = msgspec.field(default_factory=lambda: Spread(TRANSACTION_S))
