"""Tells a trace to people: each case in a paragraph, then everything that happened in the order of time."""

from datetime import datetime
from typing import Any

Row = dict[str, Any]
_INSTANTS = {
    "occurred_at": "it occurred",
    "opened_at": "the case opened",
    "presented_at": "it was put to the customer",
    "stored_at": "the evidence was kept",
    "triggered_at": "fulfilment was triggered, and done",
    "stuck_at": "it became stuck",
    "closed_at": "the case closed",
}


def paragraphs(story: Row) -> list[str]:
    """One for each case, before them what is silenced now."""
    switches = ", ".join(f"{one['scope']} {one['name']}" for one in story["silenced"])
    silenced = [f"silenced now by `saveline kill-switch`: {switches}"] if switches else []
    return silenced + ["\n  ".join(_case(case)) for case in story["cases"]]


def moments(story: Row) -> list[tuple[datetime, str, str]]:
    """(when, what, about which case or command), in order."""
    found: list[tuple[datetime, str, str]] = []

    def at(instant: str | None, what: str, about: str) -> None:
        if instant:
            found.append((datetime.fromisoformat(instant), what, about))

    for case in story["cases"]:
        for name, what in _INSTANTS.items():
            at(case["instants"].get(name), what, case["case_id"])
        for version in case["versions"]:
            by = _by(version["actor"], version["channel"])
            at(version["decided_at"], f"decided {by}: {version['resolution']}", version["decision_id"])
            at(version["written_at"], "read back from the order system", version["decision_id"])
        for response in case["responses"]:
            verdict = "accepted" if response["accepted"] else f"not accepted: {response['reason']}"
            at(response["judged_at"], f"an answer was {verdict}", response["response_id"])
    for one in story["commands"]:
        _of_command(one, at)
    for one in story["write_backs"]:
        again = f" (attempt {one['attempt']})" if one["attempt"] > 1 else ""
        code = f" {one['code']}" if one["code"] else ""
        at(one["settled_at"], f"the order system said {one['outcome']}{code}{again}", one["update_id"])
    return sorted(found)


def _of_command(one: Row, at: Any) -> None:
    what, reason = f"{one['purpose']} by {one['channel']}", f": {one['reason']}" if one["reason"] else ""
    if "issued_at" not in one:
        at(one["filed_at"], f"taken back before it came: {one['cancel_reason']}", one["command_id"])
        return
    attempt = f", attempt {one['attempt']}" if one["attempt"] > 1 else ""
    at(one["issued_at"], f"{what} asked for{attempt}", one["command_id"])
    at(one["claimed_at"], f"{what} claimed", one["command_id"])
    at(one["settled_at"], f"{what} {one['state']}{reason}", one["command_id"])
    if one["settled_at"] is None:
        at(
            one["filed_at"],
            f"{what} {one['state']}{reason}, to leave by {one['not_after_at'][11:19]}",
            one["command_id"],
        )


def _case(case: Row) -> list[str]:
    what = f"{case['quantity_short']} x {case['line_name']}" if case["line_name"] else ""
    lines = [f"case {case['case_id']}: {case['kind']} {what}".rstrip()]
    why = f" ({case['close_reason']})" if case["state"] == "closed" else ""
    lines.append(f"{case['state']}{why}, policy {case['policy']}, {case['mode']}, {case['arm']}")
    lines += [_version(version) for version in case["versions"]]
    lines.append("done" if case["done"] else f"missing: {', '.join(case['missing'])}")
    if case["stuck"]:
        lines.append(f"STUCK: {case['stuck']}")
    for option in case["offered"]:
        price = f"{option['price']['minor'] / 100:.2f} {option['price']['currency']}"
        old = ", at the old price" if option["at_old_price"] else ""
        lines.append(f"offered {option['key']}: {option['name']} ({option['option_id']}) {price}{old}")
    lines += [f"refused {one['option_id']}: {'; '.join(one['reasons'])}" for one in case["refused"]]
    if case["evidence"]:
        lines.append(f"evidence s3://{case['evidence']['bucket']}/{case['evidence']['key']}")
    return lines


def _version(version: Row) -> str:
    chosen = ", ".join(f"{part['quantity']} x {part['option_id']}" for part in version["chosen"])
    said = [
        f"version {version['version']}: {version['resolution']} {_by(version['actor'], version['channel'])}"
    ]
    if chosen:
        said.append(f"chosen {chosen}")
    if version["price_before"] and version["price_after"]:
        before, after = version["price_before"], version["price_after"]
        said.append(f"{before['minor'] / 100:.2f} to {after['minor'] / 100:.2f} {after['currency']}")
    return ", ".join(said)


def _by(actor: str, channel: str) -> str:
    return f"by {actor}" + (f" on {channel}" if channel != "unknown" else "")
