"""I1: every valid exception has a case; every invalid one is in quarantine with its reasons, byte for byte."""

from collections import defaultdict
from typing import Any

from schemas.catalogue import RECORDS, UPSTREAM, Topic
from schemas.events import ExceptionAmended, ExceptionRaised, ExceptionWithdrawn
from schemas.validity import faults
from streams.verifier.seen import Message, Seen, Story
from streams.verifier.verdict import Finding

# What intake tells by its own clock, and the worker beside what it knows: the judge cannot tell them anew.
_BY_THE_CLOCK = ("is stale", "is premature")
_BESIDE_THE_KNOWN = ("id_reused", "no_policy", "order_full")
_Place = tuple[str, int, int]


def check(seen: Seen, story: Story) -> Finding:
    finding = Finding(invariant="I1")
    topics = seen.topics
    quarantined = _by_origin(topics.of(topics.quarantine), finding)
    _originals(seen, quarantined, finding)
    reached = {one.record.event_id for one in topics.of(Topic.CASE_EVENTS) if hasattr(one.record, "event_id")}
    sent_back = _sent_back_by_the_worker(seen, quarantined)
    # By the letter that each names, with its bytes: whoever only says so has replayed nothing.
    replayed = {
        (one.topic, letter, one.key, one.value)
        for topic in UPSTREAM
        for one in topics.of(topic)
        for letter in one.header("replayed-from")
    }
    shown = None if seen.register is None else {row["case_id"] for row in seen.register.cases}
    if shown is None:
        finding.skip("whether the register shows each case: no database was given")
    for topic in UPSTREAM:
        for one in topics.of(topic):
            finding.checked += 1
            reasons = _reasons(one)
            back = quarantined.get((one.topic, one.partition, one.offset), [])
            if reasons:
                _must_be_back(one, reasons, back, finding)
            elif back:
                said = [reason for copy in back for reason in copy.header("reason")]
                by_the_clock = any(word in reason for word in _BY_THE_CLOCK for reason in said)
                # Repaired and sent again: from then on it is that record which has to be admitted.
                if not by_the_clock and not all(
                    (one.topic, f"{copy.partition}-{copy.offset}", copy.key, copy.value) in replayed
                    for copy in back
                ):
                    finding.wrong(
                        order=_order(one.record),
                        expected="a valid record to be admitted",
                        found=f"it is in quarantine: {'; '.join(said) or 'without a reason'}",
                        look=back[0].place,
                    )
            else:
                _must_have_come(one, (reached, sent_back, shown), story, finding)
    return finding


def _reasons(one: Message) -> list[str]:
    record: Any = one.record
    if record is None:
        return list(one.faults)
    if type(record) not in RECORDS[Topic(one.topic)]:
        return [f"a record of type {type(record).__name__} does not belong on this topic"]
    return faults(record, len(one.value or b""))


def _must_be_back(one: Message, reasons: list[str], back: list[Message], finding: Finding) -> None:
    if not back:
        finding.wrong(
            order=_order(one.record),
            expected=f"quarantine, because {reasons[0]}",
            found="it is not there",
            look=one.place,
        )
    for copy in back:
        missing = [reason for reason in reasons if reason not in copy.header("reason")]
        if missing:
            finding.wrong(
                order=_order(one.record),
                expected=f"the reason {missing[0]!r}",
                found=f"{copy.header('reason')}",
                look=copy.place,
            )


def _must_have_come(
    one: Message, known: tuple[set[str], set[str], set[str] | None], story: Story, finding: Finding
) -> None:
    reached, sent_back, shown = known
    record = one.record
    if one.topic in (Topic.CONTACTS, Topic.CONSENTS):
        # They reach the orders that are open, which may be none.
        return
    if record.event_id not in reached:
        finding.wrong(
            order=_order(record),
            expected=f"{type(record).__name__} {record.event_id} on {Topic.CASE_EVENTS}",
            found="it is not there",
            look=one.place,
        )
        return
    if not isinstance(record, ExceptionRaised) or record.event_id in sent_back:
        return
    case_id = record.exception_id
    if case_id not in story.changes:
        finding.wrong(
            order=record.order_id,
            expected=f"a case {case_id} on {Topic.CHANGES}",
            found="there is none",
            look=one.place,
        )
    elif shown is not None and case_id not in shown:
        finding.wrong(
            order=record.order_id,
            expected=f"a row of case {case_id} in the register",
            found="there is none",
            look="register_cases",
        )


def _by_origin(quarantine: list[Message], finding: Finding) -> dict[_Place, list[Message]]:
    """By where each came from; a deadline that failed came from no record."""
    found: dict[_Place, list[Message]] = defaultdict(list)
    for one in quarantine:
        topic, partition, offset = (
            one.header(f"original-{name}") for name in ("topic", "partition", "offset")
        )
        if topic and partition and offset and (partition[0] + offset[0]).isdigit():
            found[topic[0], int(partition[0]), int(offset[0])].append(one)
        elif not (topic and one.header("deadline-due-ms")):
            finding.wrong(expected="headers that say where it came from", found="none", look=one.place)
    return found


def _originals(seen: Seen, quarantined: dict[_Place, list[Message]], finding: Finding) -> None:
    """Each is exactly what its publisher wrote, and says why it is here."""
    by_place = {
        (one.topic, one.partition, one.offset): one
        for topic in {place[0] for place in quarantined}
        for one in seen.topics.of(topic)
    }
    for place, copies in quarantined.items():
        original = by_place.get(place)
        for copy in copies:
            finding.checked += 1
            if original is not None and (copy.key, copy.value) != (original.key, original.value):
                finding.wrong(
                    expected="the quarantined record to be byte-identical",
                    found="its key or value differs from the original",
                    look=f"{copy.place}, and {original.place}",
                )
            if not any(copy.header("reason")):
                finding.wrong(expected="a reason in the headers", found="none", look=copy.place)


def _sent_back_by_the_worker(seen: Seen, quarantined: dict[_Place, list[Message]]) -> set[str]:
    """Event ids that contradict what is known, each with its reason."""
    found = set()
    for one in seen.topics.of(Topic.CASE_EVENTS):
        for copy in quarantined.get((one.topic, one.partition, one.offset), []):
            if any(reason.startswith(_BESIDE_THE_KNOWN) for reason in copy.header("reason")):
                found.add(getattr(one.record, "event_id", ""))
    return found


def _order(record: Any) -> str:
    known = isinstance(record, ExceptionRaised | ExceptionAmended | ExceptionWithdrawn)
    return record.order_id if known else ""
