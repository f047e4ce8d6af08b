"""The shipped policies with short windows: the clock is real, so the demo shortens what is waited for."""

from pathlib import Path
from typing import Any

import yaml

from state import shelf

PROMISED_MS = 32_000
# Margins, as the simulated people and carriers are quicker, too.
PACE = 1 / 15
# Rings and talks have room to spare: what a call waits for is the processor, which is not shortened.
_CALL_PACE = 1 / 8
_OF_CALLS = ("ring_ms", "talk_ms")
# What the windows of one policy may take together, gathering and attempts included.
_STEPS_MS = 20_000
_TIMES = ("window_ms", "spacing_ms")


def hurried(folder: Path) -> None:
    """Write every shipped policy to `folder`, each escalation over within half a minute."""
    for file in shelf.SHIPPED.glob("*.yaml"):
        policy = yaml.safe_load(file.read_text(encoding="utf-8"))
        if "id" in policy:
            _hurry(policy)
        else:
            policy["timing"] = {
                name: _shorter(ms, _CALL_PACE if name in _OF_CALLS else PACE)
                for name, ms in policy["timing"].items()
            }
            policy["timing"] |= {
                "notice_gather_ms": 700,
                "sms_crossing_ms": 700,
                "reservation_margin_ms": 700,
            }
            policy["write_back"] = {"retry_ms": 300}
        (folder / file.name).write_text(yaml.safe_dump(policy, sort_keys=False), encoding="utf-8")
    shelf.load(folder)


def _hurry(policy: dict[str, Any]) -> None:
    steps = policy["steps"]
    digital = [step for step in steps if "window_ms" in step]
    factor = min(PACE, _STEPS_MS / 2 / sum(step["window_ms"] for step in digital))
    for step in steps:
        for name in _TIMES:
            if name in step:
                step[name] = _shorter(step[name], factor)
    for step in digital:
        step["window_min_ms"] = step["window_ms"] // 4
    policy["gather_ms"] = min(1_300, _shorter(policy["gather_ms"], PACE))
    policy["promised_notice_ms"] = PROMISED_MS
    # Which of two policies fits is told by hints: all the demo's deadlines are near.
    policy.pop("applies", None)


def _shorter(ms: int, factor: float) -> int:
    return max(1, round(ms * factor))
