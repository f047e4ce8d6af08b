"""How a process reaches Kafka, and as whom: the settings that all share, and what each client is made of.

No other module names `bootstrap.servers`, so that no client exists without the login.
"""

import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

PREFIX = "SAVELINE_"
SECRET = "masked wherever it is shown"  # noqa: S105 -- says that of a text
_SECURITY = f"{PREFIX}BROKER_SECURITY"
_LOGIN, _TLS = ("SASL_SSL", "SASL_PLAINTEXT"), ("SASL_SSL", "SSL")


@dataclass(frozen=True, kw_only=True)
class KafkaSettings:
    """Plain data, as all settings are."""

    broker: str = "127.0.0.1:9092"
    """Kafka's addresses, separated by commas."""
    broker_security: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """Kafka's `security.protocol`: SASL_SSL logs in by user and password, SSL by a certificate, both under TLS."""
    broker_mechanism: Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"] = "SCRAM-SHA-512"
    """How a user and password are shown to Kafka."""
    broker_user: str = ""
    """As whom the process logs in, under SASL_SSL and SASL_PLAINTEXT."""
    broker_password: Annotated[str, SECRET] = field(default="", repr=False)
    """Its password, or let `SAVELINE_BROKER_PASSWORD_FILE` name a file that holds it."""
    broker_password_file: Path | None = None
    """A file with the password alone."""
    broker_ca_file: Path | None = None
    """Whose brokers are trusted under TLS (PEM); without it, whomever this machine trusts."""
    broker_certificate_file: Path | None = None
    """The process's own certificate (PEM), where Kafka asks clients for one."""
    broker_key_file: Path | None = None
    """The certificate's private key (PEM, without a password)."""

    @staticmethod
    def contradictions(given: Mapping[str, object]) -> Iterator[tuple[str, str]]:
        """What is wrong though each value is of its form: by the field that has to change, in words.

        Neither a path nor a text is told: somebody may have put the secret itself there.
        """
        told = {name: str(value) for name, value in given.items() if str(value) or name.endswith("_file")}
        security = told.get("broker_security", "PLAINTEXT")
        yield from _of_the_login(told, security)
        certificates = ("broker_ca_file", "broker_certificate_file")
        for name in certificates:
            if name not in told:
                continue
            if security not in _TLS:
                yield (
                    name,
                    f"is set, but {_SECURITY} is {security}: set it to SASL_SSL or SSL, or set no file",
                )
            elif fault := _certificate_fault(told[name]):
                yield name, fault
        yield from _of_the_key(told)

    @property
    def client(self) -> dict[str, str]:
        """librdkafka's properties for every client; a password file is read anew for each."""
        found = {"bootstrap.servers": self.broker, "security.protocol": self.broker_security}
        if self.broker_security in _LOGIN:
            found |= {
                "sasl.mechanism": self.broker_mechanism,
                "sasl.username": self.broker_user,
                "sasl.password": self.password,
            }
        files = {
            "ssl.ca.location": self.broker_ca_file,
            "ssl.certificate.location": self.broker_certificate_file,
            "ssl.key.location": self.broker_key_file,
        }
        return found | {name: str(file) for name, file in files.items() if file is not None}

    @property
    def has_login(self) -> bool:
        return self.broker_security in _LOGIN

    @property
    def password(self) -> str:
        """Empty where there is no login."""
        if self.broker_password_file is not None:
            return self.broker_password_file.read_text().strip()
        return self.broker_password

    @property
    def tls(self) -> ssl.SSLContext | None:
        """For clients that are not librdkafka's; the broker's name is checked, as librdkafka does."""
        if self.broker_security not in _TLS:
            return None
        context = ssl.create_default_context(cafile=self.broker_ca_file)
        if self.broker_certificate_file is not None:
            context.load_cert_chain(self.broker_certificate_file, self.broker_key_file)
        return context


def address(client: Any) -> str:
    """Where a client's properties lead."""
    return str(client["bootstrap.servers"])


def name(client: Any) -> str:
    """As whom Kafka knows a client by its properties."""
    if "sasl.username" in client:
        return str(client["sasl.username"])
    return "the certificate's user" if "ssl.certificate.location" in client else "ANONYMOUS"


def _of_the_login(told: Mapping[str, str], security: str) -> Iterator[tuple[str, str]]:
    passwords = [name for name in ("broker_password", "broker_password_file") if name in told]
    if security in _LOGIN:
        if "broker_user" not in told:
            yield "broker_user", f"is needed, since {_SECURITY} is {security}"
        if not passwords:
            words = f"is needed, or {PREFIX}BROKER_PASSWORD_FILE, since {_SECURITY} is {security}"
            yield "broker_password", words
    else:
        for name in ("broker_user", *passwords):
            if name in told:
                yield name, f"is set, but {_SECURITY} is {security}: set it to SASL_SSL, or set no login"
    if len(passwords) > 1:
        yield "broker_password_file", f"is set, and so is {PREFIX}BROKER_PASSWORD: set one of them"
    elif "broker_password_file" in told and (fault := _file_fault(told["broker_password_file"])):
        yield "broker_password_file", fault


def _of_the_key(told: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    certificate, key = told.get("broker_certificate_file"), told.get("broker_key_file")
    if certificate is not None and key is None:
        yield "broker_key_file", f"is needed with {PREFIX}BROKER_CERTIFICATE_FILE"
    elif key is not None and certificate is None:
        yield "broker_key_file", f"is set, but {PREFIX}BROKER_CERTIFICATE_FILE is not: set both or none"
    elif certificate is not None and key is not None and not _certificate_fault(certificate):
        if fault := _file_fault(key):
            yield "broker_key_file", fault
            return
        try:
            ssl.create_default_context().load_cert_chain(certificate, key, _no_password)
        except (ssl.SSLError, ValueError):
            yield "broker_key_file", f"is no unlocked key in PEM of {PREFIX}BROKER_CERTIFICATE_FILE"


def _file_fault(file: str) -> str:
    try:
        return "" if Path(file).read_text().strip() else "the file is empty"
    except (OSError, ValueError) as error:
        return f"no such file can be read: {type(error).__name__}"


def _certificate_fault(file: str) -> str:
    if fault := _file_fault(file):
        return fault
    try:
        ssl.create_default_context(cafile=file)
    except ssl.SSLError:
        return "the file holds no certificate in PEM"
    return ""


def _no_password() -> str:
    # Without this, OpenSSL would ask at the terminal.
    raise ValueError("locked")
