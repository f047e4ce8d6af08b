"""`make bench-core`: CPU of `decide` and size of its state, on the shapes that production sees most.

Each sample times one call on a fresh copy of the same conversation, on the thread's CPU clock, so that a shared
machine disturbs it little; the figure is the median of many. BENCH_JSON=1 prints one JSON line last.
"""

import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from datetime import timedelta

from schemas.codec import Codec
from schemas.events import Answer, ExceptionAccepted, ResponseReceived
from schemas.registry import LockedRegistry
from schemas.words import Channel
from state.conversation import Conversation
from state.decide import Deadline, decide
from state.encoding import decode, encode
from tests.builders import NOON, a_customer, a_line, an_exception, an_option
from tests.scenarios.world import World

SAMPLES = int(os.environ.get("SAMPLES", "4000"))
MUST = {"response_us": 60, "deadline_us": 60, "opening_us": 200, "state_bytes": 3_072}
AIM = {"response_us": 25, "deadline_us": 25, "opening_us": 80, "state_bytes": 2_048}

OPTIONS = (
    an_option(),
    an_option("corner", sku="bread-corner", name="Corner Loaf 400 g", brand="Corner"),
    an_option("seeded", sku="bread-seeded", name="Seeded Farmhouse 800 g", brand="Farmhouse"),
)


def an_opening(exception_id: str, line_id: str) -> ExceptionAccepted:
    raised = an_exception(exception_id, options=OPTIONS, line=a_line(line_id=line_id))
    return ExceptionAccepted(
        event_id=raised.event_id, order_id="order-1", exception=raised, facts=a_customer()
    )


def two_open_cases(after_s: float = 20) -> World:
    """Two lines with three options each; after 20 s asked on three channels, after 200 s called."""
    world = World()
    world.happens(an_opening("exception-000001", "line-1"))
    world.happens(an_opening("exception-000002", "line-2"))
    world.fast_forward(seconds=after_s)
    return world


def times_us(step: Callable[[], object]) -> list[float]:
    times = []
    for _ in range(SAMPLES):
        began = time.thread_time_ns()
        step()
        times.append((time.thread_time_ns() - began) / 1_000)
    return times


def median_us(step: Callable[[], object]) -> float:
    return statistics.median(times_us(step))


def deadline_us(after_s: float) -> list[float]:
    """The deadline that comes next, so long after the first exception."""
    world = two_open_cases(after_s)
    record, rules = world.record(), world.rules
    due = Deadline(record.due_at, record.due_version)
    return times_us(lambda: decide(record, due, record.due_at, rules))


def main() -> None:
    world = two_open_cases()
    record: Conversation = world.record()
    rules, later = world.rules, NOON + timedelta(seconds=60)
    answer = Answer(case_id="exception-000001", option_id="corner", decision_version=0)
    response = ResponseReceived(
        event_id="response-1", order_id="order-1", channel=Channel.PAGE, answers=(answer,), received_at=later
    )
    opening = an_opening("exception-000001", "line-1")
    payload, codec = encode(record), Codec(LockedRegistry())
    opening_bytes = codec.encode(opening)
    # The three deadlines of two open cases: the gather window ends, the window closes, nobody answered.
    asking, calling, giving_up = deadline_us(1), deadline_us(30), deadline_us(210)
    figures = {
        "response_us": median_us(lambda: decide(record, response, later, rules)),
        "deadline_us": statistics.median(asking + calling + giving_up),
        "opening_us": median_us(lambda: decide(None, opening, NOON, rules)),
        "state_bytes": len(payload),
        "deadline_ask_us": statistics.median(asking),
        "deadline_call_us": statistics.median(calling),
        "deadline_default_us": statistics.median(giving_up),
        "state_encode_us": median_us(lambda: encode(record)),
        "state_decode_us": median_us(lambda: decode(payload)),
        "avro_opening_decode_us": median_us(lambda: codec.decode(opening_bytes)),
        "avro_opening_encode_us": median_us(lambda: codec.encode(opening)),
    }
    print(f"Python {platform.python_version()}, {SAMPLES} samples each, thread CPU time, medians")
    for name, value in figures.items():
        bounds = f"must <= {MUST[name]}, aim {AIM[name]}" if name in MUST else ""
        missed = "  MISSED" if name in MUST and value > MUST[name] else ""
        print(f"{name:24} {value:10.1f}  {bounds}{missed}")
    if os.environ.get("BENCH_JSON"):
        print(json.dumps({name: round(value, 1) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
