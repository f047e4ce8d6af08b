"""The deadline index: what a restore takes from sealed values is what a step writes."""

import random
from pathlib import Path

import pytest

from state.rocks import BlockCache, Store
from streams import deadlines
from streams.deadlines import Deadlines, index_key, index_keys
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


@pytest.mark.parametrize("seed", range(20))
def test_what_is_due_comes_as_from_a_sorted_list_however_little_is_read_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(deadlines, "READ_MAX", 5)
    monkeypatch.setattr(deadlines, "HORIZON_MS", 40)
    chance = random.Random(seed)
    store = Store(tmp_path / "db", BlockCache(1 << 20))
    index, known, now_ms = Deadlines(store), list[bytes](), 1_000
    for number in range(300):
        now_ms += chance.randrange(20)
        # Some are due at once, some are beyond what was read, and most of them come in waves.
        fresh = {
            index_key(now_ms + chance.choice((0, 3, 30, 300)), number, b"%d" % one)
            for one in range(chance.choice((0, 0, 1, 12)))
        }
        # Never more than is read at once.
        wanted = chance.choice((1, 4, 5))
        taken = index.due(now_ms, wanted)
        assert taken == [key for key in known if deadlines.split(key)[0] <= now_ms][:wanted]
        changes = store.changes()
        for key in taken:
            changes.remove_deadline(key)
        for key in fresh:
            changes.put_deadline(key)
        store.apply(changes)
        for key in fresh:
            index.added(key)
        known = sorted({*known, *fresh} - set(taken))
        if known:
            earliest_ms = deadlines.split(known[0])[0]
            asked_again_ms = index.next_due_ms(now_ms)
            assert asked_again_ms <= earliest_ms
            assert (asked_again_ms > now_ms) == (earliest_ms > now_ms)
        if chance.random() < 0.1:
            # As after a restart.
            index = Deadlines(store)
    store.close()
