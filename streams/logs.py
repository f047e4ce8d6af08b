"""Logs: one JSON object a line on standard error, and nothing in it that tells who a customer is."""

import json
import logging
import sys
import traceback
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

# What our own lines may say beside their words. Names of things and counts: no text of anybody's.
ALLOWED = frozenset(
    {
        *("event", "order", "case", "command_id", "update_id", "request_id", "channel"),
        *("call_id", "stage", "decided"),
        *("error", "outcome", "code", "status", "status_code", "seconds", "tries", "count"),
    }
)
# They tell every address that they ask.
_CHATTY = ("twilio", "urllib3", "botocore", "boto3", "aiokafka.consumer.fetcher")
_OURS = ("schemas", "state", "connectors", "streams")
# While a broker is away its clients say so some twenty times a second.
_REPEATED_S = 30.0
_REMEMBERED_MAX = 500


def configure(process: str, level: int = logging.INFO) -> None:
    """From here on everything in this process that logs, logs so; our own lines name what they are about."""
    # Not above: a worker, whose lines are plain words, starts sooner without it.
    import structlog

    configure_words(process, level)
    structlog.configure(
        processors=[_only_allowed, _about, _handed_over],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def configure_words(process: str, level: int = logging.INFO) -> None:
    """The same for a process in which nothing says more than words."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(process))
    handler.addFilter(Repeats())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)


class Repeats(logging.Filter):
    """What a library says again and again passes once in 30 s, with how often it was left out since: `repeated`.

    Our own lines always pass, and so does a failure with its frames.
    """

    def __init__(self) -> None:
        super().__init__()
        self._passed: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.partition(".")[0] in _OURS or record.exc_info:
            return True
        words = record.name, record.getMessage()
        at_s, repeated = self._passed.get(words, (float("-inf"), 0))
        if record.created - at_s < _REPEATED_S:
            self._passed[words] = at_s, repeated + 1
            return False
        if len(self._passed) >= _REMEMBERED_MAX:
            self._passed.clear()
        self._passed[words] = record.created, 0
        record.repeated = repeated
        return True


class JsonLines(logging.Formatter):
    """`at`, `level`, `process`, `logger`, `event`, and what one of our own lines says beside it."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "process": self._process,
            "logger": record.name,
        }
        said = record.__dict__.get("said")
        line |= said if said is not None else {"event": record.getMessage()}
        if repeated := record.__dict__.get("repeated"):
            line["repeated"] = repeated
        if record.exc_info and record.exc_info[0] is not None:
            kind, _, frames = record.exc_info
            # Its type and its place. Not its text: that may quote a record, and so personal data.
            line["failure"] = kind.__name__
            line["frames"] = "".join(traceback.format_tb(frames))
        return json.dumps(line, default=str, ensure_ascii=False)


def _only_allowed(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    dropped = sorted(event.keys() - ALLOWED - {"exc_info"})
    for name in dropped:
        del event[name]
    if dropped:
        # So that whoever misses it knows why.
        event["dropped"] = dropped
    return event


def _about(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """An id of ours names the order or the case that it is about."""
    if "command_id" in event:
        event.setdefault("order", unquote(str(event["command_id"]).partition("~")[0]))
    for name in ("update_id", "request_id"):
        if name in event:
            event.setdefault("case", unquote(str(event[name]).partition(".d")[0]))
    return event


def _handed_over(
    _logger: Any, _name: str, event: MutableMapping[str, Any]
) -> tuple[tuple[str], dict[str, Any]]:
    exc_info = event.pop("exc_info", None)
    return (str(event["event"]),), {"extra": {"said": dict(event)}, "exc_info": exc_info}
