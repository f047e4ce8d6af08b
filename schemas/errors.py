"""The one error of the language: a record that cannot be what it claims to be."""

from collections.abc import Iterable


class Malformed(Exception):
    """A record that must go to quarantine; `reasons` names everything that is wrong, in words."""

    def __init__(self, reasons: Iterable[str]) -> None:
        self.reasons = tuple(reasons)
        super().__init__("; ".join(self.reasons))
