"""The edge's process by its command line: doors on one port, the platform's on another, nothing without settings."""

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

from connectors import vault_keys
from connectors.register.migrate import upgrade
from tests.streams.processes import ROOT
from tests.world.part import Part, answers, free_port

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("postgres")]


def key_of(letter: bytes) -> str:
    return base64.b64encode(letter * 32).decode()


def settings(dsn: str, port: int, platform_port: int) -> dict[str, str]:
    return {
        "PG_DSN": dsn,
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
        "RETAILER": "Greengrocer",
        "LINK_SECRETS": "one,two",
        "APP_SECRETS": "app",
        "VAULT_SALT": "s",
        "VAULT_KEY": key_of(b"m"),
        "TWILIO_AUTH_TOKEN": "older,newer",
        "HTTP_PORT": str(port),
        "PLATFORM_PORT": str(platform_port),
        "BROKER": "127.0.0.1:9",
    }


@pytest.fixture
def edge(dsn: str, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Where its doors are, and where the platform asks."""
    upgrade(dsn)
    port, platform_port = free_port(), free_port()
    url = f"http://127.0.0.1:{port}"
    part = Part(
        "edge",
        [sys.executable, "-m", "streams.cli", "edge"],
        tmp_path / "edge.log",
        env={f"SAVELINE_{name}": value for name, value in settings(dsn, port, platform_port).items()},
        cwd=ROOT,
    )
    part.start(lambda: answers(port) and answers(platform_port), timeout_s=120)
    yield url, f"http://127.0.0.1:{platform_port}"
    # It finishes what it answers, then lets the signal have its way.
    assert part.stop(timeout_s=60) in (0, -signal.SIGTERM)


def test_the_pages_and_the_webhooks_are_on_one_port_and_what_a_platform_asks_on_another(
    edge: tuple[str, str],
) -> None:
    url, platform = edge
    assert requests.get(f"{platform}/livez", timeout=30).ok
    assert requests.get(f"{platform}/readyz", timeout=30).json() == {"ok": True, "reasons": []}
    assert "version" in requests.get(f"{platform}/version", timeout=30).json()
    assert requests.get(f"{url}/c/forged", timeout=30).status_code == 404
    # Neither has what is the other's, whatever a caller says of where it is.
    for path in ("/livez", "/readyz", "/metrics", "/version"):
        at = {"Host": platform.removeprefix("http://")}
        assert requests.get(f"{url}{path}", headers=at, timeout=30).status_code == 404
    assert requests.get(f"{platform}/c/forged", timeout=30).text == "Not Found"
    told = requests.get(f"{platform}/metrics", timeout=30).text
    assert 'saveline_edge_requests_total{route="/c/{token}",status="4xx"} 1.0' in told
    # What only tests may do is not there.
    assert requests.get(f"{url}/_test/quiescent", timeout=30).status_code == 404
    form = {"MessageSid": "SM1", "MessageStatus": "sent"}
    assert requests.post(f"{url}/twilio/status/A1~E1.1", data=form, timeout=30).status_code == 403
    signature = RequestValidator("older").compute_signature(f"{url}/twilio/status/A1~E1.1", form)
    headers = {"X-Twilio-Signature": signature}
    # Nobody sent such a command.
    answer = requests.post(f"{url}/twilio/status/A1~E1.1", data=form, headers=headers, timeout=30)
    assert answer.status_code == 404


def ended(**given: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SAVELINE_")}
    return subprocess.run(
        [sys.executable, "-m", "streams.cli", "edge"],
        env=environment | {f"SAVELINE_{name}": value for name, value in given.items()},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_vault_whose_key_is_not_given_stops_it_with_one_line(dsn: str) -> None:
    upgrade(dsn)
    assert vault_keys.missing(dsn, key_of(b"n")) == []
    done = ended(**settings(dsn, 1, 2))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert f"wrapped under the key {vault_keys.key_id(b'n' * 32)}, which SAVELINE_VAULT_KEY" in done.stderr


def test_every_missing_setting_is_named_at_once() -> None:
    done = ended(LINK_SECRETS="one,", PLATFORM_PORT="8082")
    assert done.returncode == 2
    for name in ("PG_DSN", "PUBLIC_URL", "APP_SECRETS", "TWILIO_AUTH_TOKEN", "VAULT_KEY"):
        assert f"SAVELINE_{name}: Field required" in done.stderr
    assert "SAVELINE_LINK_SECRETS: Value error, one or more secrets" in done.stderr
    assert "SAVELINE_PLATFORM_PORT: is SAVELINE_HTTP_PORT: set another, or none" in done.stderr
