"""How a process reaches Kafka: settings that say all their faults at once, and no client beside them."""

import ast
import os
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from faust.auth import SASLCredentials, SSLCredentials

from streams import login, seam
from streams.environment import MASK, Faulty, names, read, variables
from streams.login import KafkaSettings
from streams.settings import WorkerSettings
from streams.verifier.settings import VerifySettings
from tests.streams.processes import ROOT
from tests.world.certificates import Authority

OURS = ("schemas", "state", "connectors", "streams")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in names(KafkaSettings):
        monkeypatch.delenv(f"SAVELINE_{name.upper()}", raising=False)


def given(monkeypatch: pytest.MonkeyPatch, **settings: str | Path) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(f"SAVELINE_BROKER_{name.upper()}", str(value))


def faults() -> dict[str, str]:
    with pytest.raises(Faulty) as faulty:
        read(KafkaSettings)
    lines = str(faulty.value).splitlines()
    return {
        name.removeprefix("SAVELINE_BROKER_"): words
        for name, _, words in (line.partition(": ") for line in lines)
    }


def test_a_login_reaches_both_clients_alike(monkeypatch: pytest.MonkeyPatch, authority: Authority) -> None:
    given(monkeypatch, security="SASL_SSL", user="anna", password="pw", ca_file=authority.ca)
    kafka = read(KafkaSettings, {**os.environ, "SAVELINE_BROKER": "there:1,there:2"})
    assert kafka.client == {
        "bootstrap.servers": "there:1,there:2",
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "anna",
        "sasl.password": "pw",
        "ssl.ca.location": str(authority.ca),
    }
    settings = seam.app_settings(kafka)
    assert settings["broker_consumer"] == ["saveline://there:1", "saveline://there:2"]
    assert settings["broker_producer"] == ["kafka://there:1", "kafka://there:2"]
    credentials = settings["broker_credentials"]
    assert isinstance(credentials, SASLCredentials)
    assert (credentials.username, credentials.password) == ("anna", "pw")
    assert (credentials.protocol.value, credentials.mechanism.value) == ("SASL_SSL", "SCRAM-SHA-512")
    assert credentials.ssl_context is not None
    # A stranger with a good certificate is not the broker.
    assert credentials.ssl_context.check_hostname
    assert credentials.ssl_context.verify_mode is ssl.CERT_REQUIRED


def test_a_certificate_is_a_login_too(monkeypatch: pytest.MonkeyPatch, authority: Authority) -> None:
    certificate, key = authority.signed("anna")
    given(monkeypatch, security="SSL", ca_file=authority.ca, certificate_file=certificate, key_file=key)
    kafka = read(KafkaSettings)
    assert kafka.client["ssl.certificate.location"] == str(certificate)
    assert kafka.client["ssl.key.location"] == str(key)
    credentials = seam.app_settings(kafka)["broker_credentials"]
    assert isinstance(credentials, SSLCredentials)


def test_nothing_given_is_a_broker_that_asks_for_nothing() -> None:
    kafka = read(KafkaSettings)
    assert kafka.client == {"bootstrap.servers": "127.0.0.1:9092", "security.protocol": "PLAINTEXT"}
    assert seam.app_settings(kafka)["broker_credentials"] is None


def test_in_a_lab_a_login_goes_without_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, security="SASL_PLAINTEXT", mechanism="PLAIN", user="anna", password="pw")
    credentials = seam.app_settings(read(KafkaSettings))["broker_credentials"]
    assert credentials.protocol.value == "SASL_PLAINTEXT"
    assert credentials.ssl_context is None


def test_a_password_file_is_read_anew_for_each_client(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "password"
    file.write_text("first\n")
    given(monkeypatch, security="SASL_PLAINTEXT", user="anna", password_file=file)
    kafka = read(KafkaSettings)
    assert kafka.client["sasl.password"] == "first"
    file.write_text("second\n")
    assert kafka.client["sasl.password"] == "second"


def test_a_login_without_user_and_password_and_with_files_that_are_not_there_says_all_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given(monkeypatch, security="SASL_SSL", ca_file="/no/ca", certificate_file="/no/crt")
    found = faults()
    assert found.keys() == {"USER", "PASSWORD", "CA_FILE", "CERTIFICATE_FILE", "KEY_FILE"}
    assert "or SAVELINE_BROKER_PASSWORD_FILE, since SAVELINE_BROKER_SECURITY is SASL_SSL" in found["PASSWORD"]
    assert "no such file can be read: FileNotFoundError" in found["CA_FILE"]


def test_what_would_be_ignored_is_a_fault(monkeypatch: pytest.MonkeyPatch, authority: Authority) -> None:
    certificate, _ = authority.signed("anna")
    given(monkeypatch, user="anna", password="pw", ca_file=authority.ca, certificate_file=certificate)
    found = faults()
    assert found.keys() == {"USER", "PASSWORD", "CA_FILE", "CERTIFICATE_FILE", "KEY_FILE"}
    del found["KEY_FILE"]
    assert all("SAVELINE_BROKER_SECURITY is PLAINTEXT" in words for words in found.values())


@pytest.mark.parametrize("lacking", ["key_file", "certificate_file"])
def test_a_certificate_and_its_key_come_together(
    monkeypatch: pytest.MonkeyPatch, authority: Authority, lacking: str
) -> None:
    certificate, key = authority.signed("anna")
    files = {"certificate_file": certificate, "key_file": key}
    del files[lacking]
    given(monkeypatch, security="SSL", **files)
    (words,) = faults().values()
    assert "SAVELINE_BROKER_CERTIFICATE_FILE" in words


def test_files_that_hold_something_else_are_named_and_never_told(
    monkeypatch: pytest.MonkeyPatch, authority: Authority, tmp_path: Path
) -> None:
    certificate, _ = authority.signed("anna")
    _, anothers = authority.signed("berta")
    (tmp_path / "empty").touch()
    (tmp_path / "words").write_text("tell-nobody")
    given(
        monkeypatch,
        security="SASL_SSL",
        user="anna",
        password_file=tmp_path / "empty",
        ca_file=tmp_path / "words",
        certificate_file=certificate,
        key_file=anothers,
    )
    found = faults()
    assert found.keys() == {"PASSWORD_FILE", "CA_FILE", "KEY_FILE"}
    assert "tell-nobody" not in str(found)
    # Somebody put the secret itself where the name of its file belongs.
    given(monkeypatch, password_file="tell-nobody")
    assert "tell-nobody" not in str(faults())


def test_the_password_is_masked_for_every_process(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, security="SASL_SSL", user="anna", password="tell-nobody")
    kinds = {"worker": WorkerSettings, "verify": VerifySettings}
    shown = {one.name: one for one in variables(kinds)}
    assert shown["SAVELINE_BROKER_PASSWORD"].value == MASK
    assert shown["SAVELINE_BROKER_PASSWORD"].processes == ("worker", "verify")
    assert not any(one.fault for one in shown.values())
    assert "tell-nobody" not in repr(WorkerSettings())


def constants(module: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_no_client_is_built_beside_the_login() -> None:
    """Without `bootstrap.servers` no client of librdkafka's is one; without `broker_consumer` no app of Faust's."""
    modules = [module for folder in OURS for module in (ROOT / folder).glob("**/*.py")]
    naming = {
        word: {module for module in modules if word in constants(module)}
        for word in ("bootstrap.servers", "bootstrap_servers", "metadata.broker.list", "broker_consumer")
    }
    assert naming == {
        "bootstrap.servers": {Path(login.__file__)},
        "bootstrap_servers": set(),
        "metadata.broker.list": set(),
        "broker_consumer": {Path(seam.__file__)},
    }
    keywords = {
        module
        for module in modules
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.keyword) and node.arg in ("bootstrap_servers", "broker", "broker_consumer")
    }
    assert keywords == set()
