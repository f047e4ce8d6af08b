"""The doors of the staff tool and of the driver's app: over real HTTP and a real Postgres, as the edge wires them."""

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
import requests
import uvicorn
from msgspec.structs import replace
from twilio.request_validator import RequestValidator

from connectors.clock import SystemClock
from connectors.notes import Notes
from connectors.tracing import started
from connectors.vault import Vault
from schemas.events import ReceiptReceived, ResponseReceived
from schemas.words import Channel, Purpose, Responder
from streams.connector_pulse import Pulse
from streams.edge_cli import EdgeSettings, application
from streams.environment import checked
from tests.connectors.builders import VAULT_KEY, VAULT_SALT, Rig, a_cancel, a_command
from tests.streams.rig import until
from tests.world.part import free_port
from tests.world.postgres import Postgres

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("postgres")]
STAFF, DRIVER = "staff secret", "driver secret"
# The order's id has all that a path could stumble over.
TASK = "A%2F1~E%201.3"
PATH = f"/staff/v1/tasks/{quote(TASK, safe='')}"
CODE = "gate code 4711#"


class Tools:
    """The edge as its process wires it, and the claims behind it."""

    def __init__(self, dsn: str, **more: Any) -> None:
        self.clock = SystemClock()
        self.rig = Rig(dsn, self.clock)
        self.vault = Vault(self.rig.pool, [VAULT_KEY], VAULT_SALT, self.clock)
        self.notes = Notes(self.rig.pool, self.vault, self.clock)
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        given = {
            "broker": "127.0.0.1:9",
            "pg_dsn": dsn,
            "public_url": self.url,
            "link_secrets": "link",
            "app_secrets": "app",
            "staff_secrets": f"older,{STAFF}",
            "driver_secrets": DRIVER,
            "twilio_auth_token": "token",
            "vault_key": base64.b64encode(VAULT_KEY).decode(),
            "vault_salt": VAULT_SALT.decode(),
            "retailer": "Greengrocer",
        }
        edge = application(checked(EdgeSettings, given | more))
        self.server = uvicorn.Server(uvicorn.Config(edge, host="127.0.0.1", port=port, log_level="warning"))
        self.thread = threading.Thread(target=self.server.run)
        self.thread.start()
        until(lambda: self.server.started, "the edge")

    def task(self, command_id: str = TASK, for_s: float = 600, trace: str = "", **changes: Any) -> None:
        command = a_command(
            command_id,
            Channel.PERSON,
            now=self.clock.now(),
            for_s=for_s,
            purpose=Purpose.UPDATE,
            about=("E1",),
            reason="the order can no longer be modified",
            **changes,
        )
        self.rig.claims.file([replace(command, cases=())], [trace])

    def ask(
        self,
        path: str,
        body: Any = None,
        secret: str = STAFF,
        signed_body: bytes | None = None,
        **headers: str,
    ) -> requests.Response:
        content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        signature = signature_of(secret, self.url + path, content if signed_body is None else signed_body)
        return requests.request(
            "GET" if body is None else "POST",
            self.url + path,
            data=content,
            headers={"X-Saveline-Signature": signature, **headers},
            timeout=60,
        )

    def now(self, path: str, after_s: float = 0.0, **more: Any) -> requests.Response:
        """A request that reads, signed with the second in which it is made."""
        at = int(self.clock.now().timestamp() + after_s)
        return self.ask(f"{path}{'&' if '?' in path else '?'}at={at}", **more)

    def says(self, state: str, by: str = "kim", path: str = PATH, **more: Any) -> requests.Response:
        return self.ask(path, {"request_id": "request-1", "by": by, "state": state, **more})

    def close(self) -> None:
        self.server.should_exit = True
        self.thread.join(20)
        self.rig.close()


def signature_of(secret: str, url: str, body: bytes) -> str:
    return hmac.new(secret.encode(), f"{url}\n".encode() + body, hashlib.sha256).hexdigest()


@pytest.fixture
def tools(dsn: str) -> Iterator[Tools]:
    tools = Tools(dsn)
    yield tools
    tools.close()


# Staff


def test_open_tasks_are_shown_most_urgent_first_and_late_ones_stay(tools: Tools) -> None:
    tools.task("A1~E1.1", for_s=600)
    tools.task("A2~E1.1", for_s=60, store_id="s2")
    tools.task("A3~E1.1", for_s=-60)
    tools.task("A4~E1.1")
    tools.rig.claims.file([a_cancel("A4~E1.1", Channel.PERSON)])
    found = tools.now("/staff/v1/tasks").json()["tasks"]
    assert [(task["command_id"], task["late"]) for task in found] == [
        ("A3~E1.1", True),
        ("A2~E1.1", False),
        ("A1~E1.1", False),
    ]
    assert found[0]["reason"] == "the order can no longer be modified"
    assert [task["order_id"] for task in tools.now("/staff/v1/tasks?store=s2").json()["tasks"]] == ["A2"]


def test_one_task_is_shown_with_what_it_is_about(tools: Tools) -> None:
    tools.task()
    shown = tools.now(PATH).json()
    assert (shown["command_id"], shown["state"], shown["about"], shown["cases"]) == (TASK, "open", ["E1"], [])


def test_what_a_person_says_is_a_fact_once_however_often_it_is_said(tools: Tools) -> None:
    trace = started()
    tools.task(trace=trace)
    for _ in range(2):
        answer = tools.says("taken")
        assert (answer.status_code, answer.json()["state"], answer.json()["taken_by"]) == (
            200,
            "taken",
            "kim",
        )
    for _ in range(2):
        assert tools.says("done").json()["state"] == "done"
    assert tools.rig.told(TASK) == ["taken", "done:done"]
    assert all(
        isinstance(fact, ReceiptReceived) and fact.channel is Channel.PERSON for fact in tools.rig.facts()
    )
    # Who it was is the tool's business and in no fact.
    assert b"kim" not in b"".join(tools.rig.codec.encode(fact) for fact in tools.rig.facts())
    with tools.rig.pool.connection() as connection:
        assert connection.execute("SELECT DISTINCT traceparent FROM outbox").fetchall() == [(trace,)]
    assert tools.now("/staff/v1/tasks").json()["tasks"] == []


def test_a_task_that_is_somebody_elses_or_settled_is_not_taken(tools: Tools) -> None:
    tools.task()
    tools.says("taken")
    assert tools.says("done", by="lee").status_code == 409
    assert tools.says("declined", reason="not_ours").json()["state"] == "declined"
    assert tools.rig.told(TASK) == ["taken", "declined:not_ours"]
    for late in ("taken", "done"):
        assert tools.says(late).status_code == 409
    cancelled = "A4~E1.1"
    tools.task(cancelled)
    tools.rig.claims.file([a_cancel(cancelled, Channel.PERSON)])
    assert tools.says("taken", path=f"/staff/v1/tasks/{quote(cancelled)}").status_code == 409


def test_of_two_people_who_take_a_task_at_once_one_has_it(tools: Tools) -> None:
    tools.task()
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda n: tools.says("taken", by=f"person-{n}").status_code, range(8)))
    assert sorted(answers) == [200] + [409] * 7
    assert tools.rig.told(TASK) == ["taken"]


def test_a_decision_is_a_response_of_staff_against_a_version(tools: Tools) -> None:
    tools.task()
    picked = {"case_id": "E1", "version": 2, "refund": True}
    for _ in range(2):
        assert tools.says("decision", decisions=[picked]).json() == {"verdict": "waiting", "reason": ""}
    first, again = [fact for fact in tools.rig.facts() if isinstance(fact, ResponseReceived)]
    assert first.event_id == again.event_id
    assert (first.responder, first.channel, first.command_id) == (Responder.STAFF, Channel.PERSON, TASK)
    [answer] = first.answers
    assert (answer.case_id, answer.decision_version, answer.key) == ("E1", 2, 0)
    assert tools.says("decision", decisions=[{**picked, "case_id": "E9"}]).status_code == 422


@pytest.mark.parametrize("how", ["unsigned", "wrong_secret", "tampered", "other_path", "drivers"])
def test_what_is_not_signed_by_a_staff_tool_changes_nothing(tools: Tools, how: str) -> None:
    tools.task()
    body = {"request_id": "request-1", "by": "kim", "state": "done"}
    answer = {
        "unsigned": lambda: tools.ask(PATH, body, **{"X-Saveline-Signature": ""}),
        "wrong_secret": lambda: tools.ask(PATH, body, secret="guessed"),
        "tampered": lambda: tools.ask(PATH, body, signed_body=b'{"state": "taken"}'),
        "other_path": lambda: tools.ask(
            PATH,
            body,
            **{"X-Saveline-Signature": signature_of(STAFF, f"{tools.url}/other", json.dumps(body).encode())},
        ),
        "drivers": lambda: tools.ask(PATH, body, secret=DRIVER),
    }[how]()
    assert answer.status_code == 403
    assert tools.rig.facts() == []
    assert tools.now(PATH).json()["state"] == "open"


def test_the_older_of_two_secrets_is_good_and_an_overheard_request_is_not_for_long(tools: Tools) -> None:
    tools.task()
    assert tools.now(PATH, secret="older").status_code == 200
    assert tools.ask(PATH).status_code == 403
    assert tools.now(PATH, after_s=-400).status_code == 403
    assert tools.now(PATH, after_s=400).status_code == 403
    assert tools.ask(f"{PATH}?at=yesterday").status_code == 403


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"x" * 70_000, 413),
        (b"no json", 422),
        (b"\xff\xfe", 422),
        ({"request_id": "request-1", "by": "kim", "state": "finished"}, 422),
        ({"request_id": "request-1", "by": "kim", "state": "decision"}, 422),
        ({"request_id": "short", "by": "kim", "state": "done"}, 422),
        ({"request_id": "request-1\x00", "by": "kim", "state": "done"}, 422),
        ({"request_id": "request-1", "by": "kim\x00", "state": "done"}, 422),
        ({"request_id": "request-1", "by": "kim", "state": "done", "reason": "Ann Smith rang"}, 422),
        ({"request_id": "request-1", "by": "kim", "state": "done", "more": 1}, 422),
    ],
)
def test_what_nobody_can_say_of_a_task_changes_nothing(tools: Tools, body: Any, status: int) -> None:
    tools.task()
    assert tools.ask(PATH, body).status_code == status
    assert tools.rig.facts() == []


def test_an_unknown_task_and_a_command_that_is_none_are_not_there(tools: Tools) -> None:
    tools.rig.claims.file([a_command("A1~E1.1", now=tools.clock.now())])
    for command_id in ("Z9~E1.1", "A1~E1.1"):
        path = f"/staff/v1/tasks/{command_id}"
        assert tools.now(path).status_code == 404
        assert tools.says("done", path=path).status_code == 404
    assert tools.rig.state("A1~E1.1") == "planned"


# Drivers


def test_what_was_left_for_the_driver_is_told_once(tools: Tools) -> None:
    reference = tools.notes.keep("ann", "A1", "note-1", CODE)
    assert tools.notes.keep("ann", "A1", "note-1", "another") == reference
    path = f"/driver/v1/refs/{reference}"
    answer = tools.now(path, secret=DRIVER)
    assert (answer.json(), answer.headers["Cache-Control"]) == ({"text": CODE}, "no-store")
    assert tools.now(path, secret=DRIVER).status_code == 410
    with tools.rig.pool.connection() as connection:
        assert connection.execute("SELECT sealed FROM driver_notes").fetchall() == [(None,)]


def test_of_many_who_ask_for_it_at_once_one_is_told(tools: Tools) -> None:
    path = f"/driver/v1/refs/{tools.notes.keep('ann', 'A1', 'note-1', CODE)}"
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: tools.now(path, secret=DRIVER).status_code, range(8)))
    assert sorted(answers) == [200] + [410] * 7


def test_nobody_else_is_told_and_asking_wrongly_does_not_use_it_up(tools: Tools) -> None:
    path = f"/driver/v1/refs/{tools.notes.keep('ann', 'A1', 'note-1', CODE)}"
    assert requests.get(tools.url + path, timeout=60).status_code == 403
    assert tools.now(path, secret=STAFF).status_code == 403
    assert tools.now(path, after_s=-400, secret=DRIVER).status_code == 403
    assert tools.now("/driver/v1/refs/unknown", secret=DRIVER).status_code == 404
    assert tools.now(f"/driver/v1/refs/{'x' * 3000}", secret=DRIVER).status_code == 404
    assert tools.now(path, secret=DRIVER).json() == {"text": CODE}


def test_what_an_erased_customer_left_is_gone(tools: Tools) -> None:
    path = f"/driver/v1/refs/{tools.notes.keep('ann', 'A1', 'note-1', CODE)}"
    tools.vault.erase("ann")
    assert tools.now(path, secret=DRIVER).status_code == 410


def test_without_secrets_there_are_no_such_doors(dsn: str) -> None:
    tools = Tools(dsn, staff_secrets=None, driver_secrets=None)
    tools.task()
    assert tools.now(PATH).status_code == 404
    assert tools.now("/driver/v1/refs/x", secret=DRIVER).status_code == 404
    tools.close()


def test_while_postgres_restarts_nothing_is_accepted_and_afterwards_everything(tmp_path: Path) -> None:
    server = Postgres(tmp_path)
    server.start()
    tools = Tools(server.dsn, database_wait_s=1.0)
    tools.task()
    reference = tools.notes.keep("ann", "A1", "note-1", CODE)
    tools.rig.pool.close()
    server.kill()
    away = [tools.says("taken"), tools.now(f"/driver/v1/refs/{reference}", secret=DRIVER), tools.now(PATH)]
    assert [(answer.status_code, answer.headers["Retry-After"]) for answer in away] == [(503, "5")] * 3
    form = {"MessageSid": "SM1", "From": "+447400123456", "To": "+441632960000", "Body": "STOP"}
    signature = RequestValidator("token").compute_signature(f"{tools.url}/twilio/sms", form)
    headers = {"X-Twilio-Signature": signature}
    assert requests.post(f"{tools.url}/twilio/sms", form, headers=headers, timeout=60).status_code == 503
    assert requests.get(f"{tools.url}/readyz", timeout=60).status_code == 503
    server.start()
    until(lambda: requests.get(f"{tools.url}/readyz", timeout=60).status_code == 200, "readiness")
    # A connection of before may still lie in the pool: whoever meets it is asked to come again.
    until(lambda: tools.says("taken").status_code == 200, "the connections")
    path = f"/driver/v1/refs/{reference}"
    told = until(lambda: told_by(lambda: tools.now(path, secret=DRIVER)), "the driver's word")
    assert told.json() == {"text": CODE}
    until(
        lambda: told_by(lambda: requests.post(f"{tools.url}/twilio/sms", form, headers=headers, timeout=60)),
        "the text",
    )
    with psycopg.connect(server.dsn) as connection:
        assert connection.execute("SELECT count(*) FROM outbox").fetchone() == (1,)
        assert connection.execute("SELECT count(*) FROM opt_outs WHERE opted_out").fetchone() == (2,)
    tools.close()
    server.stop()


def told_by(asks: Callable[[], requests.Response]) -> requests.Response | None:
    """The answer, unless it is that the database is away."""
    answer = asks()
    assert answer.status_code in (200, 503)
    return answer if answer.status_code == 200 else None


def test_a_task_that_waits_for_a_person_is_no_work_left_undone(tools: Tools) -> None:
    at_end = [True]
    pulse = Pulse(
        tools.rig.pool,
        threading.current_thread(),
        lambda: at_end[0],
        standing=(),
        patience_s=120.0,
        clock=tools.clock,
    )
    tools.task()
    assert pulse.quiescent()
    # What still lies in a topic will be work.
    at_end[0] = False
    assert not pulse.quiescent()
    at_end[0] = True
    tools.rig.claims.file([a_command("A1~E1.1", now=tools.clock.now() - timedelta(seconds=1))])
    assert not pulse.quiescent()
