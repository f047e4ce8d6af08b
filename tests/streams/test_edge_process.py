"""The edge's process by its command line: pages and webhooks on one port, nothing without its settings."""

import base64
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from twilio.request_validator import RequestValidator

from connectors.register.migrate import upgrade
from tests.streams.processes import ROOT
from tests.world.part import Part, answers, free_port

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("postgres")]


@pytest.fixture
def url(dsn: str, tmp_path: Path) -> Iterator[str]:
    upgrade(dsn)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    given = {
        "PG_DSN": dsn,
        "PUBLIC_URL": url,
        "RETAILER": "Greengrocer",
        "LINK_SECRETS": "one,two",
        "APP_SECRETS": "app",
        "VAULT_SALT": "s",
        "VAULT_KEY": base64.b64encode(b"m" * 32).decode(),
        "TWILIO_AUTH_TOKEN": "older,newer",
        "HTTP_PORT": str(port),
        "BROKER": "127.0.0.1:9",
    }
    part = Part(
        "edge",
        [sys.executable, "-m", "streams.cli", "edge"],
        tmp_path / "edge.log",
        env={f"SAVELINE_{name}": value for name, value in given.items()},
        cwd=ROOT,
    )
    part.start(lambda: answers(port), timeout_s=120)
    yield url
    # It finishes what it answers, then lets the signal have its way.
    assert part.stop() in (0, -signal.SIGTERM)


def test_the_pages_and_the_webhooks_are_there_and_so_is_what_a_platform_asks(url: str) -> None:
    assert requests.get(f"{url}/livez", timeout=5).ok
    assert requests.get(f"{url}/readyz", timeout=5).json() == {"ok": True, "reasons": []}
    assert "version" in requests.get(f"{url}/version", timeout=5).json()
    assert "python_info" in requests.get(f"{url}/metrics", timeout=5).text
    assert requests.get(f"{url}/c/forged", timeout=5).status_code == 404
    # What only tests may do is not there.
    assert requests.get(f"{url}/_test/quiescent", timeout=5).status_code == 404
    form = {"MessageSid": "SM1", "MessageStatus": "sent"}
    assert requests.post(f"{url}/twilio/status/A1~E1.1", data=form, timeout=5).status_code == 403
    signature = RequestValidator("older").compute_signature(f"{url}/twilio/status/A1~E1.1", form)
    headers = {"X-Twilio-Signature": signature}
    # Nobody sent such a command.
    answer = requests.post(f"{url}/twilio/status/A1~E1.1", data=form, headers=headers, timeout=5)
    assert answer.status_code == 404


def test_every_missing_setting_is_named_at_once() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SAVELINE_")}
    ended = subprocess.run(
        [sys.executable, "-m", "streams.cli", "edge"],
        env=environment | {"SAVELINE_LINK_SECRETS": "one,"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    for name in ("PG_DSN", "PUBLIC_URL", "APP_SECRETS", "TWILIO_AUTH_TOKEN", "VAULT_KEY"):
        assert f"SAVELINE_{name}: Field required" in ended.stderr
    assert "SAVELINE_LINK_SECRETS: Value error, one or more secrets" in ended.stderr
