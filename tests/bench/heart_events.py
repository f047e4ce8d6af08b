"""Input for the real core: orders of one short line whose customer answers, and changes the answer."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from schemas.codec import Codec
from schemas.events import Answer, ExceptionAccepted, ExceptionRaised, ResponseReceived
from schemas.registry import LockedRegistry
from schemas.words import Channel
from tests.bench.events import EVENTS_PER_CASE, Pair
from tests.builders import a_customer, a_delivery, an_exception, but

_CHOICES = ("corner", "hillside")


def stream(count: int, live: int, now: datetime) -> Iterator[Pair]:
    """`count` events over `live` orders at a time, each an opening and then answers, one version after another.

    Every event moves the case: this is the costly half of real life, without its receipts.
    """
    codec = Codec(LockedRegistry())
    exception = an_exception(
        fulfilment_deadline_at=now + timedelta(hours=6),
        occurred_at=now,
        delivery=a_delivery(slot_from_at=now + timedelta(hours=8), slot_until_at=now + timedelta(hours=9)),
    )
    for number in range(count):
        version = number // live % EVENTS_PER_CASE
        name = f"o{number // (live * EVENTS_PER_CASE):04d}{number % live:06d}"
        yield (
            name.encode(),
            codec.encode(_answer(name, version - 1, now) if version else _opening(name, exception)),
        )


def _opening(name: str, exception: ExceptionRaised) -> ExceptionAccepted:
    raised = but(exception, order_id=name, exception_id=f"{name}-x", event_id=f"{name}-raised")
    return ExceptionAccepted(event_id=f"{name}-opening", order_id=name, exception=raised, facts=a_customer())


def _answer(name: str, version: int, now: datetime) -> ResponseReceived:
    chosen = Answer(case_id=f"{name}-x", option_id=_CHOICES[version % 2], decision_version=version)
    return ResponseReceived(
        event_id=f"{name}-{version}",
        order_id=name,
        channel=Channel.PAGE,
        answers=(chosen,),
        received_at=now,
    )
