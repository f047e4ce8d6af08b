"""E-mail through an SMTP server."""

import smtplib
import ssl
from collections.abc import Callable
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime
from html import escape

from connectors.channels.parcel import Accepted, NotAccepted, OneWay, Outcome, Parcel, Refused, Unsure
from connectors.clock import Clock

_READY_FOR_DATA = 354
# How a server that greylists wants to be asked again.
_RETRY_S = 2.0


class Email(OneWay):
    """`open_session` connects, secures and logs in; `sender` is the address that mails come from."""

    def __init__(self, open_session: Callable[[], smtplib.SMTP], sender: str, clock: Clock) -> None:
        self._open, self._sender, self._clock = open_session, sender, clock

    def send(self, parcel: Parcel) -> Outcome:
        message = self._message(parcel)
        try:
            session = self._open()
        except (OSError, smtplib.SMTPException) as error:
            return NotAccepted(f"not reached: {type(error).__name__}", retry_after_s=_RETRY_S)
        try:
            return self._deliver(session, parcel, message)
        finally:
            session.close()

    def _deliver(self, session: smtplib.SMTP, parcel: Parcel, message: EmailMessage) -> Outcome:
        try:
            for code, words in (
                session.mail(self._sender),
                session.rcpt(parcel.to),
                session.docmd("DATA"),
            ):
                if code >= 400:
                    return _refusal(code, words)
        except (OSError, smtplib.SMTPException) as error:
            # Before the text has left, nothing can have been accepted.
            return NotAccepted(f"broken off: {type(error).__name__}", retry_after_s=_RETRY_S)
        try:
            session.send(_dotted(message.as_bytes(policy=SMTP_POLICY)))
            code, words = session.getreply()
        except (OSError, smtplib.SMTPException) as error:
            return Unsure(f"no answer: {type(error).__name__}")
        if code >= 400:
            return _refusal(code, words)
        return Accepted(str(message["Message-ID"]))

    def _message(self, parcel: Parcel) -> EmailMessage:
        domain = self._sender.rpartition("@")[2]
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = self._sender, parcel.to, parcel.text.title
        message["Date"] = format_datetime(self._clock.now())
        # The same for every attempt, so that a mailbox may recognise a repeat.
        message["Message-ID"] = f"<{parcel.command_id}@{domain}>"
        message["X-Command-Id"] = parcel.command_id
        message["Auto-Submitted"] = "auto-generated"
        message["Content-Language"] = parcel.locale
        message.set_content(parcel.text.body)
        message.add_alternative(_html(parcel), subtype="html")
        return message


def session_opener(
    host: str, port: int, timeout_s: float, *, tls: ssl.SSLContext | None, user: str = "", password: str = ""
) -> Callable[[], smtplib.SMTP]:
    """With `tls` the session is secured before anything is said."""

    def open_session() -> smtplib.SMTP:
        session = smtplib.SMTP(host, port, timeout=timeout_s)
        session.ehlo_or_helo_if_needed()
        if tls is not None:
            session.starttls(context=tls)
            session.ehlo()
        if user:
            session.login(user, password)
        return session

    return open_session


def _refusal(code: int, words: bytes) -> Outcome:
    if code < 500:
        return NotAccepted(f"smtp_{code}", retry_after_s=_RETRY_S)
    # 5.7.x is the server's opinion of us, not of the address; no repeat helps either way.
    return Refused(f"smtp_{code}_{words.split(b' ')[0].decode(errors='replace')}")


def _dotted(content: bytes) -> bytes:
    """As DATA wants it: a line that begins with a dot gets another, and a single dot ends it."""
    lines = content.split(b"\r\n")
    while lines and not lines[-1]:
        lines.pop()
    return b"\r\n".join(b"." + line if line.startswith(b".") else line for line in lines) + b"\r\n.\r\n"


def _html(parcel: Parcel) -> str:
    text = parcel.text
    body = escape(text.body.replace(text.link, "").strip() if text.link else text.body)
    button = f'<p><a href="{escape(text.link)}">{escape(text.link)}</a></p>' if text.link else ""
    return (
        f'<!doctype html><html lang="{escape(parcel.locale)}"><head><meta charset="utf-8">'
        f"<title>{escape(text.title)}</title></head><body><p>{body}</p>{button}</body></html>"
    )
