"""The mail simulator against the standard library's client."""

import smtplib
import ssl
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from tests.streams.rig import until
from tests.world.listener import Listener
from tests.world.simulators.process import Simulator

pytestmark = pytest.mark.real
ANN = "ann@example.com"


@pytest.fixture(scope="module")
def mail(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    simulator = Simulator("smtp", tmp_path_factory.mktemp("smtp"))
    simulator.start()
    yield simulator
    simulator.stop()


def a_mail(to: str = ANN, command_id: str = "A1~E1.2") -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "us@greengrocer.test", to, "Oat milk is out"
    message["Message-ID"], message["X-Command-Id"] = f"<{command_id}@greengrocer.test>", command_id
    message.set_content("Choose: https://greengrocer.test/c/t1 until 14:05")
    message.add_alternative("<a href='https://greengrocer.test/c/t1'>Choose</a>", subtype="html")
    return message


def send(mail: Simulator, message: EmailMessage, timeout_s: float = 30.0) -> None:
    with smtplib.SMTP("127.0.0.1", mail.port, timeout=timeout_s) as client:
        client.send_message(message)


def test_a_mail_arrives_parsed_with_its_links(mail: Simulator) -> None:
    mail.faults()
    send(mail, a_mail())
    kept = mail.get(f"messages?to={ANN}")[-1]
    assert (kept["subject"], kept["command_id"]) == ("Oat milk is out", "A1~E1.2")
    assert kept["links"] == ["https://greengrocer.test/c/t1"]
    assert "<a href" in kept["html"]
    assert mail.book("request", command_id="A1~E1.2")[-1]["status"] == 250


def test_a_greylisting_server_takes_the_second_try(mail: Simulator) -> None:
    mail.faults({"match": {"address": "grey@example.com"}, "then": "reject:450", "count": 1})
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        send(mail, a_mail("grey@example.com"))
    assert refused.value.recipients["grey@example.com"][0] == 450
    send(mail, a_mail("grey@example.com"))
    assert len(mail.get("messages?to=grey@example.com")) == 1


def test_an_unknown_user_is_refused_for_good(mail: Simulator) -> None:
    mail.faults({"match": {"address": "nobody@example.com"}, "then": "reject:550"})
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        send(mail, a_mail("nobody@example.com"))
    assert refused.value.recipients["nobody@example.com"][0] == 550


def test_an_order_is_refused_after_its_data(mail: Simulator) -> None:
    mail.faults({"match": {"order": "B7"}, "then": "reject:554"})
    with pytest.raises(smtplib.SMTPDataError) as refused:
        send(mail, a_mail(command_id="B7~E1.1"))
    assert refused.value.smtp_code == 554
    send(mail, a_mail(command_id="B8~E1.1"))


@pytest.mark.parametrize("fault", ["accept_then_timeout", "accept_then_500"])
def test_a_mail_without_an_answer_was_taken_all_the_same(mail: Simulator, fault: str) -> None:
    to = f"{fault}@example.com"
    mail.faults({"match": {"address": to}, "then": fault})
    with pytest.raises((TimeoutError, smtplib.SMTPServerDisconnected)):
        # Long enough for a busy server to come as far as the data.
        send(mail, a_mail(to), timeout_s=2.0)
    until(lambda: mail.get(f"messages?to={to}"), "the mail")
    assert len(mail.get(f"messages?to={to}")) == 1


def test_a_bounce_comes_later_to_the_hook(tmp_path: Path) -> None:
    with Listener("unused") as product:
        mail = Simulator("smtp", tmp_path, "--bounce-url", f"{product.url}/bounce")
        mail.start()
        mail.faults({"match": {"address": ANN}, "then": "undelivered:5.1.1", "after_ms": 20})
        send(mail, a_mail())
        product.expect("/bounce")
        bounce = mail.expect("bounce")[0]
        mail.stop()
    assert "Status: 5.1.1" in bounce["body"]
    assert "<A1~E1.2@greengrocer.test>" in bounce["body"]
    assert bounce["status"] == 200


def test_starttls_and_a_password_are_demanded_when_configured(tmp_path: Path) -> None:
    mail = Simulator("smtp", tmp_path, "--starttls", "--credentials", "us:secret")
    mail.start()
    with pytest.raises(smtplib.SMTPException):
        send(mail, a_mail())
    trust = ssl.create_default_context(cafile=mail.folder / "smtp.cert.pem")
    with smtplib.SMTP("localhost", mail.port, timeout=30) as client:
        client.starttls(context=trust)
        client.login("us", "secret")
        client.send_message(a_mail())
    assert len(mail.get("messages")) == 1
    mail.stop()
