"""Which options of a case may be offered now, best first, and why the others may not."""

from operator import attrgetter

import msgspec
from msgspec.structs import replace

from schemas.commands import RefusedOption
from schemas.facts import Chosen, Content, Option
from state.conversation import Case
from state.gate import Question, Verdict, judge
from state.pricing import content_of
from state.ranking import Rank, rank
from state.turn import Turn


def question(
    turn: Turn, case: Case, units: int, *, added_minor: int = 0, absorbed_minor: int = 0
) -> Question:
    """What the gate is asked about so many pieces of this case, now, beside other parts of the same choice."""
    if len(turn.conversation.cases) > 1:
        # A line that was refunded elsewhere is no leave to spend its money here.
        added_minor += max(turn.order_delta_minor(case), 0)
    return Question(
        exception=case.exception,
        facts=turn.conversation.facts,
        policy=turn.policy_of(case),
        conditions=turn.rules.conditions,
        now=turn.now,
        units=units,
        added_minor=added_minor,
        absorbed_minor=absorbed_minor,
        no_increase=case.no_increase,
    )


class Candidate(msgspec.Struct, frozen=True, gc=False):
    """An admissible option with all that was found out about it."""

    option: Option
    verdict: Verdict
    content: Content | None
    rank: Rank

    @property
    def is_own_choice(self) -> bool:
        return not self.rank.not_own_choice


def admissible(turn: Turn, case: Case) -> tuple[list[Candidate], tuple[RefusedOption, ...]]:
    """The options that may be offered, best first, and the others with every reason."""
    short, exception, facts = case.quantity_short, case.exception, turn.conversation.facts
    asked = question(turn, case, short)
    found: list[Candidate] = []
    refused: list[RefusedOption] = []
    for option in exception.options:
        verdict = judge(option, asked)
        if verdict.reasons:
            refused.append(RefusedOption(option_id=option.option_id, reasons=verdict.reasons))
            continue
        content = content_of(option, short, short)
        order = rank(option, exception.line, facts, short, verdict.cost_minor, content)
        found.append(Candidate(option, verdict, content, order))
    found.sort(key=_rank_of)
    said = turn.refused[exception.exception_id] = tuple(refused)
    return found, said


_rank_of = attrgetter("rank")


def barred(turn: Turn, case: Case, chosen: tuple[Chosen, ...]) -> tuple[str, ...]:
    """Why parts of a decision may not be written any more: a block, or an allergen that became known since.

    Reservations and slots count as they stood when it was decided: the decision has claimed them.
    """
    decision = case.decision
    if decision is None:
        return ()
    by_id = {option.option_id: option for option in case.exception.options}
    reasons: list[str] = []
    for part in chosen:
        asked = replace(question(turn, case, part.quantity), now=decision.decided_at)
        if part.option_id in by_id:
            reasons += judge(by_id[part.option_id], asked).reasons
        else:
            # Upstream offers it no more, and left the decision alone: a block still counts.
            reasons += [f"{c.name} is blocked" for c in part.components if asked.blocks(c.sku)]
    return tuple(reasons)
