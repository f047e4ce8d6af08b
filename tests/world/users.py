"""Users of a secured broker, and what they may do, as whoever runs Kafka would make them."""

import secrets
from collections.abc import Iterable

from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from streams.access import RefusedError, connected
from streams.environment import checked, names
from streams.login import KafkaSettings
from streams.rights import Right
from tests.streams.rig import until
from tests.world.kafka import Doors

_ITERATIONS = 4096
_TIMEOUT_S = 60.0
# Resource, name, whether it is a prefix, operation; in the words of an ACL of Strimzi's.
Grant = tuple[str, str, bool, str]
_KINDS = {
    "topic": ResourceType.TOPIC,
    "group": ResourceType.GROUP,
    "transactionalId": ResourceType.TRANSACTIONAL_ID,
}


def grants(right: Right) -> list[Grant]:
    return [(right.kind, right.name, right.prefixed, operation) for operation in right.operations]


class Users:
    """Makes users with a password, and grants."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors
        self._admin = AdminClient({"bootstrap.servers": doors.inside, "log_level": 0})

    def made(self, name: str) -> KafkaSettings:
        """A new user's settings."""
        password = secrets.token_urlsafe(12)
        mechanism = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, _ITERATIONS)
        asked = self._admin.alter_user_scram_credentials(
            [UserScramCredentialUpsertion(name, mechanism, password.encode())], request_timeout=_TIMEOUT_S
        )
        asked[name].result(_TIMEOUT_S)
        kafka = self.login(name, password)
        until(lambda: _known(kafka), f"the user {name}")
        return kafka

    def login(self, name: str, password: str, mechanism: str = "SCRAM-SHA-512") -> KafkaSettings:
        given = {
            "broker": self._doors.login,
            "broker_security": "SASL_SSL",
            "broker_mechanism": mechanism,
            "broker_user": name,
            "broker_password": password,
            "broker_ca_file": str(self._doors.authority.ca),
        }
        return checked(KafkaSettings, given)

    def grant(self, principal: str, grants: Iterable[Grant]) -> None:
        """`principal` is the user's name, or the subject of a certificate; the authorizer may take a moment."""
        bindings = [_binding(principal, grant) for grant in grants]
        for future in self._admin.create_acls(bindings, request_timeout=_TIMEOUT_S).values():
            future.result(_TIMEOUT_S)

    def revoke(self, principal: str, grant: Grant) -> None:
        """As `grant`, it may take a moment."""
        for future in self._admin.delete_acls(
            [_binding(principal, grant)], request_timeout=_TIMEOUT_S
        ).values():
            future.result(_TIMEOUT_S)


def environment_of(kafka: KafkaSettings) -> dict[str, str]:
    """What leads a process there."""
    given = {name: getattr(kafka, name) for name in names(KafkaSettings)}
    return {f"SAVELINE_{name.upper()}": str(value) for name, value in given.items() if value}


def _known(kafka: KafkaSettings) -> bool:
    try:
        connected(kafka.client)
    except RefusedError:
        return False
    return True


def _binding(principal: str, grant: Grant) -> AclBinding:
    kind, name, prefixed, operation = grant
    pattern = ResourcePatternType.PREFIXED if prefixed else ResourcePatternType.LITERAL
    word = "".join(f"_{letter}" if letter.isupper() else letter for letter in operation).lstrip("_")
    return AclBinding(
        _KINDS[kind],
        name,
        pattern,
        f"User:{principal}",
        "*",
        AclOperation[word.upper()],
        AclPermissionType.ALLOW,
    )
