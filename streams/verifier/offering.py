"""I11: an inadmissible option was never offered, accepted or written."""

from collections import defaultdict
from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from schemas.catalogue import Topic
from schemas.commands import OfferedOption, OrderUpdate
from schemas.events import (
    ContactChanged,
    ExceptionAccepted,
    ExceptionAmended,
    ExceptionRaised,
    ProductBlocked,
)
from schemas.facts import CustomerFacts, Option
from schemas.words import LINE_KINDS, Actor
from schemas.words import WriteBackOutcome as Outcome
from streams.verifier.limits import Limits
from streams.verifier.limits import read as read_limits
from streams.verifier.safety import Circumstances, against, dearer_minor, not_by_default, unsafe
from streams.verifier.seen import Message, Seen, Story, instant
from streams.verifier.verdict import Finding

T = TypeVar("T")
_Reasons = Callable[[Circumstances], list[str]]


def check(seen: Seen, story: Story) -> Finding:
    finding = Finding(invariant="I11")
    past = Past(seen.topics.of(Topic.CASE_EVENTS))
    prices = Prices(seen, story)
    for command in story.commands.values():
        for case in command.cases:
            for shown in case.options:
                finding.checked += 1
                limits = prices.of(case.case_id)
                reasons = _against_offer(past, case.case_id, shown, limits, command.issued_at)
                if reasons:
                    finding.wrong(
                        order=command.order_id,
                        expected=f"option {shown.option_id} of case {case.case_id} not to be offered",
                        found=f"{command.command_id} offers it: {'; '.join(reasons)}",
                        look=f"channel.{command.channel}.v1, and saveline trace {command.order_id}",
                    )
    for update in story.updates.values():
        finding.checked += 1
        reasons = _against_decision(past, update, prices.of(update.case_id))
        if reasons:
            finding.wrong(
                order=update.order_id,
                expected=f"decision {update.command_id} not to be taken or written",
                found="; ".join(reasons),
                look=f"{Topic.UPDATES}, and saveline trace {update.order_id}",
            )
    return finding


class Prices:
    """What may be dearer in which case. Where the order system changed a line, nobody else tells by how much."""

    def __init__(self, seen: Seen, story: Story) -> None:
        self._by_policy, self._story = read_limits(seen.policies), story
        self._changed = {
            update.case_id
            for update in story.updates.values()
            if any(one.outcome is Outcome.LINE_CHANGED for one in story.outcomes.get(update.command_id, []))
        }

    def of(self, case_id: str) -> Limits | None:
        last = self._story.last(case_id)
        return self._by_policy.get(last.policy) if last and case_id not in self._changed else None


def _too_dear(dearer: int, absorbed: int, around: Circumstances, limits: Limits) -> list[str]:
    """What speaks against a difference of which so much is ours to bear; the customer's own cap goes first."""
    reasons = []
    if absorbed > limits.absorb_max_minor:
        reasons.append(f"{absorbed} of its price are borne, and only {limits.absorb_max_minor} may be")
    own = around.facts.price_cap
    same = own is not None and own.currency == around.exception.order_total.currency
    cap_minor = own.minor if own is not None and same else limits.cap_minor
    if dearer - absorbed > max(cap_minor, 0):
        reasons.append(f"it is dearer by {dearer - absorbed} than the {cap_minor} that may be added")
    return reasons


def _against_offer(
    past: "Past", case_id: str, shown: OfferedOption, limits: Limits | None, at: datetime
) -> list[str]:
    def reasons(around: Circumstances) -> list[str]:
        option = _option(around.exception, shown.option_id)
        if option is None:
            return ["upstream did not suggest it"]
        found = against(option, around.short, around)
        dearer = dearer_minor(option, around.short, around)
        if dearer > 0 and not (shown.at_old_price or shown.dearer):
            found.append("it is dearer and does not say so")
        elif dearer > 0 and limits is not None:
            found += _too_dear(dearer, dearer if shown.at_old_price else 0, around, limits)
        return found

    return past.fewest(case_id, at, reasons)


def _against_decision(past: "Past", update: OrderUpdate, limits: Limits | None) -> list[str]:
    decision, found = update.decision, []

    def what_it_costs(around: Circumstances) -> list[str]:
        options = [(_option(around.exception, part.option_id), part.quantity) for part in decision.chosen]
        dearer = sum(dearer_minor(option, units, around) for option, units in options if option is not None)
        absorbed = decision.absorbed.minor if decision.absorbed is not None else 0
        return _too_dear(dearer, absorbed, around, limits) if limits is not None else []

    # Staff may give more than a policy does.
    if decision.actor is not Actor.STAFF:
        found += past.fewest(update.case_id, decision.decided_at, what_it_costs)
    for part in decision.chosen:

        def when_taken(around: Circumstances, part: Any = part) -> list[str]:
            option = _option(around.exception, part.option_id)
            if option is None:
                return [f"upstream did not suggest {part.option_id}"]
            units = part.quantity if around.exception.line is not None else 1
            reasons = against(option, units, around)
            if decision.actor is Actor.DEFAULT:
                reasons += not_by_default(option, units, around)
            return reasons

        def when_written(around: Circumstances, part: Any = part) -> list[str]:
            option = _option(around.exception, part.option_id)
            if option is None or around.exception.line is None:
                # Upstream may stop to suggest what was chosen already; slots count as they stood then.
                return []
            return unsafe(option, part.quantity, around)

        found += past.fewest(update.case_id, decision.decided_at, when_taken)
        found += past.fewest(update.case_id, update.issued_at, when_written)
    return found


def _option(exception: ExceptionRaised, option_id: str) -> Option | None:
    return next((option for option in exception.options if option.option_id == option_id), None)


class Past:
    """What was known at each instant: the exception as amended, the customer's facts, the blocks."""

    def __init__(self, events: list[Message]) -> None:
        self._exceptions: dict[str, list[tuple[datetime, ExceptionRaised]]] = defaultdict(list)
        self._facts: dict[str, list[tuple[datetime, CustomerFacts]]] = defaultdict(list)
        self._blocks: dict[int, list[tuple[datetime, frozenset[str]]]] = defaultdict(list)
        self._partition: dict[str, int] = {}
        early: dict[str, list[ExceptionAmended]] = defaultdict(list)
        for one in events:
            at, record = instant(one.appended_ms), one.record
            match record:
                case ExceptionAccepted() if record.exception.exception_id in self._exceptions:
                    # A repeat is dropped; a higher revision amends, and brings no facts.
                    known = self._exceptions[record.exception.exception_id]
                    known.append((at, _amended(known[-1][1], _in_full(record.exception))))
                case ExceptionAccepted():
                    self._partition[record.order_id] = one.partition
                    self._facts[record.order_id].append((at, record.facts))
                    exception = _as_taken_up(record.exception)
                    for amended in early.pop(exception.exception_id, []):
                        exception = _amended(exception, amended)
                    self._exceptions[exception.exception_id].append((at, exception))
                case ExceptionAmended():
                    versions = self._exceptions.get(record.exception_id)
                    if versions:
                        versions.append((at, _amended(versions[-1][1], record)))
                    else:
                        early[record.exception_id].append(record)
                case ContactChanged():
                    self._facts[record.order_id].append((at, record.facts))
                case ProductBlocked():
                    blocks = self._blocks[one.partition]
                    before = blocks[-1][1] if blocks else frozenset()
                    after = before | {record.sku} if record.blocked else before - {record.sku}
                    blocks.append((at, after))

    def fewest(self, case_id: str, at: datetime, reasons: _Reasons) -> list[str]:
        """The reasons under what was known at the instant.

        Records of the same millisecond may have come before or after: the kindest order counts.
        """
        best: list[str] | None = None
        for exception in _known(self._exceptions.get(case_id, []), at):
            blocks = self._blocks.get(self._partition.get(exception.order_id, -1), [])
            for facts in _known(self._facts.get(exception.order_id, []), at):
                for blocked in _known(blocks, at) or [frozenset()]:
                    found = reasons(Circumstances(exception, facts, blocked, at))
                    if best is None or len(found) < len(best):
                        best = found
        return ["nothing was known of the case"] if best is None else best


def _known(versions: list[tuple[datetime, T]], at: datetime) -> list[T]:
    """What held right before the instant, and what came within it."""
    before = [value for since, value in versions if since < at]
    return before[-1:] + [value for since, value in versions if since == at]


def _as_taken_up(exception: ExceptionRaised) -> ExceptionRaised:
    """What failed at the door is the delivery, whichever line upstream names beside it."""
    return exception if exception.kind in LINE_KINDS else msgspec.structs.replace(exception, line=None)


def _in_full(fresh: ExceptionRaised) -> ExceptionAmended:
    return ExceptionAmended(
        event_id=fresh.event_id,
        order_id=fresh.order_id,
        exception_id=fresh.exception_id,
        revision=fresh.revision,
        quantity_available=fresh.line.quantity_available if fresh.line is not None else None,
        options=fresh.options,
        occurred_at=fresh.occurred_at,
    )


def _amended(exception: ExceptionRaised, amended: ExceptionAmended) -> ExceptionRaised:
    if amended.revision <= exception.revision:
        return exception
    line = exception.line
    if line is not None and amended.quantity_available is not None:
        line = msgspec.structs.replace(line, quantity_available=amended.quantity_available)
    options = exception.options if amended.options is None else amended.options
    return msgspec.structs.replace(exception, revision=amended.revision, line=line, options=options)
