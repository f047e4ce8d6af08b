"""`saveline kill-switch`: silence a channel, a store or a kind within seconds, and let it speak again."""

import json
import sys
import uuid
from dataclasses import dataclass
from typing import Annotated

import psycopg
from confluent_kafka import KafkaException
from cyclopts import App, Parameter
from pydantic import SecretStr

from connectors import kill_switches
from connectors.clock import SystemClock
from connectors.kill_switches import Change
from schemas.codec import Codec
from schemas.events import KillSwitchChanged
from schemas.registry import registry
from schemas.words import SwitchScope
from streams import access, rights
from streams.access import RefusedError, UnreachableError
from streams.environment import Faulty, FromEnvironment, account, read
from streams.intake import FLUSH_S, producer

app = App(
    name="kill-switch", help="Silence a channel, a store or a kind within seconds, and let it speak again."
)

_CONNECT_S = 10
Why = Annotated[str, Parameter(help="kept with your name and the time")]
By = Annotated[str, Parameter(help="who does it; the account's name")]


@dataclass(frozen=True, kw_only=True)
class SwitchSettings(FromEnvironment):
    """What throwing a switch needs."""

    pg_dsn: SecretStr
    source: str = "case.events.v1"
    """Where the workers hear of it."""


@app.command
def throw(scope: SwitchScope, name: str, *, why: Why, by: By = "") -> int:
    """Nobody is contacted any more on this channel, from this store, or about this kind.

    What is claimed from now on is suppressed, a call that is picked up is ended politely, and plans go on without
    it: by the other channels, else by the default. What is in a provider's hands already leaves.
    """
    return _turned(scope, name, why, by, thrown=True)


@app.command
def lift(scope: SwitchScope, name: str, *, why: Why, by: By = "") -> int:
    """It may be contacted again. What was suppressed meanwhile is not sent afterwards."""
    return _turned(scope, name, why, by, thrown=False)


@app.command
def ls(
    *,
    history: Annotated[bool, Parameter(negative="", help="every turn, the latest first")] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """What is silenced now, since when, by whom and why."""
    try:
        settings = read(SwitchSettings)
        with psycopg.connect(settings.pg_dsn.get_secret_value(), connect_timeout=_CONNECT_S) as connection:
            turned, holding = kill_switches.changes(connection), kill_switches.thrown(connection)
    except Faulty as error:
        print(error, file=sys.stderr)
        return 2
    except psycopg.Error as error:
        print(f"Postgres: {error}", file=sys.stderr)
        return 1
    latest = {(one.scope, one.name): one for one in reversed(turned)}
    shown = turned if history else [latest[key] for key in holding if key in latest]
    for one in shown:
        told = {
            "scope": one.scope,
            "name": one.name,
            "state": "thrown" if one.thrown else "lifted",
            "at": one.at.isoformat(timespec="seconds"),
            "by": one.by,
            "why": one.why,
        }
        print(json.dumps(told) if as_json else "  ".join(told.values()))
    if not history:
        for scope, name in (key for key in holding if key not in latest):
            # Somebody wrote it into the table by hand.
            told = {"scope": scope, "name": name, "state": "thrown", "at": "", "by": "", "why": ""}
            print(json.dumps(told) if as_json else f"{scope}  {name}  thrown  nobody said by whom")
    if not (shown or holding) and not as_json:
        print("no switch was ever thrown" if history else "no switch is thrown")
    return 0


def _turned(scope: SwitchScope, name: str, why: str, by: str, *, thrown: bool) -> int:
    if found := kill_switches.fault(scope, name):
        print(found, file=sys.stderr)
        return 2
    change = Change(
        scope=scope, name=name, thrown=thrown, by=by or account(), why=why, at=SystemClock().now()
    )
    try:
        settings = read(SwitchSettings)
        with psycopg.connect(settings.pg_dsn.get_secret_value(), connect_timeout=_CONNECT_S) as connection:
            # First, since it holds at once and for everybody who sends.
            kill_switches.turn(connection, change)
    except Faulty as error:
        print(error, file=sys.stderr)
        return 2
    except psycopg.Error as error:
        print(f"Postgres: {error}: nothing was changed", file=sys.stderr)
        return 1
    try:
        partitions = _told(settings, change)
    except (RefusedError, UnreachableError, KafkaException, OSError) as error:
        print(
            f"It holds for whoever sends, but the plans do not know yet: {error}; say it again.",
            file=sys.stderr,
        )
        return 1
    print(f"{scope} {name}: {'thrown' if thrown else 'lifted'}; {partitions} partitions were told")
    return 0


def _told(settings: SwitchSettings, change: Change) -> int:
    """Once to each partition, since each keeps its own conditions. Raises if the broker does not take it."""
    access.require(settings.client, rights.of_kill_switch(settings.source))
    out = producer(settings.client)
    topic = out.list_topics(settings.source, timeout=FLUSH_S).topics[settings.source]
    if topic.error is not None:
        raise KafkaException(topic.error)
    event = KillSwitchChanged(
        event_id=f"kill_switch.{uuid.uuid4().hex}",
        scope=change.scope,
        name=change.name,
        on=change.thrown,
        occurred_at=change.at,
    )
    value = Codec(registry(settings.schema_registry_url)).encode(event)
    failures: list[str] = []
    for partition in topic.partitions:
        out.produce(
            settings.source,
            value,
            partition=partition,
            on_delivery=lambda error, _message: failures.append(str(error)) if error else None,
        )
    if out.flush(FLUSH_S) or failures:
        raise OSError(failures[0] if failures else f"not acknowledged within {FLUSH_S:.0f} s")
    return len(topic.partitions)
