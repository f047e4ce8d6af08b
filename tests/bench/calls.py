"""What a turn of a call costs the edge with everything that it does: fifty calls interleaved, on a real Postgres."""

import json
import os
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import structlog
from msgspec.structs import replace

from connectors.claims import Claims
from connectors.clock import SystemClock
from connectors.outbox import Outbox
from connectors.postgres import open_pool
from connectors.register.migrate import upgrade
from connectors.vault import Vault
from connectors.voice.calls import Calls
from connectors.voice.opening import House
from schemas.codec import Codec
from schemas.events import CustomerContact
from schemas.registry import LockedRegistry
from schemas.words import Channel
from state.dialogue.events import Keys, Utterance
from tests.bench.dialogue import CALLS, TURN_MS_MAX, percentile
from tests.builders import an_exception
from tests.connectors.builders import checks
from tests.scenarios.world import SHELF, World
from tests.world.postgres import Postgres

# A caller who asks before they choose, which takes more turns than most.
TALK = (
    Utterance("yes speaking", 0.9),
    Utterance("what does the first one cost", 0.9),
    Utterance("have you got anything cheaper", 0.9),
    Keys("2"),
    Utterance("no", 0.9),
    Keys("1"),
    Utterance("yes please", 0.9),
)


def main() -> int:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    with tempfile.TemporaryDirectory() as folder:
        server = Postgres(Path(folder))
        server.start()
        try:
            cpu_ms, wall_ms = measured(server.create_database("bench"))
        finally:
            server.stop()
    figures = {
        "turns": len(cpu_ms),
        "cpu_ms_p50": round(percentile(cpu_ms, 0.5), 2),
        "cpu_ms_p99": round(percentile(cpu_ms, 0.99), 2),
        "wall_ms_p50": round(percentile(wall_ms, 0.5), 2),
        "wall_ms_p99": round(percentile(wall_ms, 0.99), 2),
    }
    print(f"A turn of a call, {CALLS} calls interleaved, stored before it is spoken:")
    print(
        "  CPU  p50 {cpu_ms_p50} ms, p99 {cpu_ms_p99} ms; wall p50 {wall_ms_p50} ms, p99 {wall_ms_p99} ms"
        " ({turns} turns)".format(**figures)
    )
    if os.environ.get("BENCH_JSON"):
        print(json.dumps(figures))
    return 0 if figures["cpu_ms_p99"] <= TURN_MS_MAX else 1


def measured(dsn: str) -> tuple[list[float], list[float]]:
    upgrade(dsn)
    clock, outbox = SystemClock(), Outbox(Codec(LockedRegistry()).encode)
    pool = open_pool(dsn, min_size=2, max_size=4)
    vault, claims = Vault(pool, [b"m" * 32], b"s" * 16, clock), Claims(pool, outbox, clock, "one/1")
    calls = Calls(
        House(retailer="Greengrocer"),
        pool=pool,
        outbox=outbox,
        claims=claims,
        clock=clock,
        vault=vault,
        policy_of=SHELF.by_key.get,
    )
    world = World()
    world.exception(an_exception())
    world.fast_forward(seconds=200)
    asked = world.expect_call()
    commands = []
    for n in range(CALLS):
        customer = f"c{n}"
        phone = f"+4477009{n:05d}"
        vault.keep(CustomerContact(customer_ref=customer, revision=1, phone=phone, occurred_at=clock.now()))
        until_at = clock.now() + timedelta(hours=1)
        commands.append(
            replace(
                asked,
                command_id=f"o{n}~x1.5",
                order_id=f"o{n}",
                conversation_id=f"o{n}~x1",
                customer_ref=customer,
                not_after_at=until_at,
                respond_by_at=until_at,
            )
        )
    claims.file(commands)
    claims.claim(Channel.VOICE, CALLS, checks(quiet_exempt=True))
    answers = [calls.answered(command.command_id, f"CA{n}") for n, command in enumerate(commands)]
    cpu_ms, wall_ms = [], []
    for said in TALK:
        for n, command in enumerate(commands):
            began, began_cpu = time.perf_counter_ns(), time.thread_time_ns()
            answers[n] = calls.heard(
                command.command_id, f"CA{n}", answers[n].turn, lambda _call, s=said: (s,)
            )
            cpu_ms.append((time.thread_time_ns() - began_cpu) / 1e6)
            wall_ms.append((time.perf_counter_ns() - began) / 1e6)
    if not all(answer.decided for answer in answers):
        raise AssertionError("not every caller decided")
    pool.close()
    return cpu_ms, wall_ms


if __name__ == "__main__":
    sys.exit(main())
