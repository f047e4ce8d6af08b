"""`make bench-core`: CPU of `decide` and size of its state, on the shapes that production sees most.

Each sample times one call on a fresh copy of the same conversation, on the thread's CPU clock. A shared machine still
slows whole stretches, up to twofold, so that a figure is the least median of many short batches; the median over all
of them stands beside it. BENCH_JSON=1 prints one JSON line last, of the former.

`response_us` is a tap on the page that decides one of two open cases. Deadlines are slower and have figures of their
own: the question leaves (`ask`), the call is dialled (`call`), nobody answered (`default`); `deadline_us` is the
median of the three together. docs/profile.md says where their time goes.
"""

import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from datetime import timedelta
from itertools import chain
from typing import NamedTuple

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
BATCH = 100
DEADLINES = ("deadline_us", "deadline_default_us", "deadline_call_us", "deadline_ask_us")
MUST = {"response_us": 60, "opening_us": 200, "state_bytes": 3_072} | dict.fromkeys(DEADLINES, 60)
AIM = {"response_us": 25, "opening_us": 80, "state_bytes": 2_048} | dict.fromkeys(DEADLINES, 25)

SAYS = {
    "response_us": "a tap decides one of two open cases",
    "deadline_us": "the three deadlines together",
    "opening_us": "the first exception of an order, three options",
    "state_bytes": "two open cases, three options each, asked",
    "deadline_default_us": "nobody answered: two defaults, two updates",
    "deadline_call_us": "the window closes: plan, six options, one call",
    "deadline_ask_us": "gathering ends: plan, six options, three messages",
}
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


class Figure(NamedTuple):
    """Microseconds: the median of the quietest batch, and of all samples."""

    quiet: float
    all: float


def measured_us(*steps: Callable[[], object]) -> Figure:
    """Of several steps, as many samples of each, taken together."""
    batches = [
        [_once_us(step) for step in steps for _ in range(BATCH)] for _ in range(max(SAMPLES // BATCH, 1))
    ]
    return Figure(min(map(statistics.median, batches)), statistics.median(chain(*batches)))


def _once_us(step: Callable[[], object]) -> float:
    began = time.thread_time_ns()
    step()
    return (time.thread_time_ns() - began) / 1_000


def a_deadline(after_s: float) -> Callable[[], object]:
    """The deadline that comes next, so long after the first exception."""
    world = two_open_cases(after_s)
    record, rules = world.record(), world.rules
    due_at = record.due_at or NOON
    due = Deadline(due_at, record.due_version)
    return lambda: decide(record, due, due_at, rules)


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
    asking, calling, giving_up = a_deadline(1), a_deadline(30), a_deadline(210)
    figures = {
        "response_us": measured_us(lambda: decide(record, response, later, rules)),
        "deadline_us": measured_us(asking, calling, giving_up),
        "opening_us": measured_us(lambda: decide(None, opening, NOON, rules)),
        "state_bytes": Figure(len(payload), len(payload)),
        "deadline_default_us": measured_us(giving_up),
        "deadline_call_us": measured_us(calling),
        "deadline_ask_us": measured_us(asking),
        "state_encode_us": measured_us(lambda: encode(record)),
        "state_decode_us": measured_us(lambda: decode(payload)),
        "avro_opening_decode_us": measured_us(lambda: codec.decode(opening_bytes)),
        "avro_opening_encode_us": measured_us(lambda: codec.encode(opening)),
    }
    print(f"Python {platform.python_version()}, {SAMPLES} samples each, thread CPU time")
    print(f"{'':24} {'quiet':>8} {'all':>8}")
    for name, (quiet, whole) in figures.items():
        bounds = f"must <= {MUST[name]}, aim {AIM[name]}" if name in MUST else ""
        missed = "MISSED" if name in MUST and quiet > MUST[name] else ""
        print(f"{name:24} {quiet:8.1f} {whole:8.1f}  {SAYS.get(name, ''):50} {bounds} {missed}".rstrip())
    if os.environ.get("BENCH_JSON"):
        print(json.dumps({name: round(figure.quiet, 1) for name, figure in figures.items()}))


if __name__ == "__main__":
    main()
