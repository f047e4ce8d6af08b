"""The one place that reads the time; everybody else is given a clock."""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What asks for the time: `now` is aware UTC, `monotonic` counts seconds and never goes back."""

    def now(self) -> datetime: ...
    def monotonic(self) -> float: ...


class SystemClock:
    """This machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)  # noqa: TID251  (this is the one place)

    def monotonic(self) -> float:
        return time.monotonic()
