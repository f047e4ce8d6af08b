"""The whole system on one machine: the outside parts and simulators, and Saveline's three processes before them.

Everything listens on loopback, lies in one folder and ends with its owner, the data too; only logs stay. What the
environment names already (`SAVELINE_BROKER`, `SAVELINE_PG_DSN`, `SAVELINE_S3_ENDPOINT`, `SAVELINE_TWILIO_BASE_URL`,
...) is used instead of a part of our own.
"""

import base64
import contextlib
import fcntl
import json
import os
import secrets
import shutil
import signal
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from connectors.register.migrate import upgrade
from state import shelf
from streams.login import KafkaSettings
from streams.outcomes import Unreachable
from streams.topics import wanted_topics
from streams.topics_broker import apply
from tests.world.kafka import Doors, Kafka
from tests.world.part import Part, PartError, free_port
from tests.world.postgres import Postgres
from tests.world.s3 import S3
from tests.world.simulators.process import Simulator
from tests.world.simulators.twilio.account import ACCOUNT_SID, AUTH_TOKEN
from tests.world.users import environment_of

ROOT = Path(__file__).parents[2]
NOW = "streams.cli"
"""The version that is here."""
PROCESSES = ("worker", "connectors", "edge")
OUR_NUMBER = "+441632960000"
_BUCKET = "saveline-evidence"
# Which folders are ours, and whether somebody lives there.
_MARK = ".stack"
_READY_S = 240.0
_STOP_S = 3.0
# As long as a platform waits by default.
_ROLL_S = 30.0
_LOOK_S = 0.25
# Given to the processes as they are; everything else is a path, a name or an address.
_SECRET = (
    "PG_DSN",
    "LINK_SECRETS",
    "APP_SECRETS",
    "STAFF_SECRETS",
    "DRIVER_SECRETS",
    "VAULT_KEY",
    "VAULT_SALT",
    "TWILIO_AUTH_TOKEN",
    "OMS_TOKEN",
)


class Stack:
    """`start` returns once every process is ready; `close` ends all of it, in order.

    `policies` fills a folder that is used instead of the shipped one. `settings` are more `SAVELINE_...` variables
    without the prefix; `pace` shortens what the simulators' people and carriers take. A process of ours that dies
    is started again, as any platform would. More workers than one are called `worker-1` and so on, by their ordinals.
    `logins` makes the users of a Kafka that guards itself, one for each command of `saveline`: each process then comes
    as its own.
    """

    def __init__(
        self,
        folder: Path,
        *,
        policies: Callable[[Path], None] | None = None,
        partitions: int = 4,
        workers: int = 1,
        pace: float = 1.0,
        edge_port: int = 0,
        settings: Mapping[str, str] | None = None,
        logins: Callable[[Doors], Mapping[str, KafkaSettings]] | None = None,
        told: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self.folder = folder.resolve()
        self._lock = self._claimed()
        self._told = told
        self._partitions, self._pace = partitions, pace
        self._given = {
            name.removeprefix("SAVELINE_"): value
            for name, value in os.environ.items()
            if name.startswith("SAVELINE_")
        } | dict(settings or {})
        self._policies: Path | None = None
        if policies is not None:
            self._policies = self.folder / "policies"
            self._policies.mkdir()
            policies(self._policies)
        more = tuple([f"worker-{ordinal}" for ordinal in range(1, workers)])
        self.names = (*PROCESSES, *more)
        self.ports = {name: free_port() for name in self.names}
        if edge_port:
            self.ports["edge"] = edge_port
        self.public_url = self._given.get("PUBLIC_URL", self.url_of("edge"))
        self.kafka = None
        if "BROKER" not in self._given:
            self.kafka = Kafka(self.folder / "kafka", brief=True, secured=logins is not None)
        self._make_logins = logins
        self.logins: Mapping[str, KafkaSettings] = {}
        self.postgres = None if "PG_DSN" in self._given else Postgres(self.folder)
        self.s3 = None if "S3_ENDPOINT" in self._given else S3(self.folder)
        self.simulators = self._simulators(pace)
        self.processes: dict[str, Part] = {}
        self.restarts: dict[str, int] = {}
        self.launching = threading.Event()
        """Our own processes are being started: from here on one of them, or the broker, may be killed."""
        self._killed = threading.Event()
        self._closing = threading.Event()
        self._restarting = threading.Lock()
        self._keeper = threading.Thread(target=self._keep, name="keeper", daemon=True)

    def _claimed(self) -> int:
        """An empty folder that is ours alone; what a killed stack left in it is removed."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        mark = self.folder / _MARK
        if not mark.exists() and any(self.folder.iterdir()):
            raise PartError(f"{self.folder} holds something else: name an empty folder, or one of ours")
        lock = os.open(mark, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise PartError(f"another stack lives in {self.folder}: end it, or name another folder") from None
        self._clear(keep=(_MARK,))
        return lock

    def _clear(self, keep: tuple[str, ...]) -> None:
        for left in self.folder.iterdir():
            if left.name in keep:
                continue
            if left.is_dir():
                shutil.rmtree(left)
            else:
                left.unlink()

    def url_of(self, process: str) -> str:
        return f"http://127.0.0.1:{self.ports[process]}"

    def _simulators(self, pace: float) -> dict[str, Simulator]:
        found = {}
        if "TWILIO_BASE_URL" not in self._given:
            found["twilio"] = Simulator(
                "twilio",
                self.folder,
                *("--number", OUR_NUMBER, "--calls-per-second", "0"),
                *(
                    "--sms-url",
                    f"{self.public_url}/twilio/sms",
                    "--voice-url",
                    f"{self.public_url}/twilio/voice",
                    "--status-callback",
                    f"{self.public_url}/twilio/status/incoming",
                ),
                pace=pace,
            )
        if "FCM_BASE_URL" not in self._given:
            found["fcm"] = Simulator("fcm", self.folder, pace=pace)
        if "SMTP_HOST" not in self._given:
            found["smtp"] = Simulator("smtp", self.folder, pace=pace)
        if "OMS_URL" not in self._given:
            token = self._secret("OMS_TOKEN", secrets.token_urlsafe(24))
            found["oms"] = Simulator("oms", self.folder, f"--token={token}", pace=pace)
        return found

    def start(self) -> None:
        """Raises `PartError` with the end of its log where something does not come up."""
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def _start(self) -> None:
        self._told("starting Kafka, Postgres, S3 and the simulators")
        starts: list[Callable[[], Any]] = [simulator.start for simulator in self.simulators.values()]
        starts += [part.start for part in (self.postgres, self.s3) if part is not None]
        if self.kafka is not None:
            starts.append(self.kafka.open)
        _at_once(starts)
        if self._make_logins is not None and self.kafka is not None and self.kafka.doors is not None:
            self.logins = self._make_logins(self.kafka.doors)
        self.environment = self._environment()
        self._told("creating topics, tables and the evidence bucket")
        _at_once([self._topics, lambda: upgrade(self.environment["SAVELINE_PG_DSN"]), self._bucket])
        if self.kafka is not None:
            arguments = ("--bootstrap", self.kafka.bootstrap)
            self.simulators["fulfilment"] = Simulator("fulfilment", self.folder, *arguments, listens=False)
        self._told("starting worker, connectors and edge")
        for name in self.names:
            self.processes[name] = self._part(name, NOW)
        launches: list[Callable[[], Any]] = [partial(self._launch, name) for name in self.names]
        if "fulfilment" in self.simulators:
            launches.append(self.simulators["fulfilment"].start)
        self.launching.set()
        _at_once(launches)
        self._keeper.start()

    def _launch(self, name: str) -> None:
        """A process that ends before it is ready is a fault, unless it or the broker was killed on purpose.

        Nor is it one that somebody did not answer it in time: it says so, and is started again.
        """
        give_up = time.monotonic() + _READY_S
        while True:
            try:
                self.start_process(name)
            except PartError:
                waited_in_vain = self.processes[name].returncode == Unreachable.exit_code
                if not (self._killed.is_set() or waited_in_vain) or time.monotonic() > give_up:
                    raise
                self._started_again(name)
            else:
                return

    def _part(self, name: str, module: str) -> Part:
        kind, _, ordinal = name.partition("-")
        own = {"HTTP_PORT": str(self.ports[name]), "ORDINAL": ordinal or "0", "DATA_FOLDER": self._disk(name)}
        return Part(
            name,
            [sys.executable, "-m", module, kind],
            self.folder / "logs" / f"{name}.log",
            env=self.environment
            | {f"SAVELINE_{key}": value for key, value in own.items()}
            | self.login_of(kind),
            cwd=self.folder,
        )

    def _disk(self, name: str) -> str:
        """Each worker has its own."""
        return str(self.folder / name.replace("worker", "state"))

    def roll(self, name: str, module: str) -> None:
        """Tell a process of ours to end, as a platform does, and start it again as another version of `saveline`."""
        with self._restarting:
            self._told(
                f"{name}: ended with {self.processes[name].stop(timeout_s=_ROLL_S)}; starts as {module}"
            )
            self.processes[name] = self._part(name, module)
            self.start_process(name)

    def start_process(self, name: str) -> None:
        """Start one of ours and wait until it says that it is ready."""
        self.processes[name].start(lambda: ready(self.url_of(name)), timeout_s=_READY_S)

    def kill(self, name: str) -> None:
        """kill -9 for a process of ours or the broker, once it is there; it is started again."""
        self._killed.set()
        if name == "broker":
            if self.kafka is None:
                raise PartError("the broker is not ours to kill: SAVELINE_BROKER is set")
            with self._restarting:
                self.kafka.restart(1)
                self.restarts["broker"] = self.restarts.get("broker", 0) + 1
            return
        give_up = time.monotonic() + _READY_S
        while not self.processes[name].alive:
            if time.monotonic() > give_up:
                raise PartError(f"{name} is not there to be killed")
            time.sleep(_LOOK_S / 10)
        self.processes[name].send(signal.SIGKILL)

    def _keep(self) -> None:
        while not self._closing.wait(_LOOK_S):
            for name in self.names:
                with self._restarting, contextlib.suppress(PartError):
                    if self.processes[name].alive or self._closing.is_set():
                        continue
                    self._started_again(name)
                    # It may end at once again, as long as what it needs is away: then the next look tries once more.
                    self.start_process(name)

    def _started_again(self, name: str) -> None:
        self.restarts[name] = self.restarts.get(name, 0) + 1
        self._told(f"{name} ended with {self.processes[name].returncode}: started again")

    def close(self) -> None:
        """End everything, ours first, so that nothing complains about what is gone."""
        self._closing.set()
        if self._keeper.is_alive():
            self._keeper.join()
        # Their data goes with them: who does not end at once is ended.
        _at_once([partial(process.stop, timeout_s=_STOP_S) for process in self.processes.values()])
        # Only Postgres has something to leave in order: memory that the machine would keep.
        ends = [one.kill for one in (*self.simulators.values(), self.s3) if one is not None]
        ends += [self.postgres.stop] if self.postgres is not None else []
        ends += [self.kafka.close] if self.kafka is not None else []
        _at_once(ends)
        self._clear(keep=(_MARK, "logs"))
        os.close(self._lock)

    def login_of(self, command: str) -> dict[str, str]:
        """What the environment says besides to this command of `saveline`; nothing where Kafka asks nobody."""
        return environment_of(self.logins[command]) if command in self.logins else {}

    def _topics(self) -> None:
        broker = {"bootstrap.servers": self.environment["SAVELINE_BROKER"]}
        if "topics" in self.logins:
            broker = self.logins["topics"].client
        wanted = wanted_topics(
            app=self.environment.get("SAVELINE_APP", "saveline"),
            partitions=int(self.environment["SAVELINE_PARTITIONS"]),
            replication=int(self.environment["SAVELINE_REPLICATION"]),
        )
        if left := apply(broker, wanted):
            raise PartError("topics need a person:\n" + "\n".join(str(one) for one in left))

    def _bucket(self) -> None:
        """A versioned bucket under object lock, unless it is there; retention is each object's own."""
        client, name = self.client_of_s3(), self.environment["SAVELINE_EVIDENCE_BUCKET"]
        if name not in [bucket["Name"] for bucket in client.list_buckets()["Buckets"]]:
            client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)

    def client_of_s3(self) -> Any:
        if self.s3 is not None:
            return self.s3.client()
        endpoint = self.environment["SAVELINE_S3_ENDPOINT"]
        return boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")

    def _environment(self) -> dict[str, str]:
        """What each process is given; also written to `folder/env`, for other commands of `saveline`."""
        evidence_key, verify_key = self.folder / "evidence.pem", self.folder / "evidence.pub.pem"
        if not evidence_key.exists():
            key = Ed25519PrivateKey.generate()
            evidence_key.touch(mode=0o600)
            evidence_key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
            public = key.public_key()
            verify_key.write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        ours = {
            "PARTITIONS": str(self._partitions),
            "REPLICATION": "1",
            "DATA_FOLDER": self._disk("worker"),
            "PUBLIC_URL": self.public_url,
            "RETAILER": "Greengrocer",
            "LINK_SECRETS": self._secret("LINK_SECRETS", secrets.token_urlsafe(24)),
            "APP_SECRETS": self._secret("APP_SECRETS", secrets.token_urlsafe(24)),
            "STAFF_SECRETS": self._secret("STAFF_SECRETS", secrets.token_urlsafe(24)),
            "DRIVER_SECRETS": self._secret("DRIVER_SECRETS", secrets.token_urlsafe(24)),
            "VAULT_SALT": self._secret("VAULT_SALT", secrets.token_urlsafe(24)),
            "VAULT_KEY": self._secret("VAULT_KEY", base64.b64encode(secrets.token_bytes(32)).decode()),
            "EVIDENCE_BUCKET": _BUCKET,
            "EVIDENCE_KEY_FILE": str(evidence_key),
            "EVIDENCE_PUBLIC_KEYS": str(verify_key),
            "BOOKS": ",".join(f"{name}={one.control}" for name, one in self.simulators.items()),
            # The workers' own disk as well: nothing of theirs may tell who a customer is.
            "LOGS": ",".join(
                [
                    *(str(self.folder / "logs" / f"{name}.log") for name in self.names),
                    *(self._disk(name) for name in self.names if name.startswith("worker")),
                ]
            ),
            "SMS_SENDER": OUR_NUMBER,
            "VOICE_SENDER": OUR_NUMBER,
            "EMAIL_SENDER": "orders@greengrocer.test",
            "CALLS_PER_SECOND": "50",
            "PROVIDER_TIMEOUT_S": "3",
            "SESSION_TIMEOUT_S": "6",
            "TEST_SWITCH": "true",
        }
        if self._policies is not None:
            ours["POLICIES"] = str(self._policies)
        if self.kafka is not None:
            ours["BROKER"] = self.kafka.bootstrap
        if self.postgres is not None:
            ours["PG_DSN"] = self.postgres.dsn
        if self.s3 is not None:
            ours["S3_ENDPOINT"] = self.s3.endpoint
        simulators = self.simulators
        if "twilio" in simulators:
            ours |= {
                "TWILIO_BASE_URL": simulators["twilio"].url,
                "TWILIO_ACCOUNT_SID": ACCOUNT_SID,
                "TWILIO_AUTH_TOKEN": AUTH_TOKEN,
                # Our callers' ears are as fast as their mouths.
                "VOICE_PACE": str(self._pace),
            }
        if "fcm" in simulators:
            account = simulators["fcm"].folder / "service-account.json"
            ours |= {"FCM_BASE_URL": simulators["fcm"].url, "FCM_ACCOUNT_FILE": str(account)}
        if "smtp" in simulators:
            port = str(simulators["smtp"].port)
            ours |= {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": port, "SMTP_TLS": "false"}
        if "oms" in simulators:
            ours |= {"OMS_URL": simulators["oms"].url, "OMS_TOKEN": self._secret("OMS_TOKEN", "")}
        environment = {f"SAVELINE_{name}": value for name, value in (ours | self._given).items()}
        if self.s3 is not None:
            environment |= {
                "AWS_ACCESS_KEY_ID": self.s3.access_key,
                "AWS_SECRET_ACCESS_KEY": self.s3.secret_key,
            }
        kept = self.folder / "env"
        kept.touch(mode=0o600)
        kept.write_text("".join(f"{name}={_quoted(value)}\n" for name, value in sorted(environment.items())))
        return environment

    def _secret(self, name: str, fresh: str) -> str:
        """Kept in the folder, so that a second start opens what the first one sealed."""
        if name in self._given:
            return self._given[name]
        file = self.folder / "secrets" / name.lower()
        if not file.exists():
            file.parent.mkdir(exist_ok=True, mode=0o700)
            file.touch(mode=0o600)
            file.write_text(fresh)
        return file.read_text()

    def pids(self) -> dict[int, str]:
        """Every process that lives, with its name."""
        parts = [*list(self.processes.values()), *(one.part for one in list(self.simulators.values()))]
        parts += [one.part for one in (self.postgres, self.s3) if one is not None]
        parts += [node.part for node in self.kafka.nodes] if self.kafka is not None else []
        return {part.pid: part.name for part in parts if part.alive}

    def described(self) -> dict[str, Any]:
        """Every address, port, pid and secret file, for people and for suites of others."""
        parts: dict[str, Any] = {}
        for name, process in self.processes.items():
            parts[name] = _at(process, self.ports[name]) | {"url": self.url_of(name)}
        for name, simulator in self.simulators.items():
            # What reads and writes Kafka has no door of its own but the tests'.
            door = {"port": simulator.port} if simulator.listens else {}
            speaks_http = simulator.listens and name != "smtp"
            parts[name] = _at(simulator.part, **door) | ({"url": simulator.url} if speaks_http else {})
            parts[name] |= {
                "control": f"{simulator.control}/_control",
                "control_port": simulator.control_port,
                "book": str(simulator.folder / f"{name}.book.jsonl"),
            }
        files = {
            "environment": self.folder / "env",
            "evidence_key": self.folder / "evidence.pem",
            "evidence_public_key": self.folder / "evidence.pub.pem",
            # Each of the product's secrets that was not given.
            **{file.name: file for file in (self.folder / "secrets").glob("*")},
        }
        if "fcm" in self.simulators:
            files["fcm_account"] = self.simulators["fcm"].folder / "service-account.json"
        if self.kafka is not None:
            node = self.kafka.node(1)
            port = int(self.kafka.bootstrap.partition(",")[0].rpartition(":")[2])
            parts["kafka"] = _at(node.part, port) | {"bootstrap": self.kafka.bootstrap}
        if self.postgres is not None:
            parts["postgres"] = _at(self.postgres.part, self.postgres.port)
            files["postgres_password"] = self.postgres.password_file
        if self.s3 is not None:
            port = int(self.s3.endpoint.rpartition(":")[2])
            bucket = self.environment["SAVELINE_EVIDENCE_BUCKET"]
            parts["s3"] = _at(self.s3.part, port) | {"url": self.s3.endpoint, "bucket": bucket}
            files["s3_credentials"] = self.s3.credentials_file
        plain = {
            name: value
            for name, value in self.environment.items()
            if name.startswith("SAVELINE_") and name.removeprefix("SAVELINE_") not in _SECRET
        }
        return {
            "folder": str(self.folder),
            "pid": os.getpid(),
            "public_url": self.public_url,
            "parts": parts,
            "secret_files": {name: str(file) for name, file in files.items()},
            "environment": plain,
        }


def _at(part: Part, port: int | None = None) -> dict[str, Any]:
    door = {} if port is None else {"address": f"127.0.0.1:{port}", "port": port}
    return {"pid": part.pid, "log": str(part.log), **door}


def with_policy(folder: Path, file: Path) -> None:
    """The shipped policies and one more, none of them locked; raises `PolicyFaults`."""
    for shipped in shelf.SHIPPED.glob("*.yaml"):
        shutil.copy(shipped, folder)
    try:
        given = yaml.safe_load(file.read_text(encoding="utf-8"))
        name = f"{given['id']}.v{given['version']}.yaml"
    except (OSError, yaml.YAMLError, TypeError, KeyError) as error:
        raise shelf.PolicyFaults([f"{file}: no policy with id and version can be read: {error!r}"]) from error
    shutil.copy(file, folder / name)
    shelf.load(folder)


def ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except urllib.error.HTTPError:
        return False


def quiescent(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/_test/quiescent", timeout=5) as answer:
            return bool(json.loads(answer.read())["quiescent"])
    except OSError:
        return False


def _at_once(works: list[Callable[[], Any]]) -> None:
    """All of them, side by side; the first fault is raised once all are over."""
    if works:
        with ThreadPoolExecutor(len(works)) as pool:
            for done in [pool.submit(work) for work in works]:
                done.result()


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "'\\''") + "'"
