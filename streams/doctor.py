"""What is reachable and what is wrong, in words, each with what to do about it; it changes and sends nothing."""

import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import boto3
import msgspec
import psycopg
import requests
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from confluent_kafka import KafkaException
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from connectors import kill_switches
from connectors.channels.email import session_opener
from connectors.channels.push import Push
from connectors.clock import Clock
from connectors.register import migrate
from state import shelf
from streams import access
from streams.access import RefusedError, UnreachableError
from streams.environment import Faulty, Variable, checked, names
from streams.login import KafkaSettings
from streams.topics import wanted_topics
from streams.topics_broker import differences

_TIMEOUT_S = 5.0
_TWILIO = "https://api.twilio.com"


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """One part: `ok`, or what is wrong and what to do."""

    part: str
    ok: bool
    words: str
    do: str = ""


class Wrong(Exception):
    """What is wrong, and what to do; `away`: nobody answered, which may pass by itself."""

    def __init__(self, words: str, do: str, *, away: bool = False) -> None:
        super().__init__(words)
        # One line, however many the other side used.
        self.words, self.do, self.away = " ".join(words.split()), do, away


class Doctor:
    """`given` is every setting by its name without the prefix, defaults included, empty where there is none."""

    def __init__(self, given: Mapping[str, str], variables: list[Variable], clock: Clock) -> None:
        self._given, self._variables, self._clock = given, variables, clock

    def looks(self) -> Iterator[Diagnosis]:
        """One after another, so that each can be told when it is known."""
        parts: list[tuple[str, Callable[[], str]]] = [
            ("settings", self._settings),
            ("policies", self._policies),
            ("Kafka", self._kafka),
            ("topics", self._topics),
            ("schema registry", self._registry),
            ("Postgres", self._postgres),
            ("kill switches", self._switches),
            ("evidence bucket", self._bucket),
            ("evidence key", self._key),
            ("OMS", self._oms),
            ("Twilio", self._twilio),
            ("FCM", self._fcm),
            ("SMTP", self._smtp),
            ("edge", self._edge),
        ]
        for part, look in parts:
            try:
                yield Diagnosis(part=part, ok=True, words=look())
            except Wrong as wrong:
                yield Diagnosis(part=part, ok=False, words=wrong.words, do=wrong.do)

    def lacks(self, *parts: Literal["evidence bucket", "evidence key"]) -> list[str]:
        """What no waiting will mend, one line each: a process that needs it should not start."""
        found: list[str] = []
        looks = {"evidence bucket": self._bucket, "evidence key": self._key}
        for part in parts:
            try:
                looks[part]()
            except Wrong as wrong:
                if not wrong.away:
                    found.append(f"{part}: {wrong.words}. To do: {wrong.do}")
        return found

    def _need(self, *names: str) -> list[str]:
        missing = [name for name in names if not self._given.get(name)]
        if missing:
            raise Wrong("not looked at", f"set {', '.join(f'SAVELINE_{name}' for name in missing)}")
        return [self._given[name] for name in names]

    def _number(self, name: str) -> int:
        (value,) = self._need(name)
        if not value.isdigit():
            raise Wrong(f"SAVELINE_{name} is no number: {value}", f"set SAVELINE_{name}")
        return int(value)

    def _settings(self) -> str:
        faulty = [one for one in self._variables if one.fault]
        if faulty:
            named = "; ".join(f"{one.name}: {one.fault}" for one in faulty)
            raise Wrong(
                f"{len(faulty)} missing or wrong: {named}", "set them; `saveline config show` lists all"
            )
        return f"{len(self._variables)} settings, none missing"

    def _policies(self) -> str:
        folder = Path(self._given["POLICIES"])
        try:
            return f"{len(shelf.load(folder).by_key)} policies in {folder}"
        except (shelf.PolicyFaults, OSError) as error:
            raise Wrong(str(error), f"run `saveline policy check --folder {folder}`") from error

    def _kafka(self) -> str:
        kafka = self._login()
        for address in kafka.broker.split(","):
            host, _, port = address.strip().rpartition(":")
            try:
                socket.create_connection((host, int(port)), _TIMEOUT_S).close()
            except (OSError, ValueError):
                continue
            try:
                access.connected(kafka.client)
            except RefusedError as error:
                raise Wrong(error.words, error.do) from error
            except UnreachableError as error:
                raise Wrong(
                    str(error), "set SAVELINE_BROKER_SECURITY as the listener there wants it"
                ) from error
            as_whom = f", and takes the login of {kafka.broker_user}" if kafka.has_login else ""
            return f"answers at {address}{as_whom}"
        raise Wrong(f"nobody answers at {kafka.broker}", "start Kafka, or set SAVELINE_BROKER")

    def _login(self) -> KafkaSettings:
        given = {name: self._given[name.upper()] for name in names(KafkaSettings)}
        try:
            return checked(KafkaSettings, {name: value for name, value in given.items() if value})
        except Faulty as error:
            raise Wrong(
                str(error).replace("\n", "; "), "set them; `saveline config show` lists all"
            ) from error

    def _topics(self) -> str:
        app = self._given["APP"]
        partitions, replication = self._number("PARTITIONS"), self._number("REPLICATION")
        wanted = wanted_topics(app=app, partitions=partitions, replication=replication)
        try:
            found = differences(self._login().client, wanted)
        except (UnreachableError, RefusedError) as error:
            raise Wrong(f"not looked at: {error}", "see Kafka") from error
        except KafkaException as error:
            do = "grant Describe and DescribeConfigs on the topics: `saveline acls`"
            raise Wrong(f"may not be looked at: {error.args[0].str()}", do) from error
        if found:
            do = f"run `saveline topics apply {self._given['BROKER']} --partitions {partitions}`"
            do += f" --replication {replication}"
            raise Wrong("; ".join(str(one) for one in found), do)
        return f"{len(wanted)} topics are as they have to be"

    def _registry(self) -> str:
        url = self._given.get("SCHEMA_REGISTRY_URL", "")
        if not url:
            return "none is set: the committed lock file gives the ids"
        answer = _get(f"{url.rstrip('/')}/subjects", "start the registry, or set SCHEMA_REGISTRY_URL")
        if not answer.ok:
            raise Wrong(
                f"{url} answers {answer.status_code}", "set SCHEMA_REGISTRY_URL to a Confluent registry"
            )
        return f"{len(answer.json())} subjects at {url}"

    def _postgres(self) -> str:
        (dsn,) = self._need("PG_DSN")
        try:
            lacking = migrate.lacking(dsn)
        except psycopg.Error as error:
            raise Wrong(str(error).strip(), "start Postgres, or set SAVELINE_PG_DSN") from error
        if lacking:
            raise Wrong(f"lacks the revisions {', '.join(lacking)}", "run `saveline migrate`")
        return "answers, and has every revision"

    def _switches(self) -> str:
        """A thrown one is somebody's will, and the first thing to know where nothing is sent."""
        (dsn,) = self._need("PG_DSN")
        try:
            with psycopg.connect(dsn, connect_timeout=5) as connection:
                thrown = [f"{scope} {name}" for scope, name in kill_switches.thrown(connection)]
        except psycopg.Error as error:
            raise Wrong(f"not looked at: {error}", "see Postgres") from error
        return f"thrown: {', '.join(thrown)}; see `saveline kill-switch ls`" if thrown else "none is thrown"

    def _bucket(self) -> str:
        (name,) = self._need("EVIDENCE_BUCKET")
        client: Any = boto3.client(
            "s3",
            endpoint_url=self._given.get("S3_ENDPOINT") or None,
            region_name="us-east-1",
            config=Config(connect_timeout=_TIMEOUT_S, read_timeout=_TIMEOUT_S, retries={"max_attempts": 1}),
        )
        try:
            client.head_bucket(Bucket=name)
            lock = client.get_object_lock_configuration(Bucket=name)["ObjectLockConfiguration"]
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code == "ObjectLockConfigurationNotFoundError":
                raise Wrong(
                    f"{name} has no object lock", "create it anew with object lock enabled"
                ) from error
            do = "create it with object lock, or set SAVELINE_EVIDENCE_BUCKET and the credentials (AWS_...)"
            raise Wrong(f"{name}: {code}", do) from error
        except BotoCoreError as error:
            raise Wrong(f"{error}", "start the store, or set SAVELINE_S3_ENDPOINT", away=True) from error
        if lock.get("ObjectLockEnabled") != "Enabled":
            raise Wrong(f"{name} has no object lock", "create it anew with object lock enabled")
        return f"{name} is there, and locks its objects"

    def _key(self) -> str:
        (path,) = self._need("EVIDENCE_KEY_FILE")
        do = "make one: `openssl genpkey -algorithm ed25519`, and set SAVELINE_EVIDENCE_KEY_FILE"
        try:
            key = load_pem_private_key(Path(path).read_bytes(), None)
        except (OSError, ValueError, TypeError) as error:
            raise Wrong(f"{path} cannot be read as a key: {type(error).__name__}", do) from error
        if not isinstance(key, Ed25519PrivateKey):
            raise Wrong(f"{path} holds no Ed25519 private key", do)
        return f"{path} signs"

    def _oms(self) -> str:
        url, token = self._need("OMS_URL", "OMS_TOKEN")
        do = "start the order system, or set SAVELINE_OMS_URL"
        headers = {"Authorization": f"Bearer {token}"}
        answer = _get(f"{url.rstrip('/')}/orders/saveline-doctor", do, headers=headers)
        if answer.status_code in (401, 403):
            raise Wrong(f"{url} refuses the token", "set SAVELINE_OMS_TOKEN")
        # An order of that name is not expected: that it is not there is an answer.
        if answer.status_code != 404 and not answer.ok:
            raise Wrong(f"{url} answers {answer.status_code}", do)
        return f"answers at {url}, and takes the token"

    def _twilio(self) -> str:
        account, token = self._need("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN")
        base = (self._given.get("TWILIO_BASE_URL") or _TWILIO).rstrip("/")
        do = "open the way to it, or set SAVELINE_TWILIO_BASE_URL"
        url = f"{base}/2010-04-01/Accounts/{account}/Messages.json?PageSize=1"
        answer = _get(url, do, auth=(account, token.rpartition(",")[2]))
        if answer.status_code in (401, 403, 404):
            raise Wrong(
                f"{base} refuses the account: {answer.status_code}",
                "set SAVELINE_TWILIO_ACCOUNT_SID and SAVELINE_TWILIO_AUTH_TOKEN",
            )
        if not answer.ok:
            raise Wrong(f"{base} answers {answer.status_code}", do)
        return f"answers at {base}, and knows the account"

    def _fcm(self) -> str:
        (path,) = self._need("FCM_ACCOUNT_FILE")
        try:
            account = msgspec.json.decode(Path(path).read_bytes(), type=dict[str, str])
            Push(account, self._given["FCM_BASE_URL"], _TIMEOUT_S, self._clock).check()
        except requests.RequestException as error:
            do = "open the way to it, or renew SAVELINE_FCM_ACCOUNT_FILE"
            raise Wrong(f"gives no token: {type(error).__name__}", do) from error
        except (OSError, ValueError, KeyError) as error:
            do = "set SAVELINE_FCM_ACCOUNT_FILE to the project's service account (JSON)"
            raise Wrong(f"{path} is no service account: {type(error).__name__}", do) from error
        return f"gives a token to {account.get('client_email', path)}"

    def _smtp(self) -> str:
        (host,), port = self._need("SMTP_HOST"), self._number("SMTP_PORT")
        user, password = self._given.get("SMTP_USER", ""), self._given.get("SMTP_PASSWORD", "")
        tls = self._given.get("SMTP_TLS", "").lower() in ("true", "1", "yes", "on")
        try:
            context = ssl.create_default_context() if tls else None
            opener = session_opener(host, port, _TIMEOUT_S, tls=context, user=user, password=password)
            opener().quit()
        except OSError as error:
            do = "start it, or set SAVELINE_SMTP_HOST, _PORT, _TLS, _USER and _PASSWORD"
            raise Wrong(f"{host}:{port}: {type(error).__name__}: {error}", do) from error
        return f"takes us at {host}:{port}"

    def _edge(self) -> str:
        (url,) = self._need("PUBLIC_URL")
        do = "start `saveline edge`, and lead SAVELINE_PUBLIC_URL to it"
        # By a door, since nothing else of it need be public; a link that nobody signed opens nothing.
        answer = _get(f"{url.rstrip('/')}/c/doctor", do, headers={"Accept": "application/json"})
        if answer.status_code != 404 or '"error"' not in answer.text:
            raise Wrong(f"{url} answers {answer.status_code}: {answer.text[:120]}", do)
        return f"answers behind {url}"


def _get(url: str, do: str, **more: Any) -> requests.Response:
    try:
        return requests.get(url, timeout=_TIMEOUT_S, allow_redirects=False, **more)
    except requests.RequestException as error:
        raise Wrong(f"{url.partition('?')[0]}: {type(error).__name__}", do) from error
