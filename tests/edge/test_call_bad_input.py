"""What a provider or somebody hostile can send during a call: no error is heard, nothing is decided unasked."""

import base64
import os
import signal
import sys
import threading
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests
from rich.console import Console
from twilio.request_validator import RequestValidator
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from schemas.words import Resolution
from tests.builders import a_second, an_exception
from tests.demo.call import Telephone as Typist
from tests.edge.telephone import SAM, Telephone
from tests.streams.processes import ROOT
from tests.streams.rig import until
from tests.world.part import Part, answers, free_port
from tests.world.simulators.twilio.account import ACCOUNT_SID, AUTH_TOKEN

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("postgres")]
SID = "CA" + "1" * 32


class Line:
    """A call that was answered, seen from the provider's side: what we post, and what is said to it."""

    def __init__(self, phone: Telephone, url: str = "", *more: Any) -> None:
        self.phone, self.url = phone, url or phone.url
        command = phone.asked_to_call(an_exception(), *more)
        self.command_id = command.command_id
        phone.claims.claim("voice", 1, phone.judge)
        phone.claims.sent(self.command_id, SID)
        self.path = f"/twilio/voice/{quote(self.command_id, safe='')}"

    def post(self, path: str = "", sid: str = SID, token: str = AUTH_TOKEN, **form: str) -> ET.Element:
        """The document that answers; anything else than TwiML would be heard as an error."""
        response = self.raw(path, sid, token, **form)
        assert response.status_code == 200, response.text
        assert response.headers["content-type"].startswith("text/xml")
        return ET.fromstring(response.text)

    def raw(self, path: str = "", sid: str = SID, token: str = AUTH_TOKEN, **form: str) -> requests.Response:
        url = f"{self.url}{self.path}{path}"
        body = {"CallSid": sid, "AccountSid": ACCOUNT_SID, "CallStatus": "in-progress", **form}
        headers = {"X-Twilio-Signature": RequestValidator(token).compute_signature(url, body)}
        return requests.post(url, data=body, headers=headers, timeout=30)

    def to_the_readback(self) -> ET.Element:
        self.post()
        self.post("/turn/1", Digits="1")
        return self.post("/turn/2", Digits="1")


def said(document: ET.Element) -> str:
    return " ".join("".join(document.itertext()).split())


def hangs_up(document: ET.Element) -> bool:
    return document.find("Hangup") is not None


@pytest.fixture
def phone(dsn: str, tmp_path: Path) -> Iterator[Telephone]:
    with Telephone(dsn, tmp_path) as phone:
        yield phone


@pytest.fixture
def line(phone: Telephone) -> Line:
    return Line(phone)


def test_a_webhook_that_comes_twice_is_answered_alike_and_heard_once(line: Line) -> None:
    first = line.to_the_readback()
    assert said(line.post("/turn/2", Digits="1")) == said(first)
    line.phone.world.expect_open()
    noted = line.post("/turn/3", Digits="1")
    assert said(line.post("/turn/3", Digits="1")) == said(noted)
    until(lambda: len(line.phone.responses) > 0, "the answer")
    assert len({response.event_id for response in line.phone.responses}) == 1


def test_two_webhooks_of_one_turn_at_the_same_moment_are_heard_once(line: Line) -> None:
    line.to_the_readback()
    found: list[str] = []
    posts = [
        threading.Thread(target=lambda: found.append(said(line.post("/turn/3", Digits="1"))))
        for _ in range(6)
    ]
    for post in posts:
        post.start()
    for post in posts:
        post.join()
    assert len(set(found)) == 1
    until(lambda: len(line.phone.responses) > 0, "the answer")
    assert len(line.phone.responses) == 1


def test_a_yes_to_an_earlier_question_is_no_yes_to_this_one(line: Line) -> None:
    line.to_the_readback()
    assert "your new total is" in said(line.post("/turn/1", Digits="1"))
    assert "your new total is" in said(line.post("/turn/2", SpeechResult="yes", Confidence="0.9"))
    assert line.phone.responses == []
    line.phone.world.expect_open()


def test_the_call_of_another_attempt_changes_nothing_and_is_ended_politely(line: Line) -> None:
    line.to_the_readback()
    stranger = line.post("/turn/3", sid="CA" + "2" * 32, Digits="1")
    assert hangs_up(stranger)
    assert "Oakmill" not in said(stranger)
    assert hangs_up(line.post("", sid="CA" + "2" * 32))
    line.phone.world.expect_open()
    assert "Noted" in said(line.post("/turn/3", Digits="1"))


def test_a_call_that_nobody_asked_for_is_ended_politely(line: Line) -> None:
    line.path = "/twilio/voice/Z9~E1.1"
    for path in ("", "/turn/1", "/again/1/1", "/relayed", "/transfer", "/whisper", "/transferred"):
        document = line.post(path, Digits="1")
        assert "Oakmill" not in said(document)


def test_what_is_not_signed_is_not_heard(line: Line) -> None:
    line.to_the_readback()
    assert line.raw("/turn/3", token="wrong", Digits="1").status_code == 403
    line.phone.world.expect_open()


def test_a_case_that_was_closed_meanwhile_takes_no_answer(line: Line) -> None:
    line.to_the_readback()
    line.phone.meanwhile(lambda world: world.withdrawn())
    document = line.post("/turn/3", Digits="1")
    assert "is available after all" in said(document)
    assert hangs_up(document)
    assert line.phone.responses == []


def test_a_yes_to_a_line_that_was_settled_meanwhile_is_no_answer_to_the_next(phone: Telephone) -> None:
    line = Line(phone, "", a_second())
    line.to_the_readback()
    phone.meanwhile(lambda world: world.taps("hillside"))
    document = said(line.post("/turn/3", Digits="1"))
    assert "has just been settled by another message" in document
    assert "Oat Drink" in document
    assert "So that is" not in document
    phone.world.expect_open("x2")


def test_keys_outrank_the_speech_that_came_with_them(line: Line) -> None:
    line.to_the_readback()
    document = line.post("/turn/3", Digits="2", SpeechResult="yes yes yes", Confidence="0.99")
    assert "All right, none of these" in said(document)
    line.phone.world.expect_open()


@pytest.mark.parametrize(
    "form",
    [
        {"SpeechResult": "yes " * 1_000, "Confidence": "0.99"},
        {"SpeechResult": "y" * 4_096, "Confidence": "0.99"},
        {"SpeechResult": "", "Confidence": "0.0", "Digits": ""},
        {"SpeechResult": "<Say>yes</Say> & \x00\ufffe", "Confidence": "NaN"},
        {"Digits": "11"},
        {"Digits": "***###"},
        {},
    ],
)
def test_four_kilobytes_none_and_nonsense_are_no_yes(line: Line, form: dict[str, str]) -> None:
    line.to_the_readback()
    document = line.post("/turn/3", **form)
    assert "Noted" not in said(document)
    assert line.phone.responses == []
    line.phone.world.expect_open()


def test_a_body_that_is_too_large_is_refused(line: Line) -> None:
    assert line.raw("", SpeechResult="x" * 70_000).status_code == 413


def test_a_call_that_is_over_stays_over(line: Line) -> None:
    line.to_the_readback()
    status = f"/twilio/status/{quote(line.command_id, safe='')}"
    line.path, path = "", line.path
    over = line.raw(status, CallStatus="completed", SequenceNumber="3")
    line.path = path
    assert over.status_code == 204
    assert hangs_up(line.post("/turn/3", Digits="1"))
    line.phone.world.expect_open()


def test_while_the_database_is_away_the_caller_is_asked_for_a_moment(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psycopg

    line.to_the_readback()

    def away(*_: Any) -> None:
        raise psycopg.OperationalError("away")

    with monkeypatch.context() as patch:
        patch.setattr(line.phone.calls, "heard", away)
        document = line.post("/turn/3", Digits="1")
    redirect = document.find("Redirect")
    assert said(document).startswith("One moment, please.")
    assert redirect is not None
    assert redirect.text is not None
    again = line.post(redirect.text.removeprefix(line.url + line.path))
    # What was pressed meanwhile was not heard, so that the question is put once more.
    assert "your new total is" in said(again)
    assert "Noted" in said(line.post("/turn/3", Digits="1"))


def test_a_fault_of_ours_is_a_polite_goodbye(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    line.to_the_readback()

    def broken(*_: Any) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr(line.phone.calls, "heard", broken)
    assert hangs_up(line.post("/turn/3", Digits="1"))
    line.phone.world.expect_open()


# The socket


def opened(line: Line, token: str = AUTH_TOKEN) -> ClientConnection:
    url = f"{line.url}/twilio/relay/{quote(line.command_id, safe='')}".replace("http", "ws", 1)
    signature = RequestValidator(token).compute_signature(url, {})
    return connect(url, additional_headers={"X-Twilio-Signature": signature})


def setup(socket: ClientConnection, sid: str = SID) -> None:
    socket.send(f'{{"type":"setup","sessionId":"VX1","callSid":"{sid}","accountSid":"{ACCOUNT_SID}"}}')


def hear(socket: ClientConnection) -> str:
    """All words until the last token of a turn."""
    import json

    words = ""
    while True:
        frame = json.loads(socket.recv(timeout=30))
        if frame["type"] == "end":
            return words
        words += frame["token"]
        if frame["last"]:
            return words


@pytest.fixture
def relay(dsn: str, tmp_path: Path) -> Iterator[Line]:
    with Telephone(dsn, tmp_path, transport="relay", pace=1.0) as phone:
        line = Line(phone)
        assert line.post().find("Connect/ConversationRelay") is not None
        yield line


def test_who_types_to_an_agent_that_speaks_over_sockets_goes_on_with_webhooks(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`make call --from NUMBER` reaches a system of either transport."""
    out = Console(record=True, width=400)
    typed = iter(["DER1", "1", "1", "", ""])
    with Telephone(dsn, tmp_path, transport="relay") as phone:
        phone.talk(exceptions=[an_exception()], picks_up="busy")

        def typing(_prompt: str) -> str:
            # They read the question out.
            phone.clock.move(60)
            return next(typed)

        monkeypatch.setattr("builtins.input", typing)
        Typist(phone.url, AUTH_TOKEN, SAM, out).talk()
        assert "your new total is" in out.export_text()
        until(lambda: len(phone.responses) == 1, "the answer")


def test_a_socket_that_is_not_signed_is_not_opened(relay: Line) -> None:
    with pytest.raises(InvalidStatus):
        opened(relay, token="wrong")


def test_a_socket_that_closes_in_the_middle_of_a_sentence_decides_nothing_and_the_call_goes_on(
    relay: Line,
) -> None:
    with opened(relay) as socket:
        setup(socket)
        assert "Am I speaking with Sam" in hear(socket)
        socket.send('{"type":"dtmf","digit":"1"}')
        hear(socket)
        socket.send('{"type":"dtmf","digit":"1"}')
        assert "your new total is" in hear(socket)
        socket.send('{"type":"prompt","voicePrompt":"ye","lang":"en-GB","last":false}')
    document = relay.post("/relayed", SessionStatus="failed", ErrorCode="64105")
    assert "your new total is" in said(document)
    assert relay.phone.responses == []
    gather = document.find("Gather")
    assert gather is not None
    # They hear the question out.
    relay.phone.clock.move(60)
    assert "Noted" in said(
        relay.post(gather.get("action", "").removeprefix(relay.url + relay.path), Digits="1")
    )
    until(lambda: len(relay.phone.responses) == 1, "the answer")


def test_frames_that_are_not_as_agreed_change_nothing(relay: Line) -> None:
    with opened(relay) as socket:
        socket.send("no json")
        socket.send('{"type":"dtmf","digit":"1"}')
        setup(socket)
        hear(socket)
        for frame in (
            '{"type":"dtmf","digit":"17"}',
            '{"type":"teleport"}',
            "[]",
            "\x00",
            '{"type":"prompt"}',
        ):
            socket.send(frame)
        socket.send('{"type":"dtmf","digit":"1"}')
        assert "Corner Loaf" in hear(socket)


def test_the_socket_of_another_call_is_told_nothing(relay: Line) -> None:
    with opened(relay) as socket:
        setup(socket, "CA" + "2" * 32)
        words = hear(socket)
        assert "Nothing about your order needs an answer" in words
        assert "Sam" not in words
        with pytest.raises(ConnectionClosed):
            while True:
                socket.recv(timeout=30)
    relay.phone.world.expect_open()


# A process that dies


def test_an_edge_that_is_killed_in_the_middle_of_a_call_goes_on_with_the_next_webhook(
    dsn: str, tmp_path: Path
) -> None:
    with Telephone(dsn, tmp_path) as phone:
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        given = {
            "PG_DSN": dsn,
            "PUBLIC_URL": url,
            "RETAILER": "Greengrocer",
            "LINK_SECRETS": "one",
            "APP_SECRETS": "app",
            "VAULT_SALT": "s" * 16,
            "VAULT_KEY": base64.b64encode(b"m" * 32).decode(),
            "TWILIO_AUTH_TOKEN": AUTH_TOKEN,
            "HTTP_PORT": str(port),
            "BROKER": "127.0.0.1:9",
            "VOICE_PACE": "0.0001",
        }
        edge = Part(
            "edge",
            [sys.executable, "-m", "streams.cli", "edge"],
            tmp_path / "edge.log",
            env={f"SAVELINE_{name}": value for name, value in given.items()},
            cwd=ROOT,
        )
        line = Line(phone, url)

        def start() -> None:
            edge.start(lambda: answers(port), timeout_s=120)

        start()
        try:
            for path, form in (("", {}), ("/turn/1", {"Digits": "1"}), ("/turn/2", {"Digits": "1"})):
                line.post(path, **form)
                os.kill(edge.pid, signal.SIGKILL)
                until(lambda: not edge.alive, "the end of the edge")
                start()
            assert "Noted" in said(line.post("/turn/3", Digits="1"))
            until(lambda: len(phone.responses) == 1, "the answer")
            phone.world.expect_decision(Resolution.SUBSTITUTED)
        finally:
            edge.stop()
