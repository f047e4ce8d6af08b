"""The jar files of the embedded broker: resolved once, checked against a committed lock at every start."""

import fcntl
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

KAFKA_VERSION = "4.3.1"
SLF4J_BINDING = "log4j-slf4j-impl:2.25.4"
LOCK = Path(__file__).with_name("kafka.lock")


class JarsDifferError(RuntimeError):
    """What was resolved is not what `kafka.lock` says; nothing of it is run."""


def cache_folder() -> Path:
    """Where downloads are kept between runs: `SAVELINE_CACHE`, else the user's cache folder."""
    if chosen := os.environ.get("SAVELINE_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "saveline"


def kafka_class_path() -> str:
    """Return the class path of the broker, fetching its jars if they are not there yet.

    Raises `JarsDifferError` when a jar is missing, unknown or has other content than the lock says.
    """
    folder = cache_folder() / f"kafka-{KAFKA_VERSION}"
    locked = read_lock()
    with one_at_a_time(folder):
        if differences(folder, locked):
            fetch(folder)
        if wrong := differences(folder, locked):
            raise JarsDifferError(f"{folder} differs from {LOCK.name}:\n  " + "\n  ".join(wrong))
    return os.pathsep.join(str(folder / name) for name in sorted(locked))


def read_lock() -> dict[str, str]:
    """Return SHA-256 by jar name."""
    lines = (line.split() for line in LOCK.read_text().splitlines())
    return {name: digest for digest, name in lines}


def differences(folder: Path, locked: dict[str, str]) -> list[str]:
    """Say in words how the folder differs from the lock; an empty list means that it is as locked."""
    found = {jar.name: sha256(jar) for jar in folder.glob("*.jar")}
    missing = [f"missing: {name}" for name in locked.keys() - found.keys()]
    unknown = [f"not in the lock: {name}" for name in found.keys() - locked.keys()]
    changed = [
        f"{name} has SHA-256 {found[name]}, the lock says {locked[name]}"
        for name in found.keys() & locked.keys()
        if found[name] != locked[name]
    ]
    return sorted(missing + unknown + changed)


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(folder: Path) -> None:
    """Resolve the broker and everything that it needs into one flat folder, replacing what was there."""
    import jgo

    folder.parent.mkdir(parents=True, exist_ok=True)
    sys.stderr.write(f"fetching Kafka {KAFKA_VERSION} into {folder}, which is done once\n")
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        broker = jgo.build(f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}", cache_dir=Path(scratch))
        # Without a binding for SLF4J the broker would say nothing at all, not even why it does not start.
        # Resolved apart, since its own parent's pins would move the broker's versions.
        binding = jgo.build(f"org.apache.logging.log4j:{SLF4J_BINDING}", cache_dir=Path(scratch))
        fresh = Path(scratch) / "flat"
        fresh.mkdir()
        # Modular jars are kept apart from the class path; the broker wants them all on it.
        for jar in [
            *broker.all_jars,
            *(j for j in binding.all_jars if SLF4J_BINDING.replace(":", "-") in j.name),
        ]:
            shutil.copyfile(jar, fresh / jar.name)
        shutil.rmtree(folder, ignore_errors=True)
        fresh.rename(folder)


@contextmanager
def one_at_a_time(path: Path) -> Iterator[None]:
    """Let one process at a time make `path`; the lock goes away with its holder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f"{path.name}.busy").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    target = cache_folder() / f"kafka-{KAFKA_VERSION}"
    fetch(target)
    LOCK.write_text("".join(f"{sha256(jar)}  {jar.name}\n" for jar in sorted(target.glob("*.jar"))))
    sys.stdout.write(f"{LOCK}: {len(read_lock())} jars\n")
