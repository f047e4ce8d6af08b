"""What each process may do in Kafka, and no more: the chart grants it, a start asks for it, people read it."""

from collections.abc import Iterable, Iterator
from typing import Literal

import msgspec

from schemas.catalogue import CHANNEL_TOPICS, UPSTREAM, Topic
from streams.topics import batches, changelog, replayable, settled_topic, wanted_topics

Operation = Literal["Read", "Write", "Create", "Describe", "DescribeConfigs", "AlterConfigs"]
QUARANTINE = "case.quarantine.v1"

READS: dict[str, tuple[Topic, ...]] = {
    "intake": UPSTREAM,
    **{str(channel): (topic,) for channel, topic in CHANNEL_TOPICS.items()},
    "write-back": (Topic.UPDATES,),
    "evidence": (Topic.EVIDENCE_REQUESTS,),
    "register": (Topic.CHANGES,),
}
"""What each part of the connectors reads."""
PARTS = frozenset(READS)
"""What a connectors process may do alone, by the names of `--only`."""


class Right(msgspec.Struct, frozen=True, kw_only=True):
    """Some operations on one resource, in Kafka's words; `Read` and `Write` imply `Describe`."""

    kind: Literal["topic", "group", "transactionalId"]
    name: str
    operations: tuple[Operation, ...]
    prefixed: bool = False
    """`name` is how the resource's name begins."""


def of_worker(app: str, source: str = Topic.CASE_EVENTS, quarantine: str = QUARANTINE) -> list[Right]:
    outputs = (Topic.HOLDS, Topic.UPDATES, Topic.TRIGGERS, Topic.EVIDENCE_REQUESTS, Topic.CHANGES)
    return merged(
        *_look(app),
        _topic(source, "Read"),
        _topic(changelog(app), "Read", "Write"),
        *(_topic(name, "Write") for name in (*CHANNEL_TOPICS.values(), *outputs)),
        *(_topic(name, "Write") for name in (batches(app), quarantine)),
        *_groups(app, f"{app}-restore", f"{app}-ends"),
        # One for each partition: `<app>-0` and so on.
        Right(kind="transactionalId", name=f"{app}-", prefixed=True, operations=("Describe", "Write")),
    )


def of_connectors(app: str, parts: Iterable[str] = PARTS, quarantine: str = QUARANTINE) -> list[Right]:
    """Of a process that does these parts; each set of parts is a group of its own."""
    chosen = sorted(parts)
    return merged(
        *every_connector(quarantine),
        *(_topic(name, "Read") for part in chosen for name in READS[part]),
        *_groups(connectors_group(app, frozenset(chosen))),
    )


def every_connector(quarantine: str = QUARANTINE) -> list[Right]:
    """Whatever its parts: whichever process is first takes what lies in the outbox (answers, opt-outs, pointers)."""
    return [_topic(name, "Write") for name in (Topic.CASE_EVENTS, Topic.CONSENTS, Topic.EVIDENCE, quarantine)]


def of_edge() -> list[Right]:
    return [_topic(Topic.CASE_EVENTS, "Write")]


def of_topics(app: str) -> list[Right]:
    """Of whoever runs `saveline topics apply`."""
    return [
        _topic(one.name, "Create", "Describe", "DescribeConfigs", "AlterConfigs")
        for one in wanted_topics(app=app)
    ]


def of_quarantine(app: str, quarantine: str = QUARANTINE) -> list[Right]:
    return merged(
        _topic(quarantine, "Read"),
        _topic(settled_topic(app), "Read", "Write"),
        *(_topic(name, "Write") for name in sorted(replayable(app))),
        *_groups(f"{app}-quarantine"),
        Right(kind="transactionalId", name=transactions_of_quarantine(app), operations=("Describe", "Write")),
    )


def transactions_of_quarantine(app: str) -> str:
    """Outside of the workers' prefix, so that none of them can end its transactions."""
    return f"quarantine.{app}"


def of_kill_switch(source: str = Topic.CASE_EVENTS) -> list[Right]:
    return [_topic(source, "Write")]


def of_verify(app: str) -> list[Right]:
    return [*(_topic(one.name, "Read") for one in wanted_topics(app=app)), *_groups(f"{app}-verifier")]


def of_doctor(app: str) -> list[Right]:
    return list(_look(app))


def by_command(app: str) -> dict[str, list[Right]]:
    """By what `saveline` is told to do; the connectors' as of one process that does every part."""
    return {
        "worker": of_worker(app),
        "connectors": of_connectors(app),
        "edge": of_edge(),
        "topics": of_topics(app),
        "quarantine": of_quarantine(app),
        "kill-switch": of_kill_switch(),
        "verify": of_verify(app),
        "doctor": of_doctor(app),
    }


def connectors_group(app: str, parts: frozenset[str]) -> str:
    """A group's members all read the same topics, so each set of parts is a group of its own."""
    return f"{app}-connectors" if parts == PARTS else f"{app}-connectors-{'-'.join(sorted(parts))}"


def merged(*rights: Right) -> list[Right]:
    """Each resource once, with all that may be done to it."""
    found: dict[tuple[str, str, bool], Right] = {}
    for one in rights:
        key = (one.kind, one.name, one.prefixed)
        known = found[key].operations if key in found else ()
        operations = tuple(dict.fromkeys((*known, *one.operations)))
        found[key] = msgspec.structs.replace(one, operations=operations)
    return list(found.values())


def _look(app: str) -> Iterator[Right]:
    """Whether every topic is as it has to be."""
    return (_topic(one.name, "Describe", "DescribeConfigs") for one in wanted_topics(app=app))


def _topic(name: str, *operations: Operation) -> Right:
    return Right(kind="topic", name=str(name), operations=operations)


def _groups(*names: str) -> Iterator[Right]:
    return (Right(kind="group", name=name, operations=("Read",)) for name in names)
