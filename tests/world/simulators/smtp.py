"""A mail server that keeps what it gets: greylists, rejects, falls silent or bounces when told to."""

import argparse
import asyncio
import email
import email.policy
import re
import ssl
from datetime import timedelta
from email.message import EmailMessage
from typing import Any

import aiohttp
from aiohttp import web
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.world.simulators.book import command_id_in
from tests.world.simulators.desk import Desk, answer, arguments, serve
from tests.world.simulators.faults import Verdict

_FAULTS = r"http_429|reject:\d{3}|accept_then_timeout|accept_then_500|undelivered:\d\.\d{1,3}\.\d{1,3}"
_WORDS = {
    "421": "4.7.0 Try again later, closing connection",
    "450": "4.2.0 Greylisted, please try again",
    "451": "4.3.0 Temporary local problem",
    "452": "4.2.2 Mailbox full",
    "550": "5.1.1 No such user here",
    "552": "5.2.2 Mailbox full",
    "554": "5.7.1 Message refused",
}
_COMMAND_HEADER = "X-Command-Id"
_LINK = re.compile(r"https?://[^\s\"'<>]+")


class Mail:
    """The handler that aiosmtpd asks, and the control door."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.messages: list[dict[str, Any]] = []
        self.bounces: list[str] = []
        self._verdicts: dict[int, Verdict] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        router = desk.control.router
        router.add_get("/_control/messages", self._get_messages)
        router.add_get("/_control/bounces", self._get_bounces)

    async def open(self, port: int) -> int:
        given = self.desk.arguments
        user, _, password = given.credentials.partition(":")

        def check(_server: SMTP, _session: Session, _envelope: Envelope, _how: str, auth: Any) -> AuthResult:
            expected = LoginPassword(user.encode(), password.encode())
            return AuthResult(success=auth == expected, handled=False)

        def connection() -> SMTP:
            return SMTP(
                self,
                hostname="mail.simulator",
                enable_SMTPUTF8=True,
                tls_context=_tls(self.desk) if given.starttls else None,
                require_starttls=given.starttls,
                authenticator=check if user else None,
                auth_required=bool(user),
                auth_require_tls=given.starttls,
            )

        server = await asyncio.get_running_loop().create_server(connection, "127.0.0.1", port)
        return int(server.sockets[0].getsockname()[1])

    async def handle_RCPT(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        verdict = self.desk.faults.meet("messages", address, by_order=False)
        if reply := _refusal(verdict):
            self._note("", envelope, reply, "", [address], "", verdict)
            return reply
        self._verdicts[id(envelope)] = verdict
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:
        raw = (envelope.original_content or b"").decode(errors="replace")
        parsed = email.message_from_string(raw, policy=email.policy.default)
        assert isinstance(parsed, EmailMessage)
        command_id = str(parsed.get(_COMMAND_HEADER, "")) or command_id_in(raw)
        verdict = self._verdicts.pop(id(envelope), Verdict())
        by_order = self.desk.faults.meet("messages", envelope.rcpt_tos[0], command_id, raw, by_order=True)
        verdict = by_order if by_order.then else verdict
        if reply := _refusal(verdict):
            self._note(raw, envelope, reply, "", envelope.rcpt_tos, command_id, verdict)
            return reply
        message_id = str(parsed.get("Message-ID", ""))
        self.messages.append(_read(parsed, envelope, command_id))
        reply = "250 2.0.0 Queued"
        self._note(raw, envelope, reply, message_id, envelope.rcpt_tos, command_id, verdict)
        if verdict.name == "accept_then_timeout":
            await _until_gone(server)
        if verdict.name == "accept_then_500":
            # A reply would be final, as this protocol has it: what leaves the fate open is a line that breaks.
            server.transport.abort()
        if verdict.name == "undelivered":
            task = asyncio.create_task(self._bounce(parsed, envelope, verdict))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return reply

    def _note(
        self,
        raw: str,
        envelope: Envelope,
        reply: str,
        message_id: str,
        to: list[str],
        command_id: str,
        verdict: Verdict,
    ) -> None:
        self.desk.book.write(
            "request",
            body=raw,
            headers={"MAIL FROM": envelope.mail_from},
            status=0 if verdict.name in ("accept_then_timeout", "accept_then_500") else int(reply[:3]),
            answer=reply,
            provider_id=message_id,
            command_id=command_id,
            to=to[0],
            recipients=to,
            accepted=bool(message_id) or reply.startswith("250"),
            fault=verdict.then,
        )

    async def _bounce(self, parsed: EmailMessage, envelope: Envelope, verdict: Verdict) -> None:
        """A delivery status notification (RFC 3464) some time later, to the hook if one is given."""
        await asyncio.sleep(verdict.after_ms / 1000)
        notice = _dsn(parsed, envelope, verdict.code)
        self.bounces.append(notice)
        status, url = 0, self.desk.arguments.bounce_url
        if url:
            headers = {"Content-Type": "message/rfc822"}
            try:
                async with (
                    aiohttp.ClientSession() as session,
                    session.post(url, data=notice.encode(), headers=headers) as response,
                ):
                    status = response.status
            except aiohttp.ClientError as error:
                self.desk.book.write("bounce_failed", error=repr(error))
        self.desk.book.write("bounce", to=envelope.rcpt_tos[0], url=url, status=status, body=notice)

    async def _get_messages(self, request: web.Request) -> web.Response:
        to = request.query.get("to")
        return answer([one for one in self.messages if to is None or to in one["to"]])

    async def _get_bounces(self, _request: web.Request) -> web.Response:
        return answer(self.bounces)


def _refusal(verdict: Verdict) -> str:
    """The reply, empty where nothing is refused; too many requests is greylisting here."""
    code = {"reject": verdict.code, "http_429": "450"}.get(verdict.name, "")
    return f"{code} {_WORDS.get(code, '5.0.0 Refused')}" if code else ""


def _read(parsed: EmailMessage, envelope: Envelope, command_id: str) -> dict[str, Any]:
    text, html = parsed.get_body(("plain",)), parsed.get_body(("html",))
    plain = text.get_content() if text else ""
    return {
        "from": envelope.mail_from,
        "to": envelope.rcpt_tos,
        "command_id": command_id,
        "subject": str(parsed.get("Subject", "")),
        "headers": {name: str(value) for name, value in parsed.items()},
        "text": plain,
        "html": html.get_content() if html else "",
        "links": _LINK.findall(plain or (html.get_content() if html else "")),
        "attachments": [part.get_filename() for part in parsed.iter_attachments()],
    }


def _dsn(parsed: EmailMessage, envelope: Envelope, code: str) -> str:
    recipient = envelope.rcpt_tos[0]
    status = (
        "Reporting-MTA: dns; mail.simulator\n\n"
        f"Final-Recipient: rfc822; {recipient}\nAction: failed\nStatus: {code}\n"
        f"Diagnostic-Code: smtp; 550 {code} undeliverable\n"
    )
    original = "".join(f"{name}: {value}\n" for name, value in parsed.items())
    edge = "=_bounce"
    return (
        f"From: MAILER-DAEMON@mail.simulator\nTo: {envelope.mail_from}\n"
        "Subject: Delivery Status Notification (Failure)\nMIME-Version: 1.0\n"
        f'Content-Type: multipart/report; report-type=delivery-status; boundary="{edge}"\n\n'
        f"--{edge}\nContent-Type: text/plain\n\nYour message was not delivered.\n"
        f"--{edge}\nContent-Type: message/delivery-status\n\n{status}"
        f"--{edge}\nContent-Type: text/rfc822-headers\n\n{original}--{edge}--\n"
    )


async def _until_gone(server: SMTP) -> None:
    """Falls silent until the client gives up."""
    for _ in range(6_000):
        if server.transport is None or server.transport.is_closing():
            return
        await asyncio.sleep(0.02)


def _tls(desk: Desk) -> ssl.SSLContext:
    """A certificate of its own for 127.0.0.1, in the folder for clients that want to trust it."""
    certificate, key_file = desk.folder / "smtp.cert.pem", desk.folder / "smtp.key.pem"
    if not certificate.exists():
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
        now = desk.clock.now()
        built = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=30))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
            .sign(key, hashes.SHA256())
        )
        pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        key_file.touch(mode=0o600)
        key_file.write_bytes(key.private_bytes(pem, pkcs8, serialization.NoEncryption()))
        certificate.write_bytes(built.public_bytes(pem))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key_file)
    return context


def more(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--starttls", action="store_true", help="offer and demand STARTTLS")
    parser.add_argument("--credentials", default="", help="USER:PASSWORD that AUTH has to give")
    parser.add_argument("--bounce-url", default="", help="where bounces are posted as message/rfc822")


async def main() -> None:
    desk = Desk("smtp", arguments("smtp", more), _FAULTS)
    await serve(desk, Mail(desk).open)


if __name__ == "__main__":
    asyncio.run(main())
