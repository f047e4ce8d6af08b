"""The door to RocksDB: what it keeps, and what it says when it cannot."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from state.rocks import BlockCache, Store, StoreCorrupt, StoreTaken, wipe
from tests.streams.rig import until

CACHE = BlockCache(1 << 20)


def opened(folder: Path) -> Store:
    return Store(folder, CACHE)


def filled(folder: Path, count: int = 5_000) -> None:
    store = opened(folder)
    changes = store.changes()
    for number in range(count):
        changes.put_state(b"case-%05d" % number, b"%d" % number * 50)
    store.apply(changes)
    store._database.get_column_family("states").flush()
    store.close()


def test_states_deadlines_and_notes_survive_a_reopening_with_their_raw_keys(tmp_path: Path) -> None:
    store = opened(tmp_path / "db")
    changes = store.changes()
    changes.put_state(b"a", b"1")
    changes.put_state(b"b", b"2")
    changes.put_deadline(b"\x00\x05later")
    changes.put_deadline(b"\x00\x01soon")
    changes.put_note(b"offset", b"7")
    store.apply(changes)
    store.close()
    again = opened(tmp_path / "db")
    assert again.states([b"b", b"none", b"a"]) == [b"2", None, b"1"]
    assert again.deadlines_after(b"", b"\xff", 10) == [b"\x00\x01soon", b"\x00\x05later"]
    assert again.deadlines_after(b"\x00\x01soon", b"\x00\x05", 10) == []
    assert again.note(b"offset") == b"7"
    again.close()


def test_changes_are_not_there_until_they_are_applied(tmp_path: Path) -> None:
    store = opened(tmp_path / "db")
    changes = store.changes()
    changes.put_state(b"a", b"1")
    assert store.state(b"a") is None
    store.apply(changes)
    changes = store.changes()
    changes.remove_state(b"a")
    store.apply(changes)
    assert list(store.all_states()) == []
    store.close()


@pytest.mark.parametrize("where", [0.1, 0.5, 0.99])
def test_a_corrupt_table_file_is_said_so_and_never_read_as_something_else(
    tmp_path: Path, where: float
) -> None:
    filled(tmp_path / "db")
    (table,) = (tmp_path / "db").glob("*.sst")
    content = bytearray(table.read_bytes())
    middle = int(len(content) * where)
    content[middle : middle + 200] = bytes(200)
    table.write_bytes(content)
    with pytest.raises(StoreCorrupt):
        dict(opened(tmp_path / "db").all_states())


def test_a_table_file_that_is_gone_is_a_corruption(tmp_path: Path) -> None:
    filled(tmp_path / "db")
    for table in (tmp_path / "db").glob("*.sst"):
        table.unlink()
    with pytest.raises(StoreCorrupt):
        dict(opened(tmp_path / "db").all_states())


def test_a_folder_that_another_has_open_is_refused(tmp_path: Path) -> None:
    store = opened(tmp_path / "db")
    with pytest.raises(StoreTaken):
        opened(tmp_path / "db")
    store.close()


FULL = """
import resource, signal, sys
from pathlib import Path
from state.rocks import BlockCache, Store, StoreFull

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = Store(Path(sys.argv[1]), BlockCache(1 << 20))
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
applied = 0
try:
    while applied < 1_000:
        changes = store.changes()
        changes.put_state(b"key-%d" % applied, bytes(100_000))
        store.apply(changes)
        applied += 1
except StoreFull:
    print(applied)
"""


def test_a_full_disk_is_said_so_and_what_was_applied_before_stays(tmp_path: Path) -> None:
    assert resource.RLIMIT_FSIZE is not None
    said = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path / "db")],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    applied = int(said.stdout)
    assert 0 < applied < 1_000
    store = opened(tmp_path / "db")
    assert len(dict(store.all_states())) == applied
    store.close()


def test_a_wiped_folder_begins_anew_and_a_missing_one_is_no_fault(tmp_path: Path) -> None:
    filled(tmp_path / "db", 10)
    wipe(tmp_path / "db")
    wipe(tmp_path / "db")
    store = opened(tmp_path / "db")
    assert list(store.all_states()) == []
    store.close()


def test_what_is_not_flushed_yet_is_bounded_for_all_databases_together(tmp_path: Path) -> None:
    cache = BlockCache(1 << 20, unflushed_bytes=8 << 20)
    stores = [Store(tmp_path / str(n), cache) for n in range(4)]
    for number in range(200):
        for store in stores:
            changes = store.changes()
            for n in range(100):
                changes.put_state(b"%d-%d" % (number, n), b"x" * 1_000)
            store.apply(changes)
    written_bytes = 200 * 100 * 1_000 * len(stores)
    bound_bytes = 24 << 20

    def bounded_at_the_next_writes() -> bool:
        # Flushing has its own threads, which may lag behind, and is asked for by writes.
        for store in stores:
            changes = store.changes()
            changes.put_state(b"one more", b"x")
            store.apply(changes)
        return 0 < cache.unflushed.get_usage() < bound_bytes

    until(bounded_at_the_next_writes, "the flushes")
    assert bound_bytes < written_bytes
    for store in stores:
        store.close()
