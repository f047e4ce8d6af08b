"""The deadline index: what a restore takes from sealed values is what a step writes."""

from streams.deadlines import index_key, index_keys
from streams.envelope import foreign, seal


def test_a_restored_deadline_stands_where_a_decided_one_would() -> None:
    sealed = {b"a": seal(b"state", (1_790_000_000_000, 7)), b"b": seal(b"state"), b"c": seal(b"", (0, 0))}
    assert index_keys(sealed) == [index_key(1_790_000_000_000, 7, b"a"), index_key(0, 0, b"c")]
    assert foreign(sealed) == []


def test_what_no_ledger_wrote_is_told_by_its_key() -> None:
    sealed = seal(b"state")
    assert foreign({b"a": b"", b"b": sealed[:12], b"c": sealed, b"d": b"{" + sealed[1:]}) == [
        b"a",
        b"b",
        b"d",
    ]
