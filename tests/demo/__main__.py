"""`make demo`: starts everything, plays a grocer's busiest hour in a minute, reports, verifies, and ends."""

import argparse
import asyncio
import contextlib
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import psycopg
from confluent_kafka import Producer
from rich.console import Console
from rich.live import Live

from connectors.clock import SystemClock
from schemas.catalogue import Topic
from schemas.codec import Codec
from schemas.registry import LockedRegistry
from tests.demo import grocer, screen, tomorrow
from tests.demo.costs import Costs
from tests.demo.killing import Killer, moments
from tests.demo.people import People
from tests.demo.policies import PACE, hurried
from tests.demo.rolling import Rolling
from tests.world.part import PartError
from tests.world.stack import Stack, quiescent

# Of the calls, half are webhooks and half a socket: both transports live.
SETTINGS = {
    "RING_S": "25",
    "CALLS_PER_SECOND": "50",
    "UNSEEN_AFTER_S": "20",
    "ASK_AFTER_S": "25",
    "VOICE_TRANSPORT": "both",
}
_NOTICE_S = 34.0
_SETTLED_WITHIN_S = 150.0
# From the first process to the verdict, in lengths of the hour with its last deadline.
_WHOLE_IN_HOURS = 1.25
_KILLABLE = ("worker", "connectors", "edge", "broker")
_TAKEN_BACK = ("returned", "redeliver", "cancel_order")
_BACK = "SELECT count(DISTINCT order_id) FROM order_outcomes WHERE outcome IN ('completed', 'cancelled')"
_GARBAGE = (b"", b"no avro at all", b"\x00\x00\x00\x00\x63 nobody's schema")
# What goes wrong outside: by simulator, as its control door takes it. What may have been lost comes first: nobody
# can tell for a minute.
_FAULTS: dict[str, list[dict[str, Any]]] = {
    "fcm": [
        {"match": {"resource": "messages", "nth": 5}, "then": "http_429"},
        {"match": {"resource": "messages", "nth": 17}, "then": "reject:UNREGISTERED"},
        {"match": {"resource": "messages", "nth": 3}, "then": "accept_then_500"},
        {"match": {"resource": "messages", "nth": 2}, "then": "accept_then_timeout"},
    ],
    "twilio": [
        {"match": {"resource": "messages", "nth": 4}, "then": "http_429"},
        {"match": {"resource": "messages", "nth": 9}, "then": "undelivered:30003", "after_ms": 300},
        {"match": {"resource": "messages", "nth": 3}, "then": "accept_then_timeout"},
        {"match": {"resource": "messages", "nth": 30}, "callbacks": {"times": 2, "order": "reversed"}},
        {"match": {"resource": "calls", "nth": 3}, "then": "http_500"},
        {"match": {"resource": "calls", "nth": 6}, "callbacks": {"times": 3}},
    ],
    "smtp": [
        {"match": {"resource": "messages", "nth": 6}, "then": "reject:450"},
        {"match": {"resource": "messages", "nth": 12}, "then": "reject:550"},
        {"match": {"resource": "messages", "nth": 2}, "then": "accept_then_timeout"},
    ],
    "oms": [
        {"match": {"resource": "decisions", "nth": 3}, "then": "being_modified"},
        {"match": {"resource": "decisions", "nth": 8}, "then": "timeout_after_apply"},
        {"match": {"resource": "decisions", "nth": 14}, "then": "html"},
        {"match": {"resource": "read", "nth": 20}, "then": "http_503"},
    ],
    "fulfilment": [{"match": {"resource": "triggers", "nth": 7}, "then": "twice"}],
}


class Hour:
    """One run of the demo over a stack that is up."""

    def __init__(
        self,
        stack: Stack,
        orders: list[grocer.Order],
        seed: int,
        turn: Callable[[float], Awaitable[object]] = lambda _share: asyncio.sleep(0),
    ) -> None:
        """`turn(share)` is awaited before so much of the orders is raised."""
        self._stack, self._orders = stack, orders
        self._turn, self._all_raised = turn, False
        self._clock, self._codec = SystemClock(), Codec(LockedRegistry())
        broker = stack.environment["SAVELINE_BROKER"]
        self._producer = Producer(
            # It is silent while the broker is away: that is part of the play.
            {
                "bootstrap.servers": broker,
                "partitioner": "murmur2_random",
                "enable.idempotence": True,
                "log_level": 0,
            }
        )
        self.people = People(orders, stack.simulators, seed)
        self.dsn = stack.environment["SAVELINE_PG_DSN"]
        # It is the middle of the day where the customers live, whenever the demo runs: no quiet hours.
        self._zone = f"Etc/GMT{self._clock.now().hour - 12:+d}"
        self.expected = {case_id for order in orders for case_id in order.case_ids}

    async def prepare(self) -> None:
        """Customers are known, orders are in the OMS, and the outside world has its bad day."""
        await self.people.settle_in()
        for name, rules in _FAULTS.items():
            if name in self._stack.simulators:
                self._stack.simulators[name].faults(*rules)
        now = self._clock.now()
        for order in self._orders:
            self._stack.simulators["oms"].put(f"orders/{order.order_id}", grocer.in_the_oms(order))
            if order.person.habit != "unreachable":
                self._send(Topic.CONTACTS, order.person.ref, grocer.contact(order.person, self._zone, now))
        self._producer.flush(30)
        known = sum(order.person.habit != "unreachable" for order in self._orders)
        await asyncio.to_thread(self._until_known, known)

    def _until_known(self, customers: int) -> None:
        give_up = time.monotonic() + _SETTLED_WITHIN_S
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            while connection.execute("SELECT count(*) FROM customers").fetchone() != (customers,):
                if time.monotonic() > give_up:
                    raise PartError(f"the vault does not know the {customers} customers: see connectors.log")
                time.sleep(0.1)

    async def play(self) -> None:
        """Raise every trouble at its time, and some records that are none."""
        started = time.monotonic()
        for value in _GARBAGE:
            self._producer.produce(Topic.EXCEPTIONS, value, key=b"garbage")
        for number, order in enumerate(self._orders, 1):
            await asyncio.sleep(max(0.0, started + order.at_s - time.monotonic()))
            await self._turn(number / len(self._orders))
            for raised in grocer.troubles(order, self._zone, self._clock.now(), _NOTICE_S):
                self._send(Topic.EXCEPTIONS, order.order_id, raised)
            if order.found_again:
                asyncio.get_running_loop().call_later(6.0, self._found, order)
            self._producer.poll(0)
        await asyncio.to_thread(self._producer.flush, 30)
        self._all_raised = True

    def _found(self, order: grocer.Order) -> None:
        self._send(Topic.EXCEPTIONS, order.order_id, grocer.found(order, self._clock.now()))
        self._producer.poll(0)

    def _send(self, topic: Topic, key: str, record: msgspec.Struct) -> None:
        self._producer.produce(topic, self._codec.encode(record), key=key)

    def drive(self) -> None:
        """The vans come back: what became of each order, for the figures that only outcomes can show."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            rows = connection.execute(
                "SELECT order_id, line_id, resolution, units_replaced FROM register_cases"
            ).fetchall()
            for order in self._orders:
                cases = [row[1:] for row in rows if row[0] == order.order_id]
                lines = {line: units for line, resolution, units in cases if line and resolution != "unknown"}
                returned = any(resolution in _TAKEN_BACK for _, resolution, _ in cases)
                for outcome in grocer.driven(order, lines, returned=returned, now=self._clock.now()):
                    self._send(Topic.OUTCOMES, order.order_id, outcome)
            self._producer.flush(30)
            told, give_up = 0, time.monotonic() + _SETTLED_WITHIN_S
            # The workers have to have heard of it as well: only what has come to rest can be verified.
            while (told < len(self._orders) or not self._quiet()) and time.monotonic() < give_up:
                time.sleep(0.2)
                told = (connection.execute(_BACK).fetchone() or (0,))[0]

    async def watched(self, show: Callable[[screen.View, float], None]) -> screen.View:
        """Until every case is closed, or the time since the last was raised is over; the last look."""
        started = raised = time.monotonic()
        view = screen.View()
        while time.monotonic() - raised < _SETTLED_WITHIN_S:
            if not self._all_raised:
                raised = time.monotonic()
            with contextlib.suppress(psycopg.OperationalError):
                view = await asyncio.to_thread(screen.look, self.dsn)
            show(view, time.monotonic() - started)
            if view.closed + view.stuck >= len(self.expected) and await asyncio.to_thread(self._quiet):
                return view
            await asyncio.sleep(0.5)
        return view

    def _quiet(self) -> bool:
        return all(quiescent(self._stack.url_of(name)) for name in self._stack.names if name != "edge")


async def run(hour: Hour, out: Console, said: list[str], within_s: float) -> screen.View:
    await hour.prepare()
    out.print(f"{len(hour.expected)} cases will come up within {within_s:.0f} s.")
    with contextlib.ExitStack() as screens:
        show: Callable[[screen.View, float], None]
        if out.is_terminal:
            live = screens.enter_context(Live(console=out, refresh_per_second=4))

            def show(view: screen.View, elapsed_s: float) -> None:
                live.update(screen.drawn(view, elapsed_s, hour.people.did, said))
        else:
            shown = [-10.0]

            def show(view: screen.View, elapsed_s: float) -> None:
                if elapsed_s - shown[0] >= 5:
                    shown[0] = elapsed_s
                    out.print(screen.line(view, elapsed_s), soft_wrap=True)

        works = [asyncio.create_task(hour.people.run()), asyncio.create_task(hour.play())]
        watching = asyncio.create_task(hour.watched(show))
        while not watching.done():
            done, _ = await asyncio.wait([watching, *works], return_when=asyncio.FIRST_COMPLETED)
            for work in done:
                # What went wrong in the demo itself is said, and ends it.
                work.result()
            works = [work for work in works if not work.done()]
        for work in works:
            work.cancel()
        await asyncio.gather(*works, return_exceptions=True)
        return watching.result()


def main() -> int:
    given = _arguments()
    out = Console(highlight=False)
    said: list[str] = []

    def told(line: str) -> None:
        said.append(line)
        if not out.is_terminal or not started:
            out.print(line, style="dim")

    started = False
    orders = grocer.hour(given.orders, given.seconds, given.seed)
    out.print(f"--seed {given.seed} plays this again.", style="dim")
    folder = given.folder or Path(tempfile.mkdtemp(prefix="saveline-demo-"))
    begun = time.monotonic()
    try:
        stack = Stack(
            folder,
            policies=hurried,
            pace=PACE,
            told=told,
            settings=SETTINGS,
            workers=2 if given.roll else 1,
        )
        killers = [
            Killer(stack, name, moment, (given.seconds + _NOTICE_S) * _WHOLE_IN_HOURS, told)
            for name, moment in moments(given.kill, given.kill_at, given.seed)
        ]
        costs = Costs(stack.pids)
        costs.start()
        stack.start()
    except PartError as error:
        out.print(str(error), markup=False)
        return 1
    try:
        out.print(f"Everything is up after {time.monotonic() - begun:.0f} s. {_SHORTENED}")
        started = True
        rolling = [Rolling(stack, told)] if given.roll else []
        hour = Hour(stack, orders, given.seed, *(one.turn for one in rolling))
        view = asyncio.run(run(hour, out, said, given.seconds))
        out.print(screen.line(view, time.monotonic() - begun), soft_wrap=True)
        for one in rolling:
            one.join()
        hour.drive()
        for killer in killers:
            killer.now_or_never()
        code = _verdict(stack, out, len(killers), tomorrow.NAME if given.roll else "")
        for killer in killers:
            killer.join()
        for name, count in stack.restarts.items():
            out.print(f"{name} was started again {count} x")
        took_s = time.monotonic() - begun
        costs.end()
        out.print(costs.table())
        cpu_s, cases = sum(costs.cpu_s.values()), len(hour.expected)
        out.print(
            f"{took_s:.0f} s in all; all processes together used {cpu_s:.1f} s of CPU ({cpu_s / cases:.2f} s a case)"
            f" and held at most {costs.most_mb:.0f} MB"
        )
        out.print(_kept(stack, len(hour.expected)))
        out.print(_spoken(stack))
        if given.keep:
            _stay(stack, out)
    except KeyboardInterrupt:
        return 130
    except PartError as error:
        out.print(str(error), markup=False)
        return 1
    else:
        return code
    finally:
        stack.close()


_SHORTENED = (
    "The clock is real; windows, rings and deadlines are shortened to half a minute, and the customers live where it"
    " is noon."
)


def _verdict(stack: Stack, out: Console, kills: int, alike: str) -> int:
    """The report, then the verdict of whoever shares no code with the product."""
    # Each may leave sends whose fate nobody can tell.
    allowed = {
        "SAVELINE_KILLS": str(max(kills, sum(stack.restarts.values()))),
        "SAVELINE_ALIKE": alike,
    }
    environment = os.environ | stack.environment | allowed
    command = [sys.executable, "-m", "streams.cli"]
    subprocess.run([*command, "report"], env=environment, check=False)
    verdict = subprocess.run([*command, "verify"], env=environment, check=False)
    style = "bold green" if verdict.returncode == 0 else "bold red"
    out.print("verified" if verdict.returncode == 0 else "NOT verified: see above", style=style)
    return verdict.returncode


def _kept(stack: Stack, cases: int) -> str:
    """For the capacity table of docs/operations.md: tables with their indexes, objects with all their versions."""
    with psycopg.connect(stack.environment["SAVELINE_PG_DSN"]) as connection:
        row = connection.execute(
            "SELECT sum(pg_total_relation_size(relid))::bigint FROM pg_stat_user_tables"
        ).fetchone()
    assert row is not None
    pages = stack.client_of_s3().get_paginator("list_object_versions")
    bucket = stack.environment["SAVELINE_EVIDENCE_BUCKET"]
    evidence = sum(one["Size"] for page in pages.paginate(Bucket=bucket) for one in page.get("Versions", []))
    return f"a case keeps {row[0] / cases / 1e3:.1f} KB in Postgres and {evidence / cases / 1e3:.1f} KB of evidence"


def _spoken(stack: Stack) -> str:
    """How many of the calls that were answered came over each transport; both live here."""
    book = stack.simulators["twilio"].book
    answered = {one["provider_id"] for one in book("agent_says")}
    sockets = {one["provider_id"] for one in book("relay_open")}
    by_webhook = len(answered - sockets)
    return f"{len(answered)} calls were spoken: {by_webhook} over webhooks, {len(sockets)} over ConversationRelay"


def _stay(stack: Stack, out: Console) -> None:
    out.print(f"Everything stays up. For other commands: set -a; . {stack.folder / 'env'}; set +a")
    out.print(f"Metrics: {', '.join(f'{stack.url_of(name)}/metrics' for name in stack.processes)}")
    out.print("Ctrl-C ends all of it.")
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            time.sleep(3600)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make demo DEMO_ARGS=...", description=__doc__)
    parser.add_argument("--orders", type=int, default=200, help="how many orders get into trouble (200)")
    parser.add_argument("--seconds", type=float, default=15.0, help="within which time (15)")
    parser.add_argument(
        "--seed",
        type=int,
        help="the same seed plays the same hour and kills at the same moments (2026; drawn where something is killed)",
    )
    parser.add_argument(
        "--kill",
        choices=_KILLABLE,
        action="append",
        default=[],
        help="kill -9 for this process at a moment that the seed says; may be given several times",
    )
    parser.add_argument(
        "--kill-at",
        type=_moment,
        action="append",
        default=[],
        help="that moment, from 0.0 (while the processes start) to 1.0 (while it is verified), one a --kill",
    )
    parser.add_argument(
        "--roll",
        action="store_true",
        help="upgrade two workers and all else to a version of tomorrow, and go back, meanwhile",
    )
    parser.add_argument("--keep", action="store_true", help="stay up afterwards, until Ctrl-C")
    parser.add_argument("--folder", type=Path, help="where everything lies (a new temporary folder)")
    given = parser.parse_args()
    if given.seed is None:
        given.seed = random.randrange(10_000) if given.kill else 2026
    if given.roll and given.kill:
        parser.error("--roll or --kill: one fault is watched at a time")
    if len(given.kill_at) > len(given.kill):
        parser.error("--kill-at says when, --kill says what: there are more moments than victims")
    return given


def _moment(text: str) -> float:
    moment = float(text)
    if not 0 <= moment <= 1:
        raise argparse.ArgumentTypeError(f"{text} does not lie between 0 and 1")
    return moment


if __name__ == "__main__":
    sys.exit(main())
