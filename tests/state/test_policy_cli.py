"""`saveline policy`: what it prints, where, and how it ends."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from state.policy_table import table
from streams.cli import main
from tests.state.a_policy import a_document, written

# It is right: the entry point reads the command line, which the fixture sets.
pytestmark = pytest.mark.filterwarnings("ignore:Cyclopts application invoked without tokens")

ROOT = Path(__file__).parents[2]


class Ran(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def saveline(monkeypatch, capsys) -> Callable[..., Ran]:
    """Runs `saveline policy ...` as its entry point does."""

    def run(*arguments: str | Path) -> Ran:
        monkeypatch.setattr("sys.argv", ["saveline", "policy", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        return Ran(int(left.value.code or 0), *capsys.readouterr())

    return run


def test_check_names_what_holds_and_what_is_not_released_yet(tmp_path, saveline):
    ran = saveline("check", written(tmp_path, a_document(), a_document(version=2)))
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == "policies hold: shortage@1, shortage@2; not released yet: shortage@1, shortage@2\n"


def test_check_ends_with_1_and_every_fault_on_standard_error(tmp_path, saveline):
    ran = saveline("check", written(tmp_path, a_document(gather_ms=-1, kinds=[])))
    assert (ran.returncode, ran.stdout) == (1, "")
    assert [line.split(": ")[:2] for line in ran.stderr.splitlines()] == [
        ["shortage.v1.yaml", "kinds"],
        ["shortage.v1.yaml", "gather_ms"],
    ]


def test_release_locks_and_check_then_refuses_a_change(tmp_path, saveline):
    ran = saveline("release", written(tmp_path, a_document()))
    assert (ran.returncode, ran.stdout) == (0, "released: shortage@1\n")
    assert saveline("check", tmp_path).stdout == "policies hold: shortage@1\n"
    ran = saveline("check", written(tmp_path, a_document(gather_ms=1)))
    assert (ran.returncode, ran.stderr) == (
        1,
        "shortage@1: was released and has changed: give it a new version\n",
    )
    lock = (tmp_path / "lock.json").read_text(encoding="utf-8")
    assert saveline("release", tmp_path).returncode == 1
    assert (tmp_path / "lock.json").read_text(encoding="utf-8") == lock, "a fault releases nothing"


def test_show_lists_the_policies_or_prints_one_as_it_is_used(tmp_path, saveline):
    written(tmp_path, a_document(gather_ms=None) | {"extends": "common"}, common={"gather_ms": 7})
    ran = saveline("show", "--folder", tmp_path)
    assert ran.returncode == 0
    assert ran.stdout.split() == ["shortage@1", "live", "Something", "is", "missing."]
    ran = saveline("show", "shortage@1", "--folder", tmp_path)
    shown = yaml.safe_load(ran.stdout)
    assert (ran.returncode, shown["gather_ms"], shown["timing"]["talk_ms"]) == (0, 7, 60_000)


def test_show_of_what_is_not_there_says_what_is(tmp_path, saveline):
    ran = saveline("show", "shortage@9", "--folder", written(tmp_path, a_document()))
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == "shortage@9: no such policy; there are shortage@1\n"


def test_diff_ends_with_0_1_or_2(tmp_path, saveline):
    written(tmp_path, a_document(), a_document(version=2, gather_ms=1))
    changed = saveline("diff", "shortage@1", "shortage@2", "--folder", tmp_path)
    assert changed.returncode == 1
    assert "-gather_ms: 20000\n+gather_ms: 1\n" in changed.stdout
    same = saveline("diff", "shortage@1", "shortage@1", "--folder", tmp_path)
    assert (same.returncode, same.stdout) == (0, "shortage@1 and shortage@1 say the same\n")
    gone = saveline("diff", "shortage@1", "shortage@3", "--folder", tmp_path)
    assert (gone.returncode, gone.stdout) == (2, "")


def test_show_and_diff_of_a_folder_with_faults_name_them_without_a_traceback(tmp_path, saveline):
    written(tmp_path, a_document(gather_ms=-1))
    for arguments, code in ((("show",), 1), (("diff", "shortage@1", "shortage@1"), 2)):
        ran = saveline(*arguments, "--folder", tmp_path)
        assert (ran.returncode, ran.stdout) == (code, "")
        assert ran.stderr.startswith("shortage.v1.yaml: gather_ms: ")
        assert "Traceback" not in ran.stderr


def test_the_documented_table_of_fields_is_what_the_command_prints(saveline):
    ran = saveline("fields")
    assert ran.stdout == table()
    assert table() in (ROOT / "docs" / "policies.md").read_text(encoding="utf-8"), (
        "renew the table of docs/policies.md with: saveline policy fields"
    )
