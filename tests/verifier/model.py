"""What the tests' small job ought to do, said a second time and without looking at the first."""

from typing import Any

Case = dict[str, Any]


class Raised(Exception):
    """The job fails on this on purpose; the message is the failure's type."""


def opened(name: str, first: int) -> Case:
    return {
        "case": name,
        "first": first,
        "seen": [],
        "steps": 0,
        "said": 0,
        "fired": 0,
        "due_ms": None,
        "version": 0,
        "finished": False,
        "bomb": False,
        "stuck": False,
    }


def say(case: Case, why: str, now_ms: int, muted: bool) -> dict[str, Any]:
    """The command, and in the case that it was given."""
    number = case["said"]
    case["said"] = number + 1
    return {
        "command_id": f"{case['case']}~{case['first']}.{number}",
        "why": why,
        "steps": case["steps"],
        "now_ms": now_ms,
        "muted": muted,
    }


def on_event(case: Case | None, event: dict[str, Any], now_ms: int, muted: bool) -> tuple[Case, list[Any]]:
    """The case after an event, and its commands; a new dictionary each time."""
    case = opened(event["case"], event["id"]) if case is None else dict(case)
    if event["id"] in case["seen"]:
        return case, []
    kind = event.get("kind", "step")
    if kind == "poison":
        raise Raised("ValueError")
    case["seen"] = [*case["seen"], event["id"]][-8:]
    case["steps"] += 1
    case["finished"] = case["finished"] or kind == "finish"
    case["bomb"] = case["bomb"] or kind == "bomb"
    if event.get("wait_ms"):
        case["due_ms"] = now_ms + event["wait_ms"]
        case["version"] += 1
    return case, [say(case, "step", now_ms, muted)]


def on_deadline(case: Case, now_ms: int, muted: bool) -> tuple[Case | None, list[Any]]:
    case = dict(case)
    if case["bomb"]:
        raise Raised("RuntimeError")
    if case["finished"]:
        return None, []
    case.update(due_ms=None, fired=case["fired"] + 1, version=case["version"] + 1)
    return case, [say(case, "deadline", now_ms, muted)]


def on_failure(
    case: Case | None, name: str, failure: str, now_ms: int, muted: bool
) -> tuple[Case, list[Any]]:
    case = opened(name, 0) if case is None else dict(case)
    case.update(due_ms=None, version=case["version"] + 1, stuck=True, bomb=False)
    return case, [say(case, f"stuck:{failure}", now_ms, muted)]
