"""I3: every case is closed within its plan, or stands in the register as stuck with a reason."""

from datetime import datetime
from typing import Any

from schemas.commands import CaseChanged
from schemas.words import CaseState
from streams.verifier.seen import Seen, Story
from streams.verifier.verdict import Finding


def check(seen: Seen, story: Story) -> Finding:
    finding = Finding(invariant="I3")
    rows: dict[str, Any] | None = None
    if seen.register is None:
        finding.skip("whether the register says the same: no database was given")
    else:
        rows = {row["case_id"]: row for row in seen.register.cases}
    for case_id in story.changes:
        finding.checked += 1
        last = story.changes[case_id][-1]
        _in_time(seen, story, last, finding)
        if rows is not None:
            _shown(last, rows.get(case_id), finding)
    return finding


def bound_at(seen: Seen, story: Story, last: CaseChanged) -> datetime:
    """Until when a decided case is done and closed, or stuck."""
    instants = [last.deadline_at, last.opened_at, story.picked_until_at(last.case_id)]
    if last.decision is not None:
        instants.append(last.decision.decided_at + seen.patience)
    return max(at for at in instants if at is not None) + seen.slack


def _in_time(seen: Seen, story: Story, last: CaseChanged, finding: Finding) -> None:
    look = f"saveline trace {last.order_id}, case {last.case_id}"
    undecided_at = max(last.deadline_at, last.opened_at) + seen.slack
    decision = last.decision
    if last.stuck:
        return
    if last.state is CaseState.OPEN:
        if seen.now > undecided_at and last.case_id not in story.taken:
            finding.wrong(
                order=last.order_id,
                expected=f"case {last.case_id} to be decided or stuck by {undecided_at:%F %T}",
                found="it is open and says no reason",
                look=look,
            )
        return
    first = decision is not None and decision.version == 1
    if first and decision is not None and decision.decided_at > undecided_at:
        was_taken = last.case_id in story.taken or any(c.stuck for c in story.changes[last.case_id])
        if not was_taken:
            finding.wrong(
                order=last.order_id,
                expected=f"case {last.case_id} to be decided by {undecided_at:%F %T}",
                found=f"it was decided at {decision.decided_at:%F %T}",
                look=look,
            )
    bound = bound_at(seen, story, last)
    if last.state is not CaseState.CLOSED and seen.now > bound:
        finding.wrong(
            order=last.order_id,
            expected=f"case {last.case_id} to be closed or stuck by {bound:%F %T}",
            found=f"it is {last.state}, missing {', '.join(last.missing) or 'nothing'}",
            look=look,
        )


def _shown(last: CaseChanged, row: dict[str, Any] | None, finding: Finding) -> None:
    if row is None:
        found = "no row"
    else:
        wanted = {
            "state": str(last.state),
            "stuck": last.stuck,
            "version": last.decision.version if last.decision else 0,
            "resolution": str(last.resolution),
            "changed_at": last.changed_at,
        }
        differ = [f"{name} {row[name]}" for name, value in wanted.items() if row[name] != value]
        if not differ:
            return
        found = ", ".join(differ)
    finding.wrong(
        order=last.order_id,
        expected=f"the register to show case {last.case_id} as {last.state}, changed {last.changed_at:%F %T}",
        found=found,
        look=f"register_cases, case_id = {last.case_id}",
    )
