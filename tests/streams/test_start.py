"""What a worker loads before it can start: after a failover every import is time without an owner."""

import subprocess
import sys

ELSEWHERE = ("structlog", "rich", "psycopg", "boto3", "twilio", "starlette")


def test_a_worker_starts_without_what_only_other_processes_use() -> None:
    look = f"import streams.worker, streams.heart, sys; print(*sorted(set({ELSEWHERE}) & sys.modules.keys()))"
    said = subprocess.run(
        [sys.executable, "-c", look], capture_output=True, text=True, timeout=60, check=True
    )
    assert said.stdout.split() == []
