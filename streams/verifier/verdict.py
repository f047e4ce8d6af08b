"""What is found: for each invariant how much was looked at, what is wrong, or why it could not be looked at."""

from typing import Any

import msgspec

INVARIANTS = {
    "I1": "every valid exception has a case; every invalid one is in quarantine with its reason",
    "I2": "a provider accepted at most one call or message for a command",
    "I3": "every case is closed within its plan, or stands as stuck with a reason",
    "I4": "exactly one effective write for a decision, verified",
    "I5": "evidence is what its pointer says, and its chain holds",
    "I6": "no timer fires early; every live deadline takes effect once",
    "I7": "nothing after a close or an opt-out but what the customer is owed",
    "I7a": "an answer given before its deadline is never answered by the default",
    "I8": "states and outputs equal the fold of the committed input, computed anew",
    "I9": "no more sends given up as ambiguous than ambiguous faults",
    "I10": "no personal data in clear text outside customer.contacts.v1",
    "I11": "no inadmissible option was offered, accepted or written",
}


class Violation(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is not as it has to be, and where to look."""

    invariant: str
    order: str = ""
    expected: str
    found: str
    look: str

    def __str__(self) -> str:
        about = f" order {self.order}:" if self.order else ""
        return f"{self.invariant}{about} expected {self.expected}; found {self.found}; look at {self.look}"


class Finding(msgspec.Struct, kw_only=True):
    """One invariant's. `skipped` says why it, or a part of it, was not checked: that is never "holds"."""

    invariant: str
    checked: int = 0
    violations: list[Violation] = []
    skipped: str | None = None

    def wrong(self, *, order: str = "", expected: str, found: str, look: str) -> None:
        one = Violation(invariant=self.invariant, order=order, expected=expected, found=found, look=look)
        self.violations.append(one)

    def skip(self, reason: str) -> None:
        self.skipped = f"{self.skipped}; {reason}" if self.skipped else reason


class Verdict(msgspec.Struct, frozen=True):
    """`ok`: there is no violation in anything that was checked."""

    findings: list[Finding]

    @property
    def ok(self) -> bool:
        return not any(finding.violations for finding in self.findings)

    def as_json(self) -> dict[str, Any]:
        return {
            "invariants": {
                one.invariant: {
                    "checked": one.checked,
                    "violations": [msgspec.to_builtins(v) for v in one.violations],
                    "skipped": one.skipped,
                }
                for one in self.findings
            },
            "ok": self.ok,
        }
