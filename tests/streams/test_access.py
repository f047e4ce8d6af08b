"""A real broker that lets in only whom it knows: what a login, a certificate and a grant open, and what is said."""

import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from streams import rights
from streams.access import RefusedError, UnreachableError, connected, require
from streams.cli import app
from streams.login import KafkaSettings
from streams.rights import Right
from streams.topics import Topic, wanted_topics
from tests.streams.rig import until
from tests.world.certificates import Authority
from tests.world.kafka import PLAIN_PASSWORD, PLAIN_USER, Doors
from tests.world.users import Users, environment_of

pytestmark = [pytest.mark.real]


@pytest.fixture
def users(doors: Doors) -> Users:
    return Users(doors)


@pytest.fixture
def own() -> str:
    """A name that no other test has."""
    return f"own-{uuid.uuid4().hex}"


def reading(topic: str) -> list[Right]:
    return [
        Right(kind="topic", name=topic, operations=("Read",)),
        Right(kind="group", name=topic, operations=("Read",)),
    ]


def created(doors: Doors, topic: str) -> None:
    admin = AdminClient({"bootstrap.servers": doors.inside})
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(60)
    # Made is not yet known everywhere.
    until(lambda: topic in admin.list_topics(timeout=20).topics, f"{topic} to be known")


def allowed(kafka: KafkaSettings, needed: list[Right]) -> bool:
    try:
        return not require(kafka.client, needed)
    except RefusedError:
        return False


def test_who_may_not_is_told_everything_at_once_and_let_in_once_it_is_granted(
    doors: Doors, users: Users, own: str
) -> None:
    kafka = users.made(own)
    created(doors, own)
    needed = [*reading(own), Right(kind="topic", name=own, operations=("Read", "Write"))]
    with pytest.raises(RefusedError) as refused:
        require(kafka.client, needed)
    assert str(refused.value) == (
        f"Kafka: {own} may not Read+Write topic {own}, Read group {own}. "
        "To do: grant it; `saveline acls` lists all that each process needs"
    )
    users.grant(own, [("topic", own, False, "Read"), ("group", own, False, "Read")])
    until(lambda: allowed(kafka, reading(own)), "the grants")
    with pytest.raises(RefusedError, match=f"{own} may not Write topic {own}"):
        require(kafka.client, needed)
    users.grant(own, [("topic", own[:-1], True, "Write")])
    until(lambda: allowed(kafka, needed), "the prefix")


def test_a_topic_that_is_not_there_is_no_matter_of_rights(doors: Doors, users: Users, own: str) -> None:
    kafka = users.made(own)
    users.grant(own, [("topic", own, False, "Read"), ("group", own, False, "Read")])
    until(lambda: heard(kafka, own) == [own], "the grants")
    # Who may do anything is not asked for a grant.
    assert require(KafkaSettings(broker=doors.inside).client, reading(own)) == [own]


def heard(kafka: KafkaSettings, topic: str) -> list[str]:
    try:
        return require(kafka.client, reading(topic))
    except RefusedError as error:
        return [str(error)]


WRONG = [
    (lambda users, _: users.login("nobody", "wrong"), "refuses the login of nobody: .*invalid credentials"),
    (
        lambda users, _: users.login(PLAIN_USER, "wrong", "PLAIN"),
        f"refuses the login of {PLAIN_USER}: .*set SAVELINE_BROKER_USER",
    ),
    (
        lambda users, _: users.login("nobody", "wrong", "SCRAM-SHA-256"),
        "supported mechanisms: SCRAM-SHA-512,PLAIN",
    ),
    (
        lambda users, stranger: replace(users.login("nobody", "wrong"), broker_ca_file=stranger.ca),
        "no TLS with .*certificate verify failed.*set SAVELINE_BROKER_CA_FILE",
    ),
]


@pytest.mark.parametrize(("wrong", "words"), WRONG, ids=["user", "password", "mechanism", "authority"])
def test_a_login_that_is_refused_is_told_in_one_line_with_what_to_do(
    users: Users,
    tmp_path_factory: pytest.TempPathFactory,
    wrong: Callable[[Users, Authority], KafkaSettings],
    words: str,
) -> None:
    kafka = wrong(users, Authority(tmp_path_factory.mktemp("stranger")))
    with pytest.raises(RefusedError, match=words) as refused:
        connected(kafka.client)
    assert "\n" not in str(refused.value)


def test_the_wrong_door_says_which_setting_to_look_at(doors: Doors) -> None:
    plainly = KafkaSettings(broker=doors.login)
    with pytest.raises(UnreachableError, match=r"under PLAINTEXT: .*SAVELINE_BROKER_SECURITY"):
        connected(plainly.client, patient=False)


def test_the_other_mechanism_and_a_certificate_let_in_as_well(doors: Doors, users: Users, own: str) -> None:
    connected(users.login(PLAIN_USER, PLAIN_PASSWORD, "PLAIN").client)
    certificate, key = doors.authority.signed(own)
    created(doors, own)
    files = {"broker_certificate_file": certificate, "broker_key_file": key}
    kafka = KafkaSettings(
        broker=doors.certificate, broker_security="SSL", broker_ca_file=doors.authority.ca, **files
    )
    with pytest.raises(RefusedError, match=f"may not Read topic {own}, Read group {own}"):
        require(kafka.client, reading(own))
    users.grant(f"CN={own}", [("topic", own, False, "Read"), ("group", own, False, "Read")])
    until(lambda: allowed(kafka, reading(own)), "the grants")
    without = replace(kafka, **dict.fromkeys(files))
    with pytest.raises(RefusedError, match=r"no TLS with .*SAVELINE_BROKER_CERTIFICATE_FILE"):
        connected(without.client)


def test_topics_are_made_by_a_user_who_may_do_only_that(
    users: Users, own: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kafka = users.made(own)
    for name, value in environment_of(kafka).items():
        monkeypatch.setenv(name, value)
    command = ["topics", "apply", "--partitions", "1", "--replication", "1", "--app-id", own]
    assert app(command, result_action="return_value") == 2
    said = capsys.readouterr().err
    assert f"Kafka: {own} may not Describe topic order.exceptions.v1, " in said
    assert said.count("\n") == 1
    # Ours alone: whoever else is here has other names.
    ours = [one for one in rights.of_topics(own) if one.name.startswith(own)]
    monkeypatch.setattr("streams.topics_cli.wanted_topics", lambda **more: ours_of(own, **more))
    users.grant(own, [("topic", one.name, False, word) for one in ours for word in one.operations])
    until(lambda: app(command, result_action="return_value") == 0, "the topics")
    assert "3 topics are as they have to be" in capsys.readouterr().out


def ours_of(own: str, **more: Any) -> list[Topic]:
    return [one for one in wanted_topics(**more) if one.name.startswith(own)]
