"""Every mutant of the engine is caught by the test that is named beside it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.mutants.engine import MUTANTS, breed
from tests.streams import test_crashes, test_ledger, test_ledger_failures, test_seam, test_worker
from tests.streams.rig import Rig, Run

pytestmark = pytest.mark.real

Caught = (AssertionError, pytest.fail.Exception)


def stepped(test: Callable[[Rig, Run], None]) -> Callable[[Rig, Path], None]:
    def with_a_run(rig: Rig, _: Path) -> None:
        run = Run(rig)
        try:
            test(rig, run)
        finally:
            run.close()

    return with_a_run


IN_PROCESS: dict[str, Callable[[Rig, Path], None]] = {
    "no_transactions": lambda rig, _: test_crashes.test_a_crash_on_a_warm_disk_loses_and_doubles_nothing(
        rig, "after_outputs"
    ),
    "no_fence": lambda rig, folder: (
        test_crashes.test_an_owner_that_is_replaced_inside_its_transaction_commits_nothing(
            rig, "after_outputs", folder
        )
    ),
    "no_deadline_version": stepped(
        test_ledger.test_a_deadline_that_was_put_off_fires_only_at_its_new_instant
    ),
    "a_clock_that_runs_ahead": lambda rig, _: (
        test_crashes.test_a_crash_on_a_warm_disk_loses_and_doubles_nothing(rig, "after_commit")
    ),
    "deadlines_first": stepped(test_ledger.test_an_answer_in_time_wins_over_its_deadline_whatever_the_lag),
    "read_uncommitted_restore": lambda rig, folder: (
        test_crashes.test_a_crash_with_an_empty_disk_after_it_loses_and_doubles_nothing(
            rig, "after_states", folder
        )
    ),
    "no_continuity_check": stepped(
        lambda _, run: test_ledger.test_a_delivery_that_starts_beyond_progress_is_refused(run)
    ),
    "a_fetch_outlives_a_seek": lambda _rig, _folder: (
        test_seam.a_seek_waits_for_the_fetch_that_began_before_it()
    ),
    "no_fetch_gate": lambda _rig, _folder: test_seam.nothing_passes_a_closed_gate(),
}

IN_A_WORKER: dict[str, Callable[[Rig, str], None]] = {
    "seek_to_the_committed_offset": test_worker.reads_on_after_its_progress,
    "acknowledge_before_commit": test_worker.acknowledges_after_the_commit,
    "no_continuity_check": test_worker.stops_rather_than_skips,
}


@pytest.mark.parametrize("mutant", IN_PROCESS)
def test_the_mutant_is_caught(
    bootstrap: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mutant: str
) -> None:
    breed(mutant, monkeypatch.setattr)
    with pytest.raises(Caught):
        IN_PROCESS[mutant](Rig(bootstrap, tmp_path), tmp_path)


def test_applying_before_the_commit_is_caught(
    bootstrap: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    breed("apply_before_commit", monkeypatch.setattr)
    rig = Rig(bootstrap, tmp_path)
    run = Run(rig)
    with pytest.raises(Caught), monkeypatch.context() as inner:
        test_ledger_failures.test_only_what_is_committed_is_on_the_disk(rig, run, inner)
    run.close()
    with pytest.raises(Caught):
        test_crashes.test_a_crash_on_a_warm_disk_loses_and_doubles_nothing(
            Rig(bootstrap, tmp_path), "before_commit"
        )


@pytest.mark.parametrize("mutant", IN_A_WORKER)
def test_the_mutant_is_caught_in_a_worker(bootstrap: str, tmp_path: Path, mutant: str) -> None:
    with pytest.raises(Caught):
        IN_A_WORKER[mutant](Rig(bootstrap, tmp_path, partitions=2), mutant)


def test_every_mutant_has_a_test_that_catches_it() -> None:
    assert {*IN_PROCESS, *IN_A_WORKER, "apply_before_commit"} == MUTANTS.keys()
