"""`saveline up --json` says where everything is, and its processes answer; none of the product is needed to use it."""

import ast
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import requests

from tests.control.outside import Outside, run_up, until

pytestmark = pytest.mark.real
OURS = ("worker", "connectors", "edge")
SIMULATORS = ("twilio", "fcm", "smtp", "oms", "fulfilment")
PRODUCT = {"schemas", "state", "connectors", "streams"}


def imported(module: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def test_this_suite_imports_nothing_of_the_product_or_of_its_tests() -> None:
    modules = sorted(Path(__file__).parent.glob("*.py"))
    names = {name for module in modules for name in imported(module)}
    assert "confluent_kafka" in names
    assert {name for name in names if name.split(".")[0] in PRODUCT} == set()
    assert {name for name in names if name.split(".")[0] == "tests"} == {"tests.control.outside"}


def test_every_address_port_pid_and_log_is_told(outside: Outside) -> None:
    assert outside.parts.keys() == {*OURS, *SIMULATORS, "kafka", "postgres", "s3"}
    assert outside.told["pid"] == outside.process.pid
    for name, part in outside.parts.items():
        assert psutil.pid_exists(part["pid"]), name
        assert Path(part["log"]).exists(), name
        for port in (part.get("port"), part.get("control_port")):
            if port is not None:
                socket.create_connection(("127.0.0.1", port), timeout=30).close()
        # What a simulator is judged by is never on the product's port.
        if name in SIMULATORS:
            assert part["control_port"] != part.get("port")
            assert Path(part["book"]).exists()
    on_product_port = f"http://{outside.parts['oms']['address']}/_control/book"
    assert requests.get(on_product_port, timeout=30).status_code == 404
    assert outside.told["environment"]["SAVELINE_SMS_SENDER"].startswith("+")


def test_every_secret_file_is_named_is_its_owners_alone_and_no_secret_is_printed(outside: Outside) -> None:
    files = {name: Path(file) for name, file in outside.told["secret_files"].items()}
    # What a database keeps to itself lies deeper.
    folders = (outside.folder, outside.folder / "secrets", *(outside.folder / name for name in SIMULATORS))
    found = [file for folder in folders for file in folder.glob("*") if file.is_file()]
    closed = {file for file in found if file.name != ".stack" and file.stat().st_mode & 0o077 == 0}
    assert closed <= set(files.values())
    assert {file for file in files.values() if file.stat().st_mode & 0o077} == {files["evidence_public_key"]}
    printed = json.dumps(outside.told)
    for name in ("vault_key", "link_secrets", "app_secrets", "postgres_password"):
        assert files[name].read_text().strip() not in printed


@pytest.mark.parametrize("process", OURS)
def test_every_process_tells_whether_it_lives_is_ready_and_rests(outside: Outside, process: str) -> None:
    for path in ("/livez", "/readyz"):
        until(lambda path=path: outside.asks(process, path).ok, f"{path} of {process}")
    assert outside.asks(process, "/version").json()["version"]
    assert "process_resident_memory_bytes" in outside.asks(process, "/metrics").text
    outside.rests(process)


def test_what_is_killed_comes_back_and_a_folder_has_one_owner(outside: Outside) -> None:
    outside.arms("edge", "before_request", "kill_9", match={"path": "/c/forged"})
    assert outside.asks("edge", "/livez").ok
    with pytest.raises(requests.ConnectionError):
        outside.asks("edge", "/c/forged")
    until(lambda: _answers(outside), "the edge to be back")
    another = run_up(outside.folder)
    _, said = another.communicate(timeout=300)
    assert another.returncode == 1
    assert "another stack lives in" in said


def _answers(outside: Outside) -> bool:
    try:
        return outside.asks("edge", "/readyz").ok
    except requests.RequestException:
        return False
