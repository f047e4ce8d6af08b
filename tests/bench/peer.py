"""The contestants: how each is started, and how its stored states are read for the comparison."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from streams.envelope import HEAD_BYTES, RESERVED
from tests.bench import job
from tests.locked import locked

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BUILT = ROOT / ".saveline" / "bench"

Stored = tuple[str, job.State] | None


class NotHereError(Exception):
    """What a peer needs is not on this machine."""


@dataclass(frozen=True, kw_only=True)
class Peer:
    name: str
    title: str
    command: Callable[[], list[str]]
    options: tuple[str, ...] = ()
    guarantee: str = "exactly once"
    changelog: Callable[[str, str], str] | None = None
    """(app, source) -> the topic of the stored states; None if there are none."""
    stored: Callable[[bytes, bytes], Stored] = field(default=lambda _key, _value: None)
    own_topics: tuple[str, ...] = ()
    """Endings of the topics that the peer does not create by itself."""
    group: Callable[[str], str] = field(default=lambda app: app)


def python_peer(module: str, python: str = sys.executable) -> Callable[[], list[str]]:
    return lambda: [python, "-m", f"tests.bench.peers.{module}"]


def kafka_streams() -> list[str]:
    """Build it if need be; Java 17 and Maven are asked for only here."""
    project, built = HERE / "kafka_streams", BUILT / "kafka_streams"
    java, maven = shutil.which("java"), shutil.which("mvn")
    if not java or not maven:
        raise NotHereError("the Kafka Streams peer needs Java 17 and Maven")
    sources = [project / "pom.xml", *project.rglob("*.java")]
    done = built / "done"
    if not done.exists() or any(file.stat().st_mtime > done.stat().st_mtime for file in sources):
        subprocess.run(
            [maven, "-q", "-B", f"-Dbuild.folder={built}", "package"], cwd=project, check=True, timeout=600
        )
        done.touch()
    return [java, "-cp", f"{built / 'classes'}:{built / 'lib'}/*", "bench.Main"]


def quix() -> list[str]:
    return python_peer("quix_eos", str(locked(BUILT / "quix", HERE / "quix.lock") / "python"))()


def _plain(key: bytes, value: bytes) -> Stored:
    return key.decode(), job.state_of(value)


def _kafka_streams_value(key: bytes, value: bytes) -> Stored:
    return key.decode(), job.state_of(value[8:])


def _quix_value(_key: bytes, value: bytes) -> Stored:
    state = job.state_of(value)
    return state.seen[0].partition("-")[0], state


def _ledger_value(key: bytes, value: bytes) -> Stored:
    return None if key.startswith(RESERVED) else (key.decode(), job.state_of(value[HEAD_BYTES:]))


def _cases(app: str, _source: str) -> str:
    return f"{app}-cases-changelog"


LEDGER_TOPICS = ("-cases-changelog", "-batches", "-quarantine")

PEERS = {
    peer.name: peer
    for peer in (
        Peer(
            name="raw",
            title="raw client loop, no decode, no state (the limit)",
            command=python_peer("raw_loop"),
            guarantee="at least once",
        ),
        Peer(
            name="kafka_streams",
            title="Kafka Streams 4.3.1, EOS v2",
            command=kafka_streams,
            changelog=_cases,
            stored=_kafka_streams_value,
        ),
        Peer(
            name="kafka_streams_linger5",
            title="Kafka Streams 4.3.1, EOS v2, linger 5 ms",
            command=kafka_streams,
            options=("producer.linger.ms=5",),
            changelog=_cases,
            stored=_kafka_streams_value,
        ),
        Peer(
            name="quix",
            title="Quix Streams 3.28, exactly once",
            command=quix,
            changelog=lambda app, source: f"changelog__{app}--{source}--default",
            stored=_quix_value,
        ),
        Peer(
            name="stock_faust",
            title="Faust 0.15.3 as it comes",
            command=python_peer("stock_faust"),
            guarantee="at least once",
            changelog=_cases,
            stored=_plain,
        ),
        Peer(
            name="worker",
            title="the worker: ledgers under Faust",
            command=python_peer("worker"),
            changelog=_cases,
            stored=_ledger_value,
            own_topics=LEDGER_TOPICS,
        ),
        Peer(
            name="heart",
            title="the worker with the real decide and real Avro",
            command=python_peer("heart"),
            own_topics=LEDGER_TOPICS,
        ),
        Peer(
            name="ledger_loop",
            title="the ledger in a plain loop",
            command=python_peer("ledger_loop"),
            changelog=_cases,
            stored=_ledger_value,
            own_topics=LEDGER_TOPICS,
            group=lambda app: f"{app}-source",
        ),
    )
}
