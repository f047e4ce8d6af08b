"""The gate against its oracle, which was written from the rules alone: they agree on everything."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from schemas.words import LINE_KINDS
from state.gate import Question, judge
from state.rules import Conditions, fold
from tests.builders import NOON
from tests.properties import oracle
from tests.properties.vocabulary import SHELF, conditions, everyday, exceptions, facts


@given(
    exception=st.one_of(everyday(), exceptions()),
    facts=facts(),
    policy=st.sampled_from(list(SHELF.by_key.values())),
    events=st.lists(conditions, max_size=3),
    late_ms=st.sampled_from([0, 1, 4_999, 5_000, 110_000, 3_600_000, 7_200_000, 21_600_000, 21_600_001]),
    units=st.integers(1, 5),
    added_minor=st.sampled_from([0, 0, 100, 300]),
    absorbed_minor=st.sampled_from([0, 0, 50, 90]),
    no_increase=st.booleans(),
)
def test_the_gate_and_the_rules_agree(
    exception, facts, policy, events, late_ms, units, added_minor, absorbed_minor, no_increase
):
    holds = Conditions()
    for event in events:
        holds = fold(holds, event)
    now = NOON + timedelta(milliseconds=late_ms)
    line = exception.line
    if exception.kind not in LINE_KINDS:
        assert line is None or line.quantity_ordered > line.quantity_available
    units = min(units, line.quantity_ordered - line.quantity_available) if line is not None else 1
    question = Question(
        exception=exception,
        facts=facts,
        policy=policy,
        conditions=holds,
        now=now,
        units=units,
        added_minor=added_minor,
        absorbed_minor=absorbed_minor,
        no_increase=no_increase,
    )
    around = oracle.Circumstances(
        exception,
        facts,
        policy,
        holds,
        now,
        elsewhere_minor=added_minor,
        absorbed_minor=absorbed_minor,
        no_increase=no_increase,
    )
    for option in exception.options:
        verdict = judge(option, question)
        assert verdict.is_admissible == oracle.may_be_had(option, units, around), (option, verdict)
