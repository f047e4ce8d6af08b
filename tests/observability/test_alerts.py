"""The alerts: valid, complete, each with a page, and each fires when it should and not otherwise."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.observability.conftest import ALERTS
from tests.world.prometheus import tool

ROOT = Path(__file__).parents[2]
CASES = Path(__file__).with_name("alerts_test.yaml")
RULES = [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]


def run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_says_how_bad_it_is_what_it_means_and_what_to_do(rule: dict) -> None:
    assert rule["labels"]["severity"] in ("critical", "warning", "info")
    assert {"summary", "description", "runbook_url"} <= rule["annotations"].keys()
    page = ROOT / rule["annotations"]["runbook_url"]
    assert page.name == f"{rule['alert']}.md"
    assert page.read_text().startswith(f"# {rule['alert']}\n")


def test_no_page_is_about_an_alert_that_is_gone() -> None:
    pages = {page.stem for page in (ROOT / "docs" / "runbooks").glob("Saveline*.md")}
    assert pages == {rule["alert"] for rule in RULES}


@pytest.mark.real
def test_promtool_accepts_the_rules() -> None:
    run(tool("promtool"), "check", "rules", str(ALERTS))


@pytest.mark.real
def test_each_alert_fires_when_it_should_and_not_otherwise() -> None:
    run(tool("promtool"), "test", "rules", str(CASES))


def test_each_alert_is_shown_to_fire_and_to_be_silent() -> None:
    cases = yaml.safe_load(CASES.read_text())["tests"]
    checks = [check for case in cases for check in case["alert_rule_test"]]
    fired = {check["alertname"] for check in checks if check.get("exp_alerts")}
    silent = {check["alertname"] for check in checks if not check.get("exp_alerts")}
    names = {rule["alert"] for rule in RULES}
    assert fired == silent == names


@pytest.mark.real
def test_the_example_of_a_route_is_valid_and_sends_each_alert_somewhere() -> None:
    example = str(ALERTS.with_name("alertmanager.example.yaml"))
    run(tool("amtool"), "check-config", example)
    wanted = {"critical": "on-call", "warning": "tickets", "info": "cx-managers"}
    to_managers = re.compile("Saveline(CaseStuck|SaveRateDrop|OptOutSpike|KillSwitchThrown)")
    for rule in RULES:
        severity, name = rule["labels"]["severity"], rule["alert"]
        receiver = "cx-managers" if to_managers.fullmatch(name) else wanted[severity]
        run(
            *(tool("amtool"), "config", "routes", "test", f"--config.file={example}"),
            *(f"--verify.receivers={receiver}", f"alertname={name}", f"severity={severity}"),
        )
