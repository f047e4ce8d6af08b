"""Settings that are shared out among what a process owns."""

from streams.settings import WorkerSettings


def test_partitions_share_the_memory_for_conversations() -> None:
    settings = WorkerSettings(states_in_memory_max=1_000)
    assert settings.ledger(0, 1).states_in_memory_max == 1_000
    assert settings.ledger(0, 48).states_in_memory_max == 20
