"""Which requests go wrong, and how: rules put by a test, matched by resource, address, order or number."""

import re
from typing import Annotated

import msgspec

from tests.world.simulators.book import order_of


class Match(msgspec.Struct, forbid_unknown_fields=True):
    """All that is given has to hold; `nth` counts the requests for which the rest holds, from 1."""

    resource: str = ""
    address: str = ""
    order: str = ""
    nth: Annotated[int, msgspec.Meta(ge=0)] = 0


class Callbacks(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What becomes of the callbacks of one message or call."""

    none: bool = False
    delay_ms: int = 0
    times: Annotated[int, msgspec.Meta(ge=1)] = 1
    order: str = ""


class Rule(msgspec.Struct, forbid_unknown_fields=True):
    """`count` bounds how often it strikes; with `nth` it strikes once unless `count` says more."""

    match: Match = msgspec.field(default_factory=Match)
    then: str = ""
    after_ms: int = 0
    callbacks: Callbacks | None = None
    listing: str = ""
    count: int | None = None
    matched: int = 0
    struck: int = 0


class Verdict(msgspec.Struct, frozen=True):
    """What one request meets: the first matching rule of each sort."""

    then: str = ""
    after_ms: int = 0
    callbacks: Callbacks = Callbacks()
    listing: str = "ok"

    @property
    def name(self) -> str:
        return self.then.partition(":")[0]

    @property
    def code(self) -> str:
        return self.then.partition(":")[2]


class Faults:
    """The rules in force; `known` is a pattern of the `then` values that this simulator can do."""

    def __init__(self, known: str) -> None:
        self._known = re.compile(known)
        self.rules: list[Rule] = []

    def put(self, body: bytes) -> None:
        """Replaces all rules by a JSON list of them; `ValueError` says what is wrong."""
        try:
            rules = msgspec.json.decode(body, type=list[Rule])
        except msgspec.ValidationError as error:
            raise ValueError(str(error)) from error
        for rule in rules:
            if rule.then and not self._known.fullmatch(rule.then):
                raise ValueError(f"unknown fault {rule.then!r}; known are {self._known.pattern}")
            if rule.callbacks and rule.callbacks.order not in ("", "reversed"):
                raise ValueError(f"callbacks.order is {rule.callbacks.order!r}; known is 'reversed'")
            if rule.listing not in ("", "ok", "http_500", "empty"):
                raise ValueError(f"listing is {rule.listing!r}; known are ok, http_500, empty")
        self.rules = rules

    def meet(
        self,
        resource: str,
        address: str = "",
        command_id: str = "",
        text: str = "",
        *,
        by_order: bool | None = None,
    ) -> Verdict:
        """Count this request against the rules and say what it meets.

        `by_order` asks only those that name an order, or only the others, where a protocol tells the
        address before the content.
        """
        asked = [rule for rule in self.rules if by_order is None or bool(rule.match.order) == by_order]
        struck = [rule for rule in asked if _strikes(rule, resource, address, command_id, text)]
        then = next((rule for rule in struck if rule.then), Rule())
        callbacks = next((rule.callbacks for rule in struck if rule.callbacks), Callbacks())
        listing = next((rule.listing for rule in struck if rule.listing), "ok")
        return Verdict(then=then.then, after_ms=then.after_ms, callbacks=callbacks, listing=listing)


def _strikes(rule: Rule, resource: str, address: str, command_id: str, text: str) -> bool:
    match = rule.match
    if match.resource and match.resource != resource:
        return False
    # A rule about listings concerns listings only, and no other rule does.
    if bool(rule.listing) != (resource == "listing"):
        return False
    if match.address and match.address != address:
        return False
    if match.order and match.order != order_of(command_id) and not _mentions(text, match.order):
        return False
    rule.matched += 1
    first = match.nth or 1
    limit = rule.count if rule.count is not None else (1 if match.nth else None)
    if rule.matched < first or (limit is not None and rule.matched >= first + limit):
        return False
    rule.struck += 1
    return True


def _mentions(text: str, order: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(order)}(?![\w-])", text) is not None
