"""The topics that the system lives on: how each has to be, and what to do about those that are not."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from schemas.catalogue import Topic as Name
from streams.quarantine import HEADERS_BYTES

DAY_MS = 86_400_000
SOURCE_RETENTION_MS = 14 * DAY_MS
OUTPUT_RETENTION_MS = 7 * DAY_MS
QUARANTINE_RETENTION_MS = 30 * DAY_MS
TOMBSTONE_RETENTION_MS = DAY_MS
"""How long the changelog shows that a record was removed; a disk that slept longer must be thrown away."""

_COMPACTED = {"cleanup.policy": "compact"}
_STAMPED = {"message.timestamp.type": "LogAppendTime"}
"""The broker's append time: the clock of every decision, and what a ledger compares its own clock with."""


_BYTES_MAX = "max.message.bytes"
_BYTES_DEFAULT = 1_048_588
"""What Kafka's brokers and topics take unless told otherwise."""


class Topic(msgspec.Struct, frozen=True, kw_only=True):
    """A topic as it is wanted, or as it is.

    `partitions` is what a missing topic is created with; an upstream topic keeps whatever count it has.
    """

    name: str
    partitions: int
    replication: int
    config: Mapping[str, str]
    upstream: bool = False


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is not as wanted, in words; with `by_hand`, `apply` leaves it alone and says why."""

    topic: Topic
    words: str
    setting: tuple[str, str] | None = None
    """What to set; None with no `by_hand` means that the topic is to be created."""
    by_hand: str | None = None

    def __str__(self) -> str:
        return f"{self.topic.name}: {self.words}" + (f" - by hand: {self.by_hand}" if self.by_hand else "")


def changelog(app: str) -> str:
    """Faust's name for the changelog of the table `cases`."""
    return f"{app}-cases-changelog"


def batches(app: str) -> str:
    return f"{app}-batches"


def settled_topic(app: str) -> str:
    """What became of each record in quarantine, by where it stands there."""
    return f"{app}-quarantine-settled"


def replayable(app: str) -> frozenset[str]:
    """Where a record in quarantine may be sent again: what our processes read."""
    private = {changelog(app), batches(app), settled_topic(app), "case.quarantine.v1"}
    # Only others read these: a forged record there would be a refund, or a hold, that nobody decided.
    told = {str(name) for name in (Name.TRIGGERS, Name.HOLDS, Name.EVIDENCE)}
    return frozenset({topic.name for topic in wanted_topics(app=app)} - private - told)


def wanted_topics(*, app: str = "saveline", partitions: int = 48, replication: int = 3) -> list[Topic]:
    """Every topic of `contracts.md`; ours all have the same number of partitions, since keys must meet."""

    def topic(name: str, config: Mapping[str, str], *, upstream: bool = False) -> Topic:
        return Topic(
            name=str(name), partitions=partitions, replication=replication, config=config, upstream=upstream
        )

    safe = {"min.insync.replicas": str(max(1, replication - 1))}

    def kept(retention_ms: int) -> dict[str, str]:
        return {**safe, "cleanup.policy": "delete", "retention.ms": str(retention_ms)}

    outputs = (
        *(Name.PUSH, Name.SMS, Name.EMAIL, Name.VOICE, Name.PERSON, Name.HOLDS),
        *(Name.UPDATES, Name.TRIGGERS, Name.EVIDENCE_REQUESTS, Name.EVIDENCE),
    )
    return [
        *(topic(name, {}, upstream=True) for name in (Name.EXCEPTIONS, Name.OUTCOMES, Name.RECEIPTS)),
        *(topic(name, _COMPACTED, upstream=True) for name in (Name.CONTACTS, Name.CONSENTS, Name.BLOCKS)),
        topic(Name.CASE_EVENTS, {**kept(SOURCE_RETENTION_MS), **_STAMPED}),
        *(topic(name, kept(OUTPUT_RETENTION_MS)) for name in outputs),
        topic(Name.CHANGES, {**safe, **_COMPACTED}),
        topic(
            "case.quarantine.v1",
            {**kept(QUARANTINE_RETENTION_MS), _BYTES_MAX: str(_BYTES_DEFAULT + HEADERS_BYTES)},
        ),
        topic(
            changelog(app),
            {**safe, **_COMPACTED, "delete.retention.ms": str(TOMBSTONE_RETENTION_MS), **_STAMPED},
        ),
        topic(batches(app), kept(SOURCE_RETENTION_MS)),
        topic(settled_topic(app), {**safe, **_COMPACTED}),
    ]


def plan(wanted: Iterable[Topic], real: Mapping[str, Topic]) -> list[Difference]:
    """Every difference at once, in the order of `wanted`."""
    return [
        difference
        for topic in wanted
        for difference in _differences(_roomy(topic, real), real.get(topic.name))
    ]


def _roomy(wanted: Topic, real: Mapping[str, Topic]) -> Topic:
    """Of the quarantine: whatever any of the topics can hold has to fit in, with our headers."""
    if _BYTES_MAX not in wanted.config:
        return wanted
    others = [topic.config for topic in real.values() if topic.name != wanted.name]
    most = max([int(config.get(_BYTES_MAX) or 0) for config in others], default=0)
    bytes_max = max(int(wanted.config[_BYTES_MAX]), most + HEADERS_BYTES)
    return msgspec.structs.replace(wanted, config={**wanted.config, _BYTES_MAX: str(bytes_max)})


def _differences(wanted: Topic, real: Topic | None) -> Sequence[Difference]:
    if real is None:
        return [
            Difference(
                topic=wanted,
                words=f"is missing (to be created with {wanted.partitions} partitions, "
                f"{wanted.replication} replicas{_as_words(wanted.config)})",
            )
        ]
    found: list[Difference] = []
    if not wanted.upstream and real.partitions != wanted.partitions:
        found.append(
            Difference(
                topic=wanted,
                words=f"has {real.partitions} partitions instead of {wanted.partitions}",
                by_hand="keys would move between partitions: drain, create anew and copy",
            )
        )
    if not wanted.upstream and real.replication < wanted.replication:
        found.append(
            Difference(
                topic=wanted,
                words=f"has {real.replication} replicas instead of {wanted.replication}",
                by_hand="add replicas with the cluster's own reassignment tool",
            )
        )
    for name, value in wanted.config.items():
        actual = real.config.get(name)
        roomier = name == _BYTES_MAX and actual is not None and int(actual) >= int(value)
        if actual != value and not roomier:
            found.append(
                Difference(
                    topic=wanted,
                    words=f"{name} is {actual} instead of {value}",
                    setting=(name, value),
                    by_hand=_danger(name, actual, value, real),
                )
            )
    return found


def _danger(name: str, actual: str | None, value: str, real: Topic) -> str | None:
    """Why this setting must not be changed without a person's thought, if so."""
    match name:
        case "retention.ms" | "delete.retention.ms" if actual is None or _longer(actual, value):
            return "records between the two ages would be deleted"
        case "cleanup.policy":
            return "records would be deleted, or refused for having no key"
        case "message.timestamp.type":
            return "the records that are there keep the time of their producer: drain and create anew"
        case "min.insync.replicas" if int(value) > real.replication:
            return "no write would be accepted before there are enough replicas"
        case _:
            return None


def _longer(actual: str, value: str) -> bool:
    """-1 means for ever."""
    return value != "-1" and (actual == "-1" or int(actual) > int(value))


def _as_words(config: Mapping[str, str]) -> str:
    return "".join(f", {name}={value}" for name, value in config.items())
