"""What a call's own record adds to the provider's report that it is over."""

import msgspec

from connectors.outbox import Connection


class Told(msgspec.Struct, frozen=True):
    """Whether it was recorded, whether that was refused, and whether it ended before a screener."""

    recorded: bool = False
    recording_refused: bool = False
    screened: bool = False


NOT_TOLD = Told()


def told_of(connection: Connection, call_id: str) -> Told:
    """As far as the call was answered by us at all."""
    row = connection.execute(
        "SELECT recorded, recording_refused, screened FROM call_sessions WHERE call_id = %s", [call_id]
    ).fetchone()
    return Told(*row) if row else NOT_TOLD
