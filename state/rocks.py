"""The door to RocksDB: one database a partition, with states, a deadline index and notes about both."""

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

from rocksdict import (
    BlockBasedOptions,
    Cache,
    DataBlockIndexType,
    DBCompressionType,
    Options,
    Rdict,
    WriteBatch,
    WriteBufferManager,
)

STATES, DEADLINES, NOTES = "states", "deadlines", "notes"


_NO_ROOM = ("No space left", "NoSpace", "File too large", "quota exceeded")
"""What the disk says when it, a quota or a size limit is full."""


class StoreFailure(Exception):
    """RocksDB refused; the subclasses say what it means for the partition."""


class StoreCorrupt(StoreFailure):
    """A file's checksum or structure is broken: wipe the folder and restore from the changelog."""


class StoreFull(StoreFailure):
    """The disk has no space left: nothing was applied, the worker has to stop."""


class StoreTaken(StoreFailure):
    """Another process holds the folder's lock: it must not be shared."""


def named(error: Exception) -> StoreFailure:
    """RocksDB's status as one of the outcomes above; the binding raises a bare `Exception` with its text."""
    text = str(error)
    if any(words in text for words in _NO_ROOM):
        return StoreFull(text)
    if "lock hold by" in text or "No locks available" in text or "/LOCK:" in text:
        return StoreTaken(text)
    # A missing or truncated table file shows as an I/O error or as "Corruption", depending on who reads it.
    if "Corruption" in text or "No such file" in text or "truncated" in text or "while pread" in text:
        return StoreCorrupt(text)
    return StoreFailure(text)


class BlockCache:
    """One read cache and one allowance for unflushed writes that all databases of a process share.

    So memory is bounded once, however many partitions the process owns.
    """

    def __init__(self, capacity_bytes: int, unflushed_bytes: int = 32 << 20) -> None:
        self.shared = Cache(capacity_bytes)
        self.unflushed = WriteBufferManager(unflushed_bytes, allow_stall=False)


def _options(cache: BlockCache, *, write_buffer_bytes: int) -> Options:
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.create_missing_column_families(True)
    options.set_write_buffer_size(write_buffer_bytes)
    options.set_write_buffer_manager(cache.unflushed)
    options.set_compression_type(DBCompressionType.lz4())
    # Two background threads for all: many partitions share few cores.
    options.set_max_background_jobs(2)
    options.set_keep_log_file_num(2)
    options.set_max_open_files(256)
    table = BlockBasedOptions()
    table.set_block_cache(cache.shared)
    table.set_bloom_filter(10, False)
    table.set_format_version(5)
    table.set_data_block_index_type(DataBlockIndexType.binary_and_hash())
    table.set_cache_index_and_filter_blocks(True)
    table.set_pin_l0_filter_and_index_blocks_in_cache(True)
    options.set_block_based_table_factory(table)
    return options


class Changes:
    """What one transaction changes; applied as a whole or not at all."""

    __slots__ = ("_store", "batch")

    def __init__(self, store: "Store") -> None:
        # Not the handles themselves: one that outlives its store would keep the folder locked.
        self._store = store
        self.batch = WriteBatch(raw_mode=True)

    def put_state(self, key: bytes, value: bytes) -> None:
        self.batch.put(key, value, self._store.handles[0])

    def remove_state(self, key: bytes) -> None:
        self.batch.delete(key, self._store.handles[0])

    def put_deadline(self, index_key: bytes) -> None:
        self.batch.put(index_key, b"", self._store.handles[1])

    def remove_deadline(self, index_key: bytes) -> None:
        self.batch.delete(index_key, self._store.handles[1])

    def put_all(self, states: Mapping[bytes, bytes], index_keys: Iterable[bytes]) -> None:
        """Many at once, in the tightest loop that the binding allows."""
        put, (states_handle, deadlines_handle, _) = self.batch.put, self._store.handles
        for key, value in states.items():
            put(key, value, states_handle)
        for index_key in index_keys:
            put(index_key, b"", deadlines_handle)

    def put_note(self, key: bytes, value: bytes) -> None:
        self.batch.put(key, value, self._store.handles[2])


class Store:
    """The open database of one partition; used by one thread at a time."""

    def __init__(self, folder: Path, cache: BlockCache, *, write_buffer_bytes: int = 16 << 20) -> None:
        """Open or create it. Raises `StoreCorrupt`, `StoreFull`, `StoreTaken` or `StoreFailure`."""
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # Column families are named on every opening: on reopening the binding forgets the options of
            # those that are not, and would read raw keys as its own pickled ones.
            self._database = Rdict(
                str(folder),
                _options(cache, write_buffer_bytes=1 << 20),
                column_families={
                    STATES: _options(cache, write_buffer_bytes=write_buffer_bytes),
                    DEADLINES: _options(cache, write_buffer_bytes=write_buffer_bytes),
                    NOTES: _options(cache, write_buffer_bytes=1 << 20),
                },
            )
            self._states = self._database.get_column_family(STATES)
            self._deadlines = self._database.get_column_family(DEADLINES)
            self._notes = self._database.get_column_family(NOTES)
            self.handles = tuple(
                self._database.get_column_family_handle(name) for name in (STATES, DEADLINES, NOTES)
            )
        except Exception as error:
            raise named(error) from error

    def states(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The values of `keys` in their order, None where there is none: one multi-get."""
        try:
            return cast("list[bytes | None]", self._states.get(list(keys)))
        except Exception as error:
            raise named(error) from error

    def state(self, key: bytes) -> bytes | None:
        return self.states([key])[0]

    def all_states(self) -> Iterator[tuple[bytes, bytes]]:
        """Every key and value in key order; for checks and reports, not for the path of events."""
        try:
            cursor = self._states.iter()
            cursor.seek(b"")
            while cursor.valid():
                yield cursor.key(), cursor.value()
                cursor.next()
            # A cursor that met a broken block just ends, as one does at the end.
            cursor.status()
        except Exception as error:
            raise named(error) from error

    def deadlines_after(self, index_key: bytes, until: bytes, count_max: int) -> list[bytes]:
        """At most `count_max` index keys in order, from `index_key` (exclusive) to `until` (exclusive)."""
        found: list[bytes] = []
        cursor = self._deadlines.iter()
        try:
            cursor.seek(index_key + b"\x00")
            while len(found) < count_max and cursor.valid():
                key = cursor.key()
                if key >= until:
                    break
                found.append(key)
                cursor.next()
            cursor.status()
        except Exception as error:
            raise named(error) from error
        finally:
            # The failure's traceback would keep it, and it the folder locked.
            del cursor
        return found

    def note(self, key: bytes) -> bytes | None:
        try:
            return self._notes.get(key)
        except Exception as error:
            raise named(error) from error

    def changes(self) -> Changes:
        return Changes(self)

    def apply(self, changes: Changes) -> None:
        """All of `changes` atomically. Raises `StoreFull`, `StoreCorrupt` or `StoreFailure`."""
        try:
            self._database.write(changes.batch)
        except Exception as error:
            raise named(error) from error

    def close(self) -> None:
        """Release the folder; the lock goes with the last handle, hence all of them are dropped."""
        database = self._database
        del self._states, self._deadlines, self._notes, self._database
        self.handles = ()
        database.close()


def wipe(folder: Path) -> None:
    """Remove a database that nobody has open; the changelog has everything."""
    if folder.exists():
        shutil.rmtree(folder)
