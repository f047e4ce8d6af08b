"""Every channel that can be sent on: a new one is its file and a line here."""

import json
import ssl
from collections.abc import Callable
from pathlib import Path

import msgspec

from connectors.channels import twilio_door
from connectors.channels.email import Email, session_opener
from connectors.channels.parcel import ChannelDoor
from connectors.channels.push import Push
from connectors.channels.sms import Sms
from connectors.channels.voice import Voice
from connectors.clock import Clock
from schemas.words import Channel


class Providers(msgspec.Struct, frozen=True, kw_only=True):
    """Where each provider is and how we show who we are; empty base URLs mean the providers' own."""

    public_url: str
    twilio_account_sid: str
    twilio_auth_token: str
    twilio_base_url: str = ""
    sms_sender: str
    voice_sender: str
    ring_s: int = 25
    fcm_account_file: Path
    fcm_base_url: str = "https://fcm.googleapis.com"
    smtp_host: str
    smtp_port: int = 587
    smtp_user: str = ""
    smtp_password: str = ""
    smtp_tls: bool = True
    email_sender: str
    timeout_s: float = 10.0


def _push(given: Providers, clock: Clock) -> ChannelDoor:
    account = json.loads(given.fcm_account_file.read_text())
    return Push(account, given.fcm_base_url, given.timeout_s, clock)


def _sms(given: Providers, _clock: Clock) -> ChannelDoor:
    client = twilio_door.client(
        given.twilio_account_sid, given.twilio_auth_token, given.twilio_base_url, given.timeout_s
    )
    return Sms(client, given.sms_sender, given.public_url)


def _voice(given: Providers, _clock: Clock) -> ChannelDoor:
    client = twilio_door.client(
        given.twilio_account_sid, given.twilio_auth_token, given.twilio_base_url, given.timeout_s
    )
    return Voice(client, given.voice_sender, given.public_url, given.ring_s)


def _email(given: Providers, clock: Clock) -> ChannelDoor:
    tls = ssl.create_default_context() if given.smtp_tls else None
    opener = session_opener(
        given.smtp_host,
        given.smtp_port,
        given.timeout_s,
        tls=tls,
        user=given.smtp_user,
        password=given.smtp_password,
    )
    return Email(opener, given.email_sender, clock)


OPEN: dict[Channel, Callable[[Providers, Clock], ChannelDoor]] = {
    Channel.PUSH: _push,
    Channel.SMS: _sms,
    Channel.EMAIL: _email,
    Channel.VOICE: _voice,
}
