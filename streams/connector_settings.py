"""The settings of a connectors process."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from annotated_types import Ge, Gt
from pydantic import AfterValidator, SecretStr

from connectors import vault_keys
from connectors.channels.catalogue import Providers
from streams.environment import FromEnvironment


def ring_of_keys(value: SecretStr) -> SecretStr:
    vault_keys.ring_of(value.get_secret_value())
    return value


def several_secrets(value: SecretStr) -> SecretStr:
    if not all(value.get_secret_value().split(",")):
        raise ValueError("one or more secrets, separated by commas, the one that signs last")
    return value


@dataclass(frozen=True, kw_only=True)
class ConnectorSettings(FromEnvironment):
    """Where a provider's base URL is empty, it is the provider's own."""

    quarantine: str = "case.quarantine.v1"
    partitions: int = 48
    """Of each of our topics; all have the same number, for ever."""
    retention_days: int = 14
    """How long `case.events.v1` is kept: what is older than half of it when it arrives is stale."""
    keep_days: Annotated[int, Ge(30)] = 180
    """How long claims, and calls word by word, stay in Postgres; longer than any command can come again."""
    pg_dsn: SecretStr
    """Postgres: claims, vault, register."""
    public_url: str
    """Where customers and providers reach the edge."""
    retailer: str
    """As whom messages speak."""
    link_secrets: Annotated[SecretStr, AfterValidator(several_secrets)]
    """Sign the links to the choice page; separated by commas, the last one signs."""
    vault_key: Annotated[SecretStr, AfterValidator(ring_of_keys)]
    """32 bytes in base64: wraps the customers' own keys. Several are separated by commas, the last one wraps."""
    vault_salt: SecretStr
    """Makes the shares of pilot and holdout unpredictable."""
    twilio_account_sid: str
    twilio_auth_token: Annotated[SecretStr, AfterValidator(several_secrets)]
    twilio_base_url: str = ""
    sms_sender: str
    """The number that texts come from."""
    voice_sender: str
    """The number that calls come from."""
    ring_s: int = 25
    """How long a call rings."""
    calls_per_second: float = 1.0
    """What the account may dial."""
    ask_after_s: Annotated[float, Gt(0)] = 90.0
    """A call of which nobody has reported for so long is asked after: its last report may be lost."""
    unseen_after_s: float = 60.0
    """For how long a provider is asked about a send of which nobody can tell, before it is given up as ambiguous."""
    fcm_account_file: Path
    """The project's service account, as Google gives it (JSON)."""
    fcm_base_url: str = "https://fcm.googleapis.com"
    smtp_host: str
    smtp_port: int = 587
    smtp_user: str = ""
    smtp_password: SecretStr = field(default_factory=lambda: SecretStr(""))
    smtp_tls: bool = True
    """STARTTLS, before anything is said."""
    email_sender: str
    """The address that mails come from."""
    oms_url: str
    """The order system."""
    oms_token: SecretStr
    s3_endpoint: str | None = None
    """None is AWS; credentials come from where S3 clients look for them."""
    evidence_bucket: str
    """A bucket with object lock."""
    evidence_key_file: Path
    """An Ed25519 private key in PEM."""
    provider_timeout_s: float = 10.0
    """How long a provider may take to answer; after that a send is ambiguous."""
    http_port: int = 8081
    step_patience_s: Annotated[float, Gt(0)] = 120.0
    """A send, a write-back or another piece of work that takes longer makes the process not live."""
    test_switch: bool = False
    """Whether `/_test/...` exists. Never in production."""
    ordinal: str = "0"
    """Tells the processes apart over restarts."""

    @property
    def providers(self) -> Providers:
        return Providers(
            public_url=self.public_url.rstrip("/"),
            twilio_account_sid=self.twilio_account_sid,
            twilio_auth_token=self.twilio_auth_token.get_secret_value().split(",")[-1],
            twilio_base_url=self.twilio_base_url,
            sms_sender=self.sms_sender,
            voice_sender=self.voice_sender,
            ring_s=self.ring_s,
            fcm_account_file=self.fcm_account_file,
            fcm_base_url=self.fcm_base_url,
            smtp_host=self.smtp_host,
            smtp_port=self.smtp_port,
            smtp_user=self.smtp_user,
            smtp_password=self.smtp_password.get_secret_value(),
            smtp_tls=self.smtp_tls,
            email_sender=self.email_sender,
            timeout_s=self.provider_timeout_s,
        )
