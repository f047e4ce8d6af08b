"""`saveline verify`: whether what must hold, holds, recomputed from what is stored."""

import json
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import psycopg
from cyclopts import Parameter

from schemas.catalogue import Topic
from schemas.codec import Codec
from schemas.events import EvidenceStored
from schemas.registry import RegistryUnavailable, registry
from streams import access, rights
from streams.access import RefusedError, UnreachableError
from streams.environment import Faulty, read
from streams.verifier import books, bucket, register, topics
from streams.verifier.judge import judge
from streams.verifier.seen import Books, Bucket, Seen, Text, Topics
from streams.verifier.settings import VerifySettings
from streams.verifier.verdict import INVARIANTS, Verdict

_SHOWN_MAX = 20
_UNREADABLE = (
    *(RefusedError, UnreachableError, topics.Unreadable, bucket.Unreadable, books.Unreadable),
    *(RegistryUnavailable, OSError),
)


def verify(*, as_json: Annotated[bool, Parameter(name="--json", negative="")] = False) -> int:
    """Recompute the invariants from topics, register, bucket and the providers' books.

    Settings come from SAVELINE_...; what is not given is not checked, and is never called right. The exit code
    is 0 without a violation, 1 with one, 2 where something could not be read.
    """
    try:
        settings = read(VerifySettings)
    except Faulty as error:
        print(error, file=sys.stderr)
        return 2
    codec = Codec(registry(settings.schema_registry_url))
    try:
        verdict = judge(look(settings, codec), codec)
    except _UNREADABLE as error:
        print(f"It cannot be read: {error}", file=sys.stderr)
        return 2
    except psycopg.Error as error:
        print(f"The database cannot be read: {error}", file=sys.stderr)
        return 2
    print(json.dumps(verdict.as_json()) if as_json else told(verdict))
    return 0 if verdict.ok else 1


def look(settings: VerifySettings, codec: Codec) -> Seen:
    """Reads all that the settings name."""
    access.require(settings.client, rights.of_verify(settings.app))
    found = topics.read(settings.client, codec, settings.app, settings.quarantine)
    dsn = settings.pg_dsn
    return Seen(
        topics=found,
        register=None if dsn is None else register.read(dsn.get_secret_value()),
        bucket=_bucket(settings, found),
        books=_books(settings, found),
        texts=list(_texts(settings.logs)),
        policies="" if settings.policies is None else str(settings.policies),
        alike=settings.alike,
        kills=settings.kills,
        slack=timedelta(seconds=settings.slack_s),
        patience=timedelta(seconds=settings.patience_s),
    )


def _bucket(settings: VerifySettings, found: Topics) -> Bucket | None:
    if not settings.evidence_bucket:
        return None
    pointers = {
        (one.record.pointer.key, one.record.pointer.version)
        for topic in (Topic.EVIDENCE, Topic.CASE_EVENTS)
        for one in found.of(topic)
        if isinstance(one.record, EvidenceStored)
    }
    keys = [path.read_bytes() for path in settings.evidence_public_keys]
    return bucket.read(settings.evidence_bucket, settings.s3_endpoint, pointers, keys)


def _books(settings: VerifySettings, found: Topics) -> Books | None:
    orders = {one.record.order_id for one in found.of(Topic.UPDATES) if one.record is not None}
    return books.read(settings.books, orders, settings.oms_url, settings.oms_token.get_secret_value())


def _texts(paths: tuple[Path, ...]) -> Iterator[Text]:
    for path in paths:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            try:
                if file.is_file():
                    yield Text(str(file), file.read_bytes())
            except FileNotFoundError:
                # A database of files removes some of them while we look.
                continue


def told(verdict: Verdict) -> str:
    """For people: one line an invariant, then what is wrong with it."""
    lines = []
    for one in verdict.findings:
        if one.violations:
            state = f"BROKEN, {len(one.violations)} of {one.checked}"
        elif one.checked:
            state = f"holds, {one.checked} checked"
        else:
            state = "not checked" if one.skipped else "holds, nothing to check"
        lines.append(f"{one.invariant:<4} {state:<26} {INVARIANTS[one.invariant]}")
        if one.skipped:
            lines.append(f"     not checked: {one.skipped}")
        lines += [f"     {violation}" for violation in one.violations[:_SHOWN_MAX]]
        if len(one.violations) > _SHOWN_MAX:
            lines.append(f"     and {len(one.violations) - _SHOWN_MAX} more (--json shows all)")
    lines.append("ok: no violation" if verdict.ok else "NOT ok")
    return "\n".join(lines)
