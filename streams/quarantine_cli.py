"""`saveline quarantine`: what could not be processed is listed, shown, replayed once, or discarded."""

import json
import re
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Annotated

from cyclopts import App, Parameter
from rich.console import Console
from rich.table import Table
from rich.text import Text

from connectors.clock import SystemClock
from streams import access, rights
from streams.access import RefusedError, UnreachableError
from streams.environment import Faulty, account, read
from streams.quarantined import (
    AT_ONCE_MAX,
    OvertakenError,
    Quarantine,
    Quarantined,
    Settled,
    Settling,
    UnreadableError,
    unreplayable,
)
from streams.settings import WorkerSettings

app = App(name="quarantine", help="What could not be processed: list, show, replay, discard.")

_SPAN = re.compile(r"(\d{1,6})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_REASON_CHARS = 70
_LISTED = 100

Ids = Annotated[
    tuple[str, ...], Parameter(help="as `ls` prints them: partition-offset", allow_leading_hyphen=False)
]
Since = Annotated[
    str, Parameter(help="in quarantine since then: 90s, 30m, 2h, 7d, or an instant like 2026-11-24T09:00Z")
]
Reason = Annotated[str, Parameter(help="whose reason contains this")]
FromTopic = Annotated[str, Parameter(name="--topic", help="which came from this topic")]
Everything = Annotated[bool, Parameter(name="--all", negative="")]
AsJson = Annotated[bool, Parameter(name="--json", negative="", help="one JSON object a line")]


class _Wrong(Exception):
    """What was asked for makes no sense; the text says why."""


@app.command
def ls(
    *,
    since: Since = "",
    reason: Reason = "",
    topic: FromTopic = "",
    everything: Everything = False,
    limit: Annotated[int | None, Parameter(help="how many are listed; 100, or all with --json")] = None,
    as_json: AsJson = False,
) -> int:
    """List what waits, oldest first, and count all of it by topic and reason; --all: also what is settled.

    Keys and contents are not shown: they may be anybody's.
    """

    def listed() -> int:
        if limit is not None and limit < 1:
            raise _Wrong(f"--limit {limit}: one or more")
        quarantine, _ = _open()
        settled = quarantine.settled()
        found = (
            one
            for one in _chosen(quarantine.records(_since_ms(since)), (), reason, topic)
            if everything or one.id not in settled
        )
        if as_json:
            for one in islice(found, limit):
                print(json.dumps(_told(one, settled.get(one.id))))
            return 0
        _table(found, settled, limit or _LISTED)
        return 0

    return _guarded(listed)


@app.command
def show(
    record: str, *, payload: Annotated[bool, Parameter(negative="")] = False, as_json: AsJson = False
) -> int:
    """Everything about one record; its key and contents, which may be personal, only with --payload."""

    def shown() -> int:
        quarantine, _ = _open()
        one = next((found for found in quarantine.records() if found.id == record), None)
        if one is None:
            raise _Wrong(f"{record}: is not in quarantine; saveline quarantine ls --all lists what is")
        told = _told(one, quarantine.settled().get(one.id))
        told["reasons"] = list(one.reasons)
        told["bytes"] = len(one.value or b"")
        if payload:
            told["key_hex"], told["value_hex"] = (one.key or b"").hex(), (one.value or b"").hex()
        if as_json:
            print(json.dumps(told))
        else:
            for name, value in told.items():
                print(f"{name:14} {_lines(value)}")
        return 0

    return _guarded(shown)


@app.command
def replay(
    *ids: str,
    since: Since = "",
    reason: Reason = "",
    topic: FromTopic = "",
    everything: Everything = False,
    rate: Annotated[float, Parameter(help="at most so many a second")] = 0.0,
    dry_run: Annotated[bool, Parameter(negative="", help="only say what would be sent")] = False,
    by: Annotated[str, Parameter(help="who does it; the account's name")] = "",
) -> int:
    """Send records to the topic that they came from, as they were, each once however often this is asked.

    Choose by id, --since, --reason or --topic, or say --all. What cannot be sent is named, and left.
    """

    def replayed() -> int:
        _needs_a_choice(ids, since, reason, topic, everything=everything)
        quarantine, settings = _open()
        chosen = _chosen(quarantine.records(_since_ms(since)), ids, reason, topic)
        sendable = _sendable(chosen, settings.app, quarantine.partitions_of)
        if dry_run:
            settled = quarantine.settled()
            would = [one for one in sendable if one.id not in settled]
            for one in would:
                print(f"would replay {one.id} to {one.topic}: {_first_line(one)}")
            print(f"{len(would)} would be replayed")
            return 0
        settling = Settling(quarantine, settings.client, app=settings.app, by=by or account())
        count = 0
        for one in settling.replay(_paced(sendable, rate), SystemClock().now(), _at_once(rate)):
            print(f"replayed {one.id} to {one.topic}")
            count += 1
        print(f"{count} replayed")
        return 0

    return _guarded(replayed)


@app.command
def discard(
    *ids: str,
    why: Annotated[str, Parameter(help="kept beside it, with your name")],
    since: Since = "",
    reason: Reason = "",
    topic: FromTopic = "",
    everything: Everything = False,
    by: Annotated[str, Parameter(help="who does it; the account's name")] = "",
) -> int:
    """Say that records are not wanted any more. They are kept as long as the topic keeps them, and are not replayed."""

    def discarded() -> int:
        _needs_a_choice(ids, since, reason, topic, everything=everything)
        quarantine, settings = _open()
        chosen = _chosen(quarantine.records(_since_ms(since)), ids, reason, topic)
        settling = Settling(quarantine, settings.client, app=settings.app, by=by or account())
        count = sum(1 for _ in settling.discard(chosen, SystemClock().now(), why))
        print(f"{count} discarded")
        return 0

    return _guarded(discarded)


def _open() -> tuple[Quarantine, WorkerSettings]:
    settings = read(WorkerSettings)
    access.require(settings.client, rights.of_quarantine(settings.app, settings.quarantine))
    return Quarantine(settings.client, topic=settings.quarantine, app=settings.app), settings


def _guarded(work: Callable[[], int]) -> int:
    try:
        return work()
    except (_Wrong, Faulty) as error:
        print(error, file=sys.stderr)
        return 2
    except (RefusedError, UnreachableError, UnreadableError, OvertakenError) as error:
        print(error, file=sys.stderr)
        return 1


def _needs_a_choice(ids: tuple[str, ...], *narrowing: str, everything: bool) -> None:
    if not (ids or any(narrowing) or everything):
        raise _Wrong("which ones? Name them, or narrow by --since, --reason, --topic, or say --all")
    if everything and (ids or any(narrowing)):
        raise _Wrong("--all and a choice at once: which of the two?")


def _since_ms(text: str) -> int:
    if not text:
        return 0
    span = _SPAN.fullmatch(text)
    if span is not None:
        at = SystemClock().now() - timedelta(**{_UNITS[span[2]]: int(span[1])})
    else:
        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            raise _Wrong(
                f"--since {text}: neither a span like 2h nor an instant like 2026-11-24T09:00Z"
            ) from None
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(1, round(at.timestamp() * 1000))


def _chosen(
    records: Iterable[Quarantined], ids: tuple[str, ...], reason: str, topic: str
) -> Iterator[Quarantined]:
    """Those that were asked for; raises `_Wrong` at the end if an id, reason or topic fits none."""
    wanted, found, reasons, topics = set(ids), False, set[str](), set[str]()
    for one in records:
        reasons.add(_first_line(one))
        topics.add(one.topic)
        fits = reason in "\n".join(one.reasons) and topic in ("", one.topic) and (not ids or one.id in wanted)
        if fits:
            found = True
            wanted.discard(one.id)
            yield one
    if ids and wanted:
        raise _Wrong(f"not in quarantine: {', '.join(sorted(wanted))}")
    if not found and reason:
        raise _Wrong(
            f"no record there has such a reason: {reason}; there are: {'; '.join(sorted(reasons)) or 'none'}"
        )
    if not found and topic:
        raise _Wrong(
            f"no record there came from {topic}; they came from: {', '.join(sorted(topics)) or 'nowhere'}"
        )


def _sendable(
    records: Iterable[Quarantined], app_id: str, partitions_of: Callable[[str], int]
) -> Iterator[Quarantined]:
    for one in records:
        why = unreplayable(one, app_id, partitions_of)
        if why:
            print(f"left {one.id}: {why}", file=sys.stderr)
        else:
            yield one


def _paced(records: Iterable[Quarantined], rate: float) -> Iterator[Quarantined]:
    never = threading.Event()
    for one in records:
        if rate > 0:
            never.wait(1 / rate)
        yield one


def _at_once(rate: float) -> int:
    """A second's worth, so that a slow replay does not come in bursts."""
    return min(AT_ONCE_MAX, max(1, int(rate))) if rate > 0 else AT_ONCE_MAX


def _first_line(one: Quarantined) -> str:
    """The first reason in a line; of a traceback it is the last one that says what happened."""
    lines = one.reasons[0].strip().splitlines() if one.reasons else []
    return lines[-1 if lines[0].startswith("Traceback") else 0] if lines else ""


def _told(one: Quarantined, settled: Settled | None) -> dict[str, object]:
    return {
        "id": one.id,
        "since": datetime.fromtimestamp(one.at_ms / 1000, UTC).isoformat(timespec="milliseconds"),
        "topic": one.topic,
        "partition": one.partition,
        "offset": one.offset,
        "reason": _first_line(one),
        "attempt": one.attempt,
        "version": one.version,
        "state": settled.how if settled else "waiting",
        **({"by": settled.by, "why": settled.why, "at": settled.at.isoformat()} if settled else {}),
    }


def _table(found: Iterable[Quarantined], settled: dict[str, Settled], limit: int) -> None:
    table = Table("id", "since", "topic", "attempt", "state", "reason", box=None, pad_edge=False)
    counted: Counter[tuple[str, str]] = Counter()
    for one in found:
        counted[one.topic, _first_line(one)] += 1
        if counted.total() > limit:
            continue
        told = _told(one, settled.get(one.id))
        # Plain text: what stands in a reason is no markup of ours.
        table.add_row(
            *(
                Text(str(told[name])[:_REASON_CHARS])
                for name in ("id", "since", "topic", "attempt", "state", "reason")
            )
        )
    console = Console(soft_wrap=True, width=None if sys.stdout.isatty() else 220)
    console.print(table)
    if counted.total() > limit:
        console.print(Text(f"and {counted.total() - limit} more: --limit lists more of them"))
    for (topic, reason), count in counted.most_common():
        console.print(Text(f"{count} x {topic}: {reason}"))
    console.print(Text(f"{counted.total()} in all"))


def _lines(value: object) -> str:
    return "\n               ".join(str(one) for one in value) if isinstance(value, list) else str(value)
