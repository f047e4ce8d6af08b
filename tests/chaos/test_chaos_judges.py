"""What engine chaos calls a failure, and what it allows a slow machine."""

import pytest

from streams.outcomes import Fenced, Gap
from tests.chaos.engine import Chaos, Outcome, strange_ends
from tests.chaos.world import RESUME_S, SESSION_S, SLOWER_MAX, WORK_S, Pace


class Told:
    """Commits and a pace that are told, in place of those that are observed."""

    def __init__(self, took_ms: dict[int, int | None], allowed_s: float, now_ms: int = 0) -> None:
        self.took_ms, self.allowed_s, self.at_ms = took_ms, allowed_s, now_ms

    def now_ms(self) -> int:
        return self.at_ms

    def resumed_ms(self, _start_ms: int) -> dict[int, int | None]:
        return self.took_ms

    def resume_s(self, _start_ms: int) -> float:
        return self.allowed_s


def judged(told: Told) -> Outcome:
    chaos = object.__new__(Chaos)
    chaos.outcome, chaos.commits, chaos.pace = Outcome(), told, told
    chaos.must_resume("kill", 0)
    return chaos.outcome


@pytest.mark.parametrize(
    ("found", "code"),
    [
        (Outcome(), 0),
        (Outcome(violations=["a command is missing"]), 1),
        (Outcome(stalls=["after kill"]), 1),
        (Outcome(missed=["zombie"]), 1),
    ],
)
def test_violations_stalls_and_faults_that_never_came_fail_the_run(found: Outcome, code: int) -> None:
    whole = Outcome()
    whole.add(Outcome())
    whole.add(found)
    assert whole.exit_code == code


def test_the_last_line_says_the_counts_of_all_clusters() -> None:
    whole = Outcome()
    for nodes in (1, 3):
        found = Outcome(stalls=["x"], events=100 * nodes, transactions=nodes, slowest_s=9.0 / nodes)
        found.faults["kill"] += nodes
        whole.add(found)
    assert whole.last_line == (
        "engine chaos: 4 faults, 0 violations, 2 stalls, 0 kinds missed; 400 events in 4 transactions, "
        "slowest resumption 9.0 s (0 over 21 s on a slow machine)"
    )


def test_an_end_that_no_fault_brings_about_is_a_violation() -> None:
    assert strange_ends([-9, 0, Fenced.exit_code]) == []
    assert strange_ends([-9, Gap.exit_code]) == [f"a worker ended with {Gap.exit_code}"]


def test_a_partition_that_resumes_late_or_never_is_a_stall() -> None:
    assert judged(Told({0: 900, 1: 20_900}, RESUME_S)).stalls == []
    assert judged(Told({0: 900, 1: 21_100}, RESUME_S)).stalls
    assert judged(Told({0: 900, 1: None}, RESUME_S, now_ms=200_000)).stalls


def test_what_only_a_slow_machine_excuses_is_counted() -> None:
    assert judged(Told({0: 20_900}, 40.0)).lenient == 0
    slow = judged(Told({0: 30_000}, 40.0))
    assert (slow.stalls, slow.lenient, slow.slowest_s) == ([], 1, 30.0)


def test_only_the_work_may_take_longer_and_only_where_the_machine_was_slow_meanwhile() -> None:
    pace = Pace()
    pace.pieces = [(1_000, 0.5), (2_000, 0.01), (3_000, 0.01)]
    assert pace.resume_s(1_500) == RESUME_S
    pace.pieces += [(4_000, 0.02), (5_000, 0.04)]
    assert pace.resume_s(3_500) == pytest.approx(SESSION_S + 3 * WORK_S)
    # Nothing was measured since: as it was last.
    assert pace.resume_s(6_000) == pytest.approx(SESSION_S + 4 * WORK_S)
    pace.pieces += [(7_000, 1.0)]
    assert pace.resume_s(6_000) == pytest.approx(SESSION_S + SLOWER_MAX * WORK_S)
