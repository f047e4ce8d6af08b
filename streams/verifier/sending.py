"""I2 and I9: what the providers accepted for each command, and what was given up because nobody could tell."""

from collections import defaultdict

from streams.verifier.seen import Row, Seen, Story
from streams.verifier.verdict import Finding

NO_BOOK = "no provider's book"
# After these the asker cannot know whether it was accepted; so it is after a 5xx, or no answer at all (0).
_AMBIGUOUS = ("accept_then_timeout", "accept_then_500", "html")
# A process that ends may leave so many sends in the air: its channels, and what each sends at once.
_IN_THE_AIR = 32


def accepted(provider: str, entry: Row) -> bool:
    """Whether the provider took a message or a call upon this request."""
    path = str(entry.get("path", "")).partition("?")[0]
    match provider:
        case "twilio":
            creates = entry.get("method") == "POST" and path.endswith(("/Messages.json", "/Calls.json"))
            return creates and bool(entry.get("provider_id"))
        case "fcm":
            return path.endswith("messages:send") and bool(entry.get("provider_id"))
        case _:
            return bool(entry.get("accepted"))


def once(seen: Seen, story: Story) -> Finding:
    finding = Finding(invariant="I2")
    if seen.books is None or not any(name in seen.books.entries for name in ("twilio", "fcm", "smtp")):
        finding.skip(NO_BOOK)
        return finding
    taken: dict[str, list[str]] = defaultdict(list)
    for provider, entry in seen.books.providers():
        if accepted(provider, entry):
            taken[entry.get("command_id", "")].append(f"{provider} book seq {entry['seq']}")
    claims = None if seen.register is None else {row["command_id"]: row for row in seen.register.claims}
    if claims is None:
        finding.skip("whether each has its claim: no database was given")
    for command_id, places in taken.items():
        finding.checked += len(places)
        command = story.commands.get(command_id)
        order = command.order_id if command else ""
        if not command_id or command is None:
            finding.wrong(
                expected="every message and call to have a command on its channel's topic",
                found=f"{len(places)} accepted for {command_id or 'no command id'}",
                look=places[0],
            )
        elif len(places) > 1:
            finding.wrong(
                order=order,
                expected=f"at most one for command {command_id}",
                found=f"{len(places)} accepted",
                look=", ".join(places),
            )
        if claims is not None and command is not None:
            claim = claims.get(command_id)
            if claim is None or claim["claimed_at"] is None:
                finding.wrong(
                    order=order,
                    expected=f"a claim of {command_id} from before its socket was opened",
                    found="none" if claim is None else "one that was never claimed",
                    look=f"claims, and {places[0]}",
                )
    return finding


def given_up(seen: Seen) -> Finding:
    finding = Finding(invariant="I9")
    if seen.register is None:
        finding.skip("no database was given")
        return finding
    if seen.books is None:
        finding.skip(NO_BOOK)
        return finding
    faulty = {entry.get("command_id", "") for _, entry in seen.books.providers() if _is_ambiguous(entry)}
    suppressed = [
        row for row in seen.register.claims if row["state"] == "suppressed" and row["reason"] == "ambiguous"
    ]
    finding.checked = len(suppressed)
    unexplained = [row for row in suppressed if row["command_id"] not in faulty]
    allowed = seen.kills * _IN_THE_AIR
    for row in unexplained[allowed:]:
        finding.wrong(
            order=row["order_id"],
            expected=f"a fault that made {row['command_id']} ambiguous (or a process killed: {seen.kills})",
            found="it was given up as ambiguous without one",
            look=f"claims, command_id = {row['command_id']}",
        )
    return finding


def _is_ambiguous(entry: Row) -> bool:
    status = entry.get("status")
    unclear = isinstance(status, int) and (status == 0 or 500 <= status < 550)
    return unclear or str(entry.get("fault", "")).startswith(_AMBIGUOUS)
