"""The wall clock in microseconds, for events that carry the instant at which they were sent."""

from connectors.clock import SystemClock

_CLOCK = SystemClock()


def now_us() -> int:
    return int(_CLOCK.now().timestamp() * 1_000_000)
