"""Whether Kafka lets a process in, and to all that it needs: asked once, before it begins."""

import re
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient, TopicDescription

from streams import login
from streams.login import PREFIX
from streams.rights import Right

TIMEOUT_S = 30.0
# The client gives up first, and says why.
GRACE_S = 5.0
# A new cluster makes its list of groups at the first question; a start does not wait for that for long.
_GROUPS_S = 10.0
# How long each try may take: a refusal is seen between two of them, and a slow broker has the last ones.
_TRIES_S = (1.0, 2.0, 4.0, 8.0, 15.0)
_WORD = re.compile(r"(?<!^)(?=[A-Z])")


class UnreachableError(Exception):
    """No broker answered at this address, or not what was asked."""


class RefusedError(Exception):
    """Kafka does not let us in, or not to something: no waiting will mend it. One line."""

    def __init__(self, words: str, do: str) -> None:
        super().__init__(f"Kafka: {words}. To do: {do}")
        self.words, self.do = words, do


def connected(client: Mapping[str, Any], *, patient: bool = True) -> AdminClient:
    """An admin client whose login was taken. Raises `UnreachableError`, `RefusedError`.

    Without patience, a broker to which there is no way is not waited for.
    """
    causes: list[KafkaError] = []
    properties: dict[str, Any] = {"log_level": 0, **client, "error_cb": causes.append}
    admin = AdminClient(properties)
    for timeout_s in _TRIES_S:
        try:
            admin.list_topics(timeout=timeout_s)
        except KafkaException as error:
            # The client goes on trying whatever the cause, and tells it only here.
            admin.poll(0)
            for cause in causes:
                if refusal := _refusal(cause, client):
                    raise refusal from error
            if timeout_s == _TRIES_S[-1] or (causes and not patient):
                raise _unreachable(causes, error, client) from error
        else:
            break
    return admin


def require(client: Mapping[str, Any], rights: Iterable[Right], *, patient: bool = True) -> list[str]:
    """Returns the topics that are not there. Raises `UnreachableError`, and `RefusedError` with all that is denied.

    A transaction's id cannot be asked about: its first use tells. Nor a broker that does not say who may do what.
    """
    admin = connected(client, patient=patient)
    wanted: dict[str, dict[str, set[str]]] = {"topic": {}, "group": {}}
    for right in rights:
        if right.kind in wanted and not right.prefixed:
            wanted[right.kind].setdefault(right.name, set()).update(right.operations)
    there, missing, hidden = described(admin, wanted["topic"])
    lacking = {
        **{name: sorted(wanted["topic"][name]) for name in hidden},
        **{name: _lacking(wanted["topic"][name], one.authorized_operations) for name, one in there.items()},
    }
    denied = [f"{'+'.join(lacking[name])} topic {name}" for name in wanted["topic"] if lacking.get(name)]
    denied += _groups(admin, wanted["group"])
    if denied:
        raise refused(client, denied)
    return missing


def missing(topic: str) -> str:
    return f"topics: {topic} is missing. To do: run `saveline topics apply`"


def described(
    admin: AdminClient, topics: Iterable[str]
) -> tuple[dict[str, TopicDescription], list[str], list[str]]:
    """(what there is, what is missing, what we may not even see). Raises `UnreachableError`."""
    there: dict[str, TopicDescription] = {}
    missing: list[str] = []
    hidden: list[str] = []
    asked = admin.describe_topics(
        TopicCollection(list(topics)), include_authorized_operations=True, request_timeout=TIMEOUT_S
    )
    for name, future in asked.items():
        try:
            there[name] = future.result(TIMEOUT_S + GRACE_S)
        except TimeoutError as error:
            raise UnreachableError(f"no answer about topic {name} in {TIMEOUT_S:.0f} s") from error
        except KafkaException as error:
            match error.args[0].code():
                case KafkaError.UNKNOWN_TOPIC_OR_PART:
                    missing.append(name)
                case KafkaError.TOPIC_AUTHORIZATION_FAILED:
                    hidden.append(name)
                case _:
                    raise UnreachableError(f"no answer about topic {name}: {error.args[0].str()}") from error
    return there, missing, hidden


def refused(client: Mapping[str, Any], denied: Sequence[str]) -> RefusedError:
    """`denied` are operations with what they are denied on."""
    return RefusedError(
        f"{login.name(client)} may not {', '.join(denied)}",
        "grant it; `saveline acls` lists all that each process needs",
    )


def _groups(admin: AdminClient, wanted: Mapping[str, set[str]]) -> list[str]:
    denied: list[str] = []
    if not wanted:
        return denied
    asked = admin.describe_consumer_groups(
        list(wanted), include_authorized_operations=True, request_timeout=_GROUPS_S
    )
    for name, future in asked.items():
        # A group that nobody has joined yet, or whose coordinator moves, says nothing about rights.
        try:
            lacking = _lacking(wanted[name], future.result(_GROUPS_S + GRACE_S).authorized_operations)
        except TimeoutError:
            lacking = []
        except KafkaException as error:
            lacking = (
                sorted(wanted[name]) if error.args[0].code() == KafkaError.GROUP_AUTHORIZATION_FAILED else []
            )
        if lacking:
            denied.append(f"{'+'.join(lacking)} group {name}")
    return denied


def _lacking(wanted: set[str], granted: Iterable[Enum] | None) -> list[str]:
    names = None if granted is None else {operation.name for operation in granted}
    return [one for one in sorted(wanted) if names is not None and _WORD.sub("_", one).upper() not in names]


def _refusal(cause: KafkaError, client: Mapping[str, Any]) -> RefusedError | None:
    at, said = login.address(client), _said(cause)
    if cause.code() == KafkaError._AUTHENTICATION:  # noqa: SLF001 -- public in spite of its name
        return RefusedError(
            f"{at} refuses the login of {login.name(client)}: {said}",
            f"set {PREFIX}BROKER_USER, {PREFIX}BROKER_PASSWORD and {PREFIX}BROKER_MECHANISM as Kafka knows them",
        )
    # What the other side says against our certificate comes as a connection that was cut.
    if cause.code() == KafkaError._SSL or "SSL routines" in cause.str():  # noqa: SLF001
        return RefusedError(
            f"no TLS with {at}: {said}",
            f"set {PREFIX}BROKER_CA_FILE to who signed the brokers' certificates, "
            f"and {PREFIX}BROKER_CERTIFICATE_FILE where Kafka asks for one",
        )
    return None


def _unreachable(
    causes: list[KafkaError], error: KafkaException, client: Mapping[str, Any]
) -> UnreachableError:
    said = _said(causes[0]) if causes else error.args[0].str()
    security = client.get("security.protocol", "PLAINTEXT")
    return UnreachableError(
        f"no answer from {login.address(client)} under {security}: {said}. To do: start Kafka, or set "
        f"{PREFIX}BROKER and {PREFIX}BROKER_SECURITY"
    )


def _said(cause: KafkaError) -> str:
    """The broker's or OpenSSL's own words, without librdkafka's around them."""
    words = re.sub(r"^\S+://\S+: | \(after \d+ms in state \w+.*\)$", "", cause.str())
    return re.sub(r"^(SASL authentication error|SSL handshake failed): ", "", words)
