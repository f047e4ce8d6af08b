"""Which trace an output belongs to: its cause's, else that of the conversation's last input that named one."""

from collections.abc import Sequence
from hashlib import blake2b

from streams.core import Output, Record

HEADER = "traceparent"
# W3C Trace Context. What is longer is none, and would be copied to every output.
_BYTES_MAX = 55


class Traces:
    """The conversations' last traces, in memory only: after a failover a deadline starts one of its order's own."""

    def __init__(self, count_max: int) -> None:
        self._generation_max = max(1, count_max // 2)
        self._young: dict[bytes, bytes] = {}
        self._old: dict[bytes, bytes] = {}

    def heard(self, key: bytes, cause: Record) -> None:
        found = traceparent_of(cause)
        if not found:
            return
        self._young[key] = found
        if len(self._young) >= self._generation_max:
            self._old, self._young = self._young, {}

    def carry(self, key: bytes, cause: Record | None, outputs: Sequence[Output]) -> None:
        """Gives the outputs of one decision their header; `cause` is None for a deadline."""
        trace = (
            (traceparent_of(cause) if cause is not None else b"")
            or self._young.get(key)
            or self._old.get(key)
            or (own(key) if cause is None else b"")
        )
        if trace:
            for output in outputs:
                output.headers = [*(output.headers or ()), (HEADER, trace)]


def traceparent_of(record: Record) -> bytes:
    """Empty where the record names none that could be one."""
    found = next((value for name, value in record.headers or () if name == HEADER), None)
    return found if found and len(found) <= _BYTES_MAX else b""


def own(key: bytes) -> bytes:
    """The same for an order whoever computes it, so that what follows from its deadlines is one trace."""
    digest = blake2b(key, digest_size=24, person=b"saveline trace").hexdigest()
    return f"00-{digest[:32]}-{digest[32:]}-01".encode()
