"""The heart broken on purpose: `decide` is its own witness in I8, so that the other invariants must tell."""

import msgspec
import pytest

from schemas.facts import Attributes
from schemas.words import Kind, OptionKind
from state import admissible, answers, offers
from state.gate import Verdict
from streams.verifier.judge import judge
from streams.verifier.safety import Circumstances, against
from tests.builders import a_customer, a_delivery, a_way, an_exception, an_option, but, local, pounds
from tests.verifier.honest import CODEC, Honest

NUTS = Attributes(allergens_known=True, allergens=("nuts",))


def broken(day: Honest) -> dict[str, str]:
    return {
        one.invariant: "\n".join(str(violation) for violation in one.violations)
        for one in judge(day.seen(), CODEC).findings
        if one.violations
    }


def a_day_with(option, **wishes) -> Honest:
    day = Honest()
    day.exception(an_exception(options=(option,)), a_customer(**wishes))
    day.fast_forward(seconds=30)
    return day


def without_the_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (admissible, offers, answers):
        monkeypatch.setattr(module, "judge", lambda _option, _question: Verdict(()))


CASES = {
    "an allergen": (an_option("bad", attributes=NUTS), {"allergens": ("nuts",)}, "the customer avoids"),
    "an allergen in other letters": (
        an_option("bad", attributes=NUTS),
        {"allergens": (" Nuts",)},
        "the customer avoids",
    ),
    "unknown allergens": (
        an_option("bad", attributes=Attributes()),
        {"allergens": ("nuts",)},
        "unknown allergens",
    ),
    "an older age": (
        an_option("bad", attributes=Attributes(allergens_known=True, age_class=18)),
        {},
        "older age",
    ),
    "no substitutes wanted": (an_option("bad"), {"never_substitute": True}, "wants no substitutes"),
    "a hidden price": (an_option("bad", unit_price=pounds(900)), {}, "does not say so"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_gate_that_lets_everything_pass_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    option, wishes, words = CASES[name]
    assert broken(a_day_with(option, **wishes)) == {}
    without_the_gate(monkeypatch)
    day = a_day_with(option, **wishes)
    day.taps("bad")
    found = broken(day)
    # The fold is the broken heart's own: it agrees with itself.
    assert found.keys() == {"I11"}, found
    assert words in found["I11"]
    assert "not to be offered" in found["I11"]


def test_a_parcel_whose_age_check_failed_is_restricted_whatever_is_listed_of_it() -> None:
    delivery = a_delivery(contains=(), sale_from="08:00", sale_until="22:00")
    raised = an_exception(kind=Kind.AGE_CHECK_FAILED, delivery=delivery)
    around = Circumstances(raised, a_customer(), frozenset(), local("2026-03-02T23:00"))
    assert against(a_way("locker", OptionKind.LOCKER), 1, around)
    assert against(a_way("pickup", OptionKind.PICKUP), 1, around)
    assert not against(a_way("pickup", OptionKind.PICKUP), 1, but(around, at=local("2026-03-02T21:00")))


def test_what_was_blocked_after_it_was_shown_is_found_where_the_gate_is_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without_the_gate(monkeypatch)
    day = a_day_with(an_option("bad"))
    assert broken(day) == {}
    day.blocked("bread-hill")
    day.fast_forward(seconds=1)
    day.taps("bad")
    assert "was blocked" in broken(day)["I11"]


def test_a_worker_that_changes_a_state_by_itself_is_found() -> None:
    day = a_day_with(an_option())
    last = day.messages["saveline-cases-changelog"][-1]
    meddled = msgspec.structs.replace(last, value=last.value[:-2] + b"\x00\x00")
    day.messages["saveline-cases-changelog"][-1] = meddled
    assert broken(day).keys() == {"I8"}
