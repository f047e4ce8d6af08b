"""`saveline` of tomorrow: its workers sign as another version, and their states have a field that today's pass over."""

from typing import Any

import msgspec

from state import encoding
from streams import heart
from streams.cli import main

NAME = "tomorrow"
_today = msgspec.msgpack.Encoder()


class Longer:
    """Encodes what today's version does, and one field more."""

    def encode(self, state: Any) -> bytes:
        return _today.encode([*msgspec.msgpack.decode(_today.encode(state)), "of tomorrow"])


if __name__ == "__main__":
    encoding._encoder = Longer()  # type: ignore[assignment]
    heart.version = lambda _: NAME  # type: ignore[assignment]
    main()
